//! Where the partitions of a disk lie, logical ones included. What their table says of
//! how the disk boots is in `table`, what they hold in the `guest` room.

use std::io;

use super::Blocks;
use super::probe::{GUEST_HEAD, is_zero};
use super::table::{BIOS_BOOT, EFI_SYSTEM, Gpt, Part, TYPE_EFI, TYPE_PROTECTIVE};
use super::window::{Fields, size};

/// More bytes of GPT entries than these are not looked at; 128 entries have 16 KiB.
const MOST: u64 = 1 << 20;
/// Logical partitions that are followed.
const LOGICAL: u32 = 60;
/// MBR types of extended partitions: CHS, LBA, Linux.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// What a partition is for, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    EfiSystem,
    BiosBoot,
    Other,
}

/// A partition that lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As in `/dev/sda3`.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    pub role: Role,
    /// As in `PARTUUID=`.
    pub uuid: String,
}

impl Blocks {
    /// The partitions of the disk in the order of their numbers.
    pub fn partitions(&self) -> io::Result<Vec<Partition>> {
        let mut head = vec![0; size(GUEST_HEAD.min(self.size()))];
        self.read_at(&mut head, 0)?;
        let found = match (Gpt::find(&head), head.get(..512)) {
            (Some(gpt), _) => self.of_gpt(&gpt)?,
            (None, Some(mbr)) if mbr.ends_with(&[0x55, 0xaa]) => self.of_mbr(Fields(mbr))?,
            _ => vec![],
        };
        let fits = |part: &Partition| {
            part.size > 0
                && part
                    .start
                    .checked_add(part.size)
                    .is_some_and(|end| end <= self.size())
        };
        Ok(found.into_iter().filter(fits).collect())
    }

    fn of_gpt(&self, gpt: &Gpt) -> io::Result<Vec<Partition>> {
        let bytes = gpt.count.saturating_mul(gpt.width);
        let from = gpt.entries.saturating_mul(gpt.sector);
        let there = from
            .checked_add(bytes)
            .is_some_and(|end| end <= self.size());
        if !(128..=4096).contains(&gpt.width) || bytes > MOST || !there {
            return Err(io::Error::other("the GPT's entries can't be read"));
        }
        let mut table = vec![0; size(bytes)];
        self.read_at(&mut table, from)?;
        let entries = table.chunks_exact(size(gpt.width)).zip(1..);
        let used = entries.filter(|(entry, _)| !is_zero(&entry[..16]));
        Ok(used
            .map(|(entry, number)| {
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
                }
            })
            .collect())
    }

    fn of_mbr(&self, mbr: Fields) -> io::Result<Vec<Partition>> {
        let disk = mbr.le32(440);
        let partition = |number: u32, part: &Part| Partition {
            number,
            start: part.start * 512,
            size: part.sectors * 512,
            role: if part.kind == TYPE_EFI {
                Role::EfiSystem
            } else {
                Role::Other
            },
            uuid: format!("{disk:08x}-{number:02x}"),
        };
        let mut found = vec![];
        let mut next = 5;
        for (part, number) in Part::all(mbr).iter().zip(1..) {
            if !EXTENDED.contains(&part.kind) {
                if part.kind != TYPE_PROTECTIVE {
                    found.push(partition(number, part));
                }
                continue;
            }
            for logical in self.logical(part)? {
                found.push(partition(next, &logical));
                next += 1;
            }
        }
        Ok(found)
    }

    /// Follows the chain of tables in an extended partition: each has one logical
    /// partition, counted from the table, and the next table, counted from the first.
    fn logical(&self, extended: &Part) -> io::Result<Vec<Part>> {
        let mut found = vec![];
        let mut at = extended.start;
        for _ in 0..LOGICAL {
            let mut sector = [0; 512];
            if (at + 1) * 512 > self.size() {
                break;
            }
            self.read_at(&mut sector, at * 512)?;
            if !sector.ends_with(&[0x55, 0xaa]) {
                break;
            }
            let mut next = None;
            for part in Part::all(Fields(&sector)) {
                if EXTENDED.contains(&part.kind) {
                    next = Some(extended.start + part.start);
                } else {
                    found.push(Part {
                        start: at + part.start,
                        ..part
                    });
                }
            }
            match next {
                // A chain that turns back would never end.
                Some(next) if next > at => at = next,
                _ => break,
            }
        }
        Ok(found)
    }
}

/// A GUID as it is written: its first three fields are little-endian.
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::stage::{blocks, with};
    use crate::image::table::tests::{gpt_disk, mbr_disk};

    fn parts(disk: &[u8]) -> Vec<(u32, u64, u64)> {
        let found = blocks(disk).partitions().unwrap();
        let plain = |part: Partition| (part.number, part.start / 512, part.size / 512);
        found.into_iter().map(plain).collect()
    }

    /// An entry of a table: type, first sector, sectors.
    fn entry(kind: u8, start: u32, sectors: u32) -> Vec<u8> {
        let head = [0, 0, 0, 0, kind, 0, 0, 0];
        [&head, &start.to_le_bytes()[..], &sectors.to_le_bytes()].concat()
    }

    #[test]
    fn logical_partitions_are_counted_from_five() {
        let (first, extended) = (entry(0x83, 2, 8), entry(0x05, 16, 100));
        let (five, next) = (entry(0x83, 1, 4), entry(0x05, 20, 20));
        let (six, back) = (entry(0x82, 2, 3), entry(0x05, 1, 20));
        let disk = with(
            &mbr_disk(0),
            &[
                (446, &[first, extended].concat()),
                (16 * 512 + 446, &[five, next].concat()),
                (16 * 512 + 510, &[0x55, 0xaa]),
                (36 * 512 + 446, &[six, back].concat()),
                (36 * 512 + 510, &[0x55, 0xaa]),
            ],
        );
        assert_eq!(parts(&disk), [(1, 2, 8), (5, 17, 4), (6, 38, 3)]);
    }

    #[test]
    fn a_gpt_names_its_partitions() {
        let kind = EFI_SYSTEM;
        let disk = gpt_disk(512, kind);
        let unique: Vec<u8> = (0..16).collect();
        let (first, last) = (40_u64.to_le_bytes(), 47_u64.to_le_bytes());
        let disk = with(&disk, &[(1040, &unique), (1056, &first), (1064, &last)]);
        let found = blocks(&disk).partitions().unwrap();
        assert_eq!(parts(&disk), [(1, 40, 8)]);
        assert_eq!(found[0].role, Role::EfiSystem);
        assert_eq!(found[0].uuid, "03020100-0504-0706-0809-0a0b0c0d0e0f");
    }

    #[test]
    fn a_partition_that_lies_beyond_the_disk_is_none() {
        let disk = gpt_disk(512, BIOS_BOOT);
        let (first, last) = (40_u64.to_le_bytes(), u64::MAX.to_le_bytes());
        let disk = with(&disk, &[(1056, &first), (1064, &last)]);
        assert_eq!(parts(&disk), []);
        assert_eq!(parts(&[7; 4096]), []);
    }
}
