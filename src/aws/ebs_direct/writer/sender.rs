//! The sending side: one block until it is acknowledged. What is worth another try,
//! after what pause, and when it is enough.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::api::{Direct, Trouble};
use super::blocks::{Block, Disk};
use super::checksums::Sum;
use super::plan::{Cause, Observer, Plan};
use crate::error::{Error, Result};
use crate::store::Class;
use crate::transfer::{Line, Patience, Width, Window, changed};
use crate::units;

/// So long after its start a snapshot "does not exist" here and there; EBS's own people
/// recommend to try again for two minutes (awslabs/coldsnap#56).
const KNOWN: Duration = Duration::from_secs(120);

/// The first pause of that time, and how many of these make the longest one.
const UNKNOWN: (Duration, u32) = (Duration::from_millis(250), 16);

/// What all blocks of an upload have in common.
pub(super) struct Sender {
    pub(super) direct: Direct,
    pub(super) snapshot: String,
    pub(super) started: Option<Instant>,
    pub(super) disk: Disk,
    pub(super) plan: Plan,
    pub(super) line: Arc<Line>,
    pub(super) window: Arc<Window>,
    /// Learns the window's size; `None` when the user said it.
    pub(super) width: Option<Mutex<Width>>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stop: CancellationToken,
    pub(super) leave: CancellationToken,
}

/// What one try came to.
enum Once {
    Passed,
    Stalled,
    Refused(Trouble),
}

impl Sender {
    /// Sends the block until the service has it.
    pub(super) async fn send(self: Arc<Self>, mut block: Block) -> Result<(u32, Sum), Cause> {
        let mut patience = Patience::new(self.plan.retries);
        let mut attempt = 0;
        loop {
            if self.stop.is_cancelled() {
                return Err(Cause::Stopped);
            }
            attempt += 1;
            let (class, why) = match self.once(&block).await {
                Once::Passed => return Ok((block.index, block.sum)),
                Once::Stalled => {
                    let silence = format!("no byte moved for {}", units::seconds(self.plan.stall));
                    (Class::Transient, Err(silence))
                }
                Once::Refused(trouble) => (trouble.class, Ok(trouble)),
            };
            let pause = if self.is_unknown_yet(&why) {
                Some(UNKNOWN.0 * attempt.min(UNKNOWN.1))
            } else {
                patience.after(class)
            };
            let Some(pause) = pause else {
                return Err(given_up(block.index, attempt, why));
            };
            if matches!(class, Class::Throttled { .. })
                && let Some(blocks) = self.window.narrow()
            {
                self.observer.narrowed(blocks);
            }
            self.tell(block.index, attempt, pause, class, why);
            if class == Class::Garbled {
                self.read_again(&mut block).await?;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// A busy or new snapshot refuses many blocks at once: one word for all of them is enough.
    fn tell(
        &self,
        index: u32,
        attempt: u32,
        pause: Duration,
        class: Class,
        why: Result<Trouble, String>,
    ) {
        match why {
            Ok(trouble) if matches!(class, Class::Throttled { .. } | Class::Gone) => {
                tracing::debug!("block {index}, try {attempt}: {}", trouble.fault);
            }
            why => {
                let why = why.map_or_else(|silence| silence, |trouble| trouble.fault.to_string());
                self.observer.retrying(index, attempt, pause, &why);
            }
        }
    }

    /// A snapshot that was started a moment ago is not gone, it is not known yet.
    fn is_unknown_yet(&self, why: &Result<Trouble, String>) -> bool {
        let unknown = matches!(why, Ok(trouble) if trouble.is_unknown());
        unknown && self.started.is_some_and(|began| began.elapsed() < KNOWN)
    }

    /// One try, given up when it stalls.
    async fn once(&self, block: &Block) -> Once {
        let _slot = self.window.enter().await;
        let (attempt, began) = (self.line.start(), Instant::now());
        let put = self.direct.put(
            &self.snapshot,
            block.index,
            &block.sum,
            block.bytes.clone(),
            attempt.tap(),
        );
        tokio::select! {
            put = put => {
                attempt.answered();
                match put {
                    Ok(()) => {
                        self.passed(block.bytes.len() as u64, began.elapsed());
                        Once::Passed
                    }
                    Err(trouble) => Once::Refused(trouble),
                }
            },
            () = attempt.stalled() => {
                // The fewer blocks share the line, the sooner one of them is through.
                self.window.narrow();
                Once::Stalled
            }
        }
    }

    fn passed(&self, bytes: u64, took: Duration) {
        self.window.passed();
        let Some(width) = &self.width else { return };
        let mut width = width.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(blocks) = width.passed(bytes, took) {
            tracing::debug!("{blocks} blocks at once from now on");
            self.window.resize(blocks);
        }
    }

    /// What arrived was not what was hashed: memory or wire. The disk says which bytes are right.
    async fn read_again(&self, block: &mut Block) -> Result<(), Cause> {
        let (disk, index) = (self.disk.clone(), block.index);
        let read = tokio::task::spawn_blocking(move || disk.again(index)).await;
        let (sum, bytes) =
            read.map_err(|error| Error::failed("a block can't be read again").because(error))??;
        if sum != block.sum {
            let how = format!("block {index} is another one than before");
            return Err(changed(how).into());
        }
        block.bytes = bytes;
        Ok(())
    }
}

fn given_up(index: u32, tries: u32, why: Result<Trouble, String>) -> Cause {
    let what = format!("block {index} could not be sent");
    let times = |why: &str| match tries {
        1 => why.to_owned(),
        tries => format!("{why}, and so {tries} times"),
    };
    match why {
        Ok(trouble) if trouble.class == Class::Gone => Cause::Gone(Box::new(trouble)),
        Ok(trouble) if trouble.class == Class::Final => Cause::Refused(what, Box::new(trouble)),
        Ok(trouble) => {
            let why = times(&trouble.fault.to_string());
            Cause::Failed(Error::failed(what).because_of(why))
        }
        Err(silence) => Cause::Failed(Error::failed(what).because_of(times(&silence))),
    }
}
