//! The disk as file systems read it: through one cache, one deadline and one limit, so that a
//! file system whose structures form a loop ends as an unreadable one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::image::DiskReader;

/// Bytes that are read and cached at once.
const CACHE_LINE: u64 = 64 << 10;
/// The most lines in the cache: 32 MiB.
const MAX_CACHE_LINES: usize = 512;
/// The most bytes read of a disk; a kernel's initramfs has some 50 MiB.
const MAX_READ: u64 = 1 << 30;
/// The longest time that an inspection may take.
const MAX_TIME: Duration = Duration::from_secs(20);

/// The whole disk; clones share cache and limits.
#[derive(Clone)]
pub(super) struct GuestDisk(Rc<RefCell<DiskState>>);

struct DiskState {
    blocks: DiskReader,
    cache: HashMap<u64, Vec<u8>>,
    left: u64,
    deadline: Instant,
    /// The limit that ended the inspection.
    exhausted: Option<&'static str>,
}

impl GuestDisk {
    pub(super) fn new(blocks: DiskReader) -> Self {
        Self(Rc::new(RefCell::new(DiskState {
            blocks,
            cache: HashMap::new(),
            left: MAX_READ,
            deadline: Instant::now() + MAX_TIME,
            exhausted: None,
        })))
    }

    /// Returns why the rest of the disk was not read, if a limit was reached.
    pub(super) fn exhausted(&self) -> Option<&'static str> {
        self.0.borrow().exhausted
    }

    /// Returns a range of the disk.
    pub(super) fn slice(&self, start: u64, size: u64) -> DiskSlice {
        DiskSlice {
            disk: self.clone(),
            start,
            size,
            at: 0,
        }
    }
}

impl DiskState {
    fn read(&mut self, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let line = self.cache_line(at / CACHE_LINE)?;
            let from = usize::try_from(at % CACHE_LINE).map_err(io::Error::other)?;
            let available = line.get(from..).unwrap_or_default();
            let count = available.len().min(buffer.len());
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (now, later) = buffer.split_at_mut(count);
            now.copy_from_slice(&available[..count]);
            (buffer, at) = (later, at + count as u64);
        }
        Ok(())
    }

    fn exhaust(&mut self, reason: &'static str) -> io::Error {
        self.exhausted = Some(reason);
        io::Error::other(reason)
    }

    fn cache_line(&mut self, number: u64) -> io::Result<&[u8]> {
        // Also checked for cached bytes: a loop in a file system may read only those.
        if Instant::now() > self.deadline {
            return Err(self.exhaust("reading it takes too long"));
        }
        if !self.cache.contains_key(&number) {
            let start = number.saturating_mul(CACHE_LINE);
            let size = CACHE_LINE.min(self.blocks.size().saturating_sub(start));
            let Some(left) = self.left.checked_sub(size) else {
                // The libraries replace the error by their own: the reason is kept beside it.
                return Err(self.exhaust("too much of it would have to be read"));
            };
            self.left = left;
            let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            self.blocks.read_at(&mut bytes, start)?;
            if self.cache.len() >= MAX_CACHE_LINES {
                self.cache.clear();
            }
            self.cache.insert(number, bytes);
        }
        Ok(self.cache.get(&number).map_or(&[], Vec::as_slice))
    }
}

/// A partition, or the whole disk.
pub(super) struct DiskSlice {
    disk: GuestDisk,
    start: u64,
    size: u64,
    at: u64,
}

impl DiskSlice {
    /// Returns the size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the same range, positioned at its start.
    pub(super) fn rewound(&self) -> Self {
        self.disk.slice(self.start, self.size)
    }

    pub(super) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let end = at.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.disk.0.borrow_mut().read(buffer, self.start + at)
    }

    /// Returns this many bytes from there; `None` past the end or where it cannot be read.
    pub(super) fn read_array<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read_at(&mut bytes, at).ok().map(|()| bytes)
    }
}

impl Read for DiskSlice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.at);
        let count = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        self.read_at(&mut buffer[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for DiskSlice {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// `fatfs` requires a writer; nothing here is ever written.
impl Write for DiskSlice {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
