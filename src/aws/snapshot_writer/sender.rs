//! Sends one block until the service has acknowledged it, and decides which failures are
//! retried, after what delay and how often.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::api::{EbsClient, EbsError};
use super::blocks::{Block, BlockReader};
use super::checksums::BlockChecksum;
use super::plan::{Observer, Plan, SendError};
use crate::error::{Error, Result};
use crate::net::retry::RetryPolicy;
use crate::store::ErrorClass;
use crate::transfer::{ConcurrencyLimit, ConcurrencyTuner, Line, source_changed};
use crate::units;

/// So long after its start a snapshot "does not exist" here and there; EBS's own people
/// recommend to try again for two minutes (awslabs/coldsnap#56).
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(120);

/// The first pause of that time, and how many of these make the longest one.
const VISIBILITY_BACKOFF: (Duration, u32) = (Duration::from_millis(250), 16);

/// What all blocks of an upload have in common.
pub(super) struct Sender {
    pub(super) client: EbsClient,
    pub(super) snapshot: String,
    pub(super) started: Option<Instant>,
    pub(super) disk: BlockReader,
    pub(super) plan: Plan,
    pub(super) line: Arc<Line>,
    pub(super) limit: Arc<ConcurrencyLimit>,
    /// Learns the window's size; `None` when the user said it.
    pub(super) tuner: Option<Mutex<ConcurrencyTuner>>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stop: CancellationToken,
    pub(super) leave: CancellationToken,
}

/// What one try came to.
enum Attempt {
    Acknowledged,
    Stalled,
    Rejected(EbsError),
}

impl Sender {
    /// Sends the block until the service has it.
    pub(super) async fn send(
        self: Arc<Self>,
        mut block: Block,
    ) -> Result<(u32, BlockChecksum), SendError> {
        let mut backoff = RetryPolicy::with_retries(Some(self.plan.retries)).backoff();
        let mut attempt = 0;
        loop {
            if self.stop.is_cancelled() {
                return Err(SendError::Stopped);
            }
            attempt += 1;
            let (class, reason) = match self.send_once(&block).await {
                Attempt::Acknowledged => return Ok((block.index, block.checksum)),
                Attempt::Stalled => {
                    let silence = format!("no byte moved for {}", units::seconds(self.plan.stall));
                    (ErrorClass::Transient, Err(silence))
                }
                Attempt::Rejected(error) => (error.class, Ok(error)),
            };
            let pause = if self.is_not_visible_yet(&reason) {
                Some(VISIBILITY_BACKOFF.0 * attempt.min(VISIBILITY_BACKOFF.1))
            } else {
                backoff.delay_after(class)
            };
            let Some(pause) = pause else {
                return Err(exhausted(block.index, attempt, reason));
            };
            if matches!(class, ErrorClass::Throttled { .. })
                && let Some(blocks) = self.limit.reduce()
            {
                self.observer.narrowed(blocks);
            }
            self.report_retry(block.index, attempt, pause, class, reason);
            if class == ErrorClass::ChecksumMismatch {
                self.reread(&mut block).await?;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// A busy or new snapshot refuses many blocks at once: one word for all of them is enough.
    fn report_retry(
        &self,
        index: u32,
        attempt: u32,
        pause: Duration,
        class: ErrorClass,
        reason: Result<EbsError, String>,
    ) {
        match reason {
            Ok(error)
                if matches!(
                    class,
                    ErrorClass::Throttled { .. } | ErrorClass::NoSuchUpload
                ) =>
            {
                tracing::debug!("block {index}, try {attempt}: {}", error.error);
            }
            reason => {
                let reason =
                    reason.map_or_else(|no_response| no_response, |error| error.error.to_string());
                self.observer.retrying(index, attempt, pause, &reason);
            }
        }
    }

    /// A snapshot that was started a moment ago is not gone, it is not known yet.
    fn is_not_visible_yet(&self, reason: &Result<EbsError, String>) -> bool {
        let unknown = matches!(reason, Ok(trouble) if trouble.is_unknown());
        unknown
            && self
                .started
                .is_some_and(|started| started.elapsed() < VISIBILITY_TIMEOUT)
    }

    /// One try, given up when it stalls.
    async fn send_once(&self, block: &Block) -> Attempt {
        let _slot = self.limit.acquire().await;
        let (attempt, began) = (self.line.start_attempt(), Instant::now());
        let put = self.client.put_block(
            &self.snapshot,
            block.index,
            &block.checksum,
            block.bytes.clone(),
            attempt.gate(),
        );
        tokio::select! {
            put = put => {
                attempt.record_response();
                match put {
                    Ok(()) => {
                        self.record_success(block.bytes.len() as u64, began.elapsed());
                        Attempt::Acknowledged
                    }
                    Err(error) => Attempt::Rejected(error),
                }
            },
            () = attempt.stalled() => {
                // The fewer blocks share the line, the sooner one of them is through.
                self.limit.reduce();
                Attempt::Stalled
            }
        }
    }

    fn record_success(&self, bytes: u64, elapsed: Duration) {
        self.limit.part_sent();
        let Some(width) = &self.tuner else { return };
        let mut width = width.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(blocks) = width.part_sent(bytes, elapsed) {
            tracing::debug!("{blocks} blocks at once from now on");
            self.limit.resize(blocks);
        }
    }

    /// What arrived was not what was hashed: memory or wire. The disk says which bytes are right.
    async fn reread(&self, block: &mut Block) -> Result<(), SendError> {
        let (disk, index) = (self.disk.clone(), block.index);
        let read = tokio::task::spawn_blocking(move || disk.reread(index)).await;
        let (sum, bytes) =
            read.map_err(|error| Error::failed("a block can't be read again").with_source(error))??;
        if sum != block.checksum {
            let message = format!("block {index} is another one than before");
            return Err(source_changed(message).into());
        }
        block.bytes = bytes;
        Ok(())
    }
}

fn exhausted(index: u32, tries: u32, reason: Result<EbsError, String>) -> SendError {
    let what = format!("block {index} could not be sent");
    let with_attempts = |why: &str| match tries {
        1 => why.to_owned(),
        tries => format!("{why}, and so {tries} times"),
    };
    match reason {
        Ok(error) if error.class == ErrorClass::NoSuchUpload => {
            SendError::NoSuchSnapshot(Box::new(error))
        }
        Ok(error) if !error.class.is_retryable() => SendError::Rejected(what, Box::new(error)),
        Ok(error) => {
            let reason = with_attempts(&error.error.to_string());
            SendError::Failed(Error::failed(what).with_cause(reason))
        }
        Err(silence) => SendError::Failed(Error::failed(what).with_cause(with_attempts(&silence))),
    }
}
