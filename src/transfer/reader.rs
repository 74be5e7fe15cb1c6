//! The reading side: one thread that fills buffers in order and computes the digest while the
//! bytes are in the processor's cache. It is a thread and not a task because a read from a pipe
//! may never return, and nothing should have to wait for it.

use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::buffer_pool::{Lease, Pool};
use super::source::UploadSource;
use crate::error::{Error, Result};
use crate::store::{Checksum, Digest, Hasher};

/// Bytes that are read and hashed at a time; they fit a core's cache.
const READ_SIZE: usize = 256 << 10;

/// A part that was read. The bytes are dropped before the lease, so that the next reader finds
/// the buffer in the pool.
pub(super) struct Chunk {
    pub(super) number: u32,
    pub(super) offset: u64,
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
    _lease: Lease,
}

/// An event of the reader thread.
pub(super) enum ReadEvent {
    Part(Chunk),
    End { size: u64, sha256: Option<String> },
}

pub(super) struct PartReader {
    pub(super) source: UploadSource,
    pub(super) pool: Arc<Pool>,
    pub(super) checksum: Checksum,
    pub(super) max_parts: u32,
    pub(super) sha256: bool,
}

impl PartReader {
    /// Starts the reader thread. The channel holds at most as many parts as there are buffers.
    pub(super) fn start(self, buffers: usize) -> Result<mpsc::Receiver<Result<ReadEvent>>> {
        let (sender, receiver) = mpsc::channel(buffers);
        let read = move || {
            if let Err(error) = self.read_all(&sender) {
                // This fails only when the receiver is gone, and then the error is not needed.
                drop(sender.blocking_send(Err(error)));
            }
        };
        let spawned = thread::Builder::new().name("read".to_owned()).spawn(read);
        spawned.map_err(|error| Error::failed("the image cannot be read").with_source(error))?;
        Ok(receiver)
    }

    fn read_all(mut self, sender: &mpsc::Sender<Result<ReadEvent>>) -> Result<()> {
        let mut sha256 = self.sha256.then(Sha256::new);
        let mut offset = 0;
        for number in 1.. {
            let Some((buffer, lease)) = self.pool.take()? else {
                return Ok(());
            };
            let full = buffer.len();
            let (buffer, len, digest) = self.fill(buffer, offset, sha256.as_mut())?;
            if len > 0 || number == 1 {
                self.check_part_count(number)?;
                let bytes = lease.share(buffer, len);
                if sender
                    .blocking_send(Ok(ReadEvent::Part(Chunk {
                        number,
                        offset,
                        bytes,
                        digest,
                        _lease: lease,
                    })))
                    .is_err()
                {
                    return Ok(());
                }
            }
            offset += len as u64;
            if len < full {
                break;
            }
        }
        let sha256 = sha256.map(|hasher| hex::encode(hasher.finalize()));
        drop(sender.blocking_send(Ok(ReadEvent::End {
            size: offset,
            sha256,
        })));
        Ok(())
    }

    /// Fills the buffer as far as there are bytes.
    fn fill(
        &mut self,
        mut buffer: Vec<u8>,
        offset: u64,
        mut sha256: Option<&mut Sha256>,
    ) -> Result<(Vec<u8>, usize, Digest)> {
        let mut hasher = Hasher::new(self.checksum);
        let mut len = 0;
        while len < buffer.len() {
            let end = buffer.len().min(len + READ_SIZE);
            let read = self
                .source
                .read(offset + len as u64, &mut buffer[len..end])?;
            if read == 0 {
                break;
            }
            let fresh = &buffer[len..len + read];
            hasher.update(fresh);
            if let Some(sha256) = &mut sha256 {
                sha256.update(fresh);
            }
            len += read;
        }
        Ok((buffer, len, hasher.finish()))
    }

    fn check_part_count(&self, number: u32) -> Result<()> {
        if number <= self.max_parts {
            return Ok(());
        }
        let message = format!(
            "the stream is longer than {} parts, the most that the service takes",
            self.max_parts
        );
        Err(Error::failed(message).hint("give a larger --part-size"))
    }
}
