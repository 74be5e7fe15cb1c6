//! `imgimport run`: the jobs of a file, some at a time, each with its own progress and its
//! own end. They share the user's wish to stop, and nothing else.

use std::num::NonZeroUsize;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;

use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::frame;
use crate::layers::Environment;
use crate::outcome::{Format, Outcome};
use crate::progress::Progress;
use crate::session::Session;
use crate::settings::{Cloud, Job};
use crate::{alicloud, aws, digitalocean};

/// Jobs at the same time, where nobody says how many: an upload fills a line on its own,
/// while the cloud's work on another image costs nothing here.
pub const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// What the jobs have in common.
pub struct Batch<'a> {
    /// The variables of this process.
    pub environment: &'a Environment,
    /// Signals, as tokens.
    pub cancel: Cancel,
    /// Standard error.
    pub progress: Progress,
    /// Read once, so that all names agree.
    pub clock: Timestamp,
    /// How a result is printed.
    pub format: Format,
}

impl Batch<'_> {
    /// Runs the jobs; `tell` prints a line on standard output. Returns the exit code.
    pub async fn run(&self, jobs: Vec<Job>, parallel: NonZeroUsize, tell: impl Fn(&str)) -> u8 {
        let running = stream::iter(jobs).map(|job| async {
            let progress = self.progress.named(&job.name);
            let name = job.name.clone();
            let result = self.one(job, &progress).await;
            let kind = result.as_ref().err().map(Error::kind);
            if let Err(error) = &result {
                progress.error(error);
            }
            if let Some(line) = line(&name, result, self.format) {
                tell(&line);
            }
            kind
        });
        let ends: Vec<_> = running.buffer_unordered(parallel.get()).collect().await;
        worst(&ends)
    }

    /// The frame of a single command around one job.
    async fn one(&self, job: Job, progress: &Progress) -> Result<Outcome> {
        let session = Session {
            cancel: self.cancel.clone(),
            progress: progress.clone(),
            clock: self.clock,
            began: Instant::now(),
        };
        if self.cancel.stop.is_cancelled() {
            return Err(Error::new(self.cancel.kind(), "stopped before it began"));
        }
        match job.cloud {
            Cloud::Aws(said) => {
                let work = aws::run(*said, self.environment, &session);
                frame::until_left(work, &session).await
            }
            Cloud::Alicloud(said) => {
                let work = alicloud::run(*said, self.environment, &session);
                frame::until_left(work, &session).await
            }
            Cloud::Digitalocean(said) => {
                let work = digitalocean::run(*said, self.environment, &session);
                frame::until_left(work, &session).await
            }
        }
    }
}

/// `NAME<TAB>ID`, or the object of a single command with the job's name in it. A job that
/// failed has no id: in text its error on standard error is all.
fn line(name: &str, result: Result<Outcome>, format: Format) -> Option<String> {
    let mut object = match (format, result) {
        (Format::Text, Ok(outcome)) => return Some(format!("{name}\t{}", outcome.render(format))),
        (Format::Text, Err(_)) => return None,
        (Format::Json, Ok(outcome)) => outcome.to_json(),
        (Format::Json, Err(error)) => error.to_json(),
    };
    object["job"] = name.into();
    Some(object.to_string())
}

/// What the user must look at first decides: stopped, then a failed step, wrong settings, a
/// refused image, and last a deadline, after which the same command is simply run again.
fn worst(ends: &[Option<Kind>]) -> u8 {
    const ORDER: [Kind; 6] = [
        Kind::Terminated,
        Kind::Interrupted,
        Kind::Failed,
        Kind::Usage,
        Kind::Refused,
        Kind::Deadline,
    ];
    let worst = ORDER.into_iter().find(|kind| ends.contains(&Some(*kind)));
    worst.map_or(0, Kind::exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_end_is_the_exit_code() {
        let all = [
            Some(Kind::Deadline),
            None,
            Some(Kind::Refused),
            Some(Kind::Usage),
            Some(Kind::Failed),
            Some(Kind::Interrupted),
        ];
        for (count, code) in [(0, 0), (1, 4), (2, 4), (3, 3), (4, 2), (5, 1), (6, 130)] {
            assert_eq!(worst(&all[..count]), code);
        }
        assert_eq!(worst(&[None, None]), 0);
    }
}
