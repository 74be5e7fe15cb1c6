//! The sending side: one part until it is acknowledged. What is worth another try,
//! after what pause, and when it is enough.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Observer;
use super::buffer_pool::Pool;
use super::concurrency::Width;
use super::line::Line;
use super::parts::{LONGEST, Plan};
use super::reader::Chunk;
use super::source::{Origin, changed};
use super::throttle::Window;
use crate::error::{Error, Result};
use crate::store::{self, Class, Part, SentPart, Store, UploadId};
use crate::units;

/// Pauses before full jitter, as in AWS's SDKs.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(20));

/// The pauses between tries: exponential, each with full jitter, so that parts which
/// failed together do not come back together.
pub struct Patience {
    pauses: ExponentialBackoff,
    refreshed: bool,
}

impl Patience {
    /// For so many tries after the first.
    pub fn new(retries: u32) -> Self {
        let times = usize::try_from(retries).unwrap_or(usize::MAX);
        let pauses = ExponentialBuilder::new()
            .with_min_delay(PAUSES.0)
            .with_max_delay(PAUSES.1)
            .with_max_times(times);
        Self {
            pauses: pauses.build(),
            refreshed: false,
        }
    }

    /// How long to wait after this failure; `None` when it is final or was enough.
    pub fn after(&mut self, class: Class) -> Option<Duration> {
        // New credentials are fetched once; were those refused too, more will not help.
        let again = class.is_worth_a_retry() && !(class == Class::Expired && self.refreshed);
        self.refreshed |= class == Class::Expired;
        let pause = self.pauses.next().filter(|_| again)?.mul_f64(fraction());
        match class {
            Class::Throttled {
                retry_after: Some(said),
            } => Some(said + pause),
            _ => Some(pause),
        }
    }
}

/// 0 to 1 at random; the standard library's hasher keys are random numbers.
fn fraction() -> f64 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

/// What all parts of an upload have in common.
pub(super) struct Sender<S> {
    pub(super) store: Arc<S>,
    pub(super) upload: UploadId,
    pub(super) plan: Plan,
    pub(super) total: Option<u64>,
    pub(super) origin: Option<Origin>,
    pub(super) line: Arc<Line>,
    pub(super) window: Arc<Window>,
    /// Learns the window's size; `None` when the user said it.
    pub(super) width: Option<Mutex<Width>>,
    pub(super) pool: Arc<Pool>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stop: CancellationToken,
    pub(super) leave: CancellationToken,
}

impl<S: Store> Sender<S> {
    /// Sends the part until the service has it. Of all failures the first is reported.
    pub(super) async fn send(self: Arc<Self>, mut chunk: Chunk) -> Result<SentPart> {
        let mut patience = Patience::new(self.plan.retries);
        let mut first = None;
        for attempt in 1.. {
            let failure = match self.once(&chunk).await {
                Ok(sent) => return Ok(sent),
                Err(failure) => failure,
            };
            let pause = patience
                .after(failure.class())
                .filter(|_| !self.stop.is_cancelled());
            let Some(pause) = pause else {
                return Err(self.given_up(&chunk, attempt, first, failure));
            };
            self.note(&chunk, attempt, pause, &failure);
            if failure.class() == Class::Garbled {
                self.read_again(&mut chunk).await?;
            }
            first.get_or_insert(failure);
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
        Err(Error::failed("no more tries"))
    }

    /// One try, given up when it stalls.
    async fn once(&self, chunk: &Chunk) -> store::Result<SentPart> {
        let _slot = self.window.enter().await;
        let (attempt, began) = (self.line.start(), Instant::now());
        let part = Part {
            number: chunk.number,
            bytes: chunk.bytes.clone(),
            digest: chunk.digest,
            tap: Some(attempt.tap()),
        };
        let sent = tokio::select! {
            sent = self.store.put(&self.upload, part) => {
                attempt.answered();
                sent
            }
            () = attempt.stalled() => {
                let silence = format!("no byte moved for {}", units::seconds(self.plan.stall));
                Err(store::Error::unanswered(silence))
            }
        };
        match &sent {
            Ok(sent) => self.passed(sent.size, began.elapsed()),
            // The fewer parts share the line, the sooner one of them is through.
            Err(lost) if lost.class() == Class::Transient && began.elapsed() > LONGEST => {
                self.window.narrow();
            }
            Err(_) => {}
        }
        sent
    }

    fn passed(&self, bytes: u64, took: Duration) {
        self.window.passed();
        let width = self.width.as_ref().map(|width| width.lock());
        let Some(mut width) = width.map(|width| width.unwrap_or_else(PoisonError::into_inner))
        else {
            return;
        };
        if let Some(parts) = width.passed(bytes, took) {
            tracing::debug!("{parts} parts at once from now on");
            self.window.resize(parts);
            self.pool.allow(self.plan.concurrency.max(parts) + 1);
        }
    }

    fn note(&self, chunk: &Chunk, attempt: u32, pause: Duration, failure: &store::Error) {
        if matches!(failure.class(), Class::Throttled { .. })
            && let Some(parts) = self.window.narrow()
        {
            self.observer.narrowed(parts);
        }
        self.observer
            .retrying(chunk.number, attempt, pause, failure);
    }

    /// What arrived was not what was hashed: memory or wire. The file says which bytes are right.
    async fn read_again(&self, chunk: &mut Chunk) -> Result<()> {
        let Some(origin) = self.origin.clone() else {
            return Ok(());
        };
        let (offset, len, checksum) = (chunk.offset, chunk.bytes.len(), self.store.checksum());
        let read = move || {
            origin
                .again(offset, len)
                .map(|bytes| (checksum.of(&bytes), bytes))
        };
        let read = tokio::task::spawn_blocking(read).await;
        let (digest, bytes) =
            read.map_err(|error| Error::failed("a part cannot be read again").because(error))??;
        if digest != chunk.digest {
            return Err(changed(format!(
                "part {} is another one than before",
                chunk.number
            )));
        }
        chunk.bytes = Bytes::from(bytes);
        Ok(())
    }

    fn given_up(
        &self,
        chunk: &Chunk,
        tries: u32,
        first: Option<store::Error>,
        last: store::Error,
    ) -> Error {
        let of = self
            .total
            .map(|total| format!(" of {total}"))
            .unwrap_or_default();
        let what = format!("part {}{of} could not be sent", chunk.number);
        match first {
            Some(first) if first.to_string() != last.to_string() => {
                let cause = format!("{first}\nand at last, in try {tries}: {last}");
                Error::failed(what).because_of(cause)
            }
            _ if tries > 1 => Error::failed(what).because_of(format!("{last}, {tries} times")),
            _ => Error::failed(what).because(last),
        }
    }
}
