//! Imports: what ImportImage refuses at once, and why its tasks fail.

use imgimport_sandbox::{Fault, ImportScript};

use super::super::{Told, each};
use super::stage;

const OBJECT: &str = "s3://importbucket/imgimport-1767225600.raw; remove it with: aws s3 rm s3://importbucket/imgimport-1767225600.raw";
const TOKEN: &str = "an earlier run asked for something else with the same token: say --no-resume, which takes a new one";
/// Said wherever something stays and nothing better is known.
const GOES_ON: &str = "the same command goes on from there";

const ROOT: &str = "VM Import found no system that it knows: encrypted, LVM-striped and exotic roots are not supported; --method import-snapshot takes any";
const KERNEL: &str = "VM Import takes the default kernels of the distributions alone; --method import-snapshot takes any";
const REASONS: &[(&str, &str)] = &[
    (
        "ClientError: Disk validation failed [OVF file parsing error: OVA with chunked disk files is not supported]",
        "export the machine again without chunks, or give the disk itself",
    ),
    (
        "ClientError: Disk validation failed [Unsupported VMDK File Format]",
        "make the VMDK stream-optimized: qemu-img convert -f raw -O vmdk -o subformat=streamOptimized disk.raw disk.vmdk",
    ),
    (
        "ClientError: Disk validation failed [Unsupported OVA format]",
        "export the machine again as an OVA whose first member is the .ovf",
    ),
    (
        "ClientError: Disk validation failed [Unsupported specified file format]",
        "say the image's own --format; what it is, tells: qemu-img info disk.raw",
    ),
    (
        "ClientError: Disk validation failed [We do not have access to the given resource. Reason 403 Forbidden]",
        "let the service role vmimport read the bucket, and the object's KMS key if it has one: --create-role does both",
    ),
    (
        "ClientError: Footers not identical",
        "the VHD is damaged, or holds only what differs from another: convert the whole disk: qemu-img convert -f raw -O raw disk.raw disk.new.raw",
    ),
    (
        "ClientError: Uncompressed data has an invalid length",
        "the VMDK is damaged: copy, download or export it again",
    ),
    (
        "ClientError: Disk validation failed [No valid partitions. Not a valid volume.]",
        "give a disk with a partition table and a root that is not encrypted; --method import-snapshot takes any",
    ),
    ("ClientError: Unknown OS / Missing OS files", ROOT),
    ("ClientError: Unknown OS", ROOT),
    ("ClientError: Missing OS files", ROOT),
    (
        "ClientError: Invalid configuration - Could not read fstab",
        "the root needs an /etc/fstab that can be read, with a UUID for every device",
    ),
    (
        "ClientError: Multiple different grub/menu.lst files found",
        "leave one GRUB configuration in /boot, and remove the others",
    ),
    (
        "ClientError: BLSC-style GRUB found, but unable to detect default kernel",
        "write /boot/grub2/grub.cfg anew in the machine: grub2-mkconfig -o /boot/grub2/grub.cfg",
    ),
    (
        "ClientError: unable to read initramfs/initrd",
        "make the initramfs anew in the machine: dracut -f, or update-initramfs -u",
    ),
    (
        "ClientError: Logical volume group activation failed",
        "give all disks of the volume group at once, in an OVA",
    ),
    (
        "ClientError: Multiple directories found",
        "leave one root file system on the disk",
    ),
    ("ClientError: Unsupported kernel version 6.12", KERNEL),
    ("ClientError: Unable to determine kernel version", KERNEL),
    (
        "ClientError: EFI partition detected. UEFI booting is not supported in EC2",
        "say --boot-mode uefi",
    ),
    (
        "ClientError: FirstBootFailure: This import request failed because the Windows instance failed to boot and establish network connectivity",
        "boot the machine where it was made, with DHCP and with RDP or SSH let in, and export it again",
    ),
    (
        "ClientError: Booter Networking failure/instance not reachable",
        "let the system get its address by DHCP on its one network card, and export it again",
    ),
    (
        "ServerError: an internal error has occurred during conversion",
        "run the same command again: what was sent is still there",
    ),
    ("ClientError: something that nobody has seen yet", GOES_ON),
    ("", GOES_ON),
];

/// "Troubleshooting VM Import/Export", a row each.
#[tokio::test]
async fn the_reason_of_a_failed_task_comes_with_its_remedy() {
    each(REASONS, async |&(reason, hint)| {
        let env = stage().await;
        let script = ImportScript::quick().fail(reason);
        env.cloud.import_script(script);
        let run = env
            .imgimport("aws --bucket importbucket -q disk.raw")
            .output()
            .await;
        let told = Told {
            what: "the import import-ami-TASK failed",
            cause: if reason.is_empty() {
                "AWS gave no reason"
            } else {
                reason
            },
            left: &[OBJECT],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// What ImportImage refuses at once.
#[tokio::test]
async fn a_refused_import_comes_with_its_remedy() {
    let tasks = "wait until other imports have ended, and run the same command again: the account runs 20 at once in a region unless its quota L-66ABAAD5 is higher";
    let passing = "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/vmimport because no identity-based policy allows the iam:PassRole action";
    let pass = r#"allow the caller iam:PassRole: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::123456789012:role/vmimport"}]}"#;
    let both = r#"allow the caller ec2:ImportImage and iam:PassRole: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:ImportImage","Resource":"*"},{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::*:role/vmimport"}]}"#;
    let denied = "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ec2:ImportImage with an explicit deny in a service control policy";
    let rows = [
        (
            400,
            "InvalidParameter",
            "The given S3 bucket is not local to the region",
            "name a bucket in the import's region, or import into the bucket's with --region",
        ),
        (
            400,
            "InvalidParameter",
            "disk-image-size=0 has an invalid format",
            "the object is empty or of another format: say the image's own --format",
        ),
        (
            400,
            "ResourceCountLimitExceeded",
            "The maximum number of active tasks has been reached",
            tasks,
        ),
        (
            400,
            "ImportTaskLimitExceeded",
            "Too many import tasks",
            tasks,
        ),
        (403, "UnauthorizedOperation", passing, pass),
        (403, "AccessDenied", passing, pass),
        (
            403,
            "UnauthorizedOperation",
            "You are not authorized to perform this operation",
            both,
        ),
        (
            403,
            "UnauthorizedOperation",
            denied,
            "a policy denies ec2:ImportImage explicitly: no other one helps, change it",
        ),
        (
            400,
            "IdempotentParameterMismatch",
            "The request uses the same client token as a previous, but non-identical request",
            TOKEN,
        ),
        (
            400,
            "InvalidParameterCombination",
            "No such combination",
            GOES_ON,
        ),
    ];
    each(rows, async |(status, code, text, hint)| {
        let env = stage().await;
        let refusal = Fault::on("ec2:ImportImage").answer(status, code, text);
        env.cloud.fault(refusal);
        let run = env
            .imgimport("aws --bucket importbucket -q disk.raw")
            .output()
            .await;
        let told = Told {
            what: "the import could not be started",
            cause: &format!("{text} ({code}, request ID)"),
            left: &[OBJECT],
            hint,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}

/// The sentence that VM Import has for everything that is wrong with its role.
#[tokio::test]
async fn a_service_role_that_is_refused_comes_with_the_commands_that_make_it() {
    let text = "The service role vmimport does not exist or does not have sufficient permissions for the service to continue";
    each(["import-image", "import-snapshot"], async |method| {
        let env = stage().await;
        for operation in ["ec2:ImportImage", "ec2:ImportSnapshot"] {
            let refusal = Fault::on(operation).answer(400, "InvalidParameter", text);
            env.cloud.fault(refusal);
        }
        let command = format!("aws --bucket importbucket --method {method} -q disk.raw");
        let run = env.imgimport(&command).output().await;
        let told = Told {
            what: "VM Import can't use the service role vmimport",
            cause: &format!("{text} (InvalidParameter, request ID)"),
            left: &[OBJECT],
            hint: r#"let --create-role look after it, or compare it with:
aws iam create-role --role-name vmimport --assume-role-policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"vmie.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:Externalid":"vmimport"}}}]}'
aws iam put-role-policy --role-name vmimport --policy-name imgimport-importbucket --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::importbucket","arn:aws:s3:::importbucket/*"]},{"Effect":"Allow","Action":["ec2:ModifySnapshotAttribute","ec2:CopySnapshot","ec2:RegisterImage","ec2:Describe*"],"Resource":"*"}]}'"#,
        };
        run.code(1).stdout("").stderr(&told.whole());
    })
    .await;
}
