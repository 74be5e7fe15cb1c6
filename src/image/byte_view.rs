//! Bounded random access to what is being looked at: a file, a member of an OVA,
//! or the first bytes of a pipe. Every offset and length in it is hostile; what
//! lies outside is answered, never read, and knows no container.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::platform;

use super::error::{Fix, ImageError, ImageResult};

/// Bytes of allocation tables that one look may read: keeps a look at a disk of
/// terabytes within a second.
pub(super) const TABLE_BUDGET: u64 = 64 << 20;

/// Bytes read at once while a table is walked.
const STRIDE: u64 = 1 << 20;

pub(super) trait ReadAt: fmt::Debug {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The first stretch at or after this byte that is no hole.
    fn data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        Ok(Some(from..u64::MAX))
    }

    /// Whether these bytes can still be read: not all of a pipe are kept.
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

/// A stretch of bytes whose end may be unknown.
#[derive(Clone, Copy)]
pub(super) struct ByteView<'a> {
    source: &'a dyn ReadAt,
    start: u64,
    available: u64,
    complete: bool,
}

impl<'a> ByteView<'a> {
    /// All of a file.
    pub(super) fn new(source: &'a dyn ReadAt, len: u64) -> Self {
        Self {
            source,
            start: 0,
            available: len,
            complete: true,
        }
    }

    /// The first bytes of a pipe: what follows is unknown.
    pub(super) fn of_head(source: &'a &'a [u8]) -> Self {
        Self {
            source,
            start: 0,
            available: source.len() as u64,
            complete: false,
        }
    }

    /// The same bytes, of which it is not known what follows.
    pub(super) fn incomplete(self) -> Self {
        Self {
            complete: false,
            ..self
        }
    }

    /// A member of an archive, as far as it can be seen.
    pub(super) fn subview(&self, offset: u64, len: u64) -> Self {
        let rest = self.available.saturating_sub(offset);
        Self {
            source: self.source,
            start: self.start.saturating_add(offset),
            available: len.min(rest),
            complete: self.complete || len <= rest,
        }
    }

    /// The length in bytes; None for a pipe.
    pub(super) fn len(&self) -> Option<u64> {
        self.complete.then_some(self.available)
    }

    /// These bytes, or None where they cannot be seen.
    pub(super) fn read(&self, offset: u64, count: u64) -> io::Result<Option<Vec<u8>>> {
        match offset.checked_add(count) {
            Some(_) if !self.is_readable(offset, count) => Ok(None),
            Some(end) if end <= self.available => self.read_bytes(offset, count).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether the source still has these bytes; it notes those that are to come.
    fn is_readable(&self, offset: u64, count: u64) -> bool {
        let at = self.start.saturating_add(offset);
        self.source.has(at, count.min(TABLE_BUDGET))
    }

    /// As many of these bytes as can be seen.
    pub(super) fn read_up_to(&self, offset: u64, count: u64) -> io::Result<Vec<u8>> {
        let available = count.min(self.available.saturating_sub(offset));
        if available < count && !self.complete {
            // What is to come is asked for.
            let _ = self.is_readable(offset, count);
        }
        if !self.is_readable(offset, available) {
            return Ok(vec![]);
        }
        self.read_bytes(offset, available)
    }

    /// These bytes of a container; None only for what a pipe does not show yet.
    pub(super) fn require(
        &self,
        of: Structure,
        offset: u64,
        count: u64,
    ) -> ImageResult<Option<Vec<u8>>> {
        self.require_len(of, offset.saturating_add(count))?;
        Ok(self.read(offset, count)?)
    }

    /// Refuses a file that ends before byte `end`.
    pub(super) fn require_len(&self, of: Structure, end: u64) -> ImageResult<()> {
        match self.len() {
            Some(len) if end > len => Err(of.truncated(end, len)),
            _ => Ok(()),
        }
    }

    /// Calls `each` with the index and the bytes of every entry of a table, as far
    /// as the budget goes.
    pub(super) fn for_each_entry(
        &self,
        offset: u64,
        entries: u64,
        width: u64,
        mut each: impl FnMut(u64, Fields<'_>) -> ImageResult<()>,
    ) -> ImageResult<()> {
        let entries = entries.min(TABLE_BUDGET / width);
        let batch = STRIDE / width;
        let mut index = 0;
        while index < entries {
            let now = batch.min(entries - index);
            let from = offset.saturating_add(index * width);
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

/// A part of a container, for the sentence that says it is missing.
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

/// The fields of a structure. A field outside its bytes is zero: the structure was
/// read whole, so that happens to no sound file.
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

/// Whether the field is all zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// What a sound container never holds.
pub(super) fn invalid_data(how: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the container is damaged: {how}"),
    )
}

/// A count of bytes in memory; only ever called with bounded values.
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
