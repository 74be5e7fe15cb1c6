//! What a reader of a file system has to give: one trait for all of them. Paths are absolute
//! in their file system and lead through no links; links are followed in `tree`, for they may
//! lead into another file system.

use std::io::{self, Read};

/// Why a look at a path shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// There is nothing by that name.
    Absent,
    /// It could not be read.
    Unseen,
}

pub(super) type Seen<T> = Result<T, Miss>;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    /// A device, a socket, a pipe.
    Other,
}

/// What a file system knows of a name, which is not followed if it is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) kind: Kind,
    /// Bytes.
    pub(super) size: u64,
}

/// A file system that can be read.
pub(super) trait Files {
    fn about(&self, path: &str) -> Seen<About>;

    /// Where a link leads.
    fn link(&self, path: &str) -> Seen<String>;

    /// The first names in a directory, at most `most` of them, without `.` and `..`.
    fn names(&self, path: &str, most: usize) -> Seen<Vec<(String, Kind)>>;

    fn open(&self, path: &str) -> Seen<Box<dyn Read>>;

    /// As in `UUID=`.
    fn uuid(&self) -> String;

    /// As in `LABEL=`.
    fn label(&self) -> String;

    /// Free bytes.
    fn free(&self) -> Option<u64>;
}

/// Reads at most `most` bytes.
pub(super) fn read(mut file: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    file.by_ref().take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
