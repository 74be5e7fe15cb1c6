//! AWS's known refusals and reasons, each with what helps.

/// Codes and sentences of a request that is refused at once.
pub const REFUSALS: &[(&str, &str)] = &[
    ("InvalidAccessKeyId", KEYS),
    ("InvalidClientTokenId", KEYS),
    ("SignatureDoesNotMatch", KEYS),
    ("AuthFailure", KEYS),
    ("ExpiredToken", EXPIRED),
    ("RequestExpired", EXPIRED),
    ("RequestTimeTooSkewed", "set this machine's clock"),
    ("OptInRequired", "enable the region for the account"),
    (
        "not local to the region",
        "name a bucket in the import's region, or import into the bucket's with --region",
    ),
    (
        "disk-image-size=0",
        "the object is empty or of another format: say the image's own --format",
    ),
    ("ResourceCountLimitExceeded", TASKS),
    ("ImportTaskLimitExceeded", TASKS),
    (
        "PendingSnapshotLimitExceeded",
        "wait until other snapshots are complete",
    ),
    (
        "SnapshotLimitExceeded",
        "delete snapshots, or ask for a higher quota",
    ),
];

const KEYS: &str = "check the access key and the secret key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the profile";
const EXPIRED: &str = "get new credentials, for instance with: aws sso login";
const TASKS: &str = "wait until other imports have ended: the account runs 20 at once in a region unless its quota is higher";

/// Why an import task failed ("Troubleshooting VM Import/Export").
pub const REASONS: &[(&str, &str)] = &[
    (
        "chunked disk files",
        "export the machine again without chunks, or give the disk itself",
    ),
    (
        "Unsupported VMDK",
        "make the VMDK stream-optimized: qemu-img convert -O vmdk -o subformat=streamOptimized",
    ),
    (
        "Unsupported OVA",
        "export the machine again as an OVA whose first member is the .ovf",
    ),
    (
        "Unsupported specified file format",
        "say the image's own --format",
    ),
    (
        "403 Forbidden",
        "let the service role read the bucket, and use the object's KMS key if it has one",
    ),
    (
        "Footers not identical",
        "convert the VHD again; differencing disks are not supported",
    ),
    (
        "Uncompressed data has an invalid length",
        "the VMDK is damaged: export or convert it again",
    ),
    (
        "No valid partitions",
        "the disk has no partition table, or its root is encrypted",
    ),
    ("Unknown OS", ROOT),
    ("Missing OS files", ROOT),
    ("fstab", "give every entry of /etc/fstab a UUID"),
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
        "all disks of a volume group must be in the image",
    ),
    (
        "Multiple directories found",
        "leave one root file system on the disk",
    ),
    ("Unsupported kernel", KERNEL),
    ("Unable to determine kernel", KERNEL),
    ("EFI partition", "say --boot-mode uefi"),
    (
        "FirstBootFailure",
        "the system must boot with DHCP, and let in RDP or SSH",
    ),
    (
        "Booter Networking failure",
        "the system must get its address by DHCP on the first network card",
    ),
    (
        "ServerError",
        "run the same command again: what was sent is still there",
    ),
];

const ROOT: &str = "VM Import found no system that it knows: encrypted, LVM-striped and exotic roots are not supported; --method import-snapshot takes any";
const KERNEL: &str = "VM Import takes the default kernels of the distributions alone; --method import-snapshot takes any";

/// All of it.
#[cfg(test)]
pub const ALL: &[&[(&str, &str)]] = &[REASONS, REFUSALS];

/// What helps against a refusal.
pub fn refusal(code: &str, message: &str) -> Option<&'static str> {
    let known = REFUSALS
        .iter()
        .find(|(text, _)| code.starts_with(text) || message.contains(text));
    known.map(|(_, help)| *help)
}

/// What helps against the reason for which a task failed.
pub fn reason(reason: &str) -> Option<&'static str> {
    let known = REASONS.iter().find(|(text, _)| reason.contains(text));
    known.map(|(_, help)| *help)
}
