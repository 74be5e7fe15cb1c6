//! NTFS, only to detect whether Windows is on it.

use std::io::{self, Read, Seek, SeekFrom};

use ntfs::structured_values::NtfsIndexRoot;
use ntfs::{Ntfs, NtfsAttribute, NtfsAttributeType, NtfsFile};

use super::disk::DiskSlice;
use super::files::{FileError, FileResult};
use super::guard::run_caught;

/// The most bytes that are read and the most names that are compared. Windows and the files
/// beside it have some hundred names; an index stays in memory while it is read.
const MAX_READ: u64 = 16 << 20;
const MAX_NAMES: u32 = 100_000;
/// The largest record in bytes, which is read at once; 1 KiB and 4 KiB are usual.
const RECORD: u32 = 64 << 10;
/// Offset in the boot sector of the size of a file record, in clusters if it is positive.
const RECORD_SIZE: usize = 0x40;

/// The content of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// `\Windows\System32`.
    Windows,
    /// The boot loader of a Windows on another volume: `\bootmgr`, `\Boot\BCD`.
    BootManager,
    /// Neither.
    Data,
    /// The volume cannot be read.
    Unreadable,
}

/// Searches for the names that every Windows has.
pub(super) fn contents(slice: &DiskSlice) -> Contents {
    let looked = run_caught(|| inspect(slice));
    looked.flatten().unwrap_or(Contents::Unreadable)
}

fn inspect(slice: &DiskSlice) -> Option<Contents> {
    let sector = slice.read_array::<512>(0)?;
    // A positive size counts clusters, each of which may have megabytes.
    if sector[RECORD_SIZE].cast_signed() > 8 {
        return None;
    }
    let mut disk = BudgetReader {
        slice: slice.rewound(),
        left: MAX_READ,
    };
    let ntfs = Ntfs::new(&mut disk).ok()?;
    // The crate allocates a record of this size at once.
    if ntfs.file_record_size() > RECORD {
        return None;
    }
    let mut has = |path: &[&str]| has(&ntfs, &mut disk, path);
    Some(if has(&["Windows", "System32"])? {
        Contents::Windows
    } else if has(&["bootmgr"])? || has(&["Boot", "BCD"])? {
        Contents::BootManager
    } else {
        Contents::Data
    })
}

/// Reports whether there is such a path, ignoring case; `None` where that cannot be read.
fn has(ntfs: &Ntfs, disk: &mut BudgetReader, path: &[&str]) -> Option<bool> {
    let mut here = ntfs.root_directory(disk).ok()?;
    for name in path {
        match child(ntfs, disk, &here, name) {
            Ok(next) => here = next,
            Err(FileError::Absent) => return Some(false),
            Err(FileError::Unreadable) => return None,
        }
    }
    Some(true)
}

fn child<'n>(
    ntfs: &'n Ntfs,
    disk: &mut BudgetReader,
    parent: &NtfsFile<'n>,
    name: &str,
) -> FileResult<NtfsFile<'n>> {
    if !parent.is_directory() {
        return Err(FileError::Absent);
    }
    // Checked before the crate allocates it.
    let record = index_record_size(parent).ok_or(FileError::Unreadable)?;
    if record > RECORD {
        return Err(FileError::Unreadable);
    }
    let index = parent
        .directory_index(disk)
        .map_err(|_| FileError::Unreadable)?;
    let mut entries = index.entries();
    // The crate's own search does not end where an entry has no length.
    for _ in 0..MAX_NAMES {
        let Some(entry) = entries.next(disk) else {
            return Err(FileError::Absent);
        };
        let entry = entry.map_err(|_| FileError::Unreadable)?;
        let key = entry
            .key()
            .and_then(Result::ok)
            .ok_or(FileError::Unreadable)?;
        if key.name().to_string_lossy().eq_ignore_ascii_case(name) {
            return entry.to_file(ntfs, disk).map_err(|_| FileError::Unreadable);
        }
    }
    Err(FileError::Unreadable)
}

/// Returns the size of the records of a directory's index, which are read at once.
fn index_record_size(directory: &NtfsFile) -> Option<u32> {
    let is_root = |attribute: &NtfsAttribute| {
        let kind = attribute.ty();
        kind.is_ok_and(|kind| kind == NtfsAttributeType::IndexRoot)
    };
    // After an unreadable attribute the iterator returns the same error without end.
    let mut readable = directory.attributes_raw().map_while(Result::ok);
    let root = readable.find(is_root)?;
    let root = root.resident_structured_value::<NtfsIndexRoot>().ok()?;
    Some(root.index_record_size())
}

/// A partition with a limit on the bytes that are read: an index with a loop would be read
/// without end.
struct BudgetReader {
    slice: DiskSlice,
    left: u64,
}

impl Read for BudgetReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(buffer.len() as u64)
            .ok_or_else(|| io::Error::other("too much of it would have to be read"))?;
        self.slice.read(buffer)
    }
}

impl Seek for BudgetReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.slice.seek(to)
    }
}
