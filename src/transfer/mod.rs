//! The upload engine: reads a source in order, sends its parts in parallel, and ends with an
//! object of exactly those bytes, or with a failure that describes what remains at the service.
//! It depends only on a store, a source, a plan, an observer and a stop token, not on a cloud,
//! a progress bar or a signal. It never removes anything: the caller decides whether an
//! unfinished upload is kept for a resume or aborted.

mod begin;
mod buffer_pool;
mod concurrency;
pub mod gzip;
mod line;
mod parts;
mod reader;
mod resume;
mod sender;
mod source;
#[cfg(test)]
mod tests;
mod throttle;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::store::{self, Checksum, Digest, ErrorClass, ExpectedObject, SentPart, Store, UploadId};
use crate::units;
use begin::{Started, Starter};
pub use buffer_pool::{Lease, Pool};
pub use concurrency::{Bounds, ConcurrencyTuner};
pub use line::{Line, LineProgress};
pub use parts::{MAX_CONCURRENCY, Plan, count, plan};
use reader::{Chunk, PartReader, ReadEvent};
use resume::ListedParts;
use sender::PartSender;
pub use sender::RetrySchedule;
pub use source::{UploadSource, source_changed};
pub use throttle::ConcurrencyLimit;

/// Receives the events of an upload, on any thread; must return at once.
pub trait Observer: Send + Sync + 'static {
    /// The service acknowledged a part of this many bytes, which this run sent.
    fn acknowledged(&self, _bytes: u64) {}

    /// Bytes have left since the last call; called a few times per second.
    fn line_progress(&self, _progress: LineProgress) {}

    /// A part of this many bytes was stored already.
    fn resumed(&self, _bytes: u64) {}

    /// A try of a part failed (the first is 1); the next one follows after the delay.
    fn retrying(&self, _part: u32, _attempt: u32, _delay: Duration, _error: &store::Error) {}

    /// The service requested a slower rate: this many parts are in flight for now.
    fn concurrency_reduced(&self, _parts: usize) {}

    /// The service did not complete the upload yet; at most this many retries follow.
    fn complete_retried(&self, _attempts: u32, _error: &store::Error) {}

    /// The upload to continue does not exist any more; a new one is created.
    fn upload_not_found(&self, _upload: &UploadId) {}
}

/// Ignores all events.
impl Observer for () {}

/// Records each request that creates something, before it is sent, so that what it created can
/// be found however this process ends.
pub trait UploadJournal: Send + Sync + 'static {
    /// CreateMultipartUpload is sent next; not called for an upload that is continued.
    fn creating(&self) {}

    /// The service rejected the request: no upload was created.
    fn create_rejected(&self) {}

    /// Parts of this size are sent to this upload. `is_only`: no other upload can have been
    /// created.
    fn created(&self, _upload: &UploadId, _part_size: u64, _is_only: bool) {}

    /// CompleteMultipartUpload is sent next; it creates an object of these parts.
    fn completing(&self, _parts: &[SentPart], _expected: &ExpectedObject) {}

    /// The service rejected the request: it created no object.
    fn complete_rejected(&self) {}
}

/// Records nothing.
impl UploadJournal for () {}

/// An upload and everything that it needs.
pub struct Upload<S> {
    /// The destination.
    pub store: Arc<S>,
    /// The bytes.
    pub source: UploadSource,
    /// Sizes, limits and timeouts.
    pub plan: Plan,
    /// The unfinished upload to continue.
    pub resume: Option<UploadId>,
    /// An earlier run may have created an upload whose ID is not in the journal.
    pub maybe_created: bool,
    /// Part size of the upload to continue, where it is known.
    pub part_size: Option<u64>,
    /// Records the requests.
    pub journal: Arc<dyn UploadJournal>,
    /// Shows the events.
    pub observer: Arc<dyn Observer>,
    /// Stop: start no more parts.
    pub stop: CancellationToken,
    /// Stop at once: do not wait for the parts in flight.
    pub leave: CancellationToken,
}

/// The finished object.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The upload that created it.
    pub upload: UploadId,
    /// Size of the object in bytes.
    pub size: u64,
    /// Bytes that this run sent and the service acknowledged.
    pub uploaded_bytes: u64,
    /// Bytes that were stored by an earlier run.
    pub resumed_bytes: u64,
    /// The CRC of all bytes; `None` for MD5.
    pub digest: Option<Digest>,
    /// SHA-256 in hex, if the plan requests it.
    pub sha256: Option<String>,
    /// The time from the start to the finished object.
    pub elapsed: Duration,
}

/// The reason that there is no object.
#[derive(Debug)]
pub enum Cause {
    /// The stop token was cancelled.
    Stopped,
    /// An operation failed.
    Failed(Error),
}

/// An upload that did not finish, and what remains of it at the service.
#[derive(Debug)]
pub struct Failure {
    /// The reason.
    pub cause: Cause,
    /// The upload whose parts the service keeps, if one was created.
    pub upload: Option<UploadId>,
    /// Parts that the service has, including those of earlier runs that were matched.
    pub parts: u32,
    /// Their size in bytes.
    pub bytes: u64,
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Runs the upload. When this returns, no part is in flight any more.
pub async fn run<S: Store>(job: Upload<S>) -> Result<Sent, Failure> {
    let started = Instant::now();
    let mut totals = Totals::default();
    match upload_all(job, &mut totals).await {
        Ok((size, digest, sha256, upload)) => Ok(Sent {
            upload,
            size,
            uploaded_bytes: totals.uploaded,
            resumed_bytes: totals.resumed,
            digest,
            sha256,
            elapsed: started.elapsed(),
        }),
        Err(cause) => Err(Failure {
            cause,
            parts: u32::try_from(totals.parts.len()).unwrap_or(u32::MAX),
            bytes: totals.uploaded + totals.resumed,
            upload: totals.upload,
        }),
    }
}

/// What the service is known to have.
#[derive(Default)]
struct Totals {
    upload: Option<UploadId>,
    parts: Vec<SentPart>,
    uploaded: u64,
    resumed: u64,
}

impl Totals {
    /// Sorts the parts, and returns the digest of the whole object.
    fn expected_object(&mut self, checksum: Checksum, size: u64) -> ExpectedObject {
        self.parts.sort_by_key(|part| part.number);
        ExpectedObject {
            size,
            digest: checksum.combine(self.parts.iter().map(|part| (part.digest, part.size))),
        }
    }
}

type UploadResult = (u64, Option<Digest>, Option<String>, UploadId);

async fn upload_all<S: Store>(job: Upload<S>, totals: &mut Totals) -> Result<UploadResult, Cause> {
    let Upload {
        store,
        source,
        plan,
        resume,
        maybe_created: unnoted,
        part_size,
        journal: notes,
        observer,
        stop,
        leave,
    } = job;
    let limits = store.limits();
    let (size, origin, watched) = (
        source.size(),
        source.rereadable_file(),
        source.source_file(),
    );
    let opening = Starter {
        store: &*store,
        origin: origin.clone(),
        plan: &plan,
        existing_part_size: part_size.unwrap_or(plan.part_size),
        maybe_created: unnoted,
        journal: &*notes,
        observer: &*observer,
        stop: &stop,
        leave: &leave,
    };
    let (upload, listed) = match opening.start(resume, totals).await? {
        Started::Upload(upload, listed) => (upload, listed),
        Started::Object(upload, made) => {
            return Ok((made.size, Some(made.digest), made.sha256, upload));
        }
    };
    let plan = size.map_or(plan.clone(), |size| {
        resume::continue_plan(plan, &listed, size, limits)
    });
    let total = size.map(|size| count(size, plan.part_size));

    let max = plan.max_concurrency.unwrap_or(plan.concurrency);
    let buffers = plan.concurrency + 1;
    // A small image needs no large buffers. One byte more than the image, so that its end is
    // detected.
    let buffer = plan.part_size.min(size.map_or(u64::MAX, |size| size + 1));
    let pool = Pool::new(usize::try_from(buffer).unwrap_or(usize::MAX), buffers);
    let (checksum, max_parts, sha256) = (store.checksum(), limits.max_parts, plan.sha256);
    let reads = PartReader {
        source,
        pool: Arc::clone(&pool),
        checksum,
        max_parts,
        sha256,
    }
    .start(max + 1)?;
    let _closed = CloseOnDrop(Arc::clone(&pool));

    let width = plan.max_concurrency.map(|max| Bounds {
        part_size: plan.part_size,
        max_part_time: parts::MAX_PART_TIME,
        default_parts: plan.concurrency,
        max_parts: max,
    });
    let sender = Arc::new(PartSender {
        store: Arc::clone(&store),
        upload: upload.clone(),
        total,
        file: origin,
        line: Line::new(plan.limit_rate, plan.stall),
        limit: ConcurrencyLimit::new(width.map_or(plan.concurrency, |bounds| bounds.initial())),
        tuner: width.map(|bounds| Mutex::new(ConcurrencyTuner::new(bounds))),
        pool,
        observer,
        stop: stop.clone(),
        leave: leave.clone(),
        plan,
    });
    let (size, sha256) = InFlight {
        sender: Arc::clone(&sender),
        listed: ListedParts::new(listed),
        parts: JoinSet::new(),
        totals,
    }
    .run(reads)
    .await?;

    if let Some(origin) = watched {
        origin.check_unchanged()?;
    }
    let expected = totals.expected_object(checksum, size);
    notes.completing(&totals.parts, &expected);
    let finishing = complete_upload(&sender, &*notes, &totals.parts, &expected);
    within_grace(&stop, &leave, sender.plan.grace, finishing)
        .await
        .ok_or(Cause::Stopped)??;
    Ok((size, expected.digest, sha256, upload))
}

/// Closes the pool when the upload ends, which wakes the reader.
struct CloseOnDrop(Arc<Pool>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Returns the result of `work`; `None` if a stop came and the grace period is over.
async fn within_grace<T>(
    stop: &CancellationToken,
    leave: &CancellationToken,
    grace: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let too_late = async {
        stop.cancelled().await;
        leave.run_until_cancelled(sleep(grace)).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = too_late => None,
    }
}

/// The parts in flight.
struct InFlight<'a, S: Store> {
    sender: Arc<PartSender<S>>,
    listed: ListedParts,
    parts: JoinSet<Result<SentPart>>,
    totals: &'a mut Totals,
}

impl<S: Store> InFlight<'_, S> {
    /// Sends all parts, and returns the size and the SHA-256 of the source. No part is in
    /// flight afterwards, whatever the result.
    async fn run(
        mut self,
        reads: mpsc::Receiver<Result<ReadEvent>>,
    ) -> Result<(u64, Option<String>), Cause> {
        let end = self.send_all(reads).await;
        if matches!(end, Err(Cause::Stopped)) {
            self.drain().await;
        }
        self.parts.shutdown().await;
        end
    }

    async fn send_all(
        &mut self,
        mut reads: mpsc::Receiver<Result<ReadEvent>>,
    ) -> Result<(u64, Option<String>), Cause> {
        let stop = self.sender.stop.clone();
        let plan = &self.sender.plan;
        let max = plan.max_concurrency.unwrap_or(plan.concurrency);
        let line = Arc::clone(&self.sender.line);
        let mut looks = Line::sample_interval();
        let mut end = None;
        while end.is_none() || !self.parts.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Cause::Stopped),
                Some(landed) = self.parts.join_next() => self.completed(landed)?,
                _ = looks.tick() => self.sender.observer.line_progress(line.sample()),
                read = reads.recv(), if end.is_none() && self.parts.len() < max => match read {
                    Some(Ok(ReadEvent::Part(chunk))) => self.start_part(chunk),
                    Some(Ok(ReadEvent::End { size, sha256 })) => end = Some((size, sha256)),
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(Error::failed("the image could not be read to its end").into()),
                },
            }
        }
        end.ok_or_else(|| Error::failed("the image could not be read to its end").into())
    }

    fn start_part(&mut self, chunk: Chunk) {
        if let Some(part) = self.listed.matching_part(&chunk) {
            self.totals.resumed += part.size;
            self.sender.observer.resumed(part.size);
            self.totals.parts.push(part);
        } else {
            self.parts.spawn(Arc::clone(&self.sender).send(chunk));
        }
    }

    fn completed(&mut self, result: Result<Result<SentPart>, JoinError>) -> Result<()> {
        let part = match result {
            Ok(sent) => sent?,
            Err(broken) => {
                return Err(Error::failed("a part could not be sent").with_source(broken));
            }
        };
        self.totals.uploaded += part.size;
        self.sender.observer.acknowledged(part.size);
        self.totals.parts.push(part);
        Ok(())
    }

    /// Waits for the parts in flight within the grace period, so that the next run need not
    /// send them again.
    async fn drain(&mut self) {
        let sender = Arc::clone(&self.sender);
        let landing = async {
            while let Some(result) = self.parts.join_next().await {
                // The reported reason is the stop, whatever else fails now.
                drop(self.completed(result));
            }
        };
        within_grace(&sender.stop, &sender.leave, sender.plan.grace, landing).await;
    }
}

/// Completes the upload; a busy service is retried.
async fn complete_upload<S: Store>(
    sender: &PartSender<S>,
    journal: &dyn UploadJournal,
    parts: &[SentPart],
    expected: &ExpectedObject,
) -> Result<()> {
    let (mut schedule, mut unclear) = (RetrySchedule::new(sender.plan.retries), false);
    for attempt in 1.. {
        let Err(failure) = sender.store.complete(&sender.upload, parts, expected).await else {
            return Ok(());
        };
        unclear |= failure.is_unknown_outcome();
        let class = if failure.class() == ErrorClass::ChecksumMismatch {
            ErrorClass::Permanent
        } else {
            failure.class()
        };
        let Some(delay) = schedule.delay_after(class) else {
            if !unclear {
                journal.complete_rejected();
            }
            let parts = units::pluralize(parts.len() as u64, "part");
            let message = format!("the object could not be made of its {parts}");
            return Err(Error::failed(message).with_source(failure));
        };
        if attempt == 1 {
            sender
                .observer
                .complete_retried(sender.plan.retries, &failure);
        }
        sleep(delay).await;
    }
    Err(Error::failed("no more tries"))
}

/// Returns the uploads of the store's key that have no part, the newest first: a run whose
/// CreateMultipartUpload had no response has sent none.
pub async fn uploads_without_parts<S: Store>(store: &S) -> store::Result<Vec<UploadId>> {
    let mut empty = Vec::new();
    for upload in store.open_uploads().await? {
        if store
            .list_parts(&upload)
            .await?
            .is_some_and(|parts| parts.is_empty())
        {
            empty.push(upload);
        }
    }
    Ok(empty)
}
