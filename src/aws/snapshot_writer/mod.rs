//! Writes an EBS snapshot block by block, without a bucket and without VM Import: reads the
//! disk in order, sends the blocks with data in parallel, and ends with a snapshot of exactly
//! those bytes, or with a failure and its reason. It depends only on blocks and snapshots, not
//! on a job, a progress bar or a signal, and removes nothing.

mod api;
mod block_log;
mod blocks;
mod checksums;
mod plan;
mod sender;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use api::{EbsClient, EbsError};
pub use block_log::{BlockLog, SavedLog};
pub use blocks::BlockReader;
pub use plan::{Observer, Plan, SendError};

use crate::error::{Error, Result};
use crate::net::retry::RetryPolicy;
use crate::store::ErrorClass;
use crate::transfer::{Bounds, ConcurrencyLimit, ConcurrencyTuner, Line, Pool};
use blocks::{Block, ReadItem};
use checksums::{BlockChecksum, BlockChecksums};
use sender::Sender;

/// A block that takes longer than this shows no progress.
const MAX_BLOCK_TIME: Duration = Duration::from_secs(4);

/// A snapshot to be filled.
pub struct SnapshotUpload {
    /// The service.
    pub client: EbsClient,
    /// The snapshot.
    pub snapshot: String,
    /// When this run started it: for a while not every part of the service knows it.
    pub started: Option<Instant>,
    /// The bytes.
    pub disk: BlockReader,
    /// Bytes of a block.
    pub block_size: usize,
    /// What earlier runs have sent, and where it is written down what this one sends.
    pub log: BlockLog,
    /// How.
    pub plan: Plan,
    /// Who shows it.
    pub observer: Arc<dyn Observer>,
    /// Stop: send no more blocks.
    pub stop: CancellationToken,
    /// Wait no longer for those on their way.
    pub leave: CancellationToken,
}

/// All blocks are there.
#[derive(Debug)]
pub struct SentBlocks {
    /// Bytes that travelled in this run.
    pub uploaded_bytes: u64,
    /// Blocks of the snapshot.
    pub blocks: usize,
    /// The checksum of all of them.
    pub checksum: String,
    /// How long it took.
    pub elapsed: Duration,
}

/// This is what the service has.
#[derive(Debug)]
pub struct SendFailure {
    /// Why.
    pub cause: SendError,
    /// Blocks of the snapshot, those of earlier runs that were met again included.
    pub blocks: usize,
}

/// Sends the blocks. When this returns, none is on its way any more.
pub async fn send(upload: SnapshotUpload) -> Result<SentBlocks, SendFailure> {
    let started = Instant::now();
    let mut tally = Acknowledged {
        log: upload.log,
        checksums: BlockChecksums::new(),
        uploaded: 0,
    };
    let buffers = upload.plan.concurrency + 1;
    let pool = Pool::new(upload.block_size, buffers);
    let width = (!upload.plan.fixed).then_some(Bounds {
        part_size: upload.block_size as u64,
        max_part_time: MAX_BLOCK_TIME,
        default_parts: upload.plan.concurrency,
        max_parts: upload.plan.concurrency,
    });
    let sender = Arc::new(Sender {
        client: upload.client,
        snapshot: upload.snapshot,
        started: upload.started,
        disk: upload.disk.clone(),
        line: Line::new(upload.plan.limit_rate, upload.plan.stall),
        limit: ConcurrencyLimit::new(
            width.map_or(upload.plan.concurrency, |bounds| bounds.initial()),
        ),
        tuner: width.map(|bounds| Mutex::new(ConcurrencyTuner::new(bounds))),
        plan: upload.plan,
        observer: upload.observer,
        stop: upload.stop,
        leave: upload.leave,
    });
    let flight = InFlight {
        sender,
        block_size: upload.block_size as u64,
        blocks: JoinSet::new(),
        acknowledged: &mut tally,
    };
    let flown = match upload.disk.read(Arc::clone(&pool), buffers) {
        Ok(reads) => flight.run(reads).await,
        Err(error) => Err(error.into()),
    };
    // Wakes the reader, however it ended.
    pool.close();
    match flown {
        Ok(()) => Ok(SentBlocks {
            uploaded_bytes: tally.uploaded,
            blocks: tally.checksums.len(),
            checksum: checksums::linear(&tally.checksums),
            elapsed: started.elapsed(),
        }),
        Err(cause) => Err(SendFailure {
            cause,
            blocks: tally.checksums.len().max(tally.log.block_count()),
        }),
    }
}

/// What the service is known to have.
struct Acknowledged {
    log: BlockLog,
    checksums: BlockChecksums,
    uploaded: u64,
}

/// The blocks on their way.
struct InFlight<'a> {
    sender: Arc<Sender>,
    block_size: u64,
    blocks: JoinSet<Result<(u32, BlockChecksum), SendError>>,
    acknowledged: &'a mut Acknowledged,
}

impl InFlight<'_> {
    /// Sends all that is read. Whatever comes, the set is empty then.
    async fn run(mut self, reads: mpsc::Receiver<Result<ReadItem>>) -> Result<(), SendError> {
        let end = self.send_all(reads).await;
        if matches!(end, Err(SendError::Stopped)) {
            self.drain().await;
        }
        self.blocks.shutdown().await;
        end
    }

    async fn send_all(
        &mut self,
        mut reads: mpsc::Receiver<Result<ReadItem>>,
    ) -> Result<(), SendError> {
        let stop = self.sender.stop.clone();
        let most = self.sender.plan.concurrency;
        let line = Arc::clone(&self.sender.line);
        let mut ticks = Line::sample_interval();
        let mut open = true;
        while open || !self.blocks.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(SendError::Stopped),
                Some(result) = self.blocks.join_next() => self.completed(result)?,
                _ = ticks.tick() => self.sender.observer.moved(line.sample()),
                read = reads.recv(), if open && self.blocks.len() < most => match read {
                    Some(Ok(ReadItem::Block(block))) => self.begin(block),
                    Some(Ok(ReadItem::Zeros)) => self.sender.observer.skipped(self.block_size),
                    Some(Err(error)) => return Err(error.into()),
                    None => open = false,
                },
            }
        }
        Ok(())
    }

    fn begin(&mut self, block: Block) {
        if self.acknowledged.log.contains(block.index, &block.checksum) {
            self.acknowledged
                .checksums
                .insert(block.index, block.checksum);
            self.sender.observer.resumed(self.block_size);
        } else {
            self.blocks.spawn(Arc::clone(&self.sender).send(block));
        }
    }

    fn completed(
        &mut self,
        result: Result<Result<(u32, BlockChecksum), SendError>, JoinError>,
    ) -> Result<(), SendError> {
        let broken = |error| Error::failed("a block could not be sent").with_source(error);
        let (index, sum) = result.map_err(broken)??;
        self.acknowledged.log.append(index, &sum);
        self.acknowledged.checksums.insert(index, sum);
        self.acknowledged.uploaded += self.block_size;
        self.sender.observer.acknowledged(self.block_size);
        Ok(())
    }

    /// What lands within the grace need not travel again.
    async fn drain(&mut self) {
        let sender = Arc::clone(&self.sender);
        let draining = async {
            while let Some(result) = self.blocks.join_next().await {
                // The stop is the reason that is reported, whatever else fails now.
                drop(self.completed(result));
            }
        };
        let grace = timeout(sender.plan.grace, draining);
        sender.leave.run_until_cancelled(grace).await;
    }
}

/// How the service took the end of an upload.
#[derive(Debug)]
pub enum Completion {
    /// It makes the snapshot.
    Accepted,
    /// The service rejected the request, but an earlier try without a response may have been
    /// accepted.
    Unknown(EbsError),
    /// It says no.
    Rejected(EbsError),
}

/// CompleteSnapshot: no more blocks; count and checksum must be the service's own.
pub async fn complete(
    client: &EbsClient,
    snapshot: &str,
    sent: &SentBlocks,
    plan: &Plan,
) -> Completion {
    let mut backoff = RetryPolicy::with_retries(Some(plan.retries)).backoff();
    let mut had_no_response = false;
    loop {
        let Err(error) = client.complete(snapshot, sent.blocks, &sent.checksum).await else {
            return Completion::Accepted;
        };
        had_no_response |= error.class == ErrorClass::Transient;
        match backoff.delay_after(error.class) {
            Some(pause) => sleep(pause).await,
            None if had_no_response => return Completion::Unknown(error),
            None => return Completion::Rejected(error),
        }
    }
}
