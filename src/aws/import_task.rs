//! ImportImage and ImportSnapshot: the object in the bucket becomes an image or a
//! snapshot. How the task goes is told in `task`.

use std::time::Duration;

use aws_sdk_ec2::operation::import_image::builders::ImportImageFluentBuilder;
use aws_sdk_ec2::operation::import_snapshot::builders::ImportSnapshotFluentBuilder;
use aws_sdk_ec2::types::{
    BootModeValues, ImageDiskContainer, ResourceType, SnapshotDiskContainer, UserBucket,
};
use backon::{ExponentialBuilder, Retryable};

use super::client::Clients;
use super::error::Fault;
use super::job::Job;
use super::method::Road;
use super::tags::tags;
use super::values::word;
use super::{partition, register, role};
use crate::error::Result;
use crate::progress::Progress;

/// Everything that the road's requests say of the image and nothing can change later.
/// Two jobs with the same words can go on from the same task.
pub fn request(job: &Job) -> String {
    if job.road.registers() {
        return format!(
            "{} {:?} {} {:?} {}",
            job.road.word(),
            job.common.image.format,
            job.role_name,
            job.encryption,
            register::request(job)
        );
    }
    format!(
        "{:?} {:?} {:?} {:?} {:?} {} {:?}",
        job.common.image.format,
        job.architecture,
        job.boot_mode,
        job.platform,
        job.license_type,
        job.role_name,
        job.encryption
    )
}

/// Starts the import. The token makes a repeated request the same one, so that a lost
/// answer never starts a second import. A role made or changed a moment ago is waited for.
pub async fn start(
    job: &Job,
    clients: &Clients,
    progress: &Progress,
    token: &str,
) -> Result<String> {
    let patient = job.create_role || role::is_fresh(job, clients).await;
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(role::PAUSE)
        .with_max_times(role::TRIES);
    let mut silent = true;
    let answer = (|| Request::of(job, clients, token).send())
        .retry(pauses)
        .when(|fault| (patient && is_role_trouble(fault)) || fault.is_unreadable())
        .notify(|fault, _| {
            if is_role_trouble(fault) && std::mem::take(&mut silent) {
                let role = &job.role_name;
                progress.note(&format!("VM Import does not know the service role {role} yet, trying again for up to 2 min"));
            }
        })
        .await;
    match answer {
        Ok(task) => Ok(task),
        Err(fault) if is_role_trouble(&fault) => Err(role::refused(job, fault)),
        Err(fault) => Err(fault.fails("the import could not be started", &needs(job))),
    }
}

/// What the road's import needs.
pub fn needs(job: &Job) -> String {
    let (partition, role) = (partition::of(&job.region), &job.role_name);
    format!(
        "{} and iam:PassRole on arn:{partition}:iam::*:role/{role}",
        call(job)
    )
}

/// The call that starts the road's import.
pub fn call(job: &Job) -> &'static str {
    if job.road == Road::ImportImage {
        "ec2:ImportImage"
    } else {
        "ec2:ImportSnapshot"
    }
}

/// The request of this import; sent again with the same token it names the same task.
pub enum Request {
    /// For an image.
    Image(ImportImageFluentBuilder),
    /// For a snapshot.
    Snapshot(ImportSnapshotFluentBuilder),
}

impl Request {
    /// The request that the job's road needs.
    pub fn of(job: &Job, clients: &Clients, token: &str) -> Self {
        if job.road == Road::ImportImage {
            Self::Image(image(job, clients, token))
        } else {
            Self::Snapshot(snapshot(job, clients, token))
        }
    }

    /// The task's id.
    async fn send(self) -> Result<String, Fault> {
        let task = match self {
            Self::Image(request) => request.send().await?.import_task_id,
            Self::Snapshot(request) => request.send().await?.import_task_id,
        };
        task.ok_or_else(|| Fault::unreadable("AWS gave no task id"))
    }

    /// Whether the caller may; starts nothing.
    pub async fn rehearse(self) -> Result<(), Fault> {
        match self {
            Self::Image(request) => request.dry_run(true).send().await.map(drop)?,
            Self::Snapshot(request) => request.dry_run(true).send().await.map(drop)?,
        }
        Ok(())
    }
}

fn image(job: &Job, clients: &Clients, token: &str) -> ImportImageFluentBuilder {
    let disk = ImageDiskContainer::builder()
        .set_format(format(job))
        .user_bucket(object(job))
        .build();
    let encryption = job.encryption.as_ref();
    clients
        .ec2
        .import_image()
        .client_token(token)
        .disk_containers(disk)
        .architecture(word(&job.architecture))
        .role_name(&job.role_name)
        .set_description(job.description.clone())
        .set_boot_mode(job.boot_mode.map(BootModeValues::from))
        .set_platform(job.platform.map(|platform| platform.wire().to_owned()))
        .set_license_type(job.license_type.as_ref().map(word))
        .set_encrypted(encryption.map(|_| true))
        .set_kms_key_id(encryption.and_then(|encryption| encryption.kms_key.clone()))
        .set_tag_specifications(tags(job, ResourceType::ImportImageTask).map(|tags| vec![tags]))
}

/// Its tags are the task's; the snapshot gets its own once it is there.
fn snapshot(job: &Job, clients: &Clients, token: &str) -> ImportSnapshotFluentBuilder {
    let disk = SnapshotDiskContainer::builder()
        .set_format(format(job))
        .user_bucket(object(job))
        .build();
    let encryption = job.encryption.as_ref();
    clients
        .ec2
        .import_snapshot()
        .client_token(token)
        .disk_container(disk)
        .role_name(&job.role_name)
        .set_description(job.description.clone())
        .set_encrypted(encryption.map(|_| true))
        .set_kms_key_id(encryption.and_then(|encryption| encryption.kms_key.clone()))
        .set_tag_specifications(tags(job, ResourceType::ImportSnapshotTask).map(|tags| vec![tags]))
}

fn object(job: &Job) -> UserBucket {
    UserBucket::builder()
        .s3_bucket(&job.bucket)
        .s3_key(&job.key)
        .build()
}

fn format(job: &Job) -> Option<String> {
    let format = job.common.image.format;
    format.map(|format| format.to_string().to_uppercase())
}

/// AWS says so when the role is missing, wrong, or so new that it is not known yet.
fn is_role_trouble(fault: &Fault) -> bool {
    fault.code() == "InvalidParameter" && fault.message().contains("service role")
}
