//! What a reader of a file system has to give: one trait for all of them. Paths are absolute
//! in their file system and lead through no links; links are followed in `tree`, for they may
//! lead into another file system.

use std::io::{self, Read};

/// Why a look at a path shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileError {
    /// There is nothing by that name.
    Absent,
    /// It could not be read.
    Unreadable,
}

pub(super) type FileResult<T> = Result<T, FileError>;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    File,
    Directory,
    Link,
    /// A device, a socket, a pipe.
    Other,
}

/// What a file system knows of a name, which is not followed if it is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileInfo {
    pub(super) kind: FileKind,
    /// Bytes.
    pub(super) size: u64,
}

/// A file system that can be read.
pub(super) trait FileSystem {
    fn metadata(&self, path: &str) -> FileResult<FileInfo>;

    /// Where a link leads.
    fn read_link(&self, path: &str) -> FileResult<String>;

    /// The first names in a directory, at most `most` of them, without `.` and `..`.
    fn list(&self, path: &str, max: usize) -> FileResult<Vec<(String, FileKind)>>;

    fn open(&self, path: &str) -> FileResult<Box<dyn Read>>;

    /// As in `UUID=`.
    fn uuid(&self) -> String;

    /// As in `LABEL=`.
    fn label(&self) -> String;

    /// Free bytes.
    fn free(&self) -> Option<u64>;
}

/// Reads at most `most` bytes.
pub(super) fn read(mut file: impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    file.by_ref().take(max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
