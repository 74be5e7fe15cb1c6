//! What AWS makes of an image.

use super::common;
use super::finding::{Finding, Rule};
use crate::aws;
use crate::guest::{Architecture, Family, Filling, Guest, System};
use crate::image::Image;

const REQUIREMENTS: &str =
    "https://docs.aws.amazon.com/vm-import/latest/userguide/prerequisites.html";
const LIMITS: &str =
    "https://docs.aws.amazon.com/vm-import/latest/userguide/limitations-image-importing.html";
const CHANGES: &str =
    "https://docs.aws.amazon.com/vm-import/latest/userguide/import-modify-vm.html";
const NITRO: &str =
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/enhanced-networking-ena.html";
const KEYS: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-key-pairs.html";

/// Free bytes that the import's own agent and drivers want on the root file system.
const FREE: u64 = 250 << 20;

/// File systems that ImportImage reads.
const KNOWN: [Filling; 4] = [Filling::Ext, Filling::Btrfs, Filling::Jfs, Filling::Xfs];

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

pub fn form(image: &Image) -> Vec<Finding> {
    let rule = Rule("format and size", REQUIREMENTS);
    vec![match aws::accepts(image) {
        Ok(()) => rule.ok(image.label()),
        Err((reason, remedy)) if aws::takes_blocks(image) => rule.warning(
            format!("ImportImage does not take it: {reason}"),
            format!("import it with --method ebs-direct, or {remedy}"),
        ),
        Err((reason, remedy)) => rule.refused(reason, remedy),
    }]
}

/// `examined` by ImportImage; RegisterImage takes the disk as it is, and so does
/// the import of an arm64 system, which ImportImage does not take.
pub fn inside(guest: &Guest, examined: bool) -> Vec<Finding> {
    let examined = examined && guest.architecture != Some(Architecture::Arm64);
    let mut found = vec![];
    if examined {
        found.extend(encryption(guest));
        found.extend(common::file_system(
            guest,
            &KNOWN,
            Rule("file system", REQUIREMENTS),
        ));
    }
    if guest.family.is_none() {
        return found;
    }
    found.push(architecture(guest, examined));
    found.push(boot(guest));
    let Some(system) = &guest.system else {
        return found;
    };
    if examined {
        found.extend(kernel(guest));
        found.extend(free(system));
    }
    found.extend(common::drivers(
        guest,
        &["nvme"],
        &["ena"],
        Rule("drivers", NITRO),
    ));
    found.push(common::devices(system, Rule("devices", CHANGES)));
    found.push(common::network(system, Rule("network", LIMITS)));
    found.push(common::ssh(system, Rule("ssh", REQUIREMENTS)));
    found.push(common::cloud_init(system, "Ec2", Rule("cloud-init", KEYS)));
    found
}

/// ImportImage takes no encrypted volume, whatever is on it.
fn encryption(guest: &Guest) -> Option<Finding> {
    let encrypted = guest.encrypted()?;
    let remedy = if encrypted == Filling::BitLocker {
        common::BITLOCKER
    } else {
        "import it with --method import-snapshot; or install the system without encryption, and let AWS encrypt: --ami-encrypt"
    };
    let text = format!(
        "a partition is encrypted ({}), ImportImage takes no encrypted volumes",
        encrypted.name()
    );
    Some(Rule("encryption", LIMITS).refused(text, remedy))
}

fn free(system: &System) -> Option<Finding> {
    let free = system.free?;
    let (rule, shown) = (Rule("free space", REQUIREMENTS), crate::units::bytes(free));
    Some(if free < FREE {
        let text = format!("{shown} are free on the root file system, the import writes to it");
        rule.warning(text, "leave 250 MiB free")
    } else {
        rule.ok(format!("{shown} free"))
    })
}

fn architecture(guest: &Guest, examined: bool) -> Finding {
    let rule = Rule("processor", LIMITS);
    match guest.architecture {
        Some(known @ (Architecture::X86_64 | Architecture::Arm64)) => rule.ok(known.name()),
        Some(other) if examined => rule.refused(
            format!("EC2 imports no systems for {}", other.name()),
            "install a 64-bit system",
        ),
        Some(other) => rule.warning(
            format!("it is built for {}", other.name()),
            "install a 64-bit system",
        ),
        None => rule.unseen("its processor could not be seen"),
    }
}

fn boot(guest: &Guest) -> Finding {
    let rule = Rule("boot mode", REQUIREMENTS);
    let only_uefi = guest.uefi == Some(true) && guest.bios != Some(true);
    if only_uefi
        && guest.family == Some(Family::Linux)
        && guest.has_fallback_loader() == Some(false)
    {
        return rule.warning(
            "the EFI system partition has no EFI/BOOT/BOOTX64.EFI, the loader that a new machine starts",
            "write it, with grub-install --removable for example",
        );
    }
    common::starts(guest, rule)
}

fn kernel(guest: &Guest) -> Option<Finding> {
    let rule = Rule("kernel", REQUIREMENTS);
    let kernel = guest.kernel()?;
    let os = guest.system.as_ref()?.os.here()?;
    let series = kernel.series();
    // Debian counts 12.7, Amazon Linux 2023: the number before the dot, or all of it.
    let version = |known: &str| {
        let begins = || os.version.starts_with(&format!("{known}."));
        known.is_empty() || os.version == known || begins()
    };
    let listed = KERNELS.iter().any(|(id, known, kernels)| {
        *id == os.id && version(known) && kernels.contains(&series.as_str())
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
