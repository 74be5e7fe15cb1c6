//! The road to an ECS image: object in OSS, ECS ImportImage, tags, shares, copies. Reads
//! from top to bottom like Alibaba Cloud's own guide ("Import custom images").

mod api;
mod clients;
mod copies;
mod credentials;
mod fault;
mod fitness;
mod image;
mod import;
mod job;
mod names;
mod object;
mod options;
mod preflight;
mod profile;
mod role;
mod rules;
mod sign;
mod steps;
mod wallet;

use std::time::Instant;

pub use options::Options;

use crate::cleanup::{self, Cleanup, Entry};
use crate::error::{Kind, Result};
use crate::journal::{self, Journal};
use crate::layers::{Environment, Invocation};
use crate::outcome::Outcome;
use crate::session::Session;
use clients::Clients;
use image::Image;
use job::Job;
use preflight::Findings;

/// `imgimport alicloud`.
pub async fn run(
    said: Invocation<Options>,
    environment: &Environment,
    session: &Session,
) -> Result<Outcome> {
    let (clients, region) = Clients::new(&said.provider, environment)?;
    let mut job = Job::resolve(said, region, session.clock, environment)?;
    let journal = open_journal(&mut job, session)?;
    let outcome = job.outcome();
    let mut run = Run {
        job,
        clients,
        session,
        journal,
        cleanup: Cleanup::default(),
        held: Held::default(),
        findings: Findings::default(),
        began: None,
        outcome,
    };
    let result = run.steps().await;
    run.end(result).await
}

/// The journal of this job: the same image to the same key under the same name. The key
/// that an unfinished run chose is kept.
fn open_journal(job: &mut Job, session: &Session) -> Result<Journal> {
    if !job.common.resumes() || job.common.dry_run {
        return Ok(Journal::forgetful());
    }
    let path = job.common.path();
    let words = [
        "alicloud",
        &job.region,
        &job.bucket,
        &job.key_template,
        &job.name_template,
        &path,
    ];
    let (journal, warning) = Journal::open(journal::directory().as_deref(), &words)?;
    if let Some(warning) = warning {
        session.progress.warn(&warning);
    }
    let key = journal.entry().key.unwrap_or_else(|| job.key.clone());
    journal.note(|entry| entry.key = Some(key.clone()));
    job.key = key;
    Ok(journal)
}

/// One import under way. Each step is a method in `steps`, `object` or `copies`.
struct Run<'a> {
    job: Job,
    clients: Clients,
    session: &'a Session,
    journal: Journal,
    cleanup: Cleanup,
    held: Held,
    findings: Findings,
    /// When the cloud's work began; the deadline counts from here.
    began: Option<Instant>,
    outcome: Outcome,
}

/// What is on the undo list now.
#[derive(Default)]
struct Held {
    object: Option<Entry>,
    task: Option<Entry>,
}

impl Run<'_> {
    /// The guide, step by step. What an earlier run has done is not done again.
    async fn steps(&mut self) -> Result<()> {
        self.check().await?;
        if self.job.common.dry_run {
            self.plan();
            return Ok(());
        }
        let Some(image) = self.image().await? else {
            return Ok(()); // --no-wait
        };
        self.remove_object().await;
        self.describe(&image).await?;
        self.copy(&image).await?;
        self.cleanup.release();
        self.job.common.remove_source(self.session);
        Ok(())
    }

    /// The imported image: an earlier run's, or that of a task; none when nobody waits for it.
    async fn image(&mut self) -> Result<Option<Image>> {
        if let Some(image) = self.earlier_image().await? {
            return Ok(Some(image));
        }
        let task = if let Some(task) = self.earlier_task().await? {
            task
        } else {
            self.prepare().await?;
            self.send().await?;
            self.start().await?
        };
        if self.job.common.wait.wait {
            return self.wait(&task).await.map(Some);
        }
        self.leave_running(&task);
        Ok(None)
    }

    /// The image, or what stays and how to go on.
    async fn end(self, result: Result<()>) -> Result<Outcome> {
        let Self {
            job,
            session,
            journal,
            cleanup,
            mut outcome,
            ..
        } = self;
        let Err(error) = result else {
            // Under --no-wait a later run attaches to the task.
            if job.common.wait.wait && !job.common.dry_run {
                journal.close();
            }
            outcome.seconds.total = session.began.elapsed();
            return Ok(outcome);
        };
        // A task that goes on needs its object, whatever else is wanted.
        let keep = job.common.resumes() || error.kind() == Kind::Deadline;
        let stays = cleanup::end(cleanup, keep, session).await;
        if stays.is_empty() {
            journal.close();
            return Err(error);
        }
        let error = error.leaves(stays);
        Err(if keep {
            error.hint("the same command goes on from there")
        } else {
            error
        })
    }
}
