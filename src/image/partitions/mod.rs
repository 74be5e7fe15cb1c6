//! Reads the partitions of a disk: MBR with its logical partitions, and GPT. One reader serves
//! every container, because it reads the decoded disk. How the disk boots is in `boot`, the
//! content of its partitions in `guest`.

use std::io;

use super::DiskReader;
use super::byte_view::{Fields, is_zero, size};
use super::error::{Fix, ImageError, ImageResult};
use super::partition_table;
use super::partition_table::{
    BIOS_BOOT, EFI_SYSTEM, Gpt, MbrEntry, PartitionTable, TYPE_EFI, TYPE_PROTECTIVE,
};
use super::volume_kind::VolumeKind;

/// The most bytes of GPT entries that are read; 128 entries have 16 KiB.
const MAX_ENTRY_BYTES: u64 = 1 << 20;
/// The most tables of logical partitions that are followed, as in Linux.
const MAX_LOGICAL: u32 = 100;
/// MBR types of extended partitions: CHS, LBA, Linux.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
/// Sector size in bytes of the clouds' disks, and of disks with larger sectors.
const SECTOR: u64 = 512;
const LARGE_SECTOR: u64 = 4096;

/// The purpose of a partition, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    EfiSystem,
    BiosBoot,
    Other,
}

/// A partition of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As in `/dev/sda3`.
    pub number: u32,
    /// Offset in bytes.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    pub role: Role,
    /// The `PARTUUID`.
    pub uuid: String,
    /// The `PARTLABEL`; empty in an MBR.
    pub label: String,
    /// GPT: a BIOS boot loader may start from it (UEFI 2.10, table 5.8, bit 2).
    pub legacy_bootable: bool,
}

/// The partitions of a disk, and the facts about their table.
#[derive(Clone, Debug)]
pub struct Partitions {
    pub table: PartitionTable,
    /// Sector size in bytes that the table counts in.
    pub sector_size: u64,
    /// The partitions in the order of their numbers; `None` where the table cannot be read.
    pub list: Option<Vec<Partition>>,
    /// The MBR, whatever the table is.
    pub(super) mbr: Vec<u8>,
    /// The first byte after all that the table uses.
    end: u64,
}

impl Partitions {
    /// Rejects a disk that was truncated, and one that is made for larger sectors than the
    /// clouds' disks have. `disk` is its size in bytes, if that is known.
    pub(super) fn check_fit(&self, disk: Option<u64>) -> ImageResult<()> {
        let name = if self.table == PartitionTable::Gpt {
            "GPT"
        } else {
            "MBR"
        };
        if let Some(disk) = disk.filter(|&disk| self.end > disk) {
            return Err(ImageError::unusable(
                format!(
                    "the disk is cut short: its partition table ({name}) counts on {} bytes, but only {disk} are there",
                    self.end
                ),
                if self.fits_in(disk) {
                    Fix::custom(
                        "copy, download or export it again; if it was shrunk on purpose, write the second copy of its GPT again, with sgdisk --move-second-header, or add --skip-checks",
                    )
                } else {
                    Fix::CopyAgain
                },
            ));
        }
        if self.sector_size == SECTOR {
            return Ok(());
        }
        Err(ImageError::unusable(
            format!(
                "its partition table ({name}) is made for sectors of {} bytes, the disks of AWS, Alibaba Cloud and DigitalOcean have sectors of 512: nothing finds a partition there",
                self.sector_size
            ),
            Fix::custom(
                "make the disk again with sectors of 512 bytes: systemd-repart --sector-size=512, logical_block_size=512 in QEMU, or New-VHD -LogicalSectorSizeBytes 512",
            ),
        ))
    }

    /// Reports whether a shorter disk still contains all partitions of its GPT.
    fn fits_in(&self, disk: u64) -> bool {
        let within = |part: &Partition| {
            let end = part.start.checked_add(part.size);
            end.is_some_and(|end| end <= disk)
        };
        let list = self.list.as_ref();
        // Only a GPT has a copy at the end that a shrunk disk loses without losing a partition.
        let is_gpt = self.table == PartitionTable::Gpt && self.sector_size == SECTOR;
        is_gpt && list.is_some_and(|list| !list.is_empty() && list.iter().all(within))
    }

    fn from_gpt(disk: &DiskReader, mbr: Vec<u8>, gpt: &Gpt) -> Self {
        Self {
            table: PartitionTable::Gpt,
            sector_size: gpt.sector,
            list: gpt_entries(disk, gpt).ok(),
            mbr,
            end: gpt.backup.saturating_add(1).saturating_mul(gpt.sector),
        }
    }

    fn from_mbr(disk: &DiskReader, mbr: Vec<u8>) -> Self {
        let entries = MbrEntry::all(Fields(&mbr));
        let data = || entries.iter().filter(|entry| entry.kind != TYPE_PROTECTIVE);
        let table = match (entries.as_slice(), data().next()) {
            ([], _) => PartitionTable::None,
            // The MBR announces a GPT, and none could be parsed: it is damaged.
            _ if partition_table::is_protective(Fields(&mbr)) => PartitionTable::Unknown,
            (_, None) => PartitionTable::Unknown,
            _ => PartitionTable::Mbr,
        };
        let sector = mbr_sector(disk, &data());
        let end = data().map(|entry| (entry.start + entry.sectors) * sector);
        let end = end.max().unwrap_or(0);
        Self {
            table,
            sector_size: sector,
            list: if table == PartitionTable::Unknown {
                None
            } else {
                mbr_entries(disk, Fields(&mbr), data(), sector).ok()
            },
            mbr,
            end,
        }
    }
}

impl DiskReader {
    /// Reads how the disk is divided; an unreadable first sector is an error.
    pub fn partitions(&self) -> io::Result<Partitions> {
        let mut mbr = vec![0; size(SECTOR.min(self.size()))];
        self.read_at(&mut mbr, 0)?;
        if !(mbr.len() == 512 && mbr.ends_with(&[0x55, 0xaa])) {
            return Ok(Partitions {
                table: PartitionTable::None,
                sector_size: SECTOR,
                list: Some(vec![]),
                mbr,
                end: 0,
            });
        }
        if partition_table::is_protective(Fields(&mbr)) {
            // The sector size is not stored: the header is in the second sector.
            let found = [SECTOR, LARGE_SECTOR].into_iter().find_map(|sector| {
                let mut header = vec![0; size(sector)];
                self.read_at(&mut header, sector).ok()?;
                Gpt::read(&header)
            });
            if let Some(gpt) = found {
                return Ok(Partitions::from_gpt(self, mbr, &gpt));
            }
        }
        Ok(Partitions::from_mbr(self, mbr))
    }
}

fn gpt_entries(disk: &DiskReader, gpt: &Gpt) -> io::Result<Vec<Partition>> {
    let bytes = gpt.count.saturating_mul(gpt.width);
    // Width and count are hostile, and the table is read into memory.
    if !(128..=4096).contains(&gpt.width) || bytes > MAX_ENTRY_BYTES {
        return Err(io::Error::other("the GPT's entries can't be read"));
    }
    let mut table = vec![0; size(bytes)];
    disk.read_at(&mut table, gpt.entries.saturating_mul(gpt.sector))?;
    let entries = table.chunks_exact(size(gpt.width)).zip(1..);
    let used = entries.filter(|(entry, _)| !is_zero(&entry[..16]));
    let partition = |(entry, number): (&[u8], u32)| {
        let fields = Fields(entry);
        let (first, last) = (fields.le64(32), fields.le64(40));
        let sectors = last
            .checked_sub(first)
            .map_or(0, |more| more.saturating_add(1));
        Partition {
            number,
            start: first.saturating_mul(gpt.sector),
            size: sectors.saturating_mul(gpt.sector),
            role: match fields.bytes(0, 16) {
                kind if kind == EFI_SYSTEM => Role::EfiSystem,
                kind if kind == BIOS_BOOT => Role::BiosBoot,
                _ => Role::Other,
            },
            uuid: guid(fields.bytes(16, 16)),
            label: text(fields.bytes(56, 72)),
            legacy_bootable: fields.le64(48) & 4 != 0,
        }
    };
    Ok(used.map(partition).collect())
}

fn mbr_entries<'a>(
    disk: &DiskReader,
    mbr: Fields,
    entries: impl Iterator<Item = &'a MbrEntry>,
    sector: u64,
) -> io::Result<Vec<Partition>> {
    let id = mbr.le32(440);
    let partition = |number: u32, entry: &MbrEntry| Partition {
        number,
        start: entry.start * sector,
        size: entry.sectors * sector,
        role: if entry.kind == TYPE_EFI {
            Role::EfiSystem
        } else {
            Role::Other
        },
        uuid: format!("{id:08x}-{number:02x}"),
        label: String::new(),
        legacy_bootable: false,
    };
    let mut found = vec![];
    let mut next = 5;
    for entry in entries {
        if !EXTENDED.contains(&entry.kind) {
            found.push(partition(entry.slot, entry));
            continue;
        }
        for logical in logical(disk, entry, sector)? {
            found.push(partition(next, &logical));
            next += 1;
        }
    }
    found.sort_by_key(|partition| partition.number);
    Ok(found)
}

/// Follows the chain of tables in an extended partition: each has one logical partition, whose
/// offset counts from the table, and the next table, whose offset counts from the first.
fn logical(disk: &DiskReader, extended: &MbrEntry, sector: u64) -> io::Result<Vec<MbrEntry>> {
    let mut found = vec![];
    let mut at = extended.start;
    for _ in 0..MAX_LOGICAL {
        let mut table = [0; 512];
        // The chain is hostile, and may lead beyond the disk.
        if (at + 1) * sector > disk.size() {
            break;
        }
        disk.read_at(&mut table, at * sector)?;
        if !table.ends_with(&[0x55, 0xaa]) {
            break;
        }
        let entries = MbrEntry::in_use(Fields(&table));
        for entry in &entries {
            // The third and the fourth entry are seldom used, and may be garbage.
            let inside = entry.slot <= 2
                || at + entry.start + entry.sectors <= extended.start + extended.sectors;
            if !EXTENDED.contains(&entry.kind) && inside {
                found.push(MbrEntry {
                    start: at + entry.start,
                    ..*entry
                });
            }
        }
        let next = entries.iter().find(|entry| EXTENDED.contains(&entry.kind));
        match next.map(|next| extended.start + next.start) {
            // Only forward: a chain that turns back would never end.
            Some(next) if next > at => at = next,
            _ => break,
        }
    }
    Ok(found)
}

/// Detects the sector size of an MBR, which does not store it: if file systems begin where
/// 4096-byte sectors put them and none where 512-byte sectors do, it was made for these.
fn mbr_sector<'a>(
    disk: &DiskReader,
    entries: &(impl Iterator<Item = &'a MbrEntry> + Clone),
) -> u64 {
    let filled = |sector: u64| {
        entries.clone().any(|entry| {
            let start = entry.start * sector;
            VolumeKind::detect(|buffer, at| disk.read_at(buffer, start.saturating_add(at)).is_ok())
                .is_some()
        })
    };
    let fits = |entry: &MbrEntry| (entry.start + entry.sectors) * LARGE_SECTOR <= disk.size();
    let may_be_large = entries.clone().next().is_some() && entries.clone().all(fits);
    let is_large = may_be_large
        && !filled(SECTOR)
        && (disk.sector_size() == LARGE_SECTOR || filled(LARGE_SECTOR));
    if is_large { LARGE_SECTOR } else { SECTOR }
}

/// Returns a GUID as text: its first three fields are little-endian.
fn guid(bytes: &[u8]) -> String {
    let fields = Fields(bytes);
    let (low, mid, high) = (fields.le32(0), fields.le16(4), fields.le16(6));
    let rest = hex::encode(fields.bytes(8, 8));
    format!(
        "{low:08x}-{mid:04x}-{high:04x}-{}-{}",
        &rest[..4],
        &rest[4..]
    )
}

/// Returns UTF-16 text up to its zero.
fn text(bytes: &[u8]) -> String {
    let units = bytes
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let units: Vec<_> = units.take_while(|&unit| unit != 0).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests;
