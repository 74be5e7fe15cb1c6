//! What the image itself says, in Alibaba Cloud's words, where the user said nothing.

use super::options::Options;
use super::values::{Architecture, BootMode, OsType, word};
use crate::guest::{self, Family, Guest};

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
pub fn adopt(options: &mut Options, guest: &Guest) -> Vec<String> {
    let mut taken = vec![];
    let os_type = guest.family.map(|family| match family {
        Family::Linux => OsType::Linux,
        Family::Windows => OsType::Windows,
    });
    // A platform that was named says the family, too.
    let named = options.image_platform.is_some();
    if let (None, false, Some(os_type)) = (options.image_os_type, named, os_type) {
        options.image_os_type = Some(os_type);
        taken.push(format!("OS type {}", word(&os_type)));
    }
    if let (false, Some(OsType::Linux), Some(platform)) =
        (named, options.image_os_type, platform(guest))
    {
        options.image_platform = Some(platform.to_owned());
        taken.push(format!("platform {platform}"));
    }
    let architecture = guest.architecture.and_then(|known| match known {
        guest::Architecture::X86_64 => Some(Architecture::X86_64),
        guest::Architecture::Arm64 => Some(Architecture::Arm64),
        guest::Architecture::I386 => Some(Architecture::I386),
        guest::Architecture::Other => None,
    });
    if let (None, Some(architecture)) = (options.image_architecture, architecture) {
        options.image_architecture = Some(architecture);
        taken.push(format!("architecture {}", word(&architecture)));
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
        taken.push(format!("boot mode {}", word(&boot_mode)));
    }
    taken
}

fn platform(guest: &Guest) -> Option<&'static str> {
    let os = guest.system.as_ref()?.os.here()?;
    if os.name == "CentOS Stream" {
        return Some("CentOS Stream");
    }
    let known = PLATFORMS.iter().find(|(id, _)| *id == os.id);
    known.map(|(_, platform)| *platform)
}

/// What was said and is not so: ECS would put the wrong drivers and settings in.
pub fn doubts(options: &Options, guest: &Guest) -> Vec<String> {
    let mut doubts = vec![];
    let name = || guest.name().unwrap_or_else(|| "another system".to_owned());
    if let (Some(said), Some(family)) = (options.image_os_type, guest.family)
        && (said == OsType::Linux) != (family == Family::Linux)
    {
        let said = word(&said);
        doubts.push(format!(
            "--os-type is {said}, but the image holds {}",
            name()
        ));
    }
    // "Others Linux" and "Customized Linux" are true of any.
    let known = |said: &str| PLATFORMS.iter().any(|(_, platform)| *platform == said);
    if let (Some(said), Some(platform)) = (&options.image_platform, platform(guest))
        && known(said)
        && said != platform
    {
        doubts.push(format!(
            "--platform is {said}, but the image holds {}",
            name()
        ));
    }
    let said = options.image_architecture.map(|said| word(&said));
    doubts.extend(said.and_then(|said| guest.doubt_architecture(&said)));
    let starts = match options.boot_mode {
        Some(BootMode::Bios) => guest.bios,
        Some(BootMode::Uefi) => guest.uefi,
        _ => None,
    };
    let said = options.boot_mode.map(|said| word(&said));
    doubts.extend(said.and_then(|said| Guest::doubt_boot_mode(&said, starts)));
    doubts
}
