//! An EBS snapshot written block by block, without a bucket and without VM Import: reads
//! the disk in order, sends the blocks that hold data in parallel, and ends with a
//! snapshot of exactly those bytes or with a failure that says why there is none.
//! Knows blocks and snapshots, no job, no bars and no signals; removes nothing by itself.

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

pub use api::{Direct, Trouble};
pub use block_log::{Found, Log};
pub use blocks::Disk;
pub use plan::{Cause, Observer, Plan};

use crate::error::{Error, Result};
use crate::store::Class;
use crate::transfer::{Bounds, Line, Patience, Pool, Width, Window};
use blocks::{Block, Read};
use checksums::{Sum, Sums};
use sender::Sender;

/// A block that takes longer than this shows no progress.
const LONGEST: Duration = Duration::from_secs(4);

/// A snapshot to be filled.
pub struct Upload {
    /// The service.
    pub direct: Direct,
    /// The snapshot.
    pub snapshot: String,
    /// When this run started it: for a while not every part of the service knows it.
    pub started: Option<Instant>,
    /// The bytes.
    pub disk: Disk,
    /// Bytes of a block.
    pub block_size: usize,
    /// What earlier runs have sent, and where it is written down what this one sends.
    pub log: Log,
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
pub struct Sent {
    /// Bytes that travelled in this run.
    pub uploaded_bytes: u64,
    /// Blocks of the snapshot.
    pub blocks: usize,
    /// The checksum of all of them.
    pub sum: String,
    /// How long it took.
    pub elapsed: Duration,
}

/// This is what the service has.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// Blocks of the snapshot, those of earlier runs that were met again included.
    pub blocks: usize,
}

/// Sends the blocks. When this returns, none is on its way any more.
pub async fn send(upload: Upload) -> Result<Sent, Failure> {
    let began = Instant::now();
    let mut tally = Tally {
        log: upload.log,
        sums: Sums::new(),
        uploaded: 0,
    };
    let buffers = upload.plan.concurrency + 1;
    let pool = Pool::new(upload.block_size, buffers);
    let width = (!upload.plan.fixed).then_some(Bounds {
        part_size: upload.block_size as u64,
        longest: LONGEST,
        plenty: upload.plan.concurrency,
        most: upload.plan.concurrency,
    });
    let sender = Arc::new(Sender {
        direct: upload.direct,
        snapshot: upload.snapshot,
        started: upload.started,
        disk: upload.disk.clone(),
        line: Line::new(upload.plan.limit_rate, upload.plan.stall),
        window: Window::new(width.map_or(upload.plan.concurrency, |bounds| bounds.first())),
        width: width.map(|bounds| Mutex::new(Width::new(bounds))),
        plan: upload.plan,
        observer: upload.observer,
        stop: upload.stop,
        leave: upload.leave,
    });
    let flight = Flight {
        sender,
        block_size: upload.block_size as u64,
        blocks: JoinSet::new(),
        tally: &mut tally,
    };
    let flown = match upload.disk.read(Arc::clone(&pool), buffers) {
        Ok(reads) => flight.fly(reads).await,
        Err(error) => Err(error.into()),
    };
    // Wakes the reader, however it ended.
    pool.close();
    match flown {
        Ok(()) => Ok(Sent {
            uploaded_bytes: tally.uploaded,
            blocks: tally.sums.len(),
            sum: checksums::linear(&tally.sums),
            elapsed: began.elapsed(),
        }),
        Err(cause) => Err(Failure {
            cause,
            blocks: tally.sums.len().max(tally.log.blocks()),
        }),
    }
}

/// What the service is known to have.
struct Tally {
    log: Log,
    sums: Sums,
    uploaded: u64,
}

/// The blocks on their way.
struct Flight<'a> {
    sender: Arc<Sender>,
    block_size: u64,
    blocks: JoinSet<Result<(u32, Sum), Cause>>,
    tally: &'a mut Tally,
}

impl Flight<'_> {
    /// Sends all that is read. Whatever comes, the set is empty then.
    async fn fly(mut self, reads: mpsc::Receiver<Result<Read>>) -> Result<(), Cause> {
        let end = self.send_all(reads).await;
        if matches!(end, Err(Cause::Stopped)) {
            self.land_in_time().await;
        }
        self.blocks.shutdown().await;
        end
    }

    async fn send_all(&mut self, mut reads: mpsc::Receiver<Result<Read>>) -> Result<(), Cause> {
        let stop = self.sender.stop.clone();
        let most = self.sender.plan.concurrency;
        let line = Arc::clone(&self.sender.line);
        let mut looks = Line::looks();
        let mut open = true;
        while open || !self.blocks.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Cause::Stopped),
                Some(landed) = self.blocks.join_next() => self.land(landed)?,
                _ = looks.tick() => self.sender.observer.moved(line.look()),
                read = reads.recv(), if open && self.blocks.len() < most => match read {
                    Some(Ok(Read::Block(block))) => self.begin(block),
                    Some(Ok(Read::Zeros)) => self.sender.observer.skipped(self.block_size),
                    Some(Err(error)) => return Err(error.into()),
                    None => open = false,
                },
            }
        }
        Ok(())
    }

    fn begin(&mut self, block: Block) {
        if self.tally.log.has(block.index, &block.sum) {
            self.tally.sums.insert(block.index, block.sum);
            self.sender.observer.resumed(self.block_size);
        } else {
            self.blocks.spawn(Arc::clone(&self.sender).send(block));
        }
    }

    fn land(&mut self, landed: Result<Result<(u32, Sum), Cause>, JoinError>) -> Result<(), Cause> {
        let broken = |error| Error::failed("a block could not be sent").because(error);
        let (index, sum) = landed.map_err(broken)??;
        self.tally.log.note(index, &sum);
        self.tally.sums.insert(index, sum);
        self.tally.uploaded += self.block_size;
        self.sender.observer.acknowledged(self.block_size);
        Ok(())
    }

    /// What lands within the grace need not travel again.
    async fn land_in_time(&mut self) {
        let sender = Arc::clone(&self.sender);
        let landing = async {
            while let Some(landed) = self.blocks.join_next().await {
                // The stop is the reason that is reported, whatever else fails now.
                drop(self.land(landed));
            }
        };
        let grace = timeout(sender.plan.grace, landing);
        sender.leave.run_until_cancelled(grace).await;
    }
}

/// How the service took the end of an upload.
#[derive(Debug)]
pub enum Sealing {
    /// It makes the snapshot.
    Taken,
    /// It says no, but an earlier try may have been taken unheard.
    Unclear(Trouble),
    /// It says no.
    Refused(Trouble),
}

/// CompleteSnapshot: no more blocks; count and checksum must be the service's own.
pub async fn seal(direct: &Direct, snapshot: &str, sent: &Sent, plan: &Plan) -> Sealing {
    let mut patience = Patience::new(plan.retries);
    let mut unheard = false;
    loop {
        let Err(trouble) = direct.complete(snapshot, sent.blocks, &sent.sum).await else {
            return Sealing::Taken;
        };
        unheard |= trouble.class == Class::Transient;
        match patience.after(trouble.class) {
            Some(pause) => sleep(pause).await,
            None if unheard => return Sealing::Unclear(trouble),
            None => return Sealing::Refused(trouble),
        }
    }
}
