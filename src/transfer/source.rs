//! The bytes to upload: a file or a range of one, read at offsets, or a stream. A source that
//! shrinks, grows or changes while it is read is an error; the upload never creates an object
//! of the wrong bytes.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::platform;

/// The bytes to upload.
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
    /// Creates a source of the whole file.
    pub fn file(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Self::slice(file, 0, size)
    }

    /// Creates a source of `size` bytes of the file from `start`: a disk inside an archive, or
    /// a block device.
    pub fn slice(file: File, start: u64, size: u64) -> io::Result<Self> {
        let before = FileStamp::new(&file)?;
        Ok(Self(SourceKind::File(FileSlice {
            file: Arc::new(file),
            start,
            size,
            stamp: before,
        })))
    }

    /// Creates a source of a stream, with its size where it is known. The engine reads it on a
    /// separate thread.
    pub fn stream(reader: impl Read + Send + 'static, size: Option<u64>) -> Self {
        Self(SourceKind::Stream {
            reader: Box::new(reader),
            size,
            derived_from: None,
        })
    }

    /// Creates a source of a stream that is derived from a file while it is read; its size is
    /// known only at the end. The same file must always produce the same stream.
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

    /// Returns the size in bytes, where it is known.
    pub fn size(&self) -> Option<u64> {
        match &self.0 {
            SourceKind::File(origin) => Some(origin.size),
            SourceKind::Stream { size, .. } => *size,
        }
    }

    /// Returns the file, for reading a part again; `None` for a stream.
    pub(super) fn rereadable_file(&self) -> Option<FileSlice> {
        match &self.0 {
            SourceKind::File(origin) => Some(origin.clone()),
            SourceKind::Stream { .. } => None,
        }
    }

    /// Returns the file that must be unchanged at the end.
    pub(super) fn source_file(&self) -> Option<FileSlice> {
        match &self.0 {
            SourceKind::File(origin) => Some(origin.clone()),
            SourceKind::Stream {
                derived_from: made_of,
                ..
            } => made_of.clone(),
        }
    }

    /// Reads the next bytes, which start at `offset`; returns 0 at the end.
    pub(super) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let read = loop {
            let read = match &mut self.0 {
                SourceKind::File(origin) => origin.read_at(offset, buffer),
                SourceKind::Stream { reader, size, .. } => {
                    // Read one byte more than the size, so that a longer stream is detected.
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

    /// Returns an error if the source ends before its size, or continues after it.
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

/// A range of a file, which can be read again.
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

    /// Returns the size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Reads bytes from `offset`; an end of the file before the range ends is an error.
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

    /// Reads the same bytes again.
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

    /// Returns an error if the size or the modification time of the file has changed since it
    /// was opened.
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

/// Creates the error for an image that changed during the run.
pub fn source_changed(reason: String) -> Error {
    Error::failed("the image changed while it was read")
        .with_cause(reason)
        .hint("stop what writes to it, or make a copy, and run the command again")
}
