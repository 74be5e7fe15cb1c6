//! `imgimport run`: the jobs of a file, some at a time, each with its own progress and its
//! own end. They share the user's wish to stop, and nothing else.

mod state;

use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::{GlobalArgs, RunArgs};
use crate::clouds::with_args;
use crate::commands::{output, panics, stdout};
use crate::config::OutputFormat;
use crate::config::{Environment, template};
use crate::error::{Error, Kind, Result};
use crate::import::cancel::{self, Cancel};
use crate::import::journal;
use crate::import::lifecycle;
use crate::import::session::Session;
use crate::progress::Progress;
use crate::settings::{JobArgs, SettingsFile};
use state::RunState;

/// Runs the jobs of a file.
pub async fn execute(args: RunArgs, general: GlobalArgs, environment: Environment) -> ExitCode {
    let twice =
        || Error::usage("run reads the file that it is given, and no other: leave --config out");
    let file = general
        .config
        .as_ref()
        .map_or(Ok(&args.file), |_| Err(twice()));
    let read = file
        .and_then(|file| SettingsFile::read(file))
        .and_then(|file| {
            let output = crate::cli::output_args(&args.output, &environment, file.output())?;
            let jobs = file.jobs(&environment, &output, args.dry_run)?;
            let parallel = args.parallel(&environment, file.parallel())?;
            Ok((file, jobs, output, parallel, template::clock()?))
        });
    let (file, jobs, output, parallel, clock) = match read {
        Ok(read) => read,
        Err(error) => return output::fail_without_settings(error, &general, &environment),
    };
    let progress = output::start(&general, &output, &file);
    let batch = Batch {
        environment: &environment,
        cancel: Cancel::default(),
        progress: progress.clone(),
        clock,
        format: output.format.unwrap_or_default(),
        state: RunState::open(journal::directory().as_deref(), &args.file),
    };
    cancel::listen(&batch.cancel);
    batch.progress.handle_ctrl_z();
    let code = batch
        .run(jobs, parallel, |line| stdout::write(line, &progress))
        .await;
    progress.close();
    ExitCode::from(code)
}

/// What the jobs have in common.
struct Batch<'a> {
    /// The variables of this process.
    pub environment: &'a Environment,
    /// Signals, as tokens.
    pub cancel: Cancel,
    /// Standard error.
    pub progress: Progress,
    /// Read once, so that all names agree.
    pub clock: Timestamp,
    /// How a result is printed.
    pub format: OutputFormat,
    /// What earlier runs of the file have done.
    pub state: RunState,
}

impl Batch<'_> {
    /// Runs the jobs; `write` prints a line on standard output. Returns the exit code.
    pub async fn run(
        &self,
        jobs: Vec<JobArgs>,
        parallel: NonZeroUsize,
        write: impl Fn(&str) -> io::Result<()>,
    ) -> u8 {
        let running = stream::iter(jobs).map(|job| async {
            let kind = self.run_job(job, &write).await;
            kind.err()
        });
        let ends: Vec<_> = running.buffer_unordered(parallel.get()).collect().await;
        if ends.iter().all(Option::is_none) {
            self.state.close();
        }
        worst_exit_code(&ends)
    }

    /// One job with what is said of it.
    async fn run_job(
        &self,
        job: JobArgs,
        write: &impl Fn(&str) -> io::Result<()>,
    ) -> Result<(), Kind> {
        let progress = self.progress.named(&job.name);
        let (name, fingerprint, image) = (job.name.clone(), job.fingerprint.clone(), job.image());
        if let Some(result) = self.state.result(&name, &fingerprint, image.as_deref()) {
            progress.info("An earlier run of this file has imported it");
            return self.print(&name, result, &progress, write);
        }
        let keeps = !job.is_dry_run();
        for note in job.notes() {
            progress.note(note);
        }
        match panics::catch_panic(self.import(job, &progress)).await {
            Ok(done) => {
                let result = done.outcome.to_json();
                if keeps && done.outcome.image_id.is_some() {
                    self.state
                        .record(&name, &fingerprint, image.as_deref(), &result);
                }
                // Its last stage is over, and stands before the result.
                drop(progress);
                self.print(&name, result, &self.progress.named(&name), write)?;
                done.close(&self.progress);
                Ok(())
            }
            Err(error) => {
                progress.error(&error);
                if self.format == OutputFormat::Json {
                    // The same error is on standard error.
                    let _ = write(&result_line(&name, error.to_json(), self.format));
                }
                Err(error.kind())
            }
        }
    }

    /// Prints the result of a job; one that could not be written makes the job fail.
    fn print(
        &self,
        name: &str,
        result: Value,
        progress: &Progress,
        write: &impl Fn(&str) -> io::Result<()>,
    ) -> Result<(), Kind> {
        let id = result["image_id"].as_str().or(result["task_id"].as_str());
        let id = id.map(str::to_owned);
        write(&result_line(name, result, self.format)).map_err(|error| {
            let error = stdout::write_error(id.as_deref(), error);
            progress.error(&error);
            error.kind()
        })
    }

    /// The frame of a single command around one job.
    async fn import(&self, job: JobArgs, progress: &Progress) -> Result<lifecycle::FinishedImport> {
        let session = Session {
            cancel: self.cancel.clone(),
            progress: progress.clone(),
            clock: self.clock,
            started: Instant::now(),
        };
        if self.cancel.stop.is_cancelled() {
            return Err(Error::new(self.cancel.kind(), "stopped before it began"));
        }
        with_args!(job.cloud, args => lifecycle::run(*args, self.environment, &session).await)
    }
}

/// `NAME<TAB>ID`, or the object of a single command with the job's name in it.
fn result_line(name: &str, mut result: Value, format: OutputFormat) -> String {
    if format == OutputFormat::Text {
        let id = result["image_id"].as_str().or(result["task_id"].as_str());
        return format!("{name}\t{}", id.unwrap_or_default());
    }
    result["job"] = name.into();
    result.to_string()
}

/// What the user must look at first decides: stopped, then a failed step, wrong settings, a
/// refused image, and last a deadline, after which the same command is simply run again.
fn worst_exit_code(ends: &[Option<Kind>]) -> u8 {
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
    fn exit_code_is_the_worst_result() {
        let all = [
            Some(Kind::Deadline),
            None,
            Some(Kind::Refused),
            Some(Kind::Usage),
            Some(Kind::Failed),
            Some(Kind::Interrupted),
        ];
        for (count, code) in [(0, 0), (1, 4), (2, 4), (3, 3), (4, 2), (5, 1), (6, 130)] {
            assert_eq!(worst_exit_code(&all[..count]), code);
        }
        assert_eq!(worst_exit_code(&[None, None]), 0);
    }
}
