//! The settings for sending blocks, the events for the caller, and the reasons for an early
//! end.

use std::time::Duration;

use super::api::EbsError;
use crate::error::{Error, Result};
use crate::transfer::{LineProgress, MAX_CONCURRENCY};

/// Blocks in flight on a line that carries them in time. With some 100 ms for each that is
/// 300 MiB/s, within the 1,000 requests a second that the service takes for one snapshot
/// (EBS user guide, "Quotas").
const CONCURRENCY: usize = 64;

/// How the blocks are to go.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Blocks in flight: from the start when the user said how many, else once measurement
    /// shows that none takes too long. Memory is `(concurrency + 1)` blocks.
    pub concurrency: usize,
    /// Whether the user said how many.
    pub fixed: bool,
    /// Bytes a second, over all blocks together.
    pub limit_rate: Option<u64>,
    /// Tries of a block after its first.
    pub retries: u32,
    /// A block is sent again on a fresh connection when no byte has moved for this long:
    /// some requests are taken and never answered (awslabs/coldsnap#437).
    pub stall: Duration,
    /// After a stop, blocks in flight may land for this long.
    pub grace: Duration,
}

impl Plan {
    /// From what the user said.
    pub fn new(concurrency: Option<u64>, limit_rate: Option<u64>) -> Result<Self> {
        let fixed = concurrency.is_some();
        let concurrency = match concurrency.map(usize::try_from) {
            None => CONCURRENCY,
            Some(Ok(concurrency)) if (1..=MAX_CONCURRENCY).contains(&concurrency) => concurrency,
            Some(_) => {
                return Err(Error::usage("so many blocks can't be in flight")
                    .hint(format!("--concurrency takes 1 to {MAX_CONCURRENCY}")));
            }
        };
        Ok(Self {
            concurrency,
            fixed,
            limit_rate,
            retries: 12,
            stall: Duration::from_secs(15),
            grace: Duration::from_secs(2),
        })
    }
}

/// Hears what happens, on whatever thread it happens; must return at once.
pub trait Observer: Send + Sync + 'static {
    /// The service has acknowledged a block of this many bytes.
    fn acknowledged(&self, bytes: u64);
    /// Bytes have left since the last call; called a few times a second.
    fn moved(&self, moved: LineProgress);
    /// A block was there already.
    fn resumed(&self, bytes: u64);
    /// A block holds zeros and does not travel.
    fn skipped(&self, bytes: u64);
    /// A block's try (from 1) failed; the next follows after `pause`.
    fn retrying(&self, index: u32, attempt: u32, pause: Duration, why: &str);
    /// So many blocks at once for now.
    fn narrowed(&self, blocks: usize);
}

/// Why not all of them are.
#[derive(Debug)]
pub enum SendError {
    /// The stop token was cancelled.
    Stopped,
    /// The service knows no such snapshot, or has given it up.
    NoSuchSnapshot(Box<EbsError>),
    /// Something else failed. Of a refusal the permission is not named yet.
    Rejected(String, Box<EbsError>),
    /// Something on this side failed.
    Failed(Error),
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
