//! The trait that every file system reader implements. Paths are absolute in their file system
//! and contain no links; `root_fs` follows links, because they may lead into another file
//! system.

use std::io::{self, Read};

/// The reason that a path shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileError {
    /// There is no such name.
    Absent,
    /// It could not be read.
    Unreadable,
}

pub(super) type FileResult<T> = Result<T, FileError>;

/// The kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    File,
    Directory,
    Link,
    /// A device, a socket, a pipe.
    Other,
}

/// The metadata of a name; a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileInfo {
    pub(super) kind: FileKind,
    /// Size in bytes.
    pub(super) size: u64,
}

/// A file system that can be read.
pub(super) trait FileSystem {
    fn metadata(&self, path: &str) -> FileResult<FileInfo>;

    /// Returns the target of a link.
    fn read_link(&self, path: &str) -> FileResult<String>;

    /// Returns the first names in a directory, at most `max` of them, without `.` and `..`.
    fn list(&self, path: &str, max: usize) -> FileResult<Vec<(String, FileKind)>>;

    fn open(&self, path: &str) -> FileResult<Box<dyn Read>>;

    /// Returns the `UUID` of fstab.
    fn uuid(&self) -> String;

    /// Returns the `LABEL` of fstab.
    fn label(&self) -> String;

    /// Returns the free bytes.
    fn free(&self) -> Option<u64>;
}

/// Reads at most `max` bytes.
pub(super) fn read(mut file: impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    file.by_ref().take(max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
