//! Sends one part until the service has acknowledged it, and decides which failures are
//! retried, after what delay and how often.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::buffer_pool::Pool;
use super::concurrency::ConcurrencyTuner;
use super::events::Observer;
use super::line::Line;
use super::parts::{MAX_PART_TIME, Plan};
use super::reader::Chunk;
use super::source::{FileSlice, source_changed};
use super::throttle::ConcurrencyLimit;
use crate::error::{Error, Result};
use crate::store::{self, ErrorClass, Part, SentPart, Store, UploadId};
use crate::units;

/// The limits of the delay before full jitter, as in AWS's SDKs.
const BACKOFF_LIMITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(20));

/// The delays between tries: exponential, each with full jitter, so that parts that failed
/// together are not sent again together.
pub struct RetrySchedule {
    backoff: ExponentialBackoff,
    is_refreshed: bool,
}

impl RetrySchedule {
    /// Creates a schedule of at most `retries` retries after the first try.
    pub fn new(retries: u32) -> Self {
        let times = usize::try_from(retries).unwrap_or(usize::MAX);
        let backoff = ExponentialBuilder::new()
            .with_min_delay(BACKOFF_LIMITS.0)
            .with_max_delay(BACKOFF_LIMITS.1)
            .with_max_times(times);
        Self {
            backoff: backoff.build(),
            is_refreshed: false,
        }
    }

    /// Returns the delay before the next try; `None` when the failure is permanent or no retry
    /// is left.
    pub fn delay_after(&mut self, class: ErrorClass) -> Option<Duration> {
        // The service may reject a request whose credentials expired while it was sent. The
        // store fetches new credentials for the next try; if those are rejected, too, another
        // try would not help.
        let again =
            class.is_retryable() && !(class == ErrorClass::ExpiredCredentials && self.is_refreshed);
        self.is_refreshed |= class == ErrorClass::ExpiredCredentials;
        let delay = self
            .backoff
            .next()
            .filter(|_| again)?
            .mul_f64(random_fraction());
        match class {
            ErrorClass::Throttled {
                retry_after: Some(requested),
            } => Some(requested + delay),
            _ => Some(delay),
        }
    }
}

/// Returns a random number from 0 to 1; the standard library's hasher keys are random.
fn random_fraction() -> f64 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

/// The state that all parts of an upload share.
pub(super) struct PartSender<S> {
    pub(super) store: Arc<S>,
    pub(super) upload: UploadId,
    pub(super) plan: Plan,
    pub(super) total: Option<u64>,
    pub(super) file: Option<FileSlice>,
    pub(super) line: Arc<Line>,
    pub(super) limit: Arc<ConcurrencyLimit>,
    /// Chooses the number of parts in flight; `None` when the user set it.
    pub(super) tuner: Option<Mutex<ConcurrencyTuner>>,
    pub(super) pool: Arc<Pool>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stop: CancellationToken,
    pub(super) leave: CancellationToken,
}

impl<S: Store> PartSender<S> {
    /// Sends the part until the service has stored it, and reports the first of all failures.
    pub(super) async fn send(self: Arc<Self>, mut chunk: Chunk) -> Result<SentPart> {
        let mut schedule = RetrySchedule::new(self.plan.retries);
        let mut first = None;
        for attempt in 1.. {
            let failure = match self.attempt(&chunk).await {
                Ok(sent) => return Ok(sent),
                Err(failure) => failure,
            };
            let delay = schedule
                .delay_after(failure.class())
                .filter(|_| !self.stop.is_cancelled());
            let Some(delay) = delay else {
                return Err(self.exhausted(&chunk, attempt, first, failure));
            };
            self.report_retry(&chunk, attempt, delay, &failure);
            if failure.class() == ErrorClass::ChecksumMismatch {
                self.reread(&mut chunk).await?;
            }
            first.get_or_insert(failure);
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(delay) => {}
            }
        }
        Err(Error::failed("no more tries"))
    }

    /// Makes one try, and cancels it when it stalls.
    async fn attempt(&self, chunk: &Chunk) -> store::Result<SentPart> {
        let _slot = self.limit.acquire().await;
        let (attempt, began) = (self.line.start_attempt(), Instant::now());
        // The gate is new for every try: bytes of a cancelled connection must not count for
        // this one.
        let part = Part {
            number: chunk.number,
            bytes: chunk.bytes.clone(),
            digest: chunk.digest,
            gate: Some(attempt.gate()),
        };
        let sent = tokio::select! {
            sent = self.store.upload_part(&self.upload, part) => {
                attempt.record_response();
                sent
            }
            () = attempt.stalled() => {
                let silence = format!("no byte moved for {}", units::seconds(self.plan.stall));
                Err(store::Error::no_response(silence))
            }
        };
        match &sent {
            Ok(sent) => self.record_part(sent.size, began.elapsed()),
            // On a slow network a part may never finish in time; with fewer parts in flight
            // each one finishes sooner.
            Err(lost)
                if lost.class() == ErrorClass::Transient && began.elapsed() > MAX_PART_TIME =>
            {
                self.limit.reduce();
            }
            Err(_) => {}
        }
        sent
    }

    fn record_part(&self, bytes: u64, elapsed: Duration) {
        self.limit.part_sent();
        let width = self.tuner.as_ref().map(|width| width.lock());
        let Some(mut width) = width.map(|width| width.unwrap_or_else(PoisonError::into_inner))
        else {
            return;
        };
        if let Some(parts) = width.part_sent(bytes, elapsed) {
            tracing::debug!("{parts} parts at once from now on");
            self.limit.resize(parts);
            // One more buffer than parts in flight, so that the reader can fill it meanwhile.
            self.pool.raise_max(self.plan.concurrency.max(parts) + 1);
        }
    }

    fn report_retry(&self, chunk: &Chunk, attempt: u32, delay: Duration, error: &store::Error) {
        if matches!(error.class(), ErrorClass::Throttled { .. })
            && let Some(parts) = self.limit.reduce()
        {
            self.observer.concurrency_reduced(parts);
        }
        self.observer.retrying(chunk.number, attempt, delay, error);
    }

    /// Reads the part from the file again after the service rejected its checksum: the bytes
    /// were damaged in memory or on the network.
    async fn reread(&self, chunk: &mut Chunk) -> Result<()> {
        let Some(origin) = self.file.clone() else {
            return Ok(());
        };
        let (offset, len, checksum) = (chunk.offset, chunk.bytes.len(), self.store.checksum());
        let read = move || {
            origin
                .reread(offset, len)
                .map(|bytes| (checksum.of(&bytes), bytes))
        };
        let read = tokio::task::spawn_blocking(read).await;
        let (digest, bytes) =
            read.map_err(|error| Error::failed("a part cannot be read again").with_source(error))??;
        if digest != chunk.digest {
            return Err(source_changed(format!(
                "part {} is another one than before",
                chunk.number
            )));
        }
        chunk.bytes = Bytes::from(bytes);
        Ok(())
    }

    fn exhausted(
        &self,
        chunk: &Chunk,
        attempts: u32,
        first: Option<store::Error>,
        last: store::Error,
    ) -> Error {
        let of = self
            .total
            .map(|total| format!(" of {total}"))
            .unwrap_or_default();
        let message = format!("part {}{of} could not be sent", chunk.number);
        match first {
            Some(first) if first.to_string() != last.to_string() => {
                let cause = format!("{first}\nand at last, in try {attempts}: {last}");
                Error::failed(message).with_cause(cause)
            }
            _ if attempts > 1 => {
                Error::failed(message).with_cause(format!("{last}, {attempts} times"))
            }
            _ => Error::failed(message).with_source(last),
        }
    }
}
