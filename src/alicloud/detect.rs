//! Sets Alibaba Cloud's options from the facts of the image, where the user did not set them.

use super::options::Options;
use super::values::{Architecture, BootMode, OsType, flag_value};
use crate::guest::{self, Guest, OsFamily};

/// os-release's ID and what ImportImage calls the system.
const PLATFORMS: [(&str, &str); 18] = [
    ("almalinux", "AlmaLinux"),
    ("alinux", "Aliyun"),
    ("anolis", "Anolis"),
    ("centos", "CentOS"),
    ("debian", "Debian"),
    ("fedora", "Fedora"),
    ("gentoo", "Gentoo"),
    ("kylin", "Kylin"),
    ("opensuse", "OpenSUSE"),
    ("opensuse-leap", "OpenSUSE"),
    ("opensuse-tumbleweed", "OpenSUSE"),
    ("rhel", "RedHat"),
    ("rocky", "Rocky Linux"),
    ("sles", "SUSE"),
    ("sles_sap", "SUSE"),
    ("sled", "SUSE"),
    ("ubuntu", "Ubuntu"),
    ("uos", "UOS"),
];

/// Only what is certain.
pub fn fill_from_image(options: &mut Options, guest: &Guest) -> Vec<String> {
    let mut detected = vec![];
    let os_type = guest.family.map(|family| match family {
        OsFamily::Linux => OsType::Linux,
        OsFamily::Windows => OsType::Windows,
    });
    // A platform that was named says the family, too.
    let named = options.image_platform.is_some();
    if let (None, false, Some(os_type)) = (options.image_os_type, named, os_type) {
        options.image_os_type = Some(os_type);
        detected.push(format!("OS type {}", flag_value(&os_type)));
    }
    if let (false, Some(OsType::Linux), Some(platform)) =
        (named, options.image_os_type, platform(guest))
    {
        options.image_platform = Some(platform.to_owned());
        detected.push(format!("platform {platform}"));
    }
    let architecture = guest
        .architecture
        .and_then(|architecture| match architecture {
            guest::Architecture::X86_64 => Some(Architecture::X86_64),
            guest::Architecture::Arm64 => Some(Architecture::Arm64),
            guest::Architecture::I386 => Some(Architecture::I386),
            guest::Architecture::Other => None,
        });
    if let (None, Some(architecture)) = (options.image_architecture, architecture) {
        options.image_architecture = Some(architecture);
        detected.push(format!("architecture {}", flag_value(&architecture)));
    }
    // Where both are possible, BIOS is what every instance family has.
    let boot_mode = match (guest.bios, guest.uefi) {
        (Some(true), _) if options.image_architecture != Some(Architecture::Arm64) => {
            Some(BootMode::Bios)
        }
        (_, Some(true)) => Some(BootMode::Uefi),
        _ => None,
    };
    if let (None, Some(boot_mode)) = (options.boot_mode, boot_mode) {
        options.boot_mode = Some(boot_mode);
        detected.push(format!("boot mode {}", flag_value(&boot_mode)));
    }
    detected
}

fn platform(guest: &Guest) -> Option<&'static str> {
    let os = guest.system.as_ref()?.os.present()?;
    if os.name == "CentOS Stream" {
        return Some("CentOS Stream");
    }
    let entry = PLATFORMS.iter().find(|(id, _)| *id == os.id);
    entry.map(|(_, platform)| *platform)
}

/// What was said and is not so: ECS would put the wrong drivers and settings in.
pub fn contradictions(options: &Options, guest: &Guest) -> Vec<String> {
    let mut contradictions = vec![];
    let name = || guest.name().unwrap_or_else(|| "another system".to_owned());
    if let (Some(explicit), Some(family)) = (options.image_os_type, guest.family)
        && (explicit == OsType::Linux) != (family == OsFamily::Linux)
    {
        let explicit = flag_value(&explicit);
        contradictions.push(format!(
            "--os-type is {explicit}, but the image holds {}",
            name()
        ));
    }
    // "Others Linux" and "Customized Linux" are true of any.
    let is_documented = |name: &str| PLATFORMS.iter().any(|(_, platform)| *platform == name);
    if let (Some(explicit), Some(platform)) = (&options.image_platform, platform(guest))
        && is_documented(explicit)
        && explicit != platform
    {
        contradictions.push(format!(
            "--platform is {explicit}, but the image holds {}",
            name()
        ));
    }
    let explicit = options
        .image_architecture
        .map(|architecture| flag_value(&architecture));
    contradictions
        .extend(explicit.and_then(|architecture| guest.architecture_mismatch(&architecture)));
    let can_boot = match options.boot_mode {
        Some(BootMode::Bios) => guest.bios,
        Some(BootMode::Uefi) => guest.uefi,
        _ => None,
    };
    let explicit = options.boot_mode.map(|boot_mode| flag_value(&boot_mode));
    contradictions
        .extend(explicit.and_then(|boot_mode| Guest::boot_mode_mismatch(&boot_mode, can_boot)));
    contradictions
}
