//! Creates an ECS image: object in OSS, ECS ImportImage, tags, shares, copies. Follows Alibaba
//! Cloud's own guide from top to bottom ("Import custom images").

mod api;
mod attributes;
mod check;
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
mod packer;
mod preflight;
mod provider;
mod remove;
mod resources;
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

#[cfg(test)]
pub use hints::ALL_HINTS as HELP;
pub use options::Options;

use crate::error::Result;
use crate::import::cloud::ImportEnd;
use crate::import::dry_run::DryRunPlan;
use crate::import::journal::Journal;
use crate::import::outcome::Outcome;
use crate::import::session::Session;
use crate::import::undo::{Handle, UndoList};
use client::Clients;
use image::Image;
use job::Job;
use preflight::PreflightReport;

/// Runs the steps of an import.
async fn import(job: Job, clients: Clients, journal: Journal, session: &Session) -> ImportEnd {
    let mut cleanup = UndoList::default();
    cleanup.set_hint(upload::removal_hint(&job.bucket, &job.key));
    let outcome = job.outcome();
    let mut run = AlicloudImport {
        job,
        clients,
        session,
        journal,
        cleanup,
        handles: UndoHandles::default(),
        report: PreflightReport::default(),
        plan: DryRunPlan::new(&session.progress),
        import_started: None,
        outcome,
    };
    let result = run.steps().await;
    ImportEnd {
        job: run.job.common,
        cleanup: run.cleanup,
        outcome: run.outcome,
        result,
    }
}

/// One import under way. Each step is a method in `steps`, `object` or `copies`.
struct AlicloudImport<'a> {
    job: Job,
    clients: Clients,
    session: &'a Session,
    journal: Journal,
    cleanup: UndoList,
    handles: UndoHandles,
    report: PreflightReport,
    plan: DryRunPlan,
    /// When the cloud's work began; the deadline counts from here.
    import_started: Option<Instant>,
    outcome: Outcome,
}

/// What is on the undo list now.
#[derive(Default)]
struct UndoHandles {
    bucket: Option<Handle>,
    parts: Vec<Handle>,
    object: Option<Handle>,
    import: Option<Handle>,
    copies: BTreeMap<String, Handle>,
}

impl AlicloudImport<'_> {
    /// The guide, step by step. What an earlier run has done is not done again.
    async fn steps(&mut self) -> Result<()> {
        self.track_earlier();
        self.find_unanswered().await?;
        self.check().await?;
        if self.job.common.dry_run {
            self.identify_caller().await?;
            return self.describe_steps();
        }
        let Some(image) = self.image().await? else {
            return Ok(()); // --no-wait
        };
        self.remove_object().await;
        self.set_attributes(&image).await?;
        self.copy(&image).await?;
        self.cleanup.clear();
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
        self.detach(&import);
        Ok(None)
    }
}
