//! Where the bytes come from: a file (or a piece of one), read at positions, or a
//! stream. Sees to it that what was read is what was meant: a source that shrinks,
//! grows or changes meanwhile is an error, never an object of the wrong bytes.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::platform;

/// What is to be uploaded.
pub struct Source(Kind);

enum Kind {
    File(Origin),
    Stream {
        reader: Box<dyn Read + Send>,
        size: Option<u64>,
        made_of: Option<Origin>,
    },
}

impl Source {
    /// The whole file.
    pub fn file(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Self::slice(file, 0, size)
    }

    /// `size` bytes of the file from `start` on: a disk inside an archive, a block device.
    pub fn slice(file: File, start: u64, size: u64) -> io::Result<Self> {
        let before = Stamp::of(&file)?;
        Ok(Self(Kind::File(Origin {
            file: Arc::new(file),
            start,
            size,
            before,
        })))
    }

    /// A stream, with its size where that is known. Read on a thread of its own.
    pub fn stream(reader: impl Read + Send + 'static, size: Option<u64>) -> Self {
        Self(Kind::Stream {
            reader: Box::new(reader),
            size,
            made_of: None,
        })
    }

    /// A stream that is made of a file while it is read, of a size that shows at the end.
    /// Given once more, the same file must make the same stream.
    pub fn made_of(file: File, reader: impl Read + Send + 'static) -> io::Result<Self> {
        let Self(Kind::File(origin)) = Self::file(file)? else {
            return Ok(Self::stream(reader, None));
        };
        Ok(Self(Kind::Stream {
            reader: Box::new(reader),
            size: None,
            made_of: Some(origin),
        }))
    }

    /// Bytes, where that is known.
    pub fn size(&self) -> Option<u64> {
        match &self.0 {
            Kind::File(origin) => Some(origin.size),
            Kind::Stream { size, .. } => *size,
        }
    }

    /// The file, for reading a part again; a stream has none.
    pub(super) fn origin(&self) -> Option<Origin> {
        match &self.0 {
            Kind::File(origin) => Some(origin.clone()),
            Kind::Stream { .. } => None,
        }
    }

    /// The file that must be the same at the end.
    pub(super) fn watched(&self) -> Option<Origin> {
        match &self.0 {
            Kind::File(origin) => Some(origin.clone()),
            Kind::Stream { made_of, .. } => made_of.clone(),
        }
    }

    /// The next bytes, the first of them at `offset`; 0 at the end.
    pub(super) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let read = loop {
            let read = match &mut self.0 {
                Kind::File(origin) => origin.read_at(offset, buffer),
                Kind::Stream { reader, size, .. } => {
                    // One byte more than the size is asked for, so that a longer stream is seen.
                    let rest = size.map_or(u64::MAX, |size| size.saturating_sub(offset).max(1));
                    let most = buffer
                        .len()
                        .min(usize::try_from(rest).unwrap_or(usize::MAX));
                    reader.read(&mut buffer[..most])
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read = read.map_err(|error| {
            Error::failed(format!("byte {offset} of the image cannot be read")).because(error)
        })?;
        self.check(offset, read)?;
        Ok(read)
    }

    /// Too early an end, or none where there should be one.
    fn check(&self, offset: u64, read: usize) -> Result<()> {
        match self.size() {
            Some(size) if read == 0 && offset < size => {
                Err(changed(format!("it ended at byte {offset} of {size}")))
            }
            Some(size) if read > 0 && offset >= size => {
                Err(changed(format!("it goes on after its {size} bytes")))
            }
            _ => Ok(()),
        }
    }
}

/// A file that can be asked again.
#[derive(Clone)]
pub(super) struct Origin {
    file: Arc<File>,
    start: u64,
    size: u64,
    before: Stamp,
}

impl Origin {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let most = buffer.len().min(rest);
        platform::read_at(&self.file, &mut buffer[..most], self.start + offset)
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Some of the bytes from `offset` on; there must be some.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.read_at(offset, buffer) {
                Ok(0) => {
                    let size = self.size;
                    return Err(changed(format!("it ended at byte {offset} of {size}")));
                }
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let what = format!("byte {offset} of the image cannot be read");
                    return Err(Error::failed(what).because(error));
                }
            }
        }
    }

    /// The same bytes once more.
    pub(super) fn again(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        match platform::read_exact_at(&self.file, &mut bytes, self.start + offset) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(Error::failed(format!(
                "byte {offset} of the image cannot be read again"
            ))
            .because(error)),
        }
    }

    /// Whether size and time of the file are those of the beginning.
    pub(super) fn unchanged(&self) -> Result<()> {
        let now = Stamp::of(&self.file)
            .map_err(|error| Error::failed("the image cannot be looked at again").because(error))?;
        if now.size != self.before.size {
            return Err(changed(format!(
                "it had {} bytes and has {}",
                self.before.size, now.size
            )));
        }
        if now.modified != self.before.modified {
            return Err(changed("somebody wrote to it".to_owned()));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let about = file.metadata()?;
        Ok(Self {
            size: about.len(),
            modified: about.modified().ok(),
        })
    }
}

/// The image is not what it was.
pub fn changed(how: String) -> Error {
    Error::failed("the image changed while it was read")
        .because_of(how)
        .hint("stop what writes to it, or make a copy, and run the command again")
}
