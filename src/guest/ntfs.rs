//! NTFS, only to tell whether Windows lies on it.

use std::io::{self, Read, Seek, SeekFrom};

use ntfs::structured_values::NtfsIndexRoot;
use ntfs::{Ntfs, NtfsAttribute, NtfsAttributeType, NtfsFile};

use super::disk::Slice;
use super::files::{Miss, Seen};
use super::guard::caught;

/// Bytes that are read and names that are compared at most. Windows and what lies beside it
/// have some hundred names; what is read of an index is kept while it is walked.
const MOST: u64 = 16 << 20;
const NAMES: u32 = 100_000;
/// Bytes of a record, which is read at once; 1 KiB and 4 KiB are usual.
const RECORD: u32 = 64 << 10;
/// Where the boot sector keeps the size of a file record, in clusters if it is positive.
const RECORD_SIZE: usize = 0x40;

/// What a volume shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// `\Windows\System32`.
    Windows,
    /// What starts a Windows that lies on another volume: `\bootmgr`, `\Boot\BCD`.
    BootManager,
    /// Neither.
    Data,
    /// It can't be read.
    Unreadable,
}

/// Looks at the names that every Windows has.
pub(super) fn contents(slice: &Slice) -> Contents {
    let looked = caught(|| look(slice));
    looked.flatten().unwrap_or(Contents::Unreadable)
}

fn look(slice: &Slice) -> Option<Contents> {
    let sector = slice.get::<512>(0)?;
    // A positive size counts clusters, of which one may have megabytes.
    if sector[RECORD_SIZE].cast_signed() > 8 {
        return None;
    }
    let mut disk = Careful {
        slice: slice.whole(),
        left: MOST,
    };
    let ntfs = Ntfs::new(&mut disk).ok()?;
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

/// Whether there is such a path, whatever its letters' case; None where that can't be read.
fn has(ntfs: &Ntfs, disk: &mut Careful, path: &[&str]) -> Option<bool> {
    let mut here = ntfs.root_directory(disk).ok()?;
    for name in path {
        match child(ntfs, disk, &here, name) {
            Ok(next) => here = next,
            Err(Miss::Absent) => return Some(false),
            Err(Miss::Unseen) => return None,
        }
    }
    Some(true)
}

fn child<'n>(
    ntfs: &'n Ntfs,
    disk: &mut Careful,
    parent: &NtfsFile<'n>,
    name: &str,
) -> Seen<NtfsFile<'n>> {
    if !parent.is_directory() {
        return Err(Miss::Absent);
    }
    let record = index_record_size(parent).ok_or(Miss::Unseen)?;
    if record > RECORD {
        return Err(Miss::Unseen);
    }
    let index = parent.directory_index(disk).map_err(|_| Miss::Unseen)?;
    let mut entries = index.entries();
    // The crate's own search does not end where an entry has no length.
    for _ in 0..NAMES {
        let Some(entry) = entries.next(disk) else {
            return Err(Miss::Absent);
        };
        let entry = entry.map_err(|_| Miss::Unseen)?;
        let key = entry.key().and_then(Result::ok).ok_or(Miss::Unseen)?;
        if key.name().to_string_lossy().eq_ignore_ascii_case(name) {
            return entry.to_file(ntfs, disk).map_err(|_| Miss::Unseen);
        }
    }
    Err(Miss::Unseen)
}

/// Bytes of the records of a directory's index, which are read at once.
fn index_record_size(directory: &NtfsFile) -> Option<u32> {
    let is_root = |attribute: &NtfsAttribute| {
        let kind = attribute.ty();
        kind.is_ok_and(|kind| kind == NtfsAttributeType::IndexRoot)
    };
    // Behind an attribute that can't be read the same one comes again and again.
    let mut readable = directory.attributes_raw().map_while(Result::ok);
    let root = readable.find(is_root)?;
    let root = root.resident_structured_value::<NtfsIndexRoot>().ok()?;
    Some(root.index_record_size())
}

/// A partition of which only so many bytes are read: an index that leads back to itself is
/// walked without end.
struct Careful {
    slice: Slice,
    left: u64,
}

impl Read for Careful {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(buffer.len() as u64)
            .ok_or_else(|| io::Error::other("too much of it would have to be read"))?;
        self.slice.read(buffer)
    }
}

impl Seek for Careful {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.slice.seek(to)
    }
}
