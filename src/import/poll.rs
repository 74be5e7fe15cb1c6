//! Waiting for the cloud: asks at a pace, shows the task's own progress, keeps the
//! deadline, outlives a network that is gone for a while.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::import::session::Session;
use crate::net::retry::random_fraction;
use crate::progress::TaskProgress;
use crate::units;

/// For this long the cloud may fail to answer before the wait is given up: longer than
/// a router's restart, shorter than anybody wants to look at a dead line.
const MAX_FAILURE_TIME: Duration = Duration::from_secs(15 * 60);

/// One refusal of what was asked before may be a mistake of the service; so many in a row
/// are its answer.
const MAX_REJECTIONS: u32 = 5;

/// What the cloud said this time.
pub enum Poll<T> {
    /// It is done.
    Done(T),
    /// Still at work.
    Pending {
        /// 0 to 100, when the cloud says it.
        percent: Option<u8>,
        /// The phase in the cloud's own words.
        message: String,
    },
}

/// Why a question brought no answer.
pub enum PollError {
    /// The work has failed, or will never be done.
    Permanent(Error),
    /// The question got lost; the next may arrive.
    Transient(Error),
    /// The cloud refuses to say; a few times in a row, that is final.
    Rejected(Error),
}

/// How patiently to wait.
#[derive(Clone, Copy, Debug)]
pub struct PollSchedule {
    /// Pause between two questions.
    pub interval: Duration,
    /// When to stop waiting.
    pub deadline: Option<Instant>,
}

/// Asks until the work is done, has failed, the deadline passes or the user stops.
pub async fn poll_until_done<T>(
    session: &Session,
    schedule: PollSchedule,
    remote: &TaskProgress,
    poll: impl AsyncFnMut() -> Result<Poll<T>, PollError>,
) -> Result<T> {
    let show = |percent, message: &str| remote.set(percent, message);
    poll_with_display(session, schedule, show, poll).await
}

/// The same, where somebody else shows how far the work is.
pub async fn poll_with_display<T>(
    session: &Session,
    schedule: PollSchedule,
    show: impl Fn(Option<u8>, &str),
    mut poll: impl AsyncFnMut() -> Result<Poll<T>, PollError>,
) -> Result<T> {
    let (mut silent_since, mut refusals, mut requested) = (None, 0, false);
    loop {
        // A deadline that has passed before the first question would never let the work be
        // seen to be done, however often the same command is run.
        let answer = tokio::select! {
            biased;
            () = session.cancel.stop.cancelled() => return Err(session.stop_error()),
            () = until_deadline(schedule.deadline), if requested => return Err(deadline_error()),
            answer = poll() => answer,
        };
        requested = true;
        match answer {
            Ok(Poll::Done(result)) => return Ok(result),
            Ok(Poll::Pending { percent, message }) => {
                (silent_since, refusals) = (None, 0);
                show(percent, &message);
            }
            Err(PollError::Permanent(error)) => return Err(error),
            Err(PollError::Rejected(error)) => {
                refusals += 1;
                if refusals >= MAX_REJECTIONS {
                    return Err(error);
                }
            }
            Err(PollError::Transient(error)) => {
                let since = *silent_since.get_or_insert_with(|| {
                    let budget = units::format_delay(MAX_FAILURE_TIME);
                    let text = format!("{}; asking on for up to {budget}", error.one_line());
                    session.progress.warn(&text);
                    Instant::now()
                });
                if since.elapsed() > MAX_FAILURE_TIME {
                    return Err(no_response_error(&error));
                }
            }
        }
        wait_interval(session, schedule).await?;
    }
}

/// Sleeps for one interval, ten percent more or less, so that many runs don't ask in step.
async fn wait_interval(session: &Session, schedule: PollSchedule) -> Result<()> {
    let jitter = 0.9 + 0.2 * random_fraction();
    tokio::select! {
        biased;
        () = session.cancel.stop.cancelled() => Err(session.stop_error()),
        () = until_deadline(schedule.deadline) => Err(deadline_error()),
        () = tokio::time::sleep(schedule.interval.mul_f64(jitter)) => Ok(()),
    }
}

async fn until_deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The work goes on, as far as anybody knows.
fn no_response_error(error: &Error) -> Error {
    let message = format!(
        "the cloud did not say for {} how far it is",
        units::format_delay(MAX_FAILURE_TIME)
    );
    Error::new(Kind::Deadline, message).with_cause(error.one_line())
}

fn deadline_error() -> Error {
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
            started: std::time::Instant::now(),
        }
    }

    fn pending() -> Poll<()> {
        Poll::Pending {
            percent: None,
            message: String::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_leaves_time_for_one_question() {
        let session = session();
        let schedule = PollSchedule {
            interval: Duration::from_secs(1),
            deadline: Some(Instant::now()),
        };
        let remote = session.progress.import();
        let done = poll_until_done(&session, schedule, &remote, async || Ok(Poll::Done(7))).await;
        assert_eq!(done.ok(), Some(7));
        let mut polls = 0;
        let late = poll_until_done(&session, schedule, &remote, async || {
            polls += 1;
            Ok(pending())
        });
        let late = late.await.expect_err("it is not done");
        assert_eq!((late.kind(), polls), (Kind::Deadline, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_that_never_answers_ends_the_wait_and_not_its_work() {
        let session = session();
        let schedule = PollSchedule {
            interval: Duration::from_secs(30),
            deadline: None,
        };
        let (remote, began) = (session.progress.import(), Instant::now());
        let silent = poll_until_done(&session, schedule, &remote, async || {
            Err::<Poll<()>, _>(PollError::Transient(Error::failed("no answer")))
        });
        let silent = silent.await.expect_err("nobody answers");
        assert_eq!(silent.kind(), Kind::Deadline);
        let waited = began.elapsed();
        assert!(
            waited > MAX_FAILURE_TIME && waited < MAX_FAILURE_TIME * 2,
            "{waited:?}"
        );
    }
}
