//! Waiting for the cloud: asks at a pace, shows the task's own progress, keeps the
//! deadline, outlives a network that is gone for a while.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::import::session::Session;
use crate::progress::Remote;
use crate::units;

/// For this long the cloud may fail to answer before the wait is given up: longer than
/// a router's restart, shorter than anybody wants to look at a dead line.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// One refusal of what was asked before may be a mistake of the service; so many in a row
/// are its answer.
const REFUSALS: u32 = 5;

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
    /// The cloud refuses to say; a few times in a row, that is final.
    Refused(Error),
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
    ask: impl AsyncFnMut() -> Result<Poll<T>, Trouble>,
) -> Result<T> {
    let show = |percent, message: &str| remote.set(percent, message);
    until_shown(session, pace, show, ask).await
}

/// The same, where somebody else shows how far the work is.
pub async fn until_shown<T>(
    session: &Session,
    pace: Pace,
    show: impl Fn(Option<u8>, &str),
    mut ask: impl AsyncFnMut() -> Result<Poll<T>, Trouble>,
) -> Result<T> {
    let (mut silent_since, mut refusals, mut asked) = (None, 0, false);
    loop {
        // A deadline that has passed before the first question would never let the work be
        // seen to be done, however often the same command is run.
        let answer = tokio::select! {
            biased;
            () = session.cancel.stop.cancelled() => return Err(session.stopped()),
            () = passed(pace.deadline), if asked => return Err(too_late()),
            answer = ask() => answer,
        };
        asked = true;
        match answer {
            Ok(Poll::Done(result)) => return Ok(result),
            Ok(Poll::NotYet { percent, message }) => {
                (silent_since, refusals) = (None, 0);
                show(percent, &message);
            }
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Refused(error)) => {
                refusals += 1;
                if refusals >= REFUSALS {
                    return Err(error);
                }
            }
            Err(Trouble::Passing(error)) => {
                let since = *silent_since.get_or_insert_with(|| {
                    let budget = units::pause(PATIENCE);
                    let text = format!("{}; asking on for up to {budget}", error.brief());
                    session.progress.warn(&text);
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(no_answer(&error));
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

/// The work goes on, as far as anybody knows.
fn no_answer(error: &Error) -> Error {
    let what = format!(
        "the cloud did not say for {} how far it is",
        units::pause(PATIENCE)
    );
    Error::new(Kind::Deadline, what).because_of(error.brief())
}

fn too_late() -> Error {
    Error::new(
        Kind::Deadline,
        "the deadline passed while the cloud is still working",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::import::cancel::Cancel;
    use crate::progress::{Mode, Progress};

    fn session() -> Session {
        Session {
            cancel: Cancel::default(),
            progress: Progress::new(Mode::None, true),
            clock: Timestamp::UNIX_EPOCH,
            began: std::time::Instant::now(),
        }
    }

    fn not_yet() -> Poll<()> {
        Poll::NotYet {
            percent: None,
            message: String::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_leaves_time_for_one_question() {
        let session = session();
        let pace = Pace {
            interval: Duration::from_secs(1),
            deadline: Some(Instant::now()),
        };
        let remote = session.progress.import();
        let done = until(&session, pace, &remote, async || Ok(Poll::Done(7))).await;
        assert_eq!(done.ok(), Some(7));
        let mut asked = 0;
        let late = until(&session, pace, &remote, async || {
            asked += 1;
            Ok(not_yet())
        });
        let late = late.await.expect_err("it is not done");
        assert_eq!((late.kind(), asked), (Kind::Deadline, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_that_never_answers_ends_the_wait_and_not_its_work() {
        let session = session();
        let pace = Pace {
            interval: Duration::from_secs(30),
            deadline: None,
        };
        let (remote, began) = (session.progress.import(), Instant::now());
        let silent = until(&session, pace, &remote, async || {
            Err::<Poll<()>, _>(Trouble::Passing(Error::failed("no answer")))
        });
        let silent = silent.await.expect_err("nobody answers");
        assert_eq!(silent.kind(), Kind::Deadline);
        let waited = began.elapsed();
        assert!(waited > PATIENCE && waited < PATIENCE * 2, "{waited:?}");
    }
}
