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

use super::checksums::{LEN, Sum, Sums};

const RECORD: usize = size_of::<u32>() + LEN;

/// Longer than any first line.
const LINE: usize = 128;

/// The log of one snapshot.
#[derive(Debug, Default)]
pub struct Log {
    file: Option<File>,
    /// What earlier runs have sent.
    known: Sums,
}

/// What a log says of its snapshot.
#[derive(Debug)]
pub struct Found {
    /// The snapshot.
    pub snapshot: String,
    /// Bytes of its blocks.
    pub block_size: usize,
    /// The log, to be gone on with.
    pub log: Log,
}

impl Log {
    /// Begins the log of a new snapshot. Without a place for it, or on a full disk, the
    /// next run can't go on; this one can.
    pub fn begin(path: Option<PathBuf>, snapshot: &str, block_size: usize) -> Self {
        let begun = path.map(|path| {
            let mut file = File::create(path)?;
            file.write_all(format!("{snapshot} {block_size}\n").as_bytes())?;
            std::io::Result::Ok(file)
        });
        let file = begun.and_then(|begun| begun.inspect_err(complain).ok());
        Self {
            file,
            known: Sums::new(),
        }
    }

    /// Reads the log of an earlier run.
    pub fn read(path: &Path) -> Option<Found> {
        let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let end = bytes.iter().take(LINE).position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(&bytes[..end]).ok()?;
        let (snapshot, block_size) = line.split_once(' ')?;
        let block_size = block_size.parse().ok().filter(|size| *size > 0)?;
        let records = bytes[end + 1..].chunks_exact(RECORD);
        let whole = bytes.len() - records.remainder().len();
        file.set_len(whole as u64).ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Found {
            snapshot: snapshot.to_owned(),
            block_size,
            log: Self {
                file: Some(file),
                known: records.filter_map(record).collect(),
            },
        })
    }

    /// Whether an earlier run has sent this block with these bytes.
    pub fn has(&self, index: u32, sum: &Sum) -> bool {
        self.known.get(&index) == Some(sum)
    }

    /// How many blocks earlier runs have sent.
    pub fn blocks(&self) -> usize {
        self.known.len()
    }

    /// The service has acknowledged a block.
    pub fn note(&mut self, index: u32, sum: &Sum) {
        let Some(file) = &mut self.file else { return };
        let mut record = [0; RECORD];
        let (number, digest) = record.split_at_mut(size_of::<u32>());
        number.copy_from_slice(&index.to_le_bytes());
        digest.copy_from_slice(sum.bytes());
        if let Err(error) = file.write_all(&record) {
            complain(&error);
            self.file = None;
        }
    }
}

fn record(bytes: &[u8]) -> Option<(u32, Sum)> {
    let (number, digest) = bytes.split_first_chunk()?;
    let digest: [u8; LEN] = digest.try_into().ok()?;
    Some((u32::from_le_bytes(*number), digest.into()))
}

fn complain(error: &std::io::Error) {
    tracing::warn!("the list of blocks can't be written, this upload can't be continued: {error}");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_later_run_finds_what_was_noted_and_adds_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.blocks");
        let mut log = Log::begin(Some(path.clone()), "snap-1", 512);
        log.note(7, &Sum::of(b"seven"));
        drop(log);
        // A power cut in the middle of a record.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[9; 20]).unwrap();
        let found = Log::read(&path).unwrap();
        assert_eq!((found.snapshot.as_str(), found.block_size), ("snap-1", 512));
        let mut log = found.log;
        assert!(log.has(7, &Sum::of(b"seven")) && !log.has(7, &Sum::of(b"another")));
        log.note(9, &Sum::of(b"nine"));
        let log = Log::read(&path).unwrap().log;
        assert!(log.has(7, &Sum::of(b"seven")) && log.has(9, &Sum::of(b"nine")));
        assert_eq!(log.blocks(), 2);
    }

    proptest! {
        /// Whatever lies there, it is read or refused, and never believed of other bytes.
        #[test]
        fn a_foreign_file_is_no_log_or_an_empty_promise(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("job.blocks");
            for head in [&b""[..], b"snap-1 512\n"] {
                std::fs::write(&path, [head, &bytes].concat()).unwrap();
                if let Some(found) = Log::read(&path) {
                    prop_assert!(!found.log.has(0, &Sum::of(b"local bytes")));
                }
            }
        }
    }
}
