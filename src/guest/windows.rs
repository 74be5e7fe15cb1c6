//! Detects Windows on the disk. Its files are proof; traces of its installers and formatters
//! count only where nothing on the disk belongs to another system.

use super::disk::DiskSlice;
use super::ntfs::{self, Contents};
use super::{Guest, Volume};
use crate::image::VolumeKind;

/// The evidence for Windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Its files.
    Files,
    /// Traces of its installers and formatters.
    Traces,
}

/// Returns the evidence for Windows; called where no root of another system was found.
pub(super) fn look(guest: &Guest, slices: impl Fn(&Volume) -> DiskSlice) -> Option<Proof> {
    let volumes = || guest.volumes.iter();
    let on_ntfs: Vec<_> = volumes()
        .filter(|volume| volume.content == Some(VolumeKind::Ntfs))
        .map(|volume| {
            let slice = slices(volume);
            (ntfs::contents(&slice), slice)
        })
        .collect();
    if on_ntfs
        .iter()
        .any(|(contents, _)| *contents == Contents::Windows)
    {
        return Some(Proof::Files);
    }
    let contents = volumes().filter_map(|volume| volume.content);
    if contents.into_iter().any(VolumeKind::is_foreign_to_windows) || starts_other_system(guest) {
        return None;
    }
    let starts_windows = |(contents, slice): &(Contents, DiskSlice)| match contents {
        Contents::Windows | Contents::BootManager => true,
        Contents::Data => false,
        Contents::Unreadable => loads_boot_manager(slice),
    };
    let is_traced = on_ntfs.iter().any(starts_windows)
        || volumes().any(|volume| volume.content == Some(VolumeKind::BitLocker))
        || loaders(guest).any(|path| path == "efi/microsoft/boot/bootmgfw.efi");
    is_traced.then_some(Proof::Traces)
}

/// Reports whether the volume has the boot code that Windows writes into every NTFS that it
/// formats.
fn loads_boot_manager(slice: &DiskSlice) -> bool {
    slice
        .read_array::<512>(0)
        .is_some_and(|sector| sector.windows(7).any(|word| word == b"BOOTMGR"))
}

/// Reports whether a boot loader of another system is in the EFI system partition.
fn starts_other_system(guest: &Guest) -> bool {
    let names = ["grub", "shim", "systemd-boot", "refind", "elilo", "limine"];
    loaders(guest).any(|path| names.iter().any(|name| path.contains(name)))
}

fn loaders(guest: &Guest) -> impl Iterator<Item = String> {
    guest
        .loaders
        .iter()
        .flatten()
        .map(|path| path.to_ascii_lowercase())
}
