//! Which blocks of an unfinished snapshot were acknowledged. The service lists the blocks
//! of completed snapshots alone, so each one is written down here with its checksum: a
//! later run sends it again unless the local bytes still have that checksum. What is not
//! true of the list comes out at the end, when the service compares count and checksum.
//!
//! The file has a line that names the snapshot and its block size, then 36 bytes a
//! block: index and checksum. It is only ever added to; a torn end is cut off.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::checksums::{BlockChecksum, BlockChecksums, LEN};

const RECORD_LEN: usize = size_of::<u32>() + LEN;

/// Longer than any first line.
const MAX_HEADER_LEN: usize = 128;

/// The log of one snapshot.
#[derive(Debug, Default)]
pub struct BlockLog {
    file: Option<File>,
    /// What earlier runs have sent.
    saved: BlockChecksums,
}

/// What a log says of its snapshot.
#[derive(Debug)]
pub struct SavedLog {
    /// The snapshot.
    pub snapshot: String,
    /// Bytes of its blocks.
    pub block_size: usize,
    /// The log, to be gone on with.
    pub log: BlockLog,
}

impl BlockLog {
    /// Begins the log of a new snapshot. Without a place for it, or on a full disk, the
    /// next run can't go on; this one can.
    pub fn begin(path: Option<PathBuf>, snapshot: &str, block_size: usize) -> Self {
        let created = path.map(|path| {
            let mut file = File::create(path)?;
            file.write_all(format!("{snapshot} {block_size}\n").as_bytes())?;
            std::io::Result::Ok(file)
        });
        let file = created.and_then(|created| created.inspect_err(warn_unwritable).ok());
        Self {
            file,
            saved: BlockChecksums::new(),
        }
    }

    /// Reads the log of an earlier run.
    pub fn read(path: &Path) -> Option<SavedLog> {
        let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let end = bytes
            .iter()
            .take(MAX_HEADER_LEN)
            .position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(&bytes[..end]).ok()?;
        let (snapshot, block_size) = line.split_once(' ')?;
        let block_size = block_size.parse().ok().filter(|size| *size > 0)?;
        let records = bytes[end + 1..].chunks_exact(RECORD_LEN);
        let valid_len = bytes.len() - records.remainder().len();
        file.set_len(valid_len as u64).ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(SavedLog {
            snapshot: snapshot.to_owned(),
            block_size,
            log: Self {
                file: Some(file),
                saved: records.filter_map(parse_record).collect(),
            },
        })
    }

    /// Whether an earlier run has sent this block with these bytes.
    pub fn contains(&self, index: u32, checksum: &BlockChecksum) -> bool {
        self.saved.get(&index) == Some(checksum)
    }

    /// How many blocks earlier runs have sent.
    pub fn block_count(&self) -> usize {
        self.saved.len()
    }

    /// The service has acknowledged a block.
    pub fn append(&mut self, index: u32, checksum: &BlockChecksum) {
        let Some(file) = &mut self.file else { return };
        let mut record = [0; RECORD_LEN];
        let (number, digest) = record.split_at_mut(size_of::<u32>());
        number.copy_from_slice(&index.to_le_bytes());
        digest.copy_from_slice(checksum.bytes());
        if let Err(error) = file.write_all(&record) {
            warn_unwritable(&error);
            self.file = None;
        }
    }
}

fn parse_record(bytes: &[u8]) -> Option<(u32, BlockChecksum)> {
    let (number, digest) = bytes.split_first_chunk()?;
    let digest: [u8; LEN] = digest.try_into().ok()?;
    Some((u32::from_le_bytes(*number), digest.into()))
}

fn warn_unwritable(error: &std::io::Error) {
    tracing::warn!("the list of blocks can't be written, this upload can't be continued: {error}");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_appends_to_an_existing_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.blocks");
        let mut log = BlockLog::begin(Some(path.clone()), "snap-1", 512);
        log.append(7, &BlockChecksum::compute(b"seven"));
        drop(log);
        // A power cut in the middle of a record.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[9; 20]).unwrap();
        let found = BlockLog::read(&path).unwrap();
        assert_eq!((found.snapshot.as_str(), found.block_size), ("snap-1", 512));
        let mut log = found.log;
        assert!(
            log.contains(7, &BlockChecksum::compute(b"seven"))
                && !log.contains(7, &BlockChecksum::compute(b"another"))
        );
        log.append(9, &BlockChecksum::compute(b"nine"));
        let log = BlockLog::read(&path).unwrap().log;
        assert!(
            log.contains(7, &BlockChecksum::compute(b"seven"))
                && log.contains(9, &BlockChecksum::compute(b"nine"))
        );
        assert_eq!(log.block_count(), 2);
    }

    proptest! {
        /// Whatever lies there, it is read or refused, and never believed of other bytes.
        #[test]
        fn arbitrary_bytes_are_rejected_or_empty(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("job.blocks");
            for head in [&b""[..], b"snap-1 512\n"] {
                std::fs::write(&path, [head, &bytes].concat()).unwrap();
                if let Some(found) = BlockLog::read(&path) {
                    prop_assert!(!found.log.contains(0, &BlockChecksum::compute(b"local bytes")));
                }
            }
        }
    }
}
