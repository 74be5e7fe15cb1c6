//! Creates an AMI: object in S3, EC2 ImportImage or ImportSnapshot and RegisterImage, or a
//! snapshot written block by block; name, tags, permissions, copies. Follows Amazon's own
//! guides from top to bottom ("Import your VM as an image", "Import a disk as a snapshot",
//! "Write snapshots with the EBS direct APIs").

mod ami;
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
mod pages;
mod partition;
mod preflight;
mod profile;
mod provider;
mod quota;
mod regions;
mod register;
mod request_log;
pub mod resources;
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
use futures_util::future::BoxFuture;
#[cfg(test)]
pub use hints::ALL_HINTS as HELP;
pub use options::{AssumeRole, Options, Polling};
pub use unsupported::unsupported;

use crate::config::{Environment, ImportArgs};
use crate::error::Result;
use crate::import::dry_run::DryRunPlan;
use crate::import::journal::Journal;
use crate::import::lifecycle;
use crate::import::lifecycle::FinishedImport;
use crate::import::outcome::Outcome;
use crate::import::session::Session;
use crate::import::undo::{Handle, UndoList};
use client::Clients;
use job::Job;
use method::ImportMethod;

/// Whether ImportImage takes such an image, the road that is taken unless another is asked
/// for; the reason and the remedy when it does not.
pub fn accepts(image: &crate::image::Image) -> Result<(), (String, String)> {
    validate::accepts(image, ImportMethod::ImportImage)
}

/// Whether its disk can be written into a snapshot block by block.
pub fn accepts_blocks(image: &crate::image::Image) -> bool {
    validate::accepts(image, ImportMethod::EbsDirect).is_ok()
        && crate::image::DiskReader::open(image).is_ok()
}

/// `imgimport aws`. `look` is what is said of the image once the settings are sound.
pub async fn run(
    args: ImportArgs<Options>,
    environment: &Environment,
    session: &Session,
    image_check: BoxFuture<'_, Result<()>>,
) -> Result<FinishedImport> {
    let region = client::region(&args.provider).await?;
    let clients = Clients::new(&args.provider, region.as_deref().unwrap_or_default()).await?;
    let resolve = |clock| Job::resolve(args.clone(), region.clone(), clock, environment);
    let mut job = resolve(session.clock)?;
    image_check.await?;
    let journal = open_journal(&mut job, session)?;
    ids::PREFIXES.check(&journal.entry())?;
    let account = resources::account(&args.provider);
    // Until the caller is known, the owner of the bucket is whom an earlier run saw.
    let owner = job.bucket_owner.clone();
    let owner = owner.or_else(|| journal.entry().account.get(OWNER).cloned());
    let owner = owner.filter(|owner| ids::is_account(owner));
    journal.update(|entry| {
        entry.account = account;
        let noted = owner.clone().map(|owner| (OWNER.to_owned(), owner));
        entry.account.extend(noted);
    });
    if let Some(clock) = lifecycle::original_clock(&journal, session) {
        job = Job {
            key: job.key,
            ..resolve(clock)?
        };
    }
    let outcome = job.outcome();
    let (mut cleanup, handles) = (UndoList::default(), UndoHandles::default());
    cleanup.set_hint(upload::removal_hint(&job.region, &job.bucket, &job.key));
    let mut run = AwsImport {
        job,
        clients,
        bucket_owner: owner,
        session,
        journal,
        cleanup,
        handles,
        registered: false,
        plan: DryRunPlan::new(&session.progress),
        import_started: None,
        outcome,
    };
    let result = run.steps().await;
    let AwsImport {
        job,
        journal,
        cleanup,
        outcome,
        ..
    } = run;
    lifecycle::finish(&job.common, session, &journal, cleanup, outcome, result).await
}

/// The entry of the journal's account that holds the owner of the bucket.
const OWNER: &str = "bucket_owner";

/// The same image to the same key under the same name is the same job.
fn open_journal(job: &mut Job, session: &Session) -> Result<Journal> {
    let (path, name) = (job.common.path(), job.name_template.as_deref());
    // No bucket has such a name.
    let destination = match job.method {
        ImportMethod::EbsDirect => "/ebs-direct",
        _ => &job.bucket,
    };
    // Parts are encrypted as their upload was begun.
    let encryption = job
        .s3_encryption
        .as_ref()
        .map(|encryption| format!("{encryption:?}"));
    let mut parts = vec![
        "aws",
        &job.region,
        destination,
        &job.key_template,
        name.unwrap_or_default(),
        &path,
    ];
    parts.extend(encryption.as_deref());
    lifecycle::open_journal(&job.common, &mut job.key, &parts, session)
}

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
