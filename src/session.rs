//! What lasts for the whole run: the user's wish to stop, the progress, the clock.

use std::future::Future;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// How long a request under way may delay the stop.
const MOMENT: Duration = Duration::from_secs(3);

/// A person wonders after this long without a word.
const SLOW: Duration = Duration::from_secs(8);

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
    pub began: Instant,
}

impl Session {
    /// An error if the user has asked to stop; looked at between the steps.
    pub fn check(&self) -> Result<()> {
        if self.cancel.stop.is_cancelled() {
            Err(self.stopped())
        } else {
            Ok(())
        }
    }

    /// Runs something that changes nothing, and gives it up as soon as the user asks to stop.
    pub async fn unless_stopped<T>(&self, question: impl Future<Output = Result<T>>) -> Result<T> {
        let slow = async {
            tokio::time::sleep(SLOW).await;
            self.progress.note("no answer yet, still trying");
            std::future::pending().await
        };
        tokio::select! {
            biased;
            () = self.cancel.stop.cancelled() => Err(self.stopped()),
            answer = question => answer,
            never = slow => never,
        }
    }

    /// Runs something that makes a thing. It is given a moment to come back even when the
    /// user asks to stop: a thing whose id nobody heard can't be removed.
    pub async fn finish_soon<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::pin!(request);
        tokio::select! {
            biased;
            answer = &mut request => answer,
            () = self.cancel.stop.cancelled() => {
                tokio::select! {
                    answer = request => answer,
                    () = tokio::time::sleep(MOMENT) => Err(self.stopped()),
                    () = self.cancel.leave.cancelled() => Err(self.stopped()),
                }
            }
        }
    }

    /// The end of a run that the user stopped.
    pub fn stopped(&self) -> Error {
        Error::new(self.cancel.kind(), "stopped")
    }
}
