//! The mapping of the guest's disk to the container's file: the extent at an offset, its length
//! and its place. Each container has one layout, in its own file; `disk_reader` reads through
//! them. Does not depend on any container.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::byte_view::{ByteView, Fields, ReadAt, invalid_data, size};
use super::cache::Cache;
use super::decompress::Codec;

/// Bytes of tables that are read at once, from a multiple of this size, and the bytes that are
/// cached in all.
const PAGE: u64 = 64 << 10;
const PAGES: usize = 8 << 20;

/// The mapping of a disk's offsets to its file.
pub(super) trait Layout: fmt::Debug + Send + Sync {
    /// Returns the extent at this offset of the disk.
    fn extent(&self, file: &DiskFile, at: u64) -> io::Result<Extent>;

    /// Reports whether holes of the file are holes of the disk: such a file was written in
    /// full, so that its tables omit nothing.
    fn is_fully_allocated(&self) -> bool {
        false
    }
}

/// A range of the disk up to `end` that is stored contiguously.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) end: u64,
    pub(super) data: ExtentData,
}

#[derive(Debug)]
pub(super) enum ExtentData {
    /// Not stored: reads as zeros.
    Zeros,
    /// Stored uncompressed in the file, from this offset.
    At(u64),
    /// Stored in a compressed unit, which covers this range of the disk.
    Compressed(CompressedUnit, Range<u64>),
}

/// A block, cluster or grain as described by its table entry.
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
    /// `None` where the length is in a VMDK's grain marker in front of them.
    pub(super) len: Option<u64>,
}

/// A disk without structure: its bytes from the start of the file.
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

/// A table of entries of the same width, in bytes. Each entry describes one unit of the disk,
/// or contains the offset of a table of such entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct MappingTable {
    pub(super) at: u64,
    pub(super) entries: u64,
    pub(super) width: u64,
}

/// The file of a disk, or the member of an archive that contains it, for many readers at once.
#[derive(Debug)]
pub(super) struct DiskFile {
    bytes: Box<dyn ReadAt + Send + Sync>,
    start: u64,
    len: u64,
    /// All bytes are available; of a pipe, only the first ones are.
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

    /// Marks the bytes as the first of more.
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

    /// Returns the view that the detection reads.
    pub(super) fn window(&self) -> ByteView<'_> {
        let end = self.start.saturating_add(self.len);
        let all = ByteView::new(&*self.bytes, end);
        if self.complete {
            all.subview(self.start, self.len)
        } else {
            all.subview(self.start, u64::MAX).incomplete()
        }
    }

    /// Fills the buffer from this offset of the file.
    pub(super) fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match at.checked_add(buffer.len() as u64) {
            Some(end) if end <= self.len => self.bytes.read_at(buffer, self.start + at),
            _ => Err(invalid_data("it points beyond the end of the file")),
        }
    }

    /// Returns the decompressed bytes of a unit, at most `unit_size` of them.
    pub(super) fn decompress(&self, unit: CompressedUnit, unit_size: u64) -> io::Result<Vec<u8>> {
        let (at, len) = match unit.len {
            Some(len) => (unit.at, len),
            None => self.skip_marker(unit.at)?,
        };
        // Data that deflate cannot compress grows by some per mille.
        if len > unit_size * 2 {
            return Err(invalid_data("a part of it is larger packed than unpacked"));
        }
        let mut input = vec![0; size(len)];
        self.read(&mut input, at)?;
        unit.codec.decompress(&input, size(unit_size))
    }

    /// Reads VMDK's "Grain Markers": a sector of the disk, the length of the data, the data.
    fn skip_marker(&self, at: u64) -> io::Result<(u64, u64)> {
        let mut marker = [0; 12];
        self.read(&mut marker, at)?;
        Ok((at + 12, Fields(&marker).le32(8).into()))
    }

    /// Returns the first range of these bytes of the file that is not a hole.
    pub(super) fn data(&self, range: &Range<u64>) -> io::Result<Option<Range<u64>>> {
        let found = self.bytes.data(self.start.saturating_add(range.start))?;
        let found = found.map(|found| {
            let location = |at: u64| at.saturating_sub(self.start).clamp(range.start, range.end);
            location(found.start)..location(found.end)
        });
        Ok(found.filter(|found| !found.is_empty()))
    }

    /// Reads an entry of a table.
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

    /// Returns the unit that offset `at` of the disk is in, by its entry, and the units after
    /// it that are stored contiguously.
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

    /// Returns the page of the file that contains an entry, and the entry's offset in it.
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
