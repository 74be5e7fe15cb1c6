//! Creates a custom image: object in a Space, readable for DigitalOcean, import by its URL,
//! transfer to further regions. Follows DigitalOcean's own guide from top to bottom ("How to
//! Upload Custom Images").

mod check;
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
mod packer;
mod preflight;
mod provider;
mod resources;
mod resume;
mod steps;
mod trust;
mod upload;
mod validate;

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
use client::Api;
use image_marker::ImageMarker;
use job::Job;

/// Runs the steps of an import.
async fn import(job: Job, journal: Journal, session: &Session) -> ImportEnd {
    let outcome = job.outcome();
    let (api, spaces) = match clients(&job, session) {
        Ok(clients) => clients,
        Err(error) => {
            return ImportEnd {
                job: job.common,
                cleanup: UndoList::default(),
                outcome,
                result: Err(error),
            };
        }
    };
    let mut cleanup = UndoList::default();
    cleanup.set_hint(upload::removal_hint(&job.space.name));
    let mut run = DigitalOceanImport {
        spaces,
        job,
        api,
        session,
        journal,
        cleanup,
        handles: UndoHandles::default(),
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
    ImportEnd {
        job: run.job.common,
        cleanup: run.cleanup,
        outcome: run.outcome,
        result,
    }
}

/// Returns the clients of the API and of Spaces.
fn clients(job: &Job, session: &Session) -> Result<(Api, aws_sdk_s3::Client)> {
    let (token, progress) = (&job.token, &session.progress);
    let api = Api::new(&job.api_url, token, job.retry_policy, progress)?;
    Ok((api, upload::client(&job.space, job.retry_policy)?))
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
