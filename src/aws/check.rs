//! What AWS makes of an image.

use super::method::ImportMethod;
use super::validate;
use crate::guest::{Architecture, Guest, OsFamily, System, VolumeKind};
use crate::image::{DiskReader, Image};
use crate::import::finding::{Finding, Rule};
use crate::import::guest_rules;

const REQUIREMENTS: &str =
    "https://docs.aws.amazon.com/vm-import/latest/userguide/prerequisites.html";
const LIMITS: &str =
    "https://docs.aws.amazon.com/vm-import/latest/userguide/limitations-image-importing.html";
const CHANGES: &str =
    "https://docs.aws.amazon.com/vm-import/latest/userguide/import-modify-vm.html";
const NITRO: &str =
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/enhanced-networking-ena.html";
const KEY_PAIRS: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-key-pairs.html";

/// Free bytes that the import's own agent and drivers want on the root file system.
const MIN_FREE_SPACE: u64 = 250 << 20;

/// File systems that ImportImage reads.
const FILE_SYSTEMS: [VolumeKind; 4] = [
    VolumeKind::Ext,
    VolumeKind::Btrfs,
    VolumeKind::Jfs,
    VolumeKind::Xfs,
];

/// Systems, their versions and kernels in the list of mid-2026, the newer half: os-release's
/// ID, how VERSION_ID begins, and the series of the kernel.
const KERNELS: [(&str, &str, &[&str]); 28] = [
    ("amzn", "2023", &["6.1"]),
    ("amzn", "2", &["4.14", "4.19", "5.4", "5.10"]),
    ("centos", "7", &["3.10"]),
    ("centos", "8", &["4.18"]),
    ("centos", "9", &["5.14"]),
    ("debian", "10", &["4.19"]),
    ("debian", "11", &["5.10"]),
    ("debian", "12", &["6.1"]),
    (
        "fedora",
        "",
        &["6.0", "6.2", "6.5", "6.8", "6.11", "6.14", "6.17"],
    ),
    ("ol", "7", &["3.10", "3.8", "4.1", "4.14", "4.15", "5.4"]),
    ("ol", "8", &["4.18", "5.4", "5.15"]),
    ("ol", "9", &["5.14", "5.15", "6.12"]),
    ("ol", "10", &["6.12"]),
    ("rhel", "7", &["3.10"]),
    ("rhel", "8", &["4.18"]),
    ("rhel", "9", &["5.14"]),
    ("rhel", "10", &["6.12"]),
    ("rocky", "9", &["5.14"]),
    ("rocky", "10", &["6.12"]),
    ("sles", "12", &["3.12", "4.4", "4.12"]),
    ("sles", "15", &["4.12", "5.3", "5.14", "6.4"]),
    ("ubuntu", "18.04", &["4.15", "5.4"]),
    ("ubuntu", "20.04", &["5.4"]),
    ("ubuntu", "22.04", &["5.15"]),
    ("ubuntu", "23.04", &["5.15"]),
    ("ubuntu", "24.04", &["6.8", "6.11"]),
    ("ubuntu", "25.10", &["6.17"]),
    ("ubuntu", "26.04", &["7.0"]),
];

/// Checks whether `ImportImage`, the default method, accepts the image. The error is the reason
/// and the remedy.
pub fn accepts(image: &Image) -> Result<(), (String, String)> {
    validate::accepts(image, ImportMethod::ImportImage)
}

/// Whether the disk of the image can be written into a snapshot block by block.
fn accepts_blocks(image: &Image) -> bool {
    validate::accepts(image, ImportMethod::EbsDirect).is_ok() && DiskReader::open(image).is_ok()
}

pub fn check_format(image: &Image) -> Vec<Finding> {
    let rule = Rule("format and size", REQUIREMENTS);
    vec![match accepts(image) {
        Ok(()) => rule.ok(image.label()),
        Err((reason, remedy)) if accepts_blocks(image) => rule.warning(
            format!("ImportImage does not take it: {reason}"),
            format!("import it with --method ebs-direct, or {remedy}"),
        ),
        Err((reason, remedy)) => rule.refused(reason, remedy),
    }]
}

/// `examined` by ImportImage; RegisterImage takes the disk as it is, and so does
/// the import of an arm64 system, which ImportImage does not take.
pub fn check_guest(guest: &Guest, checks_guest: bool) -> Vec<Finding> {
    let examined = checks_guest && guest.architecture != Some(Architecture::Arm64);
    let mut found = vec![];
    if examined {
        found.extend(check_encryption(guest));
        found.extend(guest_rules::check_file_system(
            guest,
            &FILE_SYSTEMS,
            Rule("file system", REQUIREMENTS),
        ));
    }
    if guest.family.is_none() {
        return found;
    }
    found.push(check_architecture(guest, examined));
    found.push(check_boot(guest));
    let Some(system) = &guest.system else {
        return found;
    };
    if examined {
        found.extend(check_kernel(guest));
        found.extend(check_free_space(system));
    }
    found.extend(guest_rules::check_drivers(
        guest,
        &["nvme"],
        &["ena"],
        Rule("drivers", NITRO),
    ));
    found.push(guest_rules::check_devices(system, Rule("devices", CHANGES)));
    found.push(guest_rules::check_network(system, Rule("network", LIMITS)));
    found.push(guest_rules::check_ssh(system, Rule("ssh", REQUIREMENTS)));
    found.push(guest_rules::check_cloud_init(
        system,
        "Ec2",
        Rule("cloud-init", KEY_PAIRS),
    ));
    found
}

/// ImportImage takes no encrypted volume, whatever is on it.
fn check_encryption(guest: &Guest) -> Option<Finding> {
    let encrypted = guest.encrypted()?;
    let remedy = if encrypted == VolumeKind::BitLocker {
        guest_rules::BITLOCKER
    } else {
        "import it with --method import-snapshot; or install the system without encryption, and let AWS encrypt: --ami-encrypt"
    };
    let text = format!(
        "a partition is encrypted ({}), ImportImage takes no encrypted volumes",
        encrypted.name()
    );
    Some(Rule("encryption", LIMITS).refused(text, remedy))
}

fn check_free_space(system: &System) -> Option<Finding> {
    let free = system.free?;
    let (rule, free_text) = (Rule("free space", REQUIREMENTS), crate::units::bytes(free));
    Some(if free < MIN_FREE_SPACE {
        let text = format!("{free_text} are free on the root file system, the import writes to it");
        rule.warning(text, "leave 250 MiB free")
    } else {
        rule.ok(format!("{free_text} free"))
    })
}

fn check_architecture(guest: &Guest, checks_guest: bool) -> Finding {
    let rule = Rule("processor", LIMITS);
    match guest.architecture {
        Some(architecture @ (Architecture::X86_64 | Architecture::Arm64)) => {
            rule.ok(architecture.name())
        }
        Some(other) if checks_guest => rule.refused(
            format!("EC2 imports no systems for {}", other.name()),
            "install a 64-bit system",
        ),
        Some(other) => rule.warning(
            format!("it is built for {}", other.name()),
            "install a 64-bit system",
        ),
        None => rule.unknown("its processor could not be seen"),
    }
}

fn check_boot(guest: &Guest) -> Finding {
    let rule = Rule("boot mode", REQUIREMENTS);
    let only_uefi = guest.uefi == Some(true) && guest.bios != Some(true);
    if only_uefi
        && guest.family == Some(OsFamily::Linux)
        && guest.has_fallback_loader() == Some(false)
    {
        return rule.warning(
            "the EFI system partition has no EFI/BOOT/BOOTX64.EFI, the loader that a new machine starts",
            "write it, with grub-install --removable for example",
        );
    }
    guest_rules::check_boot(guest, rule)
}

fn check_kernel(guest: &Guest) -> Option<Finding> {
    let rule = Rule("kernel", REQUIREMENTS);
    let kernel = guest.kernel()?;
    let os = guest.system.as_ref()?.os.present()?;
    let series = kernel.series();
    // Debian counts 12.7, Amazon Linux 2023: the number before the dot, or all of it.
    let version = |pattern: &str| {
        let begins = || os.version.starts_with(&format!("{pattern}."));
        pattern.is_empty() || os.version == pattern || begins()
    };
    let listed = KERNELS.iter().any(|(id, versions, kernels)| {
        *id == os.id && version(versions) && kernels.contains(&series.as_str())
    });
    Some(if listed {
        rule.ok(&kernel.version)
    } else {
        rule.warning(
            format!(
                "{} with kernel {} is not in AWS's list as of mid-2026, ImportImage may refuse it",
                os.pretty, kernel.version
            ),
            "look into the list, or import with --method import-snapshot",
        )
    })
}
