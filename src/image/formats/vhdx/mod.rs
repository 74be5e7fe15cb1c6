//! VHDX, after MS-VHDX 2.0 ("VHDX File Format"). Checks that it is complete, closed and not a
//! differencing disk; its blocks are not read. Integers are little-endian.

use crc_fast::CrcAlgorithm::Crc32Iscsi;

mod blocks;

use super::super::byte_view::{ByteView, Fields, Structure, is_zero, size};
use super::super::content::{Content, VhdKind};
use super::super::error::{Fix, ImageError, ImageResult};
use super::super::found::{Detection, at_most};

pub(in crate::image) use blocks::layout;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// 2.2 "Header Section": both headers, both region tables; ends at 1 MiB.
const HEADERS: [u64; 2] = [64 * KIB, 128 * KIB];
const REGION_TABLES: [u64; 2] = [192 * KIB, 256 * KIB];
/// 2.2.3.1 and 2.6.1.1: at most 2047 entries of 32 bytes.
const TABLE: u64 = 64 * KIB;
const MAX_ENTRIES: u64 = 2047;
/// 2.6.2.2 "Virtual Disk Size": 64 TiB.
const MAX_DISK: u64 = 64 << 40;
/// 2.5 "BAT": sectors that one sector bitmap covers.
const SECTORS_PER_BITMAP: u64 = 1 << 23;

/// 2.5.1.1 "Payload BAT Entry States".
const FULLY_PRESENT: u64 = 6;
const PARTIALLY_PRESENT: u64 = 7;

type Guid = [u8; 16];
const BAT: Guid = guid(0x2dc2_7766, 0xf623, 0x4200, 0x9d64_115e_9bfd_4a08);
const METADATA: Guid = guid(0x8b7c_a206, 0x4790, 0x4b9a, 0xb8fe_575f_050f_886e);
const FILE_PARAMETERS: Guid = guid(0xcaa1_6737, 0xfa36, 0x4d43, 0xb3b6_33f0_aa44_e76b);
const DISK_SIZE: Guid = guid(0x2fa5_4224, 0xcd1b, 0x4876, 0xb211_5dbe_d83b_f4b8);
const SECTOR_SIZE: Guid = guid(0x8141_bf1d, 0xa96f, 0x4709, 0xba47_f233_a8fa_ab5f);

pub(in crate::image) fn parse(view: &ByteView) -> ImageResult<Detection> {
    let start = view.require(Structure("VHDX", "its header section"), 0, MIB)?;
    let Some(start) = start else {
        return Ok(Detection::opaque(Content::Vhdx {
            kind: None,
            sector_size: None,
        }));
    };
    let (disk, bat) = Metadata::locate(view, Fields(&start))?;
    disk.check(view, bat)?;
    let content = Content::Vhdx {
        kind: Some(if disk.fixed {
            VhdKind::Fixed
        } else {
            VhdKind::Dynamic
        }),
        sector_size: u32::try_from(disk.sector).ok(),
    };
    Ok(Detection::disk(content, disk.size))
}

/// Checks the log. 2.2.2: the valid header with the larger sequence number counts; 2.3: its log
/// must be empty, or the file is not in its current state.
fn check_log_empty(start: Fields) -> ImageResult<()> {
    let header = HEADERS
        .into_iter()
        .filter_map(|at| checksummed(start, at, 4 * KIB, b"head"))
        .max_by_key(|header| Fields(header).le64(8));
    let Some(header) = header else {
        return Err(ImageError::damaged(
            "VHDX",
            "the checksums of both its headers are wrong",
        ));
    };
    if is_zero(Fields(header).bytes(48, 16)) {
        return Ok(());
    }
    Err(ImageError::unusable(
        "the VHDX was not closed properly, its log holds changes that are not in the disk yet",
        Fix::Repair(
            "open and close it once, as with Mount-VHD and Dismount-VHD, or with",
            "vhdx",
        ),
    ))
}

/// Returns the structure at `at`, if its signature and CRC-32C are valid.
fn checksummed<'a>(start: Fields<'a>, at: u64, len: u64, signature: &[u8]) -> Option<&'a [u8]> {
    let bytes = start.bytes(usize::try_from(at).ok()?, usize::try_from(len).ok()?);
    let fields = Fields(bytes);
    let mut zeroed = bytes.to_vec();
    zeroed.get_mut(4..8)?.fill(0);
    let sum = crc_fast::checksum(Crc32Iscsi, &zeroed);
    (bytes.starts_with(signature) && sum == u64::from(fields.le32(4))).then_some(bytes)
}

#[derive(Clone, Copy, Debug)]
struct Region {
    at: u64,
    len: u64,
}

struct Regions {
    bat: Region,
    metadata: Region,
}

impl Regions {
    fn read(start: Fields) -> ImageResult<Self> {
        let table = REGION_TABLES
            .into_iter()
            .find_map(|at| checksummed(start, at, TABLE, b"regi"));
        let Some(table) = table.map(Fields) else {
            return Err(ImageError::damaged(
                "VHDX",
                "the checksums of both its region tables are wrong",
            ));
        };
        for entry in rows(table, 16, table.le32(8).into()) {
            let known = [BAT, METADATA]
                .iter()
                .any(|known| entry.0.starts_with(known));
            // 2.2.3.2, "Required": a program that does not support such a region must not load
            // the file.
            if !known && entry.le32(28) & 1 != 0 {
                return Err(ImageError::unusable(
                    "the VHDX needs features that are newer than any importer",
                    Fix::Convert("vhdx"),
                ));
            }
        }
        let entry = |wanted: Guid, name: &str| {
            let entry = entries(table, 16, table.le32(8).into(), wanted);
            let region = |entry: Fields| Region {
                at: entry.le64(16),
                len: entry.le32(24).into(),
            };
            entry
                .map(region)
                .ok_or_else(|| ImageError::damaged("VHDX", format_args!("it has no {name} region")))
        };
        Ok(Self {
            bat: entry(BAT, "block table")?,
            metadata: entry(METADATA, "metadata")?,
        })
    }
}

/// Returns the entries of 32 bytes of a table.
fn rows(table: Fields<'_>, from: usize, count: u64) -> impl Iterator<Item = Fields<'_>> {
    let rest = table.bytes(from, size(count.min(MAX_ENTRIES)) * 32);
    rest.chunks_exact(32).map(Fields)
}

/// Returns the entry that begins with this GUID.
fn entries(table: Fields<'_>, from: usize, count: u64, wanted: Guid) -> Option<Fields<'_>> {
    rows(table, from, count).find(|entry| entry.0.starts_with(&wanted))
}

#[derive(Debug)]
struct Metadata {
    size: u64,
    block: u64,
    sector: u64,
    fixed: bool,
}

impl Metadata {
    /// Reads the metadata of a closed file, and the region of its block table.
    fn locate(view: &ByteView, start: Fields) -> ImageResult<(Self, Region)> {
        check_log_empty(start)?;
        let regions = Regions::read(start)?;
        Ok((Self::read(view, regions.metadata)?, regions.bat))
    }

    fn read(view: &ByteView, region: Region) -> ImageResult<Self> {
        let location = Structure("VHDX", "its metadata");
        let table = view
            .require(location, region.at, TABLE)?
            .unwrap_or_default();
        let table = Fields(&table);
        if table.bytes(0, 8) != b"metadata" {
            return Err(ImageError::damaged("VHDX", "its metadata has no signature"));
        }
        let item = |wanted: Guid, name: &str| -> ImageResult<u64> {
            let entry = entries(table, 32, table.le16(10).into(), wanted).ok_or_else(|| {
                ImageError::damaged("VHDX", format_args!("its metadata does not say the {name}"))
            })?;
            let at = region.at.saturating_add(entry.le32(16).into());
            let bytes = view.require(location, at, 8)?.unwrap_or_default();
            Ok(Fields(&bytes).le64(0))
        };
        let parameters = item(FILE_PARAMETERS, "block size")?;
        let disk = Self {
            size: item(DISK_SIZE, "size of the disk")?,
            block: parameters & 0xffff_ffff,
            sector: item(SECTOR_SIZE, "sector size")? & 0xffff_ffff,
            fixed: parameters >> 32 & 1 != 0,
        };
        if parameters >> 33 & 1 != 0 {
            return Err(ImageError::unusable(
                "the VHDX is a differencing disk, it holds only what changed since its parent",
                Fix::custom("merge it into its parent first, in Hyper-V Manager or with Merge-VHD"),
            ));
        }
        disk.validated()
    }

    fn validated(self) -> ImageResult<Self> {
        at_most(Structure("VHDX", "its disk"), "bytes", self.size, MAX_DISK)?;
        let blocks = self.block.is_power_of_two() && (MIB..=256 * MIB).contains(&self.block);
        if blocks && matches!(self.sector, 512 | 4096) {
            return Ok(self);
        }
        Err(ImageError::damaged(
            "VHDX",
            format_args!(
                "it claims blocks of {} bytes and sectors of {}",
                self.block, self.sector
            ),
        ))
    }

    /// Returns 2.5: the number of blocks after which the table has an entry for a sector
    /// bitmap.
    fn ratio(&self) -> u64 {
        SECTORS_PER_BITMAP * self.sector / self.block
    }

    /// Returns the number of entries up to that of the last block.
    fn entries(&self) -> u64 {
        let blocks = self.size.div_ceil(self.block);
        blocks + blocks.saturating_sub(1) / self.ratio()
    }

    /// Checks 2.5: every block that is present must be in the file.
    fn check(&self, view: &ByteView, bat: Region) -> ImageResult<()> {
        let ratio = self.ratio();
        let entries = self.entries();
        if bat.len < entries * 8 {
            return Err(ImageError::damaged(
                "VHDX",
                format_args!(
                    "its block table has {} entries, the disk needs {entries}",
                    bat.len / 8
                ),
            ));
        }
        view.require_len(
            Structure("VHDX", "its block table"),
            bat.at.saturating_add(bat.len),
        )?;
        view.for_each_entry(bat.at, entries, 8, |index, entry| {
            let entry = entry.le64(0);
            let bitmap = index % (ratio + 1) == ratio;
            // Bits 20-63 count MiB.
            if bitmap || entry & 7 != FULLY_PRESENT {
                return Ok(());
            }
            let at = entry & !(MIB - 1);
            let before = (index - index / (ratio + 1)) * self.block;
            let needed = self.block.min(self.size.saturating_sub(before));
            view.require_len(
                Structure("VHDX", "a block of its data"),
                at.saturating_add(needed),
            )
        })
    }
}

/// Encodes a GUID as in a file: three little-endian fields, then eight bytes.
const fn guid(a: u32, b: u16, c: u16, rest: u64) -> Guid {
    let (a, b, c, d) = (
        a.to_le_bytes(),
        b.to_le_bytes(),
        c.to_le_bytes(),
        rest.to_be_bytes(),
    );
    [
        a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6],
        d[7],
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
