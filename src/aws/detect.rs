//! What the image itself says, in AWS's words, where the user said nothing.

use super::options::Options;
use super::values::{Architecture, BootMode, Platform, word};
use crate::guest::{self, Family, Guest};

/// Only what is certain: a wrong boot mode makes an AMI that does not start.
pub fn adopt(options: &mut Options, guest: &Guest) -> Vec<String> {
    let mut taken = vec![];
    // AWS sees Windows itself; to say it would close the road through RegisterImage.
    if let (None, Some(Family::Linux)) = (options.platform, guest.family) {
        options.platform = Some(Platform::Linux);
        taken.push(format!("platform {}", Platform::Linux.wire()));
    }
    let architecture = guest.architecture.and_then(|known| match known {
        guest::Architecture::X86_64 => Some(Architecture::X86_64),
        guest::Architecture::Arm64 => Some(Architecture::Arm64),
        guest::Architecture::I386 | guest::Architecture::Other => None,
    });
    if let (None, Some(architecture)) = (options.architecture, architecture) {
        options.architecture = Some(architecture);
        taken.push(format!("architecture {}", word(&architecture)));
    }
    let boot_mode = match (guest.bios, guest.uefi) {
        (Some(true), Some(false)) => Some(BootMode::LegacyBios),
        (Some(false), Some(true)) => Some(BootMode::Uefi),
        _ => None,
    };
    // Who names another processor knows of another system than the one that was seen.
    let same = architecture.is_none_or(|known| options.architecture == Some(known));
    if let (None, true, Some(boot_mode)) = (options.boot_mode, same, boot_mode) {
        options.boot_mode = Some(boot_mode);
        taken.push(format!("boot mode {}", word(&boot_mode)));
    }
    taken
}

/// What was said and is not so: such an AMI would not start.
pub fn doubts(options: &Options, guest: &Guest) -> Vec<String> {
    let mut doubts = vec![];
    if let (Some(said), Some(family)) = (options.platform, guest.family) {
        let (platform, name) = match family {
            Family::Linux => (Platform::Linux, "Linux"),
            Family::Windows => (Platform::Windows, "Windows"),
        };
        if said != platform {
            let said = word(&said);
            doubts.push(format!("--platform is {said}, but the image holds {name}"));
        }
    }
    let said = options.architecture.map(|said| word(&said));
    doubts.extend(said.and_then(|said| guest.doubt_architecture(&said)));
    let starts = match options.boot_mode {
        Some(BootMode::LegacyBios) => guest.bios,
        Some(BootMode::Uefi) => guest.uefi,
        _ => None,
    };
    let said = options.boot_mode.map(|said| word(&said));
    doubts.extend(said.and_then(|said| Guest::doubt_boot_mode(&said, starts)));
    doubts
}
