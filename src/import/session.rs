//! What lasts for the whole run: the user's wish to stop, the progress, the clock.

use std::future::Future;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::import::cancel::Cancel;
use crate::progress::Progress;

/// How long a request under way may delay the stop.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// A person wonders after this long without a word.
const SLOW_REQUEST: Duration = Duration::from_secs(8);

/// How long the first Ctrl-C waits for a second one that says "remove everything".
const SECOND_CTRL_C_WINDOW: Duration = Duration::from_secs(3);

/// Handed to every recipe.
#[derive(Clone)]
pub struct Session {
    /// Signals, as tokens.
    pub cancel: Cancel,
    /// Standard error.
    pub progress: Progress,
    /// Read once a run, so that all names of a run agree.
    pub clock: Timestamp,
    /// When the run began.
    pub started: Instant,
}

impl Session {
    /// An error if the user has asked to stop; looked at between the steps.
    pub fn check(&self) -> Result<()> {
        if self.cancel.stop.is_cancelled() {
            Err(self.stop_error())
        } else {
            Ok(())
        }
    }

    /// Runs something that changes nothing, and gives it up as soon as the user asks to stop.
    pub async fn cancellable<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        let slow = async {
            tokio::time::sleep(SLOW_REQUEST).await;
            self.progress.note("no answer yet, still trying");
            std::future::pending().await
        };
        tokio::select! {
            biased;
            () = self.cancel.stop.cancelled() => Err(self.stop_error()),
            answer = request => answer,
            never = slow => never,
        }
    }

    /// Runs something that makes a thing. It is given a moment to come back even when the
    /// user asks to stop: a thing whose id nobody heard can't be removed.
    pub async fn with_stop_grace<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::pin!(request);
        tokio::select! {
            biased;
            answer = &mut request => answer,
            () = self.cancel.stop.cancelled() => {
                tokio::select! {
                    answer = request => answer,
                    () = tokio::time::sleep(STOP_GRACE) => Err(self.stop_error()),
                    () = self.cancel.leave.cancelled() => Err(self.stop_error()),
                }
            }
        }
    }

    /// Runs something that lets what is on its way arrive when the user asks to stop. That
    /// it was heard is told at once, where a second Ctrl-C would make a difference.
    pub async fn announcing_stop<T>(&self, keeps: bool, work: impl Future<Output = T>) -> T {
        let stop_seen = async {
            self.cancel.stop.cancelled().await;
            if keeps {
                self.announce_stop();
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            done = work => done,
            never = stop_seen => never,
        }
    }

    /// Says, once, what a second Ctrl-C would do. Returns until when it is waited for.
    pub fn announce_stop(&self) -> tokio::time::Instant {
        let announced_at = self.cancel.stop_announced.get_or_init(|| {
            let seconds = SECOND_CTRL_C_WINDOW.as_secs();
            self.progress.note(&format!(
                "Stopping; Ctrl-C once more within {seconds} s removes everything"
            ));
            tokio::time::Instant::now()
        });
        *announced_at + SECOND_CTRL_C_WINDOW
    }

    /// The end of a run that the user stopped.
    pub fn stop_error(&self) -> Error {
        Error::new(self.cancel.kind(), "stopped")
    }
}
