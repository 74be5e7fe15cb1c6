//! Creates an AMI: object in S3, EC2 ImportImage or ImportSnapshot and RegisterImage, or a
//! snapshot written block by block; name, tags, permissions, copies. Follows Amazon's own
//! guides from top to bottom ("Import your VM as an image", "Import a disk as a snapshot",
//! "Write snapshots with the EBS direct APIs").

mod ami;
mod check;
mod client;
mod consistency;
mod copies;
mod credential_error;
mod credentials;
mod deprecation;
mod detect;
mod dry_run;
mod ebs_direct;
mod error;
mod hints;
mod ids;
mod import_task;
mod job;
mod method;
mod options;
mod packer;
mod pages;
mod partition;
mod preflight;
mod profile;
mod provider;
mod quota;
mod regions;
mod register;
mod request_log;
mod resources;
mod resume;
mod role;
mod role_policy;
mod role_setup;
mod share;
mod snapshot;
pub mod snapshot_writer;
mod ssm_parameter;
mod steps;
mod tags;
mod task_status;
mod trust;
mod uefi;
mod unconfirmed;
mod unsupported;
mod upload;
mod validate;
mod values;
mod volume;

use std::collections::BTreeMap;
use std::time::Instant;

use aws_sdk_ec2::types::Image;
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
use job::Job;
use method::ImportMethod;

/// Runs the steps of an import.
async fn import(job: Job, clients: Clients, journal: Journal, session: &Session) -> ImportEnd {
    let stored = || journal.entry().account.get(OWNER).cloned();
    let bucket_owner = job.bucket_owner.clone().or_else(stored);
    let mut cleanup = UndoList::default();
    cleanup.set_hint(upload::removal_hint(&job.region, &job.bucket, &job.key));
    let outcome = job.outcome();
    let mut run = AwsImport {
        job,
        clients,
        bucket_owner: bucket_owner.filter(|owner| ids::is_account(owner)),
        session,
        journal,
        cleanup,
        handles: UndoHandles::default(),
        registered: false,
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

/// The entry of the journal's account that holds the owner of the bucket.
const OWNER: &str = "bucket_owner";

/// One import under way. Each step is a method in `steps`.
struct AwsImport<'a> {
    job: Job,
    clients: Clients,
    /// The account that must own the bucket: S3 refuses requests that name another one.
    bucket_owner: Option<String>,
    session: &'a Session,
    journal: Journal,
    cleanup: UndoList,
    handles: UndoHandles,
    /// Whether this run has registered the image, with all that the call carries.
    registered: bool,
    plan: DryRunPlan,
    /// When the cloud's work began; the deadline counts from here.
    import_started: Option<Instant>,
    outcome: Outcome,
}

/// What is on the undo list now.
#[derive(Default)]
struct UndoHandles {
    parts: Vec<Handle>,
    object: Option<Handle>,
    task: Option<Handle>,
    /// The snapshot that an image is registered from.
    snapshot: Option<Handle>,
    /// The image as it was imported, or registered.
    image: Option<Handle>,
    /// The image under its name.
    copy: Option<Handle>,
    /// Its copies, by region.
    copies: BTreeMap<String, Handle>,
}

impl AwsImport<'_> {
    /// The guide, step by step. What an earlier run has done is not done again.
    async fn steps(&mut self) -> Result<()> {
        self.track_earlier();
        self.check().await?;
        if self.job.common.dry_run {
            let session = self.session;
            session.cancellable(self.check_permissions()).await?;
            return self.describe_steps();
        }
        let image = match self.job.method {
            ImportMethod::ImportImage => self.by_import_image().await?,
            ImportMethod::ImportSnapshot => self.by_import_snapshot().await?,
            ImportMethod::EbsDirect => self.by_ebs_direct().await?,
        };
        let Some(image) = image else {
            return Ok(());
        };
        self.set_attributes(&image).await?;
        self.copy(&image).await?;
        self.publish().await?;
        self.finish();
        Ok(())
    }

    /// The task makes an image; its name is a copy's. None is a task that nobody waits for.
    async fn by_import_image(&mut self) -> Result<Option<Image>> {
        let image = match self.earlier_image().await? {
            Some(image) => {
                self.remove_earlier_object().await;
                image
            }
            None => match self.import().await? {
                Some(image) => image,
                None => return Ok(None),
            },
        };
        self.rename_by_copy(image).await.map(Some)
    }

    /// The task makes a snapshot, and RegisterImage the image with its name.
    async fn by_import_snapshot(&mut self) -> Result<Option<Image>> {
        let snapshot = match self.earlier_snapshot().await? {
            Some(snapshot) => {
                self.remove_earlier_object().await;
                snapshot
            }
            None => match self.import().await? {
                Some(snapshot) => snapshot,
                None => return Ok(None),
            },
        };
        self.register(&snapshot).await.map(Some)
    }

    /// The snapshot is written from here, and RegisterImage makes the image with its name.
    async fn by_ebs_direct(&mut self) -> Result<Option<Image>> {
        let snapshot = match self.earlier_snapshot().await? {
            Some(snapshot) => snapshot,
            None => match self.write_snapshot().await? {
                Some(snapshot) => snapshot,
                None => return Ok(None),
            },
        };
        self.register(&snapshot).await.map(Some)
    }

    /// Upload and import task; the image or the snapshot that it has made.
    async fn import(&mut self) -> Result<Option<String>> {
        let task = match self.earlier_task().await? {
            Some(task) => task,
            None => {
                self.send().await?;
                self.start().await?
            }
        };
        if !self.job.common.wait.wait {
            self.detach(&task);
            return Ok(None);
        }
        let result_id = self.wait_for_task(&task).await?;
        self.remove_object().await;
        Ok(Some(result_id))
    }
}
