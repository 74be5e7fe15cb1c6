//! How a disk boots, as far as its boot sectors and partition types show it.

use super::DiskReader;
use super::byte_view::{Fields, is_zero};
use super::firmware::Firmware;
use super::partition_table::PartitionTable;
use super::partitions::{Partition, Partitions, Role};

/// Bytes of an MBR that may be code.
const CODE: usize = 440;
/// GRUB's boot.h, GRUB_BOOT_MACHINE_KERNEL_SECTOR: where boot.img keeps the sector that it
/// goes on with.
const GRUB_SECTOR: usize = 0x5c;

/// What is seen of how a disk boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    pub table: PartitionTable,
    /// An EFI system partition; None when it could not be seen.
    pub efi: Option<bool>,
    /// Boot code that finds its second part; None when that is not certain.
    pub bios: Option<bool>,
    /// What the OVF asks for.
    pub firmware: Option<Firmware>,
}

impl Boot {
    /// The firmware to start it with, if there is only one: what the OVF asks for,
    /// or the only one that the disk is prepared for.
    pub fn only_firmware(self) -> Option<Firmware> {
        match (self.firmware, self.efi, self.bios) {
            (Some(requested), _, _) => Some(requested),
            (None, Some(true), Some(false)) => Some(Firmware::Efi),
            (None, Some(false), Some(true)) => Some(Firmware::Bios),
            _ => None,
        }
    }

    /// What the decoded disk shows.
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

/// Windows and some tools leave code in front of a GPT that starts nothing, so there it
/// counts only with a second part that it can go on with.
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
                // What syslinux's gptmbr.bin looks for.
                _ if list.iter().any(|part| part.legacy_bootable) => Some(true),
                Some(boot) => has_data(disk, boot),
                None => is_grub.then_some(true),
            }
        }),
    }
}

/// Whether there is something in the sector that GRUB's boot sector goes on with; None where
/// it names none on this disk.
fn has_grub_core(disk: &DiskReader, code: &[u8]) -> Option<bool> {
    let at = Fields(code).le64(GRUB_SECTOR).checked_mul(512)?;
    (at > 0).then(|| has_data_at(disk, at)).flatten()
}

/// Whether a boot loader was written into a partition that is made for one.
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
