//! The road to an ECS image: object in OSS, ECS ImportImage, tags, shares, copies. Reads
//! from top to bottom like Alibaba Cloud's own guide ("Import custom images").

mod api;
mod attributes;
mod client;
mod copies;
mod credentials;
mod detect;
mod error;
mod hints;
mod ids;
mod image;
mod import_task;
mod job;
mod options;
mod preflight;
mod provider;
mod remove;
pub mod resources;
mod resume;
mod role;
mod sign;
mod steps;
mod task_status;
mod trust;
mod unsupported;
mod upload;
mod validate;
mod values;

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::BoxFuture;
#[cfg(test)]
pub use hints::ALL as HELP;
pub use options::Options;
pub use unsupported::refused;
pub use validate::image::accepts;

use crate::config::{Environment, Invocation};
use crate::error::Result;
use crate::import::dry_run::Plan;
use crate::import::journal::Journal;
use crate::import::lifecycle;
use crate::import::lifecycle::Done;
use crate::import::outcome::Outcome;
use crate::import::session::Session;
use crate::import::undo::{Cleanup, Entry};
use client::Clients;
use image::Image;
use job::Job;
use preflight::Findings;

/// `imgimport alicloud`. `look` is what is said of the image once the settings are sound.
pub async fn run(
    said: Invocation<Options>,
    environment: &Environment,
    session: &Session,
    look: BoxFuture<'_, Result<()>>,
) -> Result<Done> {
    let (clients, region) = Clients::new(&said.provider, environment)?;
    let resolve = |clock| Job::resolve(said.clone(), region.clone(), clock, environment);
    let mut job = resolve(session.clock)?;
    look.await?;
    let journal = open_journal(&mut job, session)?;
    ids::PREFIXES.check(&journal.entry())?;
    let account = resources::account(&said.provider);
    journal.note(|entry| entry.account = account);
    if let Some(clock) = lifecycle::first_clock(&journal, session) {
        job = Job {
            key: job.key,
            ..resolve(clock)?
        };
    }
    let outcome = job.outcome();
    let mut cleanup = Cleanup::default();
    cleanup.advised(upload::undoing(&job.bucket, &job.key));
    let mut run = Run {
        job,
        clients,
        session,
        journal,
        cleanup,
        held: Held::default(),
        findings: Findings::default(),
        plan: Plan::new(&session.progress),
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
    lifecycle::end(&job.common, session, &journal, cleanup, outcome, result).await
}

/// The same image to the same key under the same name is the same job.
fn open_journal(job: &mut Job, session: &Session) -> Result<Journal> {
    let path = job.common.path();
    let (key, name) = (&job.key_template, &job.name_template);
    let words = ["alicloud", &job.region, &job.bucket, key, name, &path];
    lifecycle::open_journal(&job.common, &mut job.key, &words, session)
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
    plan: Plan,
    /// When the cloud's work began; the deadline counts from here.
    began: Option<Instant>,
    outcome: Outcome,
}

/// What is on the undo list now.
#[derive(Default)]
struct Held {
    bucket: Option<Entry>,
    parts: Vec<Entry>,
    object: Option<Entry>,
    import: Option<Entry>,
    copies: BTreeMap<String, Entry>,
}

impl Run<'_> {
    /// The guide, step by step. What an earlier run has done is not done again.
    async fn steps(&mut self) -> Result<()> {
        self.hold_earlier();
        self.find_unanswered().await?;
        self.check().await?;
        if self.job.common.dry_run {
            self.introduce().await?;
            return self.outline();
        }
        let Some(image) = self.image().await? else {
            return Ok(()); // --no-wait
        };
        self.remove_object().await;
        self.describe(&image).await?;
        self.copy(&image).await?;
        self.cleanup.release();
        Ok(())
    }

    /// The imported image: an earlier run's, or that of a task; none when nobody waits for it.
    async fn image(&mut self) -> Result<Option<Image>> {
        if let Some(image) = self.earlier_image().await? {
            return Ok(Some(image));
        }
        let import = if let Some(import) = self.earlier_import().await? {
            import
        } else {
            self.prepare().await?;
            self.send().await?;
            self.start().await?
        };
        if self.job.common.wait.wait {
            return self.wait(&import).await.map(Some);
        }
        self.leave_running(&import);
        Ok(None)
    }
}
