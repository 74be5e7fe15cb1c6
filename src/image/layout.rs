//! How a container lays the guest's disk out in its file: what begins at a position,
//! how far it reaches, where it lies. One layout a container, each in a file of its
//! own; `blocks` reads through them. Knows no container.

use std::fmt;
use std::io;
use std::ops::Range;

use super::cache::Cache;
use super::unpack::Codec;
use super::window::{Fields, ReadAt, Window, size};

/// Bytes of a table that are read at once, and of all tables that are kept.
const PAGE: u64 = 64 << 10;
const PAGES: usize = 8 << 20;

/// Where the parts of a disk lie.
pub(super) trait Layout: fmt::Debug + Send + Sync {
    /// What begins at this position of the disk.
    fn extent(&self, file: &Source, at: u64) -> io::Result<Extent>;

    /// Whether holes of the file are holes of the disk: such a file was written in
    /// full, so that its tables leave nothing out.
    fn in_full(&self) -> bool {
        false
    }
}

/// A stretch of the disk up to `end` that lies together.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) end: u64,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Place {
    /// Nowhere: it reads as zeros.
    Zeros,
    /// Plainly in the file, from this byte on.
    At(u64),
    /// In a unit that is compressed as a whole.
    Packed(Packed),
}

/// A compressed unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    pub(super) codec: Codec,
    /// Where it lies in the file.
    pub(super) at: u64,
    /// Bytes there; None where a VMDK's grain marker in front of them says.
    pub(super) len: Option<u64>,
    /// Where it begins on the disk, and how many bytes it has there.
    pub(super) start: u64,
    pub(super) unit: u64,
}

/// A disk without structure: its bytes from the first of the file on.
#[derive(Debug)]
pub(super) struct Plain;

impl Layout for Plain {
    fn extent(&self, _: &Source, at: u64) -> io::Result<Extent> {
        let (end, place) = (u64::MAX, Place::At(at));
        Ok(Extent { end, place })
    }

    fn in_full(&self) -> bool {
        true
    }
}

/// A table of entries of the same width, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) at: u64,
    pub(super) entries: u64,
    pub(super) width: u64,
}

/// The file of a disk, or the member of an archive that holds it, read by many at once.
#[derive(Debug)]
pub(super) struct Source {
    bytes: Box<dyn ReadAt + Send + Sync>,
    start: u64,
    len: u64,
    pages: Cache,
}

impl Source {
    pub(super) fn new(bytes: Box<dyn ReadAt + Send + Sync>, start: u64, len: u64) -> Self {
        let pages = Cache::of(PAGES);
        Self {
            bytes,
            start,
            len,
            pages,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What the probes look through.
    pub(super) fn window(&self) -> Window<'_> {
        let end = self.start.saturating_add(self.len);
        Window::all(&*self.bytes, end).part(self.start, self.len)
    }

    /// Fills the buffer from this byte of the file on.
    pub(super) fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match at.checked_add(buffer.len() as u64) {
            Some(end) if end <= self.len => self.bytes.read_at(buffer, self.start + at),
            _ => Err(broken("it points beyond the end of the file")),
        }
    }

    /// The bytes of a compressed unit, unpacked.
    pub(super) fn unpack(&self, packed: &Packed) -> io::Result<Vec<u8>> {
        let (at, len) = match packed.len {
            Some(len) => (packed.at, len),
            None => self.behind_marker(packed.at)?,
        };
        // what deflate can't shrink grows by some bytes in a thousand
        if len > packed.unit * 2 {
            return Err(broken("a part of it is larger packed than unpacked"));
        }
        let mut input = vec![0; size(len)];
        self.read(&mut input, at)?;
        packed.codec.unpack(&input, size(packed.unit))
    }

    /// VMDK, "Grain Markers": a sector of the disk, bytes of data, the data.
    fn behind_marker(&self, at: u64) -> io::Result<(u64, u64)> {
        let mut marker = [0; 12];
        self.read(&mut marker, at)?;
        Ok((at + 12, Fields(&marker).le32(8).into()))
    }

    /// The first stretch of these bytes of the file that is no hole.
    pub(super) fn data(&self, range: &Range<u64>) -> io::Result<Option<Range<u64>>> {
        let found = self.bytes.data(self.start.saturating_add(range.start))?;
        let found = found.map(|found| {
            let place = |at: u64| at.saturating_sub(self.start).clamp(range.start, range.end);
            place(found.start)..place(found.end)
        });
        Ok(found.filter(|found| !found.is_empty()))
    }

    /// What an entry of a table says.
    pub(super) fn entry<T>(
        &self,
        table: Table,
        index: u64,
        read: impl FnOnce(Fields<'_>) -> T,
    ) -> io::Result<T> {
        if index >= table.entries {
            return Err(broken("its table is too short for its disk"));
        }
        let (from, within) = (
            index * table.width / PAGE * PAGE,
            index * table.width % PAGE,
        );
        let len = PAGE.min(table.entries * table.width - from);
        let at = table.at.saturating_add(from);
        let page = self.pages.get(at, || {
            let mut page = vec![0; size(len)];
            self.read(&mut page, at)?;
            Ok(page)
        })?;
        let entry = page.get(size(within)..size(within + table.width));
        let entry = entry.ok_or_else(|| broken("its tables lie on each other"))?;
        Ok(read(Fields(entry)))
    }
}

/// What a sound container never holds.
pub(super) fn broken(how: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the container is damaged: {how}"),
    )
}
