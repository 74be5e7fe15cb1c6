//! Sends one part until the service has acknowledged it, and decides which failures are
//! retried, after what delay and how often.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
use crate::net::retry::RetryPolicy;
use crate::store::{self, ErrorClass, Part, SentPart, Store, UploadId};
use crate::units;

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
        let mut backoff = RetryPolicy::with_retries(Some(self.plan.retries)).backoff();
        let mut first = None;
        for attempt in 1.. {
            let failure = match self.attempt(&chunk).await {
                Ok(sent) => return Ok(sent),
                Err(failure) => failure,
            };
            let delay = backoff
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
            Err(lost) if lost.is_unknown_outcome() && began.elapsed() > MAX_PART_TIME => {
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
