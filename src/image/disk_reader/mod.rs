//! Reads the first disk of an image as the guest sees it: bytes at offsets, decoded in place,
//! and the ranges that contain only zeros.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::byte_view::{invalid_data, size};
use super::cache::Cache;
use super::error::{Fix, ImageError, ImageResult};
use super::formats::{qcow2, vdi, vhd, vhdx, vmdk};
use super::layout::{CompressedUnit, DiskFile, Extent, ExtentData, Layout, RawLayout};
use super::{Content, Image, ImageSource as From, VhdKind};
use crate::error::{Error, Result};

/// Bytes of decompressed units in the cache.
const CACHE_SIZE: usize = 16 << 20;
/// The largest range of data returned at a time, approximately in bytes, so that repeated calls
/// do not read the same tables each time.
const STRETCH: u64 = 1 << 30;

/// A disk that can be read at any offset, by many readers at once.
#[derive(Debug)]
pub struct DiskReader {
    file: DiskFile,
    layout: Box<dyn Layout>,
    size: u64,
    /// Sector size in bytes as the guest sees it.
    sector_size: u64,
    cache: Cache,
}

impl DiskReader {
    /// Opens the first disk of the image.
    pub fn open(image: &Image) -> Result<Self> {
        let From::File(path) = &image.source else {
            return Err(Error::refused(
                "standard input can't be read at any position",
            ));
        };
        let file = File::open(path)
            .and_then(|file| Ok((image.is_unchanged(&file)?, file.metadata()?.len(), file)));
        let opened = match file {
            Ok((false, ..)) => Err(ImageError::unusable(
                "it changed while it was looked at",
                Fix::custom("start again when nothing writes to it any more"),
            )),
            Ok((true, size, file)) => first_disk(image).and_then(|(content, start, len)| {
                let len = len.min(size.saturating_sub(start));
                Self::new(content, DiskFile::new(Box::new(file), start, len))
            }),
            Err(error) => Err(error.into()),
        };
        opened.map_err(|error| error.into_error_for("looked into", path))
    }

    /// Creates the decoder for a container.
    pub(super) fn new(content: &Content, file: DiskFile) -> ImageResult<Self> {
        let view = file.window();
        let (size, layout): (u64, Box<dyn Layout>) = match content {
            Content::Raw => (file.len(), Box::new(RawLayout)),
            // The footer is at the end, which is not available on a pipe; the copy at the start
            // is.
            Content::Vhd {
                kind: VhdKind::Fixed,
                ..
            } if !file.is_complete() => (file.len(), Box::new(RawLayout)),
            Content::Vhd { .. } => vhd::layout(&view)?,
            Content::Vhdx { .. } => vhdx::layout(&view)?,
            Content::Vmdk { .. } => vmdk::layout(&view)?,
            Content::Qcow2 { .. } => qcow2::layout(&view)?,
            Content::Vdi => vdi::layout(&view)?,
            other => return Err(not_a_disk(other)),
        };
        Ok(Self {
            file,
            layout,
            size,
            sector_size: match content {
                Content::Vhdx { sector_size, .. } => sector_size.unwrap_or(512).into(),
                _ => 512,
            },
            cache: Cache::new(CACHE_SIZE),
        })
    }

    /// Returns the size of the disk in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the sector size in bytes as the guest sees it. A raw disk does not store it; 512
    /// is usual.
    pub(super) fn sector_size(&self) -> u64 {
        self.sector_size
    }

    /// Fills the buffer from this offset; a range beyond the end is an error.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (mut at, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let extent = self.extent(at)?;
            let count = size(extent.end - at).min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            self.fill(now, at, &extent.data)?;
            at += count as u64;
            rest = later;
        }
        Ok(())
    }

    /// Returns the next range at or after `from` that may contain data; all bytes before it are
    /// zeros. The next range may follow without a gap.
    pub fn data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let mut found: Option<Range<u64>> = None;
        let mut at = from;
        while at < self.size {
            let extent = self.extent(at)?;
            let stored = self.stored(at, &extent)?;
            match (&mut found, stored) {
                (None, None) => at = extent.end,
                (None, Some(stored)) => {
                    at = stored.end;
                    found = Some(stored);
                }
                (Some(found), Some(stored))
                    if stored.start == found.end && found.end - found.start < STRETCH =>
                {
                    found.end = stored.end;
                    at = stored.end;
                }
                (Some(_), _) => break,
            }
        }
        Ok(found)
    }

    /// Returns the number of bytes that may be non-zero.
    pub fn allocated(&self) -> io::Result<u64> {
        let (mut sum, mut at) = (0, 0);
        while let Some(range) = self.data(at)? {
            sum += range.end - range.start;
            at = range.end;
        }
        Ok(sum)
    }

    /// Returns the extent at this offset, which must be on the disk; it is never empty.
    fn extent(&self, at: u64) -> io::Result<Extent> {
        let Extent { end, data: place } = self.layout.extent(&self.file, at)?;
        let end = end.min(self.size);
        if end <= at {
            return Err(invalid_data("its tables lead nowhere"));
        }
        Ok(Extent { end, data: place })
    }

    /// Returns the first part of an extent that the file stores.
    fn stored(&self, at: u64, extent: &Extent) -> io::Result<Option<Range<u64>>> {
        match extent.data {
            ExtentData::Zeros => Ok(None),
            ExtentData::At(place) if self.layout.is_fully_allocated() => {
                let range = place..place.saturating_add(extent.end - at);
                let stored = self.file.data(&range)?;
                Ok(stored.map(|part| at + (part.start - place)..at + (part.end - place)))
            }
            ExtentData::At(_) | ExtentData::Compressed(..) => Ok(Some(at..extent.end)),
        }
    }

    fn fill(&self, buffer: &mut [u8], at: u64, location: &ExtentData) -> io::Result<()> {
        match location {
            ExtentData::Zeros => buffer.fill(0),
            ExtentData::At(place) => self.copy(buffer, *place)?,
            ExtentData::Compressed(packed, range) => {
                let unit = self.compressed_unit(*packed, range)?;
                let from = size(at - range.start);
                let bytes = unit.get(from..from + buffer.len());
                buffer.copy_from_slice(
                    bytes.ok_or_else(|| invalid_data("compressed data is too short"))?,
                );
            }
        }
        Ok(())
    }

    /// Copies bytes of the file. QEMU omits the end of a last cluster: a range that begins in
    /// the file continues as zeros.
    fn copy(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let available = self.file.len().saturating_sub(offset);
        if available == 0 {
            return Err(invalid_data("it points beyond the end of the file"));
        }
        let (available, beyond) = buffer.split_at_mut(size(available).min(buffer.len()));
        // The cluster begins in the file, so its missing end is zeros.
        beyond.fill(0);
        self.file.read(available, offset)
    }

    fn compressed_unit(
        &self,
        compressed: CompressedUnit,
        range: &Range<u64>,
    ) -> io::Result<Arc<Vec<u8>>> {
        let bytes = range.end - range.start;
        self.cache
            .get_or_load(range.start, || self.file.decompress(compressed, bytes))
    }
}

/// Returns the content of the first disk, and its range in the file.
pub(super) fn first_disk(image: &Image) -> ImageResult<(&Content, u64, u64)> {
    let Content::Ova { .. } = image.content else {
        return Ok((&image.content, 0, u64::MAX));
    };
    let first = image.disks.first();
    let location = first.and_then(|disk| Some((disk.content.as_ref()?, disk.offset?, disk.size?)));
    location.ok_or_else(|| {
        ImageError::unusable(
            "the first disk of the OVA is blank",
            Fix::custom("export the virtual machine with the disk it boots from as its first"),
        )
    })
}

fn not_a_disk(content: &Content) -> ImageError {
    let cause = format!("the disk inside {} can't be read in place", content.label());
    let remedy = if content.is_compressed_file() || *content == Content::Zip {
        "unpack it first"
    } else {
        "name the image of a disk"
    };
    ImageError::unusable(cause, Fix::custom(remedy))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
