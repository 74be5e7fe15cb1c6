//! Creates a custom image: object in a Space, readable for DigitalOcean, import by its URL,
//! transfer to further regions. Follows DigitalOcean's own guide from top to bottom ("How to
//! Upload Custom Images").

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
pub use hints::ALL_HINTS as HELP;
use options::ObjectAccess;
pub use options::Options;
pub use validate::{accepts, boot_warning};

use crate::config::{Environment, ImportArgs};
use crate::error::Result;
use crate::import::dry_run::DryRunPlan;
use crate::import::journal::Journal;
use crate::import::lifecycle;
use crate::import::lifecycle::FinishedImport;
use crate::import::outcome::Outcome;
use crate::import::session::Session;
use crate::import::undo::{Handle, UndoList};
use client::Api;
use image_marker::ImageMarker;
use job::Job;

/// `imgimport digitalocean`. `look` is what is said of the image once the settings are sound.
pub async fn run(
    args: ImportArgs<Options>,
    environment: &Environment,
    session: &Session,
    image_check: BoxFuture<'_, Result<()>>,
) -> Result<FinishedImport> {
    let resolve = |clock| Job::resolve(args.clone(), clock, environment);
    let mut job = resolve(session.clock)?;
    image_check.await?;
    let api = Api::new(
        &job.api_url,
        &job.token,
        job.retry_policy,
        &session.progress,
    )?;
    let journal = open_journal(&mut job, session)?;
    let account = resources::account(&args.provider);
    journal.update(|entry| entry.account = account);
    if let Some(clock) = lifecycle::original_clock(&journal, session) {
        job = Job {
            key: job.key,
            ..resolve(clock)?
        };
    }
    let outcome = job.outcome();
    let (mut cleanup, handles) = (UndoList::default(), UndoHandles::default());
    cleanup.set_hint(upload::removal_hint(&job.space.name));
    let mut run = DigitalOceanImport {
        spaces: upload::client(&job.space, job.retry_policy)?,
        job,
        api,
        session,
        journal,
        cleanup,
        handles,
        marker: None,
        images_named: None,
        plan: DryRunPlan::new(&session.progress),
        import_started: None,
        outcome,
    };
    let result = run.steps().await;
    if result.is_err() {
        run.discard_public_object().await;
    }
    let DigitalOceanImport {
        job,
        journal,
        cleanup,
        outcome,
        ..
    } = run;
    lifecycle::finish(&job.common, session, &journal, cleanup, outcome, result).await
}

/// The same image to the same key under the same name is the same job.
fn open_journal(job: &mut Job, session: &Session) -> Result<Journal> {
    let (path, region) = (job.common.path(), job.region().to_owned());
    let (space, key, name) = (&job.space, &job.key_template, &job.name_template);
    let mut parts = vec![
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
        parts.push("presigned");
    }
    lifecycle::open_journal(&job.common, &mut job.key, &parts, session)
}

/// One import under way. Each step is a method in `steps`, `spaces` and `transfer`.
struct DigitalOceanImport<'a> {
    job: Job,
    api: Api,
    spaces: aws_sdk_s3::Client,
    session: &'a Session,
    journal: Journal,
    cleanup: UndoList,
    handles: UndoHandles,
    /// The marker that identifies the image without its ID.
    marker: Option<ImageMarker>,
    /// The images of this name that were there when the run began; looked at where several
    /// machines use one key.
    images_named: Option<Vec<u64>>,
    plan: DryRunPlan,
    /// When the cloud's work began; the deadline counts from here.
    import_started: Option<Instant>,
    outcome: Outcome,
}

/// What is on the undo list now.
#[derive(Default)]
struct UndoHandles {
    object: Option<TrackedObject>,
    import: Option<Handle>,
    image: Option<Handle>,
}

/// The object on the undo list.
#[derive(Clone, Copy)]
struct TrackedObject {
    entry: Handle,
    /// An earlier run has sent it, and may have made it private since.
    is_earlier: bool,
}

impl DigitalOceanImport<'_> {
    /// The guide, step by step. What an earlier run has done is not done again.
    async fn steps(&mut self) -> Result<()> {
        self.check().await?;
        if self.job.common.dry_run {
            return self.describe_steps();
        }
        let id = match self.earlier_image().await? {
            Some(id) => id,
            None => {
                self.send().await?;
                self.start().await?
            }
        };
        if !self.job.common.wait.wait {
            self.detach(id);
            return Ok(());
        }
        let image = self.wait(id).await?;
        self.remove_object().await?;
        self.transfer_to_regions(&image).await?;
        self.remove_marker(id).await?;
        self.finish(image);
        Ok(())
    }
}
