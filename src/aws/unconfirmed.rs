//! Finds what AWS may have created for a request without a response, by the values of the
//! request, and removes it. Ctrl-C, `jobs --clean` and the next run use the same search.

use aws_sdk_ec2::types::{Filter, Image, UserBucketDetails};

use super::client::Clients;
use super::error::ServiceError;
use super::snapshot_writer::EbsClient;
use super::{ami, quota, register, task_status};
use crate::import::journal::SnapshotRequest;
use crate::shell::{Command, Removal};

/// Tasks that read an object, or have read it.
pub struct Readers {
    /// At work now.
    pub running: Vec<String>,
    /// Complete.
    pub done: Vec<String>,
}

impl Readers {
    /// Those whose id was not noted before the import was asked for. Of complete ones that can
    /// be told only where somebody has noted which there were.
    pub fn since(self, earlier: Option<&[String]>) -> Vec<String> {
        let mut tasks = self.running;
        tasks.extend(earlier.map(|_| self.done).unwrap_or_default());
        tasks.retain(|task| !earlier.unwrap_or_default().contains(task));
        tasks
    }

    /// All of them.
    pub fn all(self) -> Vec<String> {
        [self.running, self.done].concat()
    }
}

/// The tasks of VM Import that read this object. A task that failed reads nothing any more.
pub async fn readers(clients: &Clients, bucket: &str, key: &str) -> Result<Readers, ServiceError> {
    let is_this = |object: Option<&UserBucketDetails>| {
        object.is_some_and(|object| {
            object.s3_bucket() == Some(bucket) && object.s3_key() == Some(key)
        })
    };
    let mut found = Readers {
        running: Vec::new(),
        done: Vec::new(),
    };
    let mut add = |status: Option<&str>, task: Option<String>| match status {
        Some("deleting" | "deleted") => {}
        Some("completed") => found.done.extend(task),
        _ => found.running.extend(task),
    };
    for task in quota::image_tasks(clients).await? {
        let mut disks = task.snapshot_details().iter();
        if disks.any(|disk| is_this(disk.user_bucket())) {
            add(task.status.as_deref(), task.import_task_id);
        }
    }
    for task in quota::snapshot_tasks(clients).await? {
        if let Some(detail) = &task.snapshot_task_detail
            && is_this(detail.user_bucket())
        {
            add(detail.status(), task.import_task_id.clone());
        }
    }
    Ok(found)
}

/// Cancels the imports of the object that were not there before, or removes what they made.
pub async fn cancel_imports(
    clients: &Clients,
    bucket: &str,
    key: &str,
    earlier: Option<&[String]>,
) -> anyhow::Result<()> {
    let found = readers(clients, bucket, key).await;
    let found = found.map_err(|fault| fault.requiring(DESCRIBE_TASKS))?;
    for task in found.since(earlier) {
        task_status::cancel(clients, &task).await?;
    }
    Ok(())
}

/// Permissions of [`readers`].
pub const DESCRIBE_TASKS: &str = "ec2:DescribeImportImageTasks and ec2:DescribeImportSnapshotTasks";

/// The copy of `source` that has this name. Another image of that name is somebody else's.
pub async fn find_copy(
    clients: &Clients,
    name: &str,
    source: &str,
) -> Result<Option<String>, ServiceError> {
    let call = clients.ec2.describe_images().owners("self");
    let named = Filter::builder().name("name").values(name).build();
    let answer = call.filters(named).include_disabled(true).send().await;
    let images = answer
        .map_err(ServiceError::from)?
        .images
        .unwrap_or_default();
    let is_copy = |image: &Image| image.source_image_id() == Some(source);
    let found = images.into_iter().find(is_copy);
    Ok(found.and_then(|image| image.image_id))
}

/// The commands that find an image of this name and remove it.
pub fn find_and_remove_commands(cli: &Command, name: &str, region: &str) -> Removal {
    let list = cli.words("ec2 describe-images --owners self");
    let list = list.option("--filters", format!("Name=name,Values={name}"));
    Removal::of_listed(list.option("--region", region), "deregister-image")
}

/// Removes the copy of `source` that has this name. A journal of an older version has neither.
pub async fn remove_copy(clients: &Clients, name: &str, source: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        !name.is_empty() && !source.is_empty(),
        "its name is not in the journal"
    );
    let found = find_copy(clients, name, source).await;
    match found.map_err(|fault| fault.requiring("ec2:DescribeImages"))? {
        Some(copy) => ami::deregister(clients, &copy).await,
        None => Ok(()),
    }
}

/// Removes the image of this name that was registered from the snapshot.
pub async fn remove_registered(
    clients: &Clients,
    name: &str,
    snapshot: &str,
) -> anyhow::Result<()> {
    let found = register::find(clients, name, snapshot).await;
    match found.map_err(|fault| fault.requiring("ec2:DescribeImages"))? {
        Some(image) => ami::deregister_only(clients, &image).await,
        None => Ok(()),
    }
}

/// Deletes the snapshot of this StartSnapshot. No call lists snapshots by their token; the
/// same request with the same token answers with the snapshot that there is.
pub async fn delete_started(
    clients: &Clients,
    request: &SnapshotRequest,
    token: &str,
) -> anyhow::Result<()> {
    let started = EbsClient::new(&clients.ebs).start(request, token).await;
    let started = started.map_err(|error| error.error.requiring("ebs:StartSnapshot"))?;
    ami::delete_snapshot(clients, &started.snapshot).await
}
