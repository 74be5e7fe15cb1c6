//! The road to an AMI: object in S3, EC2 ImportImage, name, tags, permissions. Reads
//! from top to bottom like Amazon's own guide ("Import your VM as an image").

mod adopt;
mod clients;
mod credentials;
mod earlier;
mod fault;
mod image;
mod import;
mod job;
mod names;
mod object;
mod options;
mod preflight;
mod requests;
mod role;
mod rules;
mod steps;

use std::time::Instant;

pub use options::Options;
pub use rules::accepts;

use crate::cleanup::{Cleanup, Entry};
use crate::error::Result;
use crate::frame;
use crate::journal::Journal;
use crate::layers::{Environment, Invocation};
use crate::outcome::Outcome;
use crate::session::Session;
use clients::Clients;
use job::Job;

/// `imgimport aws`.
pub async fn run(
    said: Invocation<Options>,
    environment: &Environment,
    session: &Session,
) -> Result<Outcome> {
    let region = clients::region(&said.provider).await;
    let clients = Clients::new(&said.provider, region.as_deref().unwrap_or_default()).await;
    let resolve = |clock| Job::resolve(said.clone(), region.clone(), clock, environment);
    let mut job = resolve(session.clock)?;
    let journal = open_journal(&mut job, session)?;
    if let Some(clock) = frame::first_clock(&journal, session) {
        job = Job {
            key: job.key,
            ..resolve(clock)?
        };
    }
    let outcome = job.outcome();
    let (cleanup, held) = (Cleanup::default(), Held::default());
    let mut run = Run {
        job,
        clients,
        session,
        journal,
        cleanup,
        held,
        began: None,
        outcome,
    };
    let result = run.steps().await;
    let Run {
        job,
        journal,
        cleanup,
        outcome,
        ..
    } = run;
    frame::end(&job.common, session, &journal, cleanup, outcome, result).await
}

/// The same image to the same key under the same name is the same job.
fn open_journal(job: &mut Job, session: &Session) -> Result<Journal> {
    let (path, name) = (job.common.path(), job.name_template.as_deref());
    let words = [
        "aws",
        &job.region,
        &job.bucket,
        &job.key_template,
        name.unwrap_or_default(),
        &path,
    ];
    frame::open_journal(&job.common, &mut job.key, &words, session)
}

/// One import under way. Each step is a method in `steps`.
struct Run<'a> {
    job: Job,
    clients: Clients,
    session: &'a Session,
    journal: Journal,
    cleanup: Cleanup,
    held: Held,
    /// When the cloud's work began; the deadline counts from here.
    began: Option<Instant>,
    outcome: Outcome,
}

/// What is on the undo list now.
#[derive(Default)]
struct Held {
    parts: Option<Entry>,
    object: Option<Entry>,
    task: Option<Entry>,
    /// The image as it was imported.
    image: Option<Entry>,
    /// The image under its name.
    copy: Option<Entry>,
}

impl Run<'_> {
    /// The guide, step by step. What an earlier run has done is not done again.
    async fn steps(&mut self) -> Result<()> {
        self.hold_earlier();
        self.check().await?;
        if self.job.common.dry_run {
            self.plan();
            return Ok(());
        }
        let image = match self.earlier_image().await? {
            Some(image) => {
                if self.journal.entry().sent {
                    self.remove_object().await;
                }
                image
            }
            None => {
                let task = match self.earlier_task().await? {
                    Some(task) => task,
                    None => {
                        self.send().await?;
                        self.start().await?
                    }
                };
                if !self.job.common.wait.wait {
                    self.leave_running(&task);
                    return Ok(());
                }
                let image = self.wait(&task).await?;
                self.remove_object().await;
                image
            }
        };
        let image = self.name(image).await?;
        self.describe(&image).await?;
        self.job.common.remove_source(self.session);
        Ok(())
    }
}
