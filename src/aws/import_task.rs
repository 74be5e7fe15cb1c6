//! ImportImage and ImportSnapshot: create an image or a snapshot from the object in the bucket.
//! The progress of the task is in `task_status`.

use aws_sdk_ec2::operation::import_image::builders::ImportImageFluentBuilder;
use aws_sdk_ec2::operation::import_snapshot::builders::ImportSnapshotFluentBuilder;
use aws_sdk_ec2::types::{
    BootModeValues, ImageDiskContainer, ResourceType, SnapshotDiskContainer, UserBucket,
};

use super::client::Clients;
use super::error::ServiceError;
use super::job::Job;
use super::method::ImportMethod;
use super::tags::tags;
use super::values::flag_value;
use super::{partition, register, role};
use crate::error::Result;
use crate::net::retry::wait_while;
use crate::progress::Progress;

/// Everything that the road's requests say of the image and nothing can change later.
/// Two jobs with the same words can go on from the same task.
pub fn fingerprint(job: &Job) -> String {
    if job.method.registers() {
        return format!(
            "{} {:?} {} {:?} {}",
            job.method.flag_value(),
            job.common.image.format,
            job.role_name,
            job.encryption,
            register::fingerprint(job)
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
    let patient = job.create_role || role::is_new(job, clients).await;
    let mut silent = true;
    let send = || Request::new(job, clients, token).send();
    let is_retryable = |error: &ServiceError| {
        let role_is_new = patient && is_role_error(error);
        if role_is_new && std::mem::take(&mut silent) {
            let role = &job.role_name;
            progress.note(&format!(
                "VM Import does not know the service role {role} yet, trying again for up to 2 min"
            ));
        }
        role_is_new || error.is_invalid_response()
    };
    match wait_while(role::VISIBLE, send, is_retryable).await {
        Ok(task) => Ok(task),
        Err(fault) if is_role_error(&fault) => Err(role::rejected_role_error(job, fault)),
        Err(fault) => {
            Err(fault.into_error("the import could not be started", &required_permission(job)))
        }
    }
}

/// What the road's import needs.
pub fn required_permission(job: &Job) -> String {
    let (partition, role) = (partition::for_region(&job.region), &job.role_name);
    format!(
        "{} and iam:PassRole on arn:{partition}:iam::*:role/{role}",
        operation(job)
    )
}

/// The call that starts the road's import.
pub fn operation(job: &Job) -> &'static str {
    if job.method == ImportMethod::ImportImage {
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
    pub fn new(job: &Job, clients: &Clients, token: &str) -> Self {
        if job.method == ImportMethod::ImportImage {
            Self::Image(import_image_request(job, clients, token))
        } else {
            Self::Snapshot(import_snapshot_request(job, clients, token))
        }
    }

    /// The task's id.
    async fn send(self) -> Result<String, ServiceError> {
        let task = match self {
            Self::Image(request) => request.send().await?.import_task_id,
            Self::Snapshot(request) => request.send().await?.import_task_id,
        };
        task.ok_or_else(|| ServiceError::invalid_response("AWS gave no task id"))
    }

    /// Whether the caller may; starts nothing.
    pub async fn dry_run(self) -> Result<(), ServiceError> {
        match self {
            Self::Image(request) => request.dry_run(true).send().await.map(drop)?,
            Self::Snapshot(request) => request.dry_run(true).send().await.map(drop)?,
        }
        Ok(())
    }
}

fn import_image_request(job: &Job, clients: &Clients, token: &str) -> ImportImageFluentBuilder {
    let disk = ImageDiskContainer::builder()
        .set_format(disk_format(job))
        .user_bucket(user_bucket(job))
        .build();
    let encryption = job.encryption.as_ref();
    clients
        .ec2
        .import_image()
        .client_token(token)
        .disk_containers(disk)
        .architecture(flag_value(&job.architecture))
        .role_name(&job.role_name)
        .set_description(job.description.clone())
        .set_boot_mode(job.boot_mode.map(BootModeValues::from))
        .set_platform(job.platform.map(|platform| platform.api_value().to_owned()))
        .set_license_type(job.license_type.as_ref().map(flag_value))
        .set_encrypted(encryption.map(|_| true))
        .set_kms_key_id(encryption.and_then(|encryption| encryption.kms_key.clone()))
        .set_tag_specifications(tags(job, ResourceType::ImportImageTask).map(|tags| vec![tags]))
}

/// Its tags are the task's; the snapshot gets its own once it is there.
fn import_snapshot_request(
    job: &Job,
    clients: &Clients,
    token: &str,
) -> ImportSnapshotFluentBuilder {
    let disk = SnapshotDiskContainer::builder()
        .set_format(disk_format(job))
        .user_bucket(user_bucket(job))
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

fn user_bucket(job: &Job) -> UserBucket {
    UserBucket::builder()
        .s3_bucket(&job.bucket)
        .s3_key(&job.key)
        .build()
}

fn disk_format(job: &Job) -> Option<String> {
    let format = job.common.image.format;
    format.map(|format| format.to_string().to_uppercase())
}

/// AWS says so when the role is missing, wrong, or so new that it is not known yet.
fn is_role_error(fault: &ServiceError) -> bool {
    fault.code() == "InvalidParameter" && fault.message().contains("service role")
}
