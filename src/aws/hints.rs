//! AWS's known errors and reasons, each with its hint. Codes are those of "Error codes for the
//! Amazon EC2 API" and of the SDKs' retries ("Retry behavior").

use crate::image::Image;
use crate::net::hints;

/// Beginnings of codes of a request that is refused at once.
const ERROR_CODES: &[(&str, &str)] = &[
    ("InvalidAccessKeyId", CHECK_KEYS),
    ("InvalidClientTokenId", CHECK_KEYS),
    ("SignatureDoesNotMatch", CHECK_KEYS),
    ("AuthFailure", CHECK_KEYS),
    ("ExpiredToken", RENEW_CREDENTIALS),
    ("RequestExpired", RENEW_CREDENTIALS),
    ("RequestTimeTooSkewed", "set this machine's clock"),
    (
        "OptInRequired",
        "finish the account's sign-up, or enable the region: aws account enable-region --region-name REGION",
    ),
    ("ResourceCountLimitExceeded", TASK_QUOTA),
    ("ImportTaskLimitExceeded", TASK_QUOTA),
    (
        "PendingSnapshotLimitExceeded",
        "wait until other snapshots are complete, and run the same command again",
    ),
    ("SnapshotLimitExceeded", SNAPSHOT_QUOTA),
    ("ServiceQuotaExceeded", SNAPSHOT_QUOTA),
    // "The request reuses the same client token, but one or more of the request parameters
    // is different" (EBS direct APIs, ConflictException); EC2 says it with the other code.
    ("ConflictException", TOKEN_REUSED),
    ("IdempotentParameterMismatch", TOKEN_REUSED),
    // "Error responses" of the S3 API reference.
    (
        "KMS.",
        "name another --s3-encryption-key: one that is enabled, symmetric and in the bucket's region",
    ),
    ("RequestLimitExceeded", BUSY),
    ("RequestThrottled", BUSY),
    ("TooManyRequests", BUSY),
    ("EC2ThrottledException", BUSY),
    ("BandwidthLimitExceeded", BUSY),
    ("PriorRequestNotComplete", BUSY),
    ("SlowDown", BUSY),
    ("ProvisionedThroughputExceeded", BUSY),
    ("ConcurrentLimitExceeded", BUSY),
    ("Throttl", BUSY),
    ("InternalError", RETRY_LATER),
    ("InternalFailure", RETRY_LATER),
    ("InternalServerException", RETRY_LATER),
    ("ServerInternal", RETRY_LATER),
    ("ServiceUnavailable", RETRY_LATER),
    ("Unavailable", RETRY_LATER),
    ("RequestTimeout", RETRY_LATER),
    ("IDPCommunicationError", RETRY_LATER),
];

/// Sentences in a refusal whose code says nothing.
const MESSAGES: &[(&str, &str)] = &[
    (
        "not local to the region",
        "name a bucket in the import's region, or import into the bucket's with --region",
    ),
    // ResourceLimitExceeded says it of any limit.
    (
        "snapshot copies in progress",
        "wait until other copies are complete, and run the same command again",
    ),
    (
        "disk-image-size=0",
        "the object is empty or of another format: say the image's own --format",
    ),
];

const CHECK_KEYS: &str = "check the access key and the secret key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the profile";
const RENEW_CREDENTIALS: &str = "get new credentials, for instance with: aws sso login";
/// "Limitations" of the VM Import guide.
const TASK_QUOTA: &str = "wait until other imports have ended, and run the same command again: the account runs 20 at once in a region unless its quota L-66ABAAD5 is higher";
const SNAPSHOT_QUOTA: &str = "delete snapshots, or ask for a higher quota";
const TOKEN_REUSED: &str = "an earlier run asked for something else with the same token: say --no-resume, which takes a new one";
const BUSY: &str =
    "wait some minutes, and run the same command again: the account asks too much at once";
const RETRY_LATER: &str =
    "run the same command again; https://health.aws.amazon.com/health/status tells of troubles";

/// Why an import task failed ("Troubleshooting VM Import/Export").
pub const IMPORT_FAILURES: &[(&str, &str)] = &[
    (
        "chunked disk files",
        "export the machine again without chunks, or give the disk itself",
    ),
    (
        "Unsupported VMDK",
        "make the VMDK stream-optimized: {stream}",
    ),
    (
        "Unsupported OVA",
        "export the machine again as an OVA whose first member is the .ovf",
    ),
    (
        "Unsupported specified file format",
        "say the image's own --format; what it is, tells: {info}",
    ),
    (
        "403 Forbidden",
        "let the service role {role} read the bucket, and the object's KMS key if it has one: --create-role does both",
    ),
    (
        "Footers not identical",
        "the VHD is damaged, or holds only what differs from another: convert the whole disk: {raw}",
    ),
    (
        "Uncompressed data has an invalid length",
        "the VMDK is damaged: copy, download or export it again",
    ),
    (
        "No valid partitions",
        "give a disk with a partition table and a root that is not encrypted; --method import-snapshot takes any",
    ),
    ("Unknown OS", ROOT_NOT_FOUND),
    ("Missing OS files", ROOT_NOT_FOUND),
    (
        "fstab",
        "the root needs an /etc/fstab that can be read, with a UUID for every device",
    ),
    (
        "grub/menu.lst",
        "leave one GRUB configuration in /boot, and remove the others",
    ),
    (
        "BLSC-style GRUB",
        "write /boot/grub2/grub.cfg anew in the machine: grub2-mkconfig -o /boot/grub2/grub.cfg",
    ),
    (
        "initramfs",
        "make the initramfs anew in the machine: dracut -f, or update-initramfs -u",
    ),
    (
        "Logical volume group activation failed",
        "give all disks of the volume group at once, in an OVA",
    ),
    (
        "Multiple directories found",
        "leave one root file system on the disk",
    ),
    ("Unsupported kernel", KERNEL_NOT_SUPPORTED),
    ("Unable to determine kernel", KERNEL_NOT_SUPPORTED),
    ("EFI partition", "say --boot-mode uefi"),
    (
        "FirstBootFailure",
        "boot the machine where it was made, with DHCP and with RDP or SSH let in, and export it again",
    ),
    (
        "Booter Networking failure",
        "let the system get its address by DHCP on its one network card, and export it again",
    ),
    (
        "ServerError",
        "run the same command again: what was sent is still there",
    ),
];

const ROOT_NOT_FOUND: &str = "VM Import found no system that it knows: encrypted, LVM-striped and exotic roots are not supported; --method import-snapshot takes any";
const KERNEL_NOT_SUPPORTED: &str = "VM Import takes the default kernels of the distributions alone; --method import-snapshot takes any";

/// All of it.
#[cfg(test)]
pub const ALL_HINTS: &[&[(&str, &str)]] = &[IMPORT_FAILURES, ERROR_CODES, MESSAGES];

/// What helps against a refusal.
pub fn error_hint(code: &str, message: &str) -> Option<&'static str> {
    let by_code = ERROR_CODES
        .iter()
        .find(|(start, _)| code.starts_with(start));
    let hint = by_code.or_else(|| MESSAGES.iter().find(|(text, _)| message.contains(text)));
    hint.map(|(_, help)| *help)
}

/// What helps against the reason for which a task failed.
pub fn import_failure_hint(reason: &str, image: &Image, role_name: &str) -> Option<String> {
    let (_, help) = IMPORT_FAILURES
        .iter()
        .find(|(text, _)| reason.contains(text))?;
    let role = ("role", role_name);
    Some(hints::fill_placeholders(help, image, &[role]))
}
