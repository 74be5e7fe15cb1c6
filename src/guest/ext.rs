//! ext2, ext3 and ext4. A file system that was not unmounted has changes in its journal; where
//! the journal cannot be read it is ignored, and the files are read as stored on the disk.

use std::error::Error;
use std::io::{self, Read};

use crc_fast::CrcAlgorithm::Crc32Iscsi;
use ext4_view::{Ext4, Ext4Error, Ext4Read, FileType};

use super::disk::DiskSlice;
use super::files::{FileError, FileInfo, FileKind, FileResult, FileSystem};
use super::guard::run_caught;

/// Offset of the superblock, and of its fields (Linux, Documentation/filesystems/ext4).
const SUPERBLOCK_OFFSET: u64 = 1024;
const SUPERBLOCK_SIZE: usize = 1024;
const BLOCKS: usize = 0x04;
const FREE_BLOCKS: usize = 0x0c;
const LOG_BLOCK_SIZE: usize = 0x18;
const BLOCKS_PER_GROUP: usize = 0x20;
const INODE_SIZE: usize = 0x58;
const INCOMPATIBLE: usize = 0x60;
const READ_ONLY_COMPATIBLE: usize = 0x64;
const BLOCKS_HIGH: usize = 0x150;
const FREE_BLOCKS_HIGH: usize = 0x158;
const CHECKSUM: usize = 0x3fc;

/// INCOMPAT_RECOVER: the journal contains changes.
const RECOVER: u32 = 0x4;
const WIDE: u32 = 0x80;
/// INCOMPAT_MMP and INCOMPAT_EA_INODE concern only writers and extended attributes.
const IRRELEVANT: u32 = 0x100 | 0x400;
/// RO_COMPAT_METADATA_CSUM.
const CHECKSUMS: u32 = 0x400;
/// Smaller inodes have half a checksum, which the library that reads their files does not
/// support.
const INODE_WITH_CHECKSUM: u32 = 132;

/// mke2fs creates no smaller group; a descriptor of each is kept in memory.
const SMALLEST_GROUP: u32 = 256;

/// A file system that can be read.
pub(super) struct ExtFileSystem {
    files: Ext4,
    free: Option<u64>,
}

/// Opens the file system; also returns whether its journal was ignored. The error describes why
/// it cannot be read.
pub(super) fn open(slice: &DiskSlice) -> Result<(ExtFileSystem, bool), String> {
    let superblock = Superblock::read(slice).ok_or("its superblock can't be read")?;
    // The library allocates memory by these numbers before it reads anything else.
    if !superblock.is_possible(slice.size()) {
        return Err("it claims to be larger than its partition".to_owned());
    }
    if superblock.has_checksums() && superblock.0[CHECKSUM..] != superblock.checksum() {
        return Err("the checksum of its superblock is wrong".to_owned());
    }
    let free = superblock.free();
    let load = |without: u32| {
        let view = ReplacedSuperblock {
            slice: slice.rewound(),
            superblock: superblock.without_features(without),
        };
        // The library may panic on some damaged structures.
        let loaded = run_caught(|| Ext4::load(Box::new(view)));
        match loaded {
            Some(Ok(files)) => Ok(ExtFileSystem { files, free }),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("it is damaged".to_owned()),
        }
    };
    match load(IRRELEVANT) {
        Ok(files) => Ok((files, false)),
        Err(error) if superblock.word(INCOMPATIBLE) & RECOVER == 0 => Err(error),
        // Without its journal, the file system lacks only what was written last.
        Err(_) => load(IRRELEVANT | RECOVER).map(|files| (files, true)),
    }
}

/// The superblock.
#[derive(Clone)]
struct Superblock([u8; SUPERBLOCK_SIZE]);

impl Superblock {
    fn read(slice: &DiskSlice) -> Option<Self> {
        slice.read_array(SUPERBLOCK_OFFSET).map(Self)
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = self.0[at..].first_chunk().copied();
        u32::from_le_bytes(bytes.unwrap_or_default())
    }

    /// Returns a number whose upper half counts only in file systems of 64 bits.
    fn wide(&self, low: usize, high: usize) -> u64 {
        let wide = self.word(INCOMPATIBLE) & WIDE != 0;
        let high = if wide { self.word(high) } else { 0 };
        u64::from(high) << 32 | u64::from(self.word(low))
    }

    fn block_size(&self) -> Option<u64> {
        1024_u64.checked_shl(self.word(LOG_BLOCK_SIZE).min(63))
    }

    /// Reports whether its numbers fit a partition of this size in bytes: the library allocates
    /// memory by them.
    fn is_possible(&self, partition: u64) -> bool {
        let bytes = self
            .block_size()
            .and_then(|size| size.checked_mul(self.wide(BLOCKS, BLOCKS_HIGH)));
        bytes.is_some_and(|bytes| bytes <= partition)
            && self.word(BLOCKS_PER_GROUP) >= SMALLEST_GROUP
    }

    /// Returns the free bytes.
    fn free(&self) -> Option<u64> {
        self.wide(FREE_BLOCKS, FREE_BLOCKS_HIGH)
            .checked_mul(self.block_size()?)
    }

    fn checksum(&self) -> [u8; 4] {
        let sum = crc_fast::checksum(Crc32Iscsi, &self.0[..CHECKSUM]);
        // Stored without the inversion at the end.
        let sum = u32::try_from(sum).unwrap_or_default();
        (!sum).to_le_bytes()
    }

    fn has_checksums(&self) -> bool {
        self.word(READ_ONLY_COMPATIBLE) & CHECKSUMS != 0
    }

    /// Returns the superblock without these incompatible features, and without checksums where
    /// they cannot be compared.
    fn without_features(&self, features: u32) -> Self {
        let mut changed = self.clone();
        changed.clear(INCOMPATIBLE, features);
        if self.word(INODE_SIZE) & 0xffff < INODE_WITH_CHECKSUM {
            changed.clear(READ_ONLY_COMPATIBLE, CHECKSUMS);
        }
        // The library verifies the checksum of what it reads.
        let sum = changed.checksum();
        changed.0[CHECKSUM..].copy_from_slice(&sum);
        changed
    }

    fn clear(&mut self, at: usize, features: u32) {
        let left = self.word(at) & !features;
        self.0[at..at + 4].copy_from_slice(&left.to_le_bytes());
    }
}

/// The partition with another superblock.
struct ReplacedSuperblock {
    slice: DiskSlice,
    superblock: Superblock,
}

impl Ext4Read for ReplacedSuperblock {
    fn read(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.slice.read_at(buffer, at)?;
        let end = at + buffer.len() as u64;
        let (from, to) = (
            at.max(SUPERBLOCK_OFFSET),
            end.min(SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE as u64),
        );
        if from < to {
            let offset = |from: u64, base: u64| usize::try_from(from - base);
            let changed = &self.superblock.0
                [offset(from, SUPERBLOCK_OFFSET)?..offset(to, SUPERBLOCK_OFFSET)?];
            buffer[offset(from, at)?..offset(to, at)?].copy_from_slice(changed);
        }
        Ok(())
    }
}

fn to_file_error(error: &Ext4Error) -> FileError {
    match error {
        Ext4Error::NotFound | Ext4Error::NotADirectory | Ext4Error::IsADirectory => {
            FileError::Absent
        }
        _ => FileError::Unreadable,
    }
}

fn to_file_kind(found: FileType) -> FileKind {
    match found {
        FileType::Regular => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Other,
    }
}

impl FileSystem for ExtFileSystem {
    fn metadata(&self, path: &str) -> FileResult<FileInfo> {
        let about = self.files.symlink_metadata(path);
        let about = about.map_err(|error| to_file_error(&error))?;
        Ok(FileInfo {
            kind: to_file_kind(about.file_type()),
            size: about.len(),
        })
    }

    fn read_link(&self, path: &str) -> FileResult<String> {
        let target = self.files.read_link(path);
        target
            .map(|target| target.display().to_string())
            .map_err(|error| to_file_error(&error))
    }

    fn list(&self, path: &str, max: usize) -> FileResult<Vec<(String, FileKind)>> {
        let mut names = vec![];
        let entries = self
            .files
            .read_dir(path)
            .map_err(|error| to_file_error(&error))?;
        for entry in entries.take(max) {
            let entry = entry.map_err(|error| to_file_error(&error))?;
            let name = entry.file_name().display().to_string();
            if name != "." && name != ".." {
                names.push((
                    name,
                    entry.file_type().map_or(FileKind::Other, to_file_kind),
                ));
            }
        }
        Ok(names)
    }

    fn open(&self, path: &str) -> FileResult<Box<dyn Read>> {
        let file = self
            .files
            .open(path)
            .map_err(|error| to_file_error(&error))?;
        Ok(Box::new(Content(file)))
    }

    fn uuid(&self) -> String {
        self.files.uuid().to_string()
    }

    fn label(&self) -> String {
        self.files.label().display().to_string()
    }

    fn free(&self) -> Option<u64> {
        self.free
    }
}

/// A reader of a file.
struct Content(ext4_view::File);

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0
            .read_bytes(buffer)
            .map_err(|error| io::Error::other(error.to_string()))
    }
}
