//! Waiting for the cloud: asks at a pace, shows the task's own progress, keeps the
//! deadline, outlives a network that is gone for a while.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::progress::Remote;
use crate::session::Session;

/// For this long the cloud may fail to answer before the wait is given up: longer than
/// a router's restart, shorter than anybody wants to look at a dead line.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What the cloud said this time.
pub enum Poll<T> {
    /// It is done.
    Done(T),
    /// Still at work.
    NotYet {
        /// 0 to 100, when the cloud says it.
        percent: Option<u8>,
        /// The phase in the cloud's own words.
        message: String,
    },
}

/// Why a question brought no answer.
pub enum Trouble {
    /// The work has failed, or will never be done.
    Final(Error),
    /// The question got lost; the next may arrive.
    Passing(Error),
}

/// How patiently to wait.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Pause between two questions.
    pub interval: Duration,
    /// When to stop waiting.
    pub deadline: Option<Instant>,
}

/// Asks until the work is done, has failed, the deadline passes or the user stops.
pub async fn until<T>(
    session: &Session,
    pace: Pace,
    remote: &Remote,
    mut ask: impl AsyncFnMut() -> Result<Poll<T>, Trouble>,
) -> Result<T> {
    let mut silent_since = None;
    loop {
        let answer = tokio::select! {
            biased;
            () = session.cancel.stop.cancelled() => return Err(session.stopped()),
            () = passed(pace.deadline) => return Err(too_late()),
            answer = ask() => answer,
        };
        match answer {
            Ok(Poll::Done(result)) => return Ok(result),
            Ok(Poll::NotYet { percent, message }) => {
                silent_since = None;
                remote.set(percent, &message);
            }
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Passing(error)) => {
                let since = *silent_since.get_or_insert_with(|| {
                    session
                        .progress
                        .warn(&format!("{}; asking on", error.brief()));
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(error);
                }
            }
        }
        pause(session, pace).await?;
    }
}

/// Sleeps for one interval, ten percent more or less, so that many runs don't ask in step.
async fn pause(session: &Session, pace: Pace) -> Result<()> {
    let jitter = 0.9 + 0.2 * fraction();
    tokio::select! {
        biased;
        () = session.cancel.stop.cancelled() => Err(session.stopped()),
        () = passed(pace.deadline) => Err(too_late()),
        () = tokio::time::sleep(pace.interval.mul_f64(jitter)) => Ok(()),
    }
}

/// A number from 0 to 1 that differs between processes.
fn fraction() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn too_late() -> Error {
    Error::new(
        Kind::Deadline,
        "the deadline passed while the cloud is still working",
    )
}
