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
pub struct UploadSource(SourceKind);

enum SourceKind {
    File(FileSlice),
    Stream {
        reader: Box<dyn Read + Send>,
        size: Option<u64>,
        derived_from: Option<FileSlice>,
    },
}

impl UploadSource {
    /// The whole file.
    pub fn file(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Self::slice(file, 0, size)
    }

    /// `size` bytes of the file from `start` on: a disk inside an archive, a block device.
    pub fn slice(file: File, start: u64, size: u64) -> io::Result<Self> {
        let before = FileStamp::new(&file)?;
        Ok(Self(SourceKind::File(FileSlice {
            file: Arc::new(file),
            start,
            size,
            stamp: before,
        })))
    }

    /// A stream, with its size where that is known. Read on a thread of its own.
    pub fn stream(reader: impl Read + Send + 'static, size: Option<u64>) -> Self {
        Self(SourceKind::Stream {
            reader: Box::new(reader),
            size,
            derived_from: None,
        })
    }

    /// A stream that is made of a file while it is read, of a size that shows at the end.
    /// Given once more, the same file must make the same stream.
    pub fn derived_from(file: File, reader: impl Read + Send + 'static) -> io::Result<Self> {
        let Self(SourceKind::File(origin)) = Self::file(file)? else {
            return Ok(Self::stream(reader, None));
        };
        Ok(Self(SourceKind::Stream {
            reader: Box::new(reader),
            size: None,
            derived_from: Some(origin),
        }))
    }

    /// Bytes, where that is known.
    pub fn size(&self) -> Option<u64> {
        match &self.0 {
            SourceKind::File(origin) => Some(origin.size),
            SourceKind::Stream { size, .. } => *size,
        }
    }

    /// The file, for reading a part again; a stream has none.
    pub(super) fn rereadable_file(&self) -> Option<FileSlice> {
        match &self.0 {
            SourceKind::File(origin) => Some(origin.clone()),
            SourceKind::Stream { .. } => None,
        }
    }

    /// The file that must be the same at the end.
    pub(super) fn source_file(&self) -> Option<FileSlice> {
        match &self.0 {
            SourceKind::File(origin) => Some(origin.clone()),
            SourceKind::Stream {
                derived_from: made_of,
                ..
            } => made_of.clone(),
        }
    }

    /// The next bytes, the first of them at `offset`; 0 at the end.
    pub(super) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let read = loop {
            let read = match &mut self.0 {
                SourceKind::File(origin) => origin.read_at(offset, buffer),
                SourceKind::Stream { reader, size, .. } => {
                    // One byte more than the size is asked for, so that a longer stream is seen.
                    let rest = size.map_or(u64::MAX, |size| size.saturating_sub(offset).max(1));
                    let max = buffer
                        .len()
                        .min(usize::try_from(rest).unwrap_or(usize::MAX));
                    reader.read(&mut buffer[..max])
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read = read.map_err(|error| {
            Error::failed(format!("byte {offset} of the image cannot be read")).with_source(error)
        })?;
        self.check_length(offset, read)?;
        Ok(read)
    }

    /// Too early an end, or none where there should be one.
    fn check_length(&self, offset: u64, read: usize) -> Result<()> {
        match self.size() {
            Some(size) if read == 0 && offset < size => Err(source_changed(format!(
                "it ended at byte {offset} of {size}"
            ))),
            Some(size) if read > 0 && offset >= size => {
                Err(source_changed(format!("it goes on after its {size} bytes")))
            }
            _ => Ok(()),
        }
    }
}

/// A file that can be asked again.
#[derive(Clone)]
pub(super) struct FileSlice {
    file: Arc<File>,
    start: u64,
    size: u64,
    stamp: FileStamp,
}

impl FileSlice {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let max = buffer.len().min(rest);
        platform::read_at(&self.file, &mut buffer[..max], self.start + offset)
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
                    return Err(source_changed(format!(
                        "it ended at byte {offset} of {size}"
                    )));
                }
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let message = format!("byte {offset} of the image cannot be read");
                    return Err(Error::failed(message).with_source(error));
                }
            }
        }
    }

    /// The same bytes once more.
    pub(super) fn reread(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        match platform::read_exact_at(&self.file, &mut bytes, self.start + offset) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(Error::failed(format!(
                "byte {offset} of the image cannot be read again"
            ))
            .with_source(error)),
        }
    }

    /// Whether size and time of the file are those of the beginning.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        let now = FileStamp::new(&self.file).map_err(|error| {
            Error::failed("the image cannot be looked at again").with_source(error)
        })?;
        if now.size != self.stamp.size {
            return Err(source_changed(format!(
                "it had {} bytes and has {}",
                self.stamp.size, now.size
            )));
        }
        if now.modified != self.stamp.modified {
            return Err(source_changed("somebody wrote to it".to_owned()));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct FileStamp {
    size: u64,
    modified: Option<SystemTime>,
}

impl FileStamp {
    fn new(file: &File) -> io::Result<Self> {
        let about = file.metadata()?;
        Ok(Self {
            size: about.len(),
            modified: about.modified().ok(),
        })
    }
}

/// The image is not what it was.
pub fn source_changed(reason: String) -> Error {
    Error::failed("the image changed while it was read")
        .with_cause(reason)
        .hint("stop what writes to it, or make a copy, and run the command again")
}
