//! The upload engine: reads a source in order, sends its parts in parallel, and ends with an
//! object of exactly those bytes, or with a failure that describes what remains at the service.
//! It depends only on a store, a source, a plan, an observer and a stop token, not on a cloud,
//! a progress bar or a signal. It never removes anything: the caller decides whether an
//! unfinished upload is kept for a resume or aborted.

mod begin;
mod buffer_pool;
mod concurrency;
mod events;
pub mod gzip;
mod in_flight;
mod line;
mod outcome;
mod parts;
mod reader;
mod resume;
mod sender;
mod source;
mod stop;
#[cfg(test)]
mod tests;
mod throttle;

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::net::retry::RetryPolicy;
use crate::store::{Digest, ErrorClass, ExpectedObject, SentPart, Store, UploadId};
use crate::units;
pub use begin::uploads_without_parts;
use begin::{Started, Starter};
pub use buffer_pool::{Lease, Pool};
pub use concurrency::{Bounds, ConcurrencyTuner};
pub use events::{Observer, UploadJournal};
use in_flight::InFlight;
pub use line::{Line, LineProgress};
use outcome::Totals;
pub use outcome::{Cause, Failure, Sent};
pub use parts::{MAX_CONCURRENCY, Plan, count, plan};
use reader::PartReader;
use resume::ListedParts;
use sender::PartSender;
use source::FileSlice;
pub use source::{UploadSource, source_changed};
use stop::within_grace;
pub use throttle::ConcurrencyLimit;

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

type UploadResult = (u64, Option<Digest>, Option<String>, UploadId);

async fn upload_all<S: Store>(job: Upload<S>, totals: &mut Totals) -> Result<UploadResult, Cause> {
    let Upload {
        store,
        source,
        plan,
        resume,
        maybe_created,
        part_size,
        journal,
        observer,
        stop,
        leave,
    } = job;
    let limits = store.limits();
    let (size, file, unchanged) = (
        source.size(),
        source.rereadable_file(),
        source.source_file(),
    );
    let starter = Starter {
        store: &*store,
        origin: file.clone(),
        plan: &plan,
        existing_part_size: part_size.unwrap_or(plan.part_size),
        maybe_created,
        journal: &*journal,
        observer: &*observer,
        stop: &stop,
        leave: &leave,
    };
    let (upload, listed) = match starter.start(resume, totals).await? {
        Started::Upload(upload, listed) => (upload, listed),
        Started::Object(upload, existing) => {
            let (digest, sha256) = (Some(existing.digest), existing.sha256);
            return Ok((existing.size, digest, sha256, upload));
        }
    };
    let plan = size.map_or(plan.clone(), |size| {
        resume::continue_plan(plan, &listed, size, limits)
    });
    let (checksum, pool) = (store.checksum(), new_pool(&plan, size));
    let reads = PartReader {
        source,
        pool: Arc::clone(&pool),
        checksum,
        max_parts: limits.max_parts,
        sha256: plan.sha256,
    }
    .start(plan.max_concurrency.unwrap_or(plan.concurrency) + 1)?;
    // The reader may wait for a buffer that no part returns any more.
    let _closed = CloseOnDrop(Arc::clone(&pool));

    let bounds = bounds(&plan);
    let sender = Arc::new(PartSender {
        store,
        upload: upload.clone(),
        total: size.map(|size| count(size, plan.part_size)),
        file,
        line: Line::new(plan.limit_rate, plan.stall),
        limit: ConcurrencyLimit::new(bounds.map_or(plan.concurrency, |bounds| bounds.initial())),
        tuner: bounds.map(|bounds| Mutex::new(ConcurrencyTuner::new(bounds))),
        pool,
        observer,
        stop,
        leave,
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

    let expected = totals.expected_object(checksum, size);
    complete(&sender, &*journal, unchanged, &totals.parts, &expected).await?;
    Ok((size, expected.digest, sha256, upload))
}

/// Creates the pool of part buffers.
fn new_pool(plan: &Plan, size: Option<u64>) -> Arc<Pool> {
    // A small image needs no large buffers. One byte more than the image, so that its end is
    // detected.
    let buffer = plan.part_size.min(size.map_or(u64::MAX, |size| size + 1));
    let buffer = usize::try_from(buffer).unwrap_or(usize::MAX);
    Pool::new(buffer, plan.concurrency + 1)
}

/// Returns the limits for choosing the number of parts; `None` when the user set the number.
fn bounds(plan: &Plan) -> Option<Bounds> {
    plan.max_concurrency.map(|max| Bounds {
        part_size: plan.part_size,
        max_part_time: parts::MAX_PART_TIME,
        default_parts: plan.concurrency,
        max_parts: max,
    })
}

/// Closes the pool when the upload ends, which wakes the reader.
struct CloseOnDrop(Arc<Pool>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Records and sends CompleteMultipartUpload, unless the grace period after a stop ends first.
async fn complete<S: Store>(
    sender: &PartSender<S>,
    journal: &dyn UploadJournal,
    unchanged: Option<FileSlice>,
    parts: &[SentPart],
    expected: &ExpectedObject,
) -> Result<(), Cause> {
    // The last moment: after CompleteMultipartUpload the object would contain a changed image.
    if let Some(file) = unchanged {
        file.check_unchanged()?;
    }
    journal.completing(parts, expected);
    let work = complete_upload(sender, journal, parts, expected);
    within_grace(&sender.stop, &sender.leave, sender.plan.grace, work)
        .await
        .ok_or(Cause::Stopped)??;
    Ok(())
}

/// Completes the upload; a busy service is retried.
async fn complete_upload<S: Store>(
    sender: &PartSender<S>,
    journal: &dyn UploadJournal,
    parts: &[SentPart],
    expected: &ExpectedObject,
) -> Result<()> {
    // A try with an unknown outcome may have created the object: a later rejection does not
    // prove that there is none.
    let policy = RetryPolicy::with_retries(Some(sender.plan.retries));
    let (mut backoff, mut unclear) = (policy.backoff(), false);
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
        let Some(delay) = backoff.delay_after(class) else {
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
