//! VHD, "Virtual Hard Disk Image Format Specification" 1.0 of Microsoft, 2006. A fixed VHD is a
//! raw disk with a footer after it, so only its last sector identifies it; a dynamic one begins
//! with a copy of that footer. Integers are big-endian.

mod blocks;

use super::super::byte_view::{ByteView, Fields, Structure};
use super::super::content::{Content, VhdKind};
use super::super::error::{Fix, ImageError, ImageResult};
use super::super::found::{Detection, at_most};

pub(in crate::image) use blocks::layout;

const COOKIE: &[u8] = b"conectix";
const FOOTER: u64 = 512;
/// "Hard Disk Footer Format": a footer created before Virtual PC 2004 has one byte less.
const OLD_FOOTER: u64 = 511;
/// "Dynamic Disk Header Format".
const HEADER: u64 = 1024;
const SECTOR: u64 = 512;
/// QEMU vpc.c, VHD_MAX_SECTORS: 2040 GiB; with the smallest usual block, 512 KiB, its table has
/// 4 Mi entries. A table of more than ten times that size is not valid.
const MAX_ENTRIES: u64 = 40 << 20;
const UNALLOCATED: u32 = u32::MAX;

/// The fields of a footer that are used.
struct Footer {
    /// 512 bytes; the missing byte of the old form is zero.
    bytes: Vec<u8>,
    /// Its length in the file, in bytes.
    len: u64,
}

impl Footer {
    fn read(view: &ByteView) -> ImageResult<Self> {
        let footer = match footer_at_end(view)? {
            Some(footer) => footer,
            None if view.len().is_none() => footer_copy(view)?,
            None => return Err(no_footer()),
        };
        if has_valid_checksum(footer.fields(), 64) {
            return Ok(footer);
        }
        Err(ImageError::damaged(
            "VHD",
            "the checksum of its footer is wrong",
        ))
    }

    /// Returns the "Disk Type".
    fn kind(&self) -> u32 {
        self.fields().be32(60)
    }

    fn fields(&self) -> Fields<'_> {
        Fields(&self.bytes)
    }

    /// Returns the "Current Size": the size that the creator showed to the guest. For some
    /// creators QEMU uses the geometry instead; no cloud is known to.
    fn virtual_size(&self) -> u64 {
        self.fields().be64(48)
    }

    /// Reports whether QEMU uses the geometry as the size, and that size differs ("Disk
    /// Geometry": cylinders, heads, sectors; QEMU vpc.c, "Known creator apps").
    fn is_measured_by_geometry(&self) -> bool {
        let (fields, creator) = (self.fields(), self.fields().bytes(28, 4));
        let [cylinders, heads, sectors] = [
            fields.be32(56) >> 16,
            fields.u8(58).into(),
            fields.u8(59).into(),
        ];
        let geometry = u64::from(cylinders) * u64::from(heads) * u64::from(sectors) * SECTOR;
        let by_size: [&[u8]; 6] = [b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS", b"wa\0\0"];
        // The largest geometry is written for every larger disk.
        let is_largest = geometry == 65_535 * 16 * 255 * SECTOR;
        !by_size.contains(&creator) && !is_largest && geometry != self.virtual_size()
    }
}

pub(in crate::image) fn has_footer(view: &ByteView, head: &[u8]) -> ImageResult<bool> {
    Ok(head.starts_with(COOKIE) || footer_at_end(view)?.is_some())
}

pub(in crate::image) fn parse(view: &ByteView) -> ImageResult<Detection> {
    let footer = Footer::read(view)?;
    match footer.kind() {
        2 => fixed(view, &footer),
        3 => dynamic(view, &footer),
        4 => Err(ImageError::unusable(
            "the VHD is a differencing disk, it holds only what changed since its parent",
            Fix::custom("merge it into its parent first, in Hyper-V Manager or with Merge-VHD"),
        )),
        other => Err(ImageError::damaged(
            "VHD",
            format_args!("it claims to be of disk type {other}, which does not exist"),
        )),
    }
}

/// Reads the footer at the end of the file.
fn footer_at_end(view: &ByteView) -> ImageResult<Option<Footer>> {
    for len in [FOOTER, OLD_FOOTER] {
        let at = view.len().and_then(|end| end.checked_sub(len));
        let Some(at) = at else { continue };
        let bytes = view.read(at, len)?;
        if let Some(mut bytes) = bytes.filter(|bytes| bytes.starts_with(COOKIE)) {
            bytes.resize(512, 0);
            return Ok(Some(Footer { bytes, len }));
        }
    }
    Ok(None)
}

/// Reads the copy at the start, which is all that a pipe provides.
fn footer_copy(view: &ByteView) -> ImageResult<Footer> {
    let mut bytes = view.read_up_to(0, FOOTER)?;
    bytes.resize(512, 0);
    Ok(Footer { bytes, len: FOOTER })
}

fn no_footer() -> ImageError {
    ImageError::unusable(
        "the VHD is cut short: the footer that belongs at its end is missing",
        Fix::CopyAgain,
    )
}

fn fixed(view: &ByteView, footer: &Footer) -> ImageResult<Detection> {
    let virtual_size = footer.virtual_size();
    let available = view.len().map(|len| len - footer.len);
    if let Some(available) = available.filter(|&there| there != virtual_size) {
        return Err(ImageError::damaged(
            "VHD",
            format_args!(
                "its footer promises a disk of {virtual_size} bytes, before the footer are {available}"
            ),
        ));
    }
    let content = Content::Vhd {
        kind: VhdKind::Fixed,
        table_size: None,
        by_geometry: footer.is_measured_by_geometry(),
    };
    Ok(Detection::disk(content, virtual_size))
}

fn dynamic(view: &ByteView, footer: &Footer) -> ImageResult<Detection> {
    check_footer_copy(view, footer)?;
    let Some(map) = BlockTable::read(view, footer)? else {
        return Ok(dynamic_disk(footer, None));
    };
    map.check(view, footer)?;
    let table_size = map.entries.saturating_mul(map.block);
    Ok(dynamic_disk(footer, Some(table_size)))
}

fn dynamic_disk(footer: &Footer, table_size: Option<u64>) -> Detection {
    let content = Content::Vhd {
        kind: VhdKind::Dynamic,
        table_size,
        by_geometry: footer.is_measured_by_geometry(),
    };
    Detection::disk(content, footer.virtual_size())
}

/// Checks "Hard Disk Footer Format": the copy at the start repeats the footer.
fn check_footer_copy(view: &ByteView, footer: &Footer) -> ImageResult<()> {
    let copy = view.read_up_to(0, footer.len)?;
    if copy == footer.bytes[..copy.len()] {
        return Ok(());
    }
    Err(ImageError::damaged(
        "VHD",
        "the copy of its footer at the start is not identical to the footer at the end",
    ))
}

/// The block allocation table (BAT).
#[derive(Debug)]
struct BlockTable {
    at: u64,
    entries: u64,
    block: u64,
}

impl BlockTable {
    /// Reads the table; returns `None` where a pipe does not provide the header yet.
    fn read(view: &ByteView, footer: &Footer) -> ImageResult<Option<Self>> {
        let at = footer.fields().be64(16);
        let header = view.require(Structure("VHD", "its header"), at, HEADER)?;
        let map = |header: Vec<u8>| Self::parse(Fields(&header), footer);
        header.map(map).transpose()
    }

    fn parse(header: Fields, footer: &Footer) -> ImageResult<Self> {
        if header.bytes(0, 8) != b"cxsparse" || !has_valid_checksum(header, 36) {
            return Err(ImageError::damaged(
                "VHD",
                "the checksum of its dynamic disk header is wrong",
            ));
        }
        let map = Self {
            at: header.be64(16),
            entries: at_most(
                Structure("VHD", "its block table"),
                "entries",
                header.be32(28).into(),
                MAX_ENTRIES,
            )?,
            block: header.be32(32).into(),
        };
        if !map.block.is_power_of_two() || map.block < SECTOR {
            return Err(ImageError::damaged(
                "VHD",
                format_args!("it claims blocks of {} bytes", map.block),
            ));
        }
        let blocks = footer.virtual_size().div_ceil(map.block);
        if map.entries < blocks {
            return Err(ImageError::damaged(
                "VHD",
                format_args!(
                    "its block table has {} entries, the disk {blocks} blocks",
                    map.entries
                ),
            ));
        }
        Ok(map)
    }

    /// Returns the bytes of the bitmap before the data of a block.
    fn bitmap(&self) -> u64 {
        (self.block / SECTOR).div_ceil(8).next_multiple_of(SECTOR)
    }

    /// Checks that every block is before the footer.
    fn check(&self, view: &ByteView, footer: &Footer) -> ImageResult<()> {
        let table = Structure("VHD", "its block table");
        view.require_len(table, self.at.saturating_add(self.entries * 4))?;
        let bitmap = self.bitmap();
        view.for_each_entry(self.at, self.entries, 4, |_, entry| {
            let sector = entry.be32(0);
            if sector == UNALLOCATED {
                return Ok(());
            }
            let data = u64::from(sector) * SECTOR + bitmap;
            let block = Structure("VHD", "a block of its data");
            view.require_len(block, data + self.block + footer.len)
        })
    }
}

/// Verifies the "Checksum": the ones' complement of the sum of all bytes except its own four.
fn has_valid_checksum(fields: Fields, at: usize) -> bool {
    checksum(fields.0, at) == fields.be32(at)
}

fn checksum(bytes: &[u8], at: usize) -> u32 {
    let own = at..at + 4;
    let others = bytes.iter().enumerate().filter(|(i, _)| !own.contains(i));
    !others.fold(0, |sum: u32, (_, &byte)| sum.wrapping_add(byte.into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(in crate::image) mod tests;
