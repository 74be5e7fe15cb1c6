//! Sets AWS's options from the facts of the image, where the user did not set them.

use super::options::Options;
use super::values::{Architecture, BootMode, Platform, flag_value};
use crate::guest::{self, Guest, OsFamily};

/// Only what is certain: a wrong boot mode makes an AMI that does not start.
pub fn fill_from_image(options: &mut Options, guest: &Guest) -> Vec<String> {
    let mut detected = vec![];
    // AWS sees Windows itself; to say it would close the road through RegisterImage.
    if let (None, Some(OsFamily::Linux)) = (options.platform, guest.family) {
        options.platform = Some(Platform::Linux);
        detected.push(format!("platform {}", Platform::Linux.api_value()));
    }
    let architecture = guest
        .architecture
        .and_then(|architecture| match architecture {
            guest::Architecture::X86_64 => Some(Architecture::X86_64),
            guest::Architecture::Arm64 => Some(Architecture::Arm64),
            guest::Architecture::I386 | guest::Architecture::Other => None,
        });
    if let (None, Some(architecture)) = (options.architecture, architecture) {
        options.architecture = Some(architecture);
        detected.push(format!("architecture {}", flag_value(&architecture)));
    }
    let boot_mode = match (guest.bios, guest.uefi) {
        (Some(true), Some(false)) => Some(BootMode::LegacyBios),
        (Some(false), Some(true)) => Some(BootMode::Uefi),
        _ => None,
    };
    // Who names another processor knows of another system than the one that was seen.
    let same = architecture
        .is_none_or(|detected_architecture| options.architecture == Some(detected_architecture));
    if let (None, true, Some(boot_mode)) = (options.boot_mode, same, boot_mode) {
        options.boot_mode = Some(boot_mode);
        detected.push(format!("boot mode {}", flag_value(&boot_mode)));
    }
    detected
}

/// What was said and is not so: such an AMI would not start.
pub fn contradictions(options: &Options, guest: &Guest) -> Vec<String> {
    let mut contradictions = vec![];
    if let (Some(explicit), Some(family)) = (options.platform, guest.family) {
        let (platform, name) = match family {
            OsFamily::Linux => (Platform::Linux, "Linux"),
            OsFamily::Windows => (Platform::Windows, "Windows"),
        };
        if explicit != platform {
            let explicit = flag_value(&explicit);
            contradictions.push(format!(
                "--platform is {explicit}, but the image holds {name}"
            ));
        }
    }
    let explicit = options
        .architecture
        .map(|architecture| flag_value(&architecture));
    contradictions
        .extend(explicit.and_then(|architecture| guest.architecture_mismatch(&architecture)));
    let can_boot = match options.boot_mode {
        Some(BootMode::LegacyBios) => guest.bios,
        Some(BootMode::Uefi) => guest.uefi,
        _ => None,
    };
    let explicit = options.boot_mode.map(|boot_mode| flag_value(&boot_mode));
    contradictions
        .extend(explicit.and_then(|boot_mode| Guest::boot_mode_mismatch(&boot_mode, can_boot)));
    contradictions
}
