//! The road to a custom image: object in a Space, readable for DigitalOcean, import by
//! its address, transfer to further regions. Reads from top to bottom like DigitalOcean's
//! own guide ("How to Upload Custom Images").

mod client;
mod copies;
mod credentials;
mod detect;
mod error;
mod hints;
mod image;
mod image_marker;
mod import_task;
mod job;
mod key;
mod options;
mod preflight;
mod provider;
pub mod resources;
mod resume;
mod steps;
mod trust;
mod upload;
mod validate;

use std::time::Instant;

use futures_util::future::BoxFuture;
#[cfg(test)]
pub use hints::ALL as HELP;
use options::ObjectAccess;
pub use options::Options;
pub use validate::{accepts, warning};

use crate::config::{Environment, Invocation};
use crate::error::Result;
use crate::import::dry_run::Plan;
use crate::import::journal::Journal;
use crate::import::lifecycle;
use crate::import::lifecycle::Done;
use crate::import::outcome::Outcome;
use crate::import::session::Session;
use crate::import::undo::{Cleanup, Entry};
use client::Api;
use image_marker::Mark;
use job::Job;

/// `imgimport digitalocean`. `look` is what is said of the image once the settings are sound.
pub async fn run(
    said: Invocation<Options>,
    environment: &Environment,
    session: &Session,
    look: BoxFuture<'_, Result<()>>,
) -> Result<Done> {
    let resolve = |clock| Job::resolve(said.clone(), clock, environment);
    let mut job = resolve(session.clock)?;
    look.await?;
    let api = Api::new(&job.api_url, &job.token, job.patience, &session.progress)?;
    let journal = open_journal(&mut job, session)?;
    let account = resources::account(&said.provider);
    journal.note(|entry| entry.account = account);
    if let Some(clock) = lifecycle::first_clock(&journal, session) {
        job = Job {
            key: job.key,
            ..resolve(clock)?
        };
    }
    let outcome = job.outcome();
    let (mut cleanup, held) = (Cleanup::default(), Held::default());
    cleanup.advised(upload::undoing(&job.space.name));
    let mut run = Run {
        spaces: upload::client(&job.space, job.patience)?,
        job,
        api,
        session,
        journal,
        cleanup,
        held,
        mark: None,
        namesakes: None,
        plan: Plan::new(&session.progress),
        began: None,
        outcome,
    };
    let result = run.steps().await;
    if result.is_err() {
        run.close_object().await;
    }
    let Run {
        job,
        journal,
        cleanup,
        outcome,
        ..
    } = run;
    lifecycle::end(&job.common, session, &journal, cleanup, outcome, result).await
}

/// The same image to the same key under the same name is the same job.
fn open_journal(job: &mut Job, session: &Session) -> Result<Journal> {
    let (path, region) = (job.common.path(), job.region().to_owned());
    let (space, key, name) = (&job.space, &job.key_template, &job.name_template);
    let mut words = vec![
        "digitalocean",
        &space.region,
        &space.name,
        key,
        name,
        &region,
        &path,
    ];
    // Parts keep the access that their upload was begun with.
    if job.access == ObjectAccess::Presigned {
        words.push("presigned");
    }
    lifecycle::open_journal(&job.common, &mut job.key, &words, session)
}

/// One import under way. Each step is a method in `steps`, `spaces` and `transfer`.
struct Run<'a> {
    job: Job,
    api: Api,
    spaces: aws_sdk_s3::Client,
    session: &'a Session,
    journal: Journal,
    cleanup: Cleanup,
    held: Held,
    /// How the image is found by whoever does not know its id.
    mark: Option<Mark>,
    /// The images of this name that were there when the run began; looked at where several
    /// machines use one key.
    namesakes: Option<Vec<u64>>,
    plan: Plan,
    /// When the cloud's work began; the deadline counts from here.
    began: Option<Instant>,
    outcome: Outcome,
}

/// What is on the undo list now.
#[derive(Default)]
struct Held {
    object: Option<Object>,
    import: Option<Entry>,
    image: Option<Entry>,
}

/// The object on the undo list.
#[derive(Clone, Copy)]
struct Object {
    entry: Entry,
    /// An earlier run has sent it, and may have made it private since.
    is_earlier: bool,
}

impl Run<'_> {
    /// The guide, step by step. What an earlier run has done is not done again.
    async fn steps(&mut self) -> Result<()> {
        self.check().await?;
        if self.job.common.dry_run {
            return self.outline();
        }
        let id = match self.earlier_image().await? {
            Some(id) => id,
            None => {
                self.send().await?;
                self.start().await?
            }
        };
        if !self.job.common.wait.wait {
            self.leave_running(id);
            return Ok(());
        }
        let image = self.wait(id).await?;
        self.remove_object().await?;
        self.transfer(&image).await?;
        self.remove_mark(id).await?;
        self.finish(image);
        Ok(())
    }
}
