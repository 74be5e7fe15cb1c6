//! `imgimport jobs`: the unfinished jobs of the journal, listed or removed. Each cloud's
//! `resources` says how its resources are removed.

mod clean;
mod list;

use std::process::ExitCode;
use std::time::Instant;

use super::output;
use crate::cli::{GlobalArgs, JobsArgs};
use crate::config::{Environment, template};
use crate::error::{Error, Result};
use crate::import::cancel::{self, Cancel};
use crate::import::journal::{self, StoredJob};
use crate::import::session::Session;
use crate::settings::SettingsFile;

/// Lists the jobs, or removes them with `--clean`.
pub async fn execute(args: JobsArgs, general: GlobalArgs, environment: Environment) -> ExitCode {
    let read = SettingsFile::find(general.config.as_deref(), &environment).and_then(|file| {
        let output = crate::cli::output_args(&args.output, &environment, file.output())?;
        let jobs = select(stored_jobs()?, &args.ids)?;
        Ok((file, output, jobs, template::clock()?))
    });
    let (file, output, jobs, clock) = match read {
        Ok(read) => read,
        Err(error) => return output::fail_without_settings(error, &general, &environment),
    };
    let format = output.format.unwrap_or_default();
    let progress = output::start(&general, &output, &file);
    if !args.clean {
        if jobs.is_empty() {
            progress.note("the journal has no unfinished jobs");
        }
        let list = list::render(&jobs, clock, format);
        return output::print_report(&list, 0, &progress);
    }
    let session = Session {
        cancel: Cancel::default(),
        progress,
        clock,
        started: Instant::now(),
    };
    cancel::listen(&session.cancel);
    session.progress.handle_ctrl_z();
    let named = !args.ids.is_empty();
    let cleaned = clean::remove_all(&jobs, named, &file, &environment, &session).await;
    session.progress.close();
    let text = cleaned.render(format);
    output::print_report(&text, cleaned.exit_code(), &session.progress)
}

fn stored_jobs() -> Result<Vec<StoredJob>> {
    let Some(directory) = journal::directory() else {
        return Ok(Vec::new());
    };
    journal::list_jobs(&directory).map_err(|why| {
        Error::failed("the journal can't be read")
            .with_source(why)
            .hint("keep it in a directory of your own, and name that in XDG_STATE_HOME")
    })
}

/// The entries that these beginnings of names choose; all of them where none is given.
fn select(jobs: Vec<StoredJob>, ids: &[String]) -> Result<Vec<StoredJob>> {
    for id in ids {
        let found = jobs
            .iter()
            .filter(|shelved| shelved.id.starts_with(id.as_str()));
        match found.count() {
            1 => {}
            0 => {
                return Err(Error::usage(format!("the journal has no job {id}"))
                    .hint("see what it has with: imgimport jobs"));
            }
            _ => {
                return Err(Error::usage(format!("several jobs begin with {id}"))
                    .hint("write more of its name: imgimport jobs --output json has all of it"));
            }
        }
    }
    let chosen = |shelved: &StoredJob| {
        ids.is_empty() || ids.iter().any(|id| shelved.id.starts_with(id.as_str()))
    };
    Ok(jobs.into_iter().filter(chosen).collect())
}
