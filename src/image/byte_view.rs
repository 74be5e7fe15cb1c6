//! Bounded random access to the bytes to inspect: a file, a member of an OVA, or the first
//! bytes of a pipe. Offsets and lengths come from the image and are hostile: a range outside
//! the bytes is an error or `None`, and is never read. Does not depend on any container.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::platform;

use super::error::{Fix, ImageError, ImageResult};

/// Bytes of allocation tables that one inspection may read: it keeps the inspection of a disk
/// of terabytes within a second.
pub(super) const TABLE_BUDGET: u64 = 64 << 20;

/// Bytes read at once while a table is read.
const STRIDE: u64 = 1 << 20;

pub(super) trait ReadAt: fmt::Debug {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Returns the first range at or after this byte that is not a hole.
    fn data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        Ok(Some(from..u64::MAX))
    }

    /// Reports whether these bytes can still be read: a pipe keeps only some of them.
    fn has(&self, _offset: u64, _count: u64) -> bool {
        true
    }
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        platform::read_exact_at(self, buffer, offset)
    }

    fn data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        platform::next_data_range(self, from)
    }
}

impl ReadAt for Arc<[u8]> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (&**self).read_at(buffer, offset)
    }
}

impl ReadAt for &[u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let range = usize::try_from(offset)
            .ok()
            .and_then(|from| Some(from..from.checked_add(buffer.len())?));
        let bytes = range
            .and_then(|range| self.get(range))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// A range of bytes whose end may be unknown.
#[derive(Clone, Copy)]
pub(super) struct ByteView<'a> {
    source: &'a dyn ReadAt,
    start: u64,
    available: u64,
    complete: bool,
}

impl<'a> ByteView<'a> {
    /// Creates a view of a whole file.
    pub(super) fn new(source: &'a dyn ReadAt, len: u64) -> Self {
        Self {
            source,
            start: 0,
            available: len,
            complete: true,
        }
    }

    /// Creates a view of the first bytes of a pipe: what follows is unknown.
    pub(super) fn of_head(source: &'a &'a [u8]) -> Self {
        Self {
            source,
            start: 0,
            available: source.len() as u64,
            complete: false,
        }
    }

    /// Returns the same bytes, with unknown bytes after them.
    pub(super) fn incomplete(self) -> Self {
        Self {
            complete: false,
            ..self
        }
    }

    /// Returns a view of a member of an archive, as far as it is available.
    pub(super) fn subview(&self, offset: u64, len: u64) -> Self {
        let rest = self.available.saturating_sub(offset);
        Self {
            source: self.source,
            start: self.start.saturating_add(offset),
            available: len.min(rest),
            complete: self.complete || len <= rest,
        }
    }

    /// Returns the length in bytes; `None` for a pipe.
    pub(super) fn len(&self) -> Option<u64> {
        self.complete.then_some(self.available)
    }

    /// Reads these bytes; returns `None` where they are not available.
    pub(super) fn read(&self, offset: u64, count: u64) -> io::Result<Option<Vec<u8>>> {
        match offset.checked_add(count) {
            Some(_) if !self.is_readable(offset, count) => Ok(None),
            Some(end) if end <= self.available => self.read_bytes(offset, count).map(Some),
            _ => Ok(None),
        }
    }

    /// Reports whether the source still has these bytes, and requests those that are still to
    /// come.
    fn is_readable(&self, offset: u64, count: u64) -> bool {
        let at = self.start.saturating_add(offset);
        self.source.has(at, count.min(TABLE_BUDGET))
    }

    /// Reads as many of these bytes as are available.
    pub(super) fn read_up_to(&self, offset: u64, count: u64) -> io::Result<Vec<u8>> {
        let available = count.min(self.available.saturating_sub(offset));
        if available < count && !self.complete {
            // Called for its effect: it requests the bytes that are still to come.
            let _ = self.is_readable(offset, count);
        }
        if !self.is_readable(offset, available) {
            return Ok(vec![]);
        }
        self.read_bytes(offset, available)
    }

    /// Reads these bytes of a container; returns `None` only for bytes that a pipe does not
    /// provide yet.
    pub(super) fn require(
        &self,
        of: Structure,
        offset: u64,
        count: u64,
    ) -> ImageResult<Option<Vec<u8>>> {
        self.require_len(of, offset.saturating_add(count))?;
        Ok(self.read(offset, count)?)
    }

    /// Returns an error for a file that ends before byte `end`.
    pub(super) fn require_len(&self, of: Structure, end: u64) -> ImageResult<()> {
        match self.len() {
            Some(len) if end > len => Err(of.truncated(end, len)),
            _ => Ok(()),
        }
    }

    /// Calls `each` with the index and the bytes of every entry of a table, up to the budget.
    pub(super) fn for_each_entry(
        &self,
        offset: u64,
        entries: u64,
        width: u64,
        mut each: impl FnMut(u64, Fields<'_>) -> ImageResult<()>,
    ) -> ImageResult<()> {
        // A table beyond the budget is checked only at its beginning.
        let entries = entries.min(TABLE_BUDGET / width);
        let batch = STRIDE / width;
        let mut index = 0;
        while index < entries {
            let now = batch.min(entries - index);
            let from = offset.saturating_add(index * width);
            // On a pipe the rest of the table is not available yet.
            let Some(bytes) = self.read(from, now * width)? else {
                return Ok(());
            };
            for (entry, at) in bytes.chunks_exact(size(width)).zip(index..) {
                each(at, Fields(entry))?;
            }
            index += now;
        }
        Ok(())
    }

    fn read_bytes(&self, offset: u64, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; size(count.min(TABLE_BUDGET))];
        if !bytes.is_empty() {
            let at = self.start.saturating_add(offset);
            self.source.read_at(&mut bytes, at)?;
        }
        Ok(bytes)
    }
}

/// A part of a container, named in the error that it is missing.
#[derive(Clone, Copy)]
pub(super) struct Structure(pub(super) &'static str, pub(super) &'static str);

impl Structure {
    fn truncated(self, end: u64, len: u64) -> ImageError {
        let Self(container, name) = self;
        ImageError::unusable(
            format!(
                "the {container} is cut short: {name} reaches to byte {end}, but only {len} bytes are there"
            ),
            Fix::CopyAgain,
        )
    }
}

/// The fields of a structure. A field outside its bytes is zero: the structure was read as a
/// whole, so that happens only in damaged files.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(self, at: usize, count: usize) -> &'a [u8] {
        let end = at.saturating_add(count).min(self.0.len());
        self.0.get(at..end).unwrap_or_default()
    }

    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.bytes(at, N).try_into().unwrap_or([0; N])
    }

    pub(super) fn u8(self, at: usize) -> u8 {
        u8::from_le_bytes(self.array(at))
    }

    pub(super) fn le16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    pub(super) fn le32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    pub(super) fn le64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    pub(super) fn be32(self, at: usize) -> u32 {
        u32::from_be_bytes(self.array(at))
    }

    pub(super) fn be64(self, at: usize) -> u64 {
        u64::from_be_bytes(self.array(at))
    }
}

/// Reports whether all bytes are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// Creates the error for data that a valid container never contains.
pub(super) fn invalid_data(how: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the container is damaged: {how}"),
    )
}

/// Converts a number of bytes in memory; it is only called with bounded values.
pub(super) fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_range_outside_the_view_is_never_read() {
        let bytes: &[u8] = b"0123456789";
        let all = ByteView::new(&bytes, 10);
        assert_eq!(all.read(8, 2).unwrap().unwrap(), b"89");
        assert_eq!(all.read(9, 2).unwrap(), None);
        assert_eq!(all.read(u64::MAX, u64::MAX).unwrap(), None);
        assert_eq!(all.read_up_to(8, 99).unwrap(), b"89");
        assert_eq!(all.read_up_to(99, 99).unwrap(), b"");
        assert_eq!(all.subview(4, 3).read(0, 3).unwrap().unwrap(), b"456");
        assert_eq!(all.subview(4, 99).len(), Some(6));
    }

    #[test]
    fn a_pipe_has_no_end_but_a_whole_member_in_its_head_has() {
        let bytes: &[u8] = b"0123456789";
        let head = ByteView::of_head(&bytes);
        assert_eq!(head.len(), None);
        assert!(head.require_len(Structure("X", "y"), 99).is_ok());
        assert_eq!(head.subview(4, 3).len(), Some(3));
        assert_eq!(head.subview(4, 99).len(), None);
    }

    #[test]
    fn fields_outside_are_zero() {
        let fields = Fields(&[1, 2, 3, 4]);
        assert_eq!((fields.be32(0), fields.le16(2)), (0x0102_0304, 0x0403));
        assert_eq!((fields.be32(1), fields.le64(usize::MAX)), (0, 0));
    }
}
