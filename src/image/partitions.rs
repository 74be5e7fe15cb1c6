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
