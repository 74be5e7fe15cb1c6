//! Detects how a disk boots, as far as its boot sectors and partition types show it.

use super::DiskReader;
use super::byte_view::{Fields, is_zero};
use super::firmware::Firmware;
use super::partition_table::PartitionTable;
use super::partitions::{Partition, Partitions, Role};

/// Bytes of an MBR that can contain code.
const CODE: usize = 440;
/// GRUB's boot.h, GRUB_BOOT_MACHINE_KERNEL_SECTOR: where boot.img stores the sector of the next
/// stage.
const GRUB_SECTOR: usize = 0x5c;

/// The boot methods of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    pub table: PartitionTable,
    /// An EFI system partition; `None` if the partitions could not be read.
    pub efi: Option<bool>,
    /// Boot code whose second stage is present; `None` when that is not certain.
    pub bios: Option<bool>,
    /// The firmware that the OVF requests.
    pub firmware: Option<Firmware>,
}

impl Boot {
    /// Returns the firmware to start the disk with, if there is only one: the one that the OVF
    /// requests, or the only one that the disk is prepared for.
    pub fn only_firmware(self) -> Option<Firmware> {
        match (self.firmware, self.efi, self.bios) {
            (Some(requested), _, _) => Some(requested),
            (None, Some(true), Some(false)) => Some(Firmware::Efi),
            (None, Some(false), Some(true)) => Some(Firmware::Bios),
            _ => None,
        }
    }

    /// Returns how the decoded disk boots.
    pub(super) fn detect(disk: &DiskReader, partitions: &Partitions) -> Self {
        let list = partitions.list.as_ref();
        Self {
            table: partitions.table,
            efi: list.map(|list| list.iter().any(|part| part.role == Role::EfiSystem)),
            bios: bios(disk, partitions),
            firmware: None,
        }
    }
}

/// Reports whether the disk boots by BIOS.
///
/// Windows and some tools leave code in front of a GPT that starts nothing, so there it counts
/// only with a second stage.
fn bios(disk: &DiskReader, partitions: &Partitions) -> Option<bool> {
    let mbr = partitions.mbr.as_slice();
    let code = mbr.get(..CODE).unwrap_or_default();
    if !mbr.ends_with(&[0x55, 0xaa]) || is_zero(code) {
        return Some(false);
    }
    let is_grub = code.windows(4).any(|word| word == b"GRUB");
    let next = if is_grub {
        has_grub_core(disk, code)
    } else {
        None
    };
    match partitions.table {
        PartitionTable::Unknown => None,
        PartitionTable::None => Some(true),
        PartitionTable::Mbr => Some(next.unwrap_or(true)),
        PartitionTable::Gpt => next.or_else(|| {
            let list = partitions.list.as_ref()?;
            let boot = list.iter().find(|part| part.role == Role::BiosBoot);
            match boot {
                Some(boot) if has_data(disk, boot) == Some(true) => Some(true),
                // The attribute that syslinux's gptmbr.bin looks for.
                _ if list.iter().any(|part| part.legacy_bootable) => Some(true),
                Some(boot) => has_data(disk, boot),
                None => is_grub.then_some(true),
            }
        }),
    }
}

/// Reports whether the sector that GRUB's boot sector loads next contains data; `None` where it
/// names no sector of this disk.
fn has_grub_core(disk: &DiskReader, code: &[u8]) -> Option<bool> {
    let at = Fields(code).le64(GRUB_SECTOR).checked_mul(512)?;
    (at > 0).then(|| has_data_at(disk, at)).flatten()
}

/// Reports whether a boot loader was written to a partition that is made for one.
fn has_data(disk: &DiskReader, partition: &Partition) -> Option<bool> {
    has_data_at(disk, partition.start)
}

fn has_data_at(disk: &DiskReader, at: u64) -> Option<bool> {
    let mut sector = [0; 512];
    disk.read_at(&mut sector, at).ok()?;
    Some(!is_zero(&sector))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
