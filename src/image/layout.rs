//! How a container lays the guest's disk out in its file: what begins at a position,
//! how far it reaches, where it lies. One layout a container, each in a file of its
//! own; `blocks` reads through them. Knows no container.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::byte_view::{ByteView, Fields, ReadAt, invalid_data, size};
use super::cache::Cache;
use super::decompress::Codec;

/// Bytes of tables that are read at once, from a multiple of them on, and that are
/// kept in all.
const PAGE: u64 = 64 << 10;
const PAGES: usize = 8 << 20;

/// Where the parts of a disk lie.
pub(super) trait Layout: fmt::Debug + Send + Sync {
    /// What begins at this position of the disk.
    fn extent(&self, file: &DiskFile, at: u64) -> io::Result<Extent>;

    /// Whether holes of the file are holes of the disk: such a file was written in
    /// full, so that its tables leave nothing out.
    fn is_fully_allocated(&self) -> bool {
        false
    }
}

/// A stretch of the disk up to `end` that lies together.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) end: u64,
    pub(super) data: ExtentData,
}

#[derive(Debug)]
pub(super) enum ExtentData {
    /// Nowhere: it reads as zeros.
    Zeros,
    /// Plainly in the file, from this byte on.
    At(u64),
    /// In a compressed unit, which begins and ends on the disk as the range says.
    Compressed(CompressedUnit, Range<u64>),
}

/// A block, cluster or grain as the entry of a table tells it.
#[derive(Clone, Copy, Debug)]
pub(super) enum MappedUnit {
    Zeros,
    At(u64),
    Compressed(CompressedUnit),
}

/// Compressed bytes in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct CompressedUnit {
    pub(super) codec: Codec,
    pub(super) at: u64,
    /// None where a VMDK's grain marker in front of them says.
    pub(super) len: Option<u64>,
}

/// A disk without structure: its bytes from the first of the file on.
#[derive(Debug)]
pub(super) struct RawLayout;

impl Layout for RawLayout {
    fn extent(&self, _: &DiskFile, at: u64) -> io::Result<Extent> {
        let (end, location) = (u64::MAX, ExtentData::At(at));
        Ok(Extent {
            end,
            data: location,
        })
    }

    fn is_fully_allocated(&self) -> bool {
        true
    }
}

/// A table of entries of the same width, in bytes. Each tells one unit of the disk,
/// or where a table of such entries lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct MappingTable {
    pub(super) at: u64,
    pub(super) entries: u64,
    pub(super) width: u64,
}

/// The file of a disk, or the member of an archive that holds it, read by many at once.
#[derive(Debug)]
pub(super) struct DiskFile {
    bytes: Box<dyn ReadAt + Send + Sync>,
    start: u64,
    len: u64,
    /// Whether all of it is there; of a pipe, only the first bytes are.
    complete: bool,
    pages: Cache,
}

impl DiskFile {
    pub(super) fn new(bytes: Box<dyn ReadAt + Send + Sync>, start: u64, len: u64) -> Self {
        Self {
            bytes,
            start,
            len,
            complete: true,
            pages: Cache::new(PAGES),
        }
    }

    /// The first bytes of something that goes on behind them.
    pub(super) fn incomplete(self) -> Self {
        Self {
            complete: false,
            ..self
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What the probes look through.
    pub(super) fn window(&self) -> ByteView<'_> {
        let end = self.start.saturating_add(self.len);
        let all = ByteView::new(&*self.bytes, end);
        if self.complete {
            all.subview(self.start, self.len)
        } else {
            all.subview(self.start, u64::MAX).incomplete()
        }
    }

    /// Fills the buffer from this byte of the file on.
    pub(super) fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match at.checked_add(buffer.len() as u64) {
            Some(end) if end <= self.len => self.bytes.read_at(buffer, self.start + at),
            _ => Err(invalid_data("it points beyond the end of the file")),
        }
    }

    /// Compressed bytes unpacked, at most `unit` of them.
    pub(super) fn decompress(&self, unit: CompressedUnit, unit_size: u64) -> io::Result<Vec<u8>> {
        let (at, len) = match unit.len {
            Some(len) => (unit.at, len),
            None => self.skip_marker(unit.at)?,
        };
        // what deflate can't shrink grows by some bytes in a thousand
        if len > unit_size * 2 {
            return Err(invalid_data("a part of it is larger packed than unpacked"));
        }
        let mut input = vec![0; size(len)];
        self.read(&mut input, at)?;
        unit.codec.decompress(&input, size(unit_size))
    }

    /// VMDK, "Grain Markers": a sector of the disk, bytes of data, the data.
    fn skip_marker(&self, at: u64) -> io::Result<(u64, u64)> {
        let mut marker = [0; 12];
        self.read(&mut marker, at)?;
        Ok((at + 12, Fields(&marker).le32(8).into()))
    }

    /// The first stretch of these bytes of the file that is no hole.
    pub(super) fn data(&self, range: &Range<u64>) -> io::Result<Option<Range<u64>>> {
        let found = self.bytes.data(self.start.saturating_add(range.start))?;
        let found = found.map(|found| {
            let location = |at: u64| at.saturating_sub(self.start).clamp(range.start, range.end);
            location(found.start)..location(found.end)
        });
        Ok(found.filter(|found| !found.is_empty()))
    }

    /// What an entry of a table says.
    pub(super) fn entry<T>(
        &self,
        table: MappingTable,
        index: u64,
        read: impl FnOnce(Fields<'_>) -> T,
    ) -> io::Result<T> {
        let (page, from) = self.page(table, index)?;
        let entry = page.get(from..from + size(table.width));
        Ok(read(Fields(entry.unwrap_or_default())))
    }

    /// The unit of `unit` bytes that position `at` of the disk is in, by its entry,
    /// and those after it that lie on with it.
    pub(super) fn units(
        &self,
        (table, index): (MappingTable, u64),
        (unit, at): (u64, u64),
        read: impl Fn(Fields<'_>) -> io::Result<MappedUnit>,
    ) -> io::Result<Extent> {
        let (page, from) = self.page(table, index)?;
        let left = size((table.entries - index).min(PAGE));
        let mut entries = page[from..].chunks_exact(size(table.width)).take(left);
        let first = read(Fields(entries.next().unwrap_or_default()))?;
        let start = at - at % unit;
        let mut end = start + unit;
        for entry in entries {
            match (first, read(Fields(entry))) {
                (MappedUnit::Zeros, Ok(MappedUnit::Zeros)) => end += unit,
                (MappedUnit::At(first), Ok(MappedUnit::At(next)))
                    if first.checked_add(end - start) == Some(next) =>
                {
                    end += unit;
                }
                _ => break,
            }
        }
        let location = match first {
            MappedUnit::Zeros => ExtentData::Zeros,
            MappedUnit::At(first) => ExtentData::At(first.saturating_add(at - start)),
            MappedUnit::Compressed(packed) => ExtentData::Compressed(packed, start..end),
        };
        Ok(Extent {
            end,
            data: location,
        })
    }

    /// The page of the file that an entry lies in, and where.
    fn page(&self, table: MappingTable, index: u64) -> io::Result<(Arc<Vec<u8>>, usize)> {
        if index >= table.entries {
            return Err(invalid_data("its table is too short for its disk"));
        }
        if !table.at.is_multiple_of(table.width) {
            return Err(invalid_data("its table begins at an odd place"));
        }
        let entry = table.at.saturating_add(index * table.width);
        let start = entry / PAGE * PAGE;
        let page = self.pages.get_or_load(start, || {
            let mut page = vec![0; size(PAGE.min(self.len.saturating_sub(start)))];
            self.read(&mut page, start)?;
            Ok(page)
        })?;
        match size(entry - start) {
            from if from + size(table.width) <= page.len() => Ok((page, from)),
            _ => Err(invalid_data("its table lies beyond the end of the file")),
        }
    }
}
