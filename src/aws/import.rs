//! ImportImage: the request, the task's states, cancelling it. VM Import knows no state
//! "failed": a task that fails is `deleting`, then `deleted`, with the reason in its
//! StatusMessage ("Monitor an import image task" of the VM Import guide).

use std::time::Duration;

use aws_sdk_ec2::operation::import_image::builders::ImportImageFluentBuilder;
use aws_sdk_ec2::types::{
    BootModeValues, ImageDiskContainer, ImportImageTask, ResourceType, Tag, TagSpecification,
    UserBucket,
};
use backon::{ConstantBuilder, Retryable};

use super::clients::Clients;
use super::fault::Fault;
use super::job::Job;
use super::names::{BootMode, word};
use super::role;
use crate::error::{Error, Result};
use crate::wait::{Poll, Trouble};

/// Between two tries while a new role becomes known.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a cancelled task may take to let go of the object.
const LETTING_GO: Duration = Duration::from_secs(120);

/// Everything that the request says of the image. Two requests with the same words are the same request.
pub fn request(job: &Job) -> String {
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
/// answer never starts a second import. A role made a moment ago is waited for.
pub async fn start(job: &Job, clients: &Clients, token: &str) -> Result<String> {
    let attempts = usize::try_from(role::PROPAGATION.as_secs() / PAUSE.as_secs()).unwrap_or(1);
    let fresh = role::is_fresh(job, clients).await;
    let answer = (|| ask(job, clients, token))
        .retry(
            ConstantBuilder::default()
                .with_delay(PAUSE)
                .with_max_times(attempts),
        )
        .when(|fault| fresh && is_role_trouble(fault))
        .await;
    match answer {
        Ok(Some(task)) => Ok(task),
        Ok(None) => {
            Err(Error::failed("the import did not start").because_of("AWS gave no task id"))
        }
        Err(fault) if is_role_trouble(&fault) => Err(role::missing(job).because(fault)),
        Err(fault) => Err(fault.fails(
            "the import could not be started",
            "ec2:ImportImage and iam:PassRole on the service role",
        )),
    }
}

async fn ask(job: &Job, clients: &Clients, token: &str) -> Result<Option<String>, Fault> {
    Ok(request_for(job, clients, token)
        .send()
        .await?
        .import_task_id)
}

/// The request of this import; sent again with the same token it names the same task.
pub fn request_for(job: &Job, clients: &Clients, token: &str) -> ImportImageFluentBuilder {
    let format = job
        .common
        .image
        .format
        .map(|format| format.to_string().to_uppercase());
    let bucket = UserBucket::builder()
        .s3_bucket(&job.bucket)
        .s3_key(&job.key)
        .build();
    let disk = ImageDiskContainer::builder()
        .set_format(format)
        .user_bucket(bucket)
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
        .set_boot_mode(job.boot_mode.map(boot_mode))
        .set_platform(job.platform.map(|platform| platform.wire().to_owned()))
        .set_license_type(job.license_type.as_ref().map(word))
        .set_encrypted(encryption.map(|_| true))
        .set_kms_key_id(encryption.and_then(|encryption| encryption.kms_key.clone()))
        .set_tag_specifications(tags(job, ResourceType::ImportImageTask).map(|tags| vec![tags]))
}

/// Cancels an import whose answer nobody heard: asked for once more, it says its name.
pub async fn cancel_unheard(
    clients: &Clients,
    again: ImportImageFluentBuilder,
) -> anyhow::Result<()> {
    let answer = again.send().await.map_err(Fault::from)?;
    match answer.import_task_id {
        Some(task) => cancel(clients, &task).await,
        None => Err(anyhow::anyhow!("AWS gave no task id")),
    }
}

/// AWS says so when the role is missing, wrong, or so new that it is not known yet.
fn is_role_trouble(fault: &Fault) -> bool {
    fault.code() == "InvalidParameter" && fault.message().contains("service role")
}

fn boot_mode(mode: BootMode) -> BootModeValues {
    match mode {
        BootMode::LegacyBios => BootModeValues::LegacyBios,
        BootMode::Uefi => BootModeValues::Uefi,
        BootMode::UefiPreferred => BootModeValues::UefiPreferred,
    }
}

/// The job's tags for one kind of thing, none if there are none.
pub fn tags(job: &Job, kind: ResourceType) -> Option<TagSpecification> {
    let tags = job
        .tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    let tags: Vec<_> = tags.collect();
    (!tags.is_empty()).then(|| {
        TagSpecification::builder()
            .resource_type(kind)
            .set_tags(Some(tags))
            .build()
    })
}

/// The task as AWS describes it; none if AWS knows no such task.
pub async fn describe(clients: &Clients, task: &str) -> Result<Option<ImportImageTask>, Fault> {
    match clients
        .ec2
        .describe_import_image_tasks()
        .import_task_ids(task)
        .send()
        .await
    {
        Ok(answer) => Ok(answer
            .import_image_tasks
            .and_then(|tasks| tasks.into_iter().next())),
        Err(error) => match Fault::from(error) {
            fault if fault.code().starts_with("InvalidConversionTaskId") => Ok(None),
            fault => Err(fault),
        },
    }
}

/// How far a task is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It reads the object.
    Running,
    /// It has brought an image.
    Done,
    /// It failed, was cancelled, or is not known any more.
    Gone,
}

/// How far the task is.
pub async fn state(clients: &Clients, task: &str) -> Result<State> {
    let what = || format!("the state of {task} could not be asked");
    let answer = describe(clients, task).await;
    let answer = answer.map_err(|fault| fault.fails(what(), "ec2:DescribeImportImageTasks"))?;
    Ok(match answer.as_ref().and_then(|task| task.status()) {
        Some("completed") => State::Done,
        Some("deleting" | "deleted") => State::Gone,
        _ if answer.is_none() => State::Gone,
        _ => State::Running,
    })
}

/// One question to the task.
pub async fn poll(clients: &Clients, task: &str) -> Result<Poll<String>, Trouble> {
    let failed = "the import's state could not be asked";
    let answer = match describe(clients, task).await {
        Ok(answer) => answer,
        Err(fault) if fault.is_passing() => {
            return Err(Trouble::Passing(
                fault.fails(failed, "ec2:DescribeImportImageTasks"),
            ));
        }
        Err(fault) => {
            return Err(Trouble::Final(
                fault.fails(failed, "ec2:DescribeImportImageTasks"),
            ));
        }
    };
    // Right after the start the task may not be known everywhere.
    let Some(answer) = answer else {
        return Ok(Poll::NotYet {
            percent: None,
            message: "pending".to_owned(),
        });
    };
    match answer.status() {
        Some("completed") => answer.image_id.map(Poll::Done).ok_or_else(|| {
            Trouble::Final(Error::failed(format!(
                "the import {task} is complete but brought no image"
            )))
        }),
        Some("deleting" | "deleted") => Err(Trouble::Final(failure(task, answer.status_message()))),
        status => Ok(Poll::NotYet {
            percent: answer.progress().and_then(|percent| percent.parse().ok()),
            message: answer
                .status_message()
                .or(status)
                .unwrap_or("pending")
                .to_owned(),
        }),
    }
}

/// What AWS gave as the reason, and what is known to help.
fn failure(task: &str, reason: Option<&str>) -> Error {
    let reason = reason
        .filter(|reason| !reason.is_empty())
        .unwrap_or("AWS gave no reason");
    let error = Error::failed(format!("the import {task} failed")).because_of(reason);
    match HELP.iter().find(|(text, _)| reason.contains(text)) {
        Some((_, help)) => error.hint(*help),
        None => error,
    }
}

/// Known reasons ("Troubleshooting VM Import/Export") and what helps.
const HELP: &[(&str, &str)] = &[
    (
        "Unsupported VMDK",
        "make the VMDK stream-optimized: qemu-img convert -O vmdk -o subformat=streamOptimized",
    ),
    (
        "Unsupported OVA",
        "export the machine again as an OVA whose first member is the .ovf",
    ),
    (
        "403 Forbidden",
        "let the service role read the bucket, and use the object's KMS key if it has one",
    ),
    (
        "No valid partitions",
        "the disk has no partition table, or its root is encrypted",
    ),
    (
        "Unknown OS",
        "VM Import found no system that it knows: encrypted, LVM-striped and exotic roots are not supported",
    ),
    (
        "Unsupported kernel",
        "VM Import takes the default kernels of the distributions alone",
    ),
    (
        "Unable to determine kernel",
        "VM Import takes the default kernels of the distributions alone",
    ),
    ("fstab", "give every entry of /etc/fstab a UUID"),
    ("EFI partition", "say --boot-mode uefi"),
    (
        "FirstBootFailure",
        "the system must boot with DHCP, and let in RDP or SSH",
    ),
    (
        "Footers not identical",
        "convert the VHD again; differencing disks are not supported",
    ),
    (
        "ServerError",
        "run the same command again: what was sent is still there",
    ),
];

/// Cancels the task and waits until it has let go of the object. A task that was
/// quicker than the cancel has made an image, which goes too.
pub async fn cancel(clients: &Clients, task: &str) -> anyhow::Result<()> {
    let cancelled = clients
        .ec2
        .cancel_import_task()
        .import_task_id(task)
        .cancel_reason("cancelled by the user")
        .send()
        .await;
    let cancelled = cancelled.map_err(Fault::from);
    let rounds = usize::try_from(LETTING_GO.as_secs()).unwrap_or(1);
    let end = (async || match describe(clients, task).await? {
        Some(state) if !matches!(state.status(), Some("completed" | "deleted")) => {
            Err(anyhow::anyhow!("it is still being cancelled"))
        }
        state => Ok(state),
    })
    .retry(
        ConstantBuilder::default()
            .with_delay(Duration::from_secs(1))
            .with_max_times(rounds),
    )
    .when(|_| cancelled.is_ok())
    .await?;
    match end.as_ref().and_then(|task| task.image_id()) {
        Some(image) => super::image::deregister(clients, image).await,
        None => Ok(cancelled
            .map(drop)
            .or_else(|fault| if end.is_none() { Ok(()) } else { Err(fault) })?),
    }
}
