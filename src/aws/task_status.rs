//! An import task of VM Import, for an image or a snapshot: its progress, the reason of its
//! failure, cancelling it. VM Import has no state "failed": a task that fails is `deleting`,
//! then `deleted`, with the reason in its StatusMessage ("Monitor an import image task" of the
//! VM Import guide).

use std::time::Duration;

use aws_sdk_ec2::types::{ImportImageTask, ImportSnapshotTask};

use super::client::Clients;
use super::error::ServiceError;
use super::job::Job;
use super::{ami, hints};
use crate::error::{Error, Result};
use crate::import::poll::{Poll, PollError};
use crate::net::retry::{RetryPolicy, wait_while};
use crate::shell::Command;

/// Retries while a cancelled task still uses the object.
const CANCELLED: RetryPolicy =
    RetryPolicy::new(120, Duration::from_secs(1), Duration::from_secs(1));

/// A task as AWS describes it.
#[derive(Debug, Default)]
pub struct Task {
    status: Option<String>,
    message: Option<String>,
    progress: Option<String>,
    /// The image or the snapshot.
    result_id: Option<String>,
}

impl From<ImportImageTask> for Task {
    fn from(task: ImportImageTask) -> Self {
        Self {
            status: task.status,
            message: task.status_message,
            progress: task.progress,
            result_id: task.image_id,
        }
    }
}

impl From<ImportSnapshotTask> for Task {
    fn from(task: ImportSnapshotTask) -> Self {
        let Some(detail) = task.snapshot_task_detail else {
            return Self::default();
        };
        Self {
            status: detail.status,
            message: detail.status_message,
            progress: detail.progress,
            result_id: detail.snapshot_id,
        }
    }
}

/// The call that describes the task; its id says which kind it is.
pub fn describe_operation(task: &str) -> &'static str {
    if makes_snapshot(task) {
        "ec2 describe-import-snapshot-tasks"
    } else {
        "ec2 describe-import-image-tasks"
    }
}

fn makes_snapshot(task: &str) -> bool {
    task.starts_with("import-snap")
}

fn permission(task: &str) -> &'static str {
    if makes_snapshot(task) {
        "ec2:DescribeImportSnapshotTasks"
    } else {
        "ec2:DescribeImportImageTasks"
    }
}

/// The task as AWS describes it; none if AWS knows no such task.
async fn describe(clients: &Clients, task: &str) -> Result<Option<Task>, ServiceError> {
    let answer = if makes_snapshot(task) {
        let call = clients.ec2.describe_import_snapshot_tasks();
        let answer = call.import_task_ids(task).send().await;
        let tasks = answer.map(|answer| answer.import_snapshot_tasks.unwrap_or_default());
        let task = tasks.map(|tasks| tasks.into_iter().next().map(Task::from));
        task.map_err(ServiceError::from)
    } else {
        let call = clients.ec2.describe_import_image_tasks();
        let answer = call.import_task_ids(task).send().await;
        let tasks = answer.map(|answer| answer.import_image_tasks.unwrap_or_default());
        let task = tasks.map(|tasks| tasks.into_iter().next().map(Task::from));
        task.map_err(ServiceError::from)
    };
    match answer {
        Err(fault) if fault.code().starts_with("InvalidConversionTaskId") => Ok(None),
        answer => answer,
    }
}

/// How far a task is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// It reads the object.
    Running,
    /// It has brought this image or snapshot.
    Done(Option<String>),
    /// It failed, was cancelled, or is not known any more.
    NotFound,
}

/// How far the task is.
pub async fn state(clients: &Clients, task: &str) -> Result<State> {
    let what = || format!("the state of {task} could not be asked");
    let answer = describe(clients, task).await;
    let answer = answer.map_err(|fault| fault.into_error(what(), permission(task)))?;
    let Some(answer) = answer else {
        return Ok(State::NotFound);
    };
    Ok(match answer.status.as_deref() {
        Some("completed") => State::Done(answer.result_id),
        Some("deleting" | "deleted") => State::NotFound,
        _ => State::Running,
    })
}

/// One question to the task.
pub async fn poll(job: &Job, clients: &Clients, task: &str) -> Result<Poll<String>, PollError> {
    let failed = "the import's state could not be asked";
    let answer = match describe(clients, task).await {
        Ok(answer) => answer,
        Err(fault) if fault.is_transient() => {
            return Err(PollError::Transient(
                fault.into_error(failed, permission(task)),
            ));
        }
        Err(fault) => {
            return Err(PollError::Permanent(
                fault.into_error(failed, permission(task)),
            ));
        }
    };
    // Right after the start the task may not be known everywhere.
    let Some(answer) = answer else {
        return Ok(Poll::Pending {
            percent: None,
            message: "pending".to_owned(),
        });
    };
    match answer.status.as_deref() {
        Some("completed") => answer.result_id.map(Poll::Done).ok_or_else(|| {
            let what = if makes_snapshot(task) {
                "snapshot"
            } else {
                "image"
            };
            PollError::Permanent(Error::failed(format!(
                "the import {task} is complete but brought no {what}"
            )))
        }),
        Some("deleting" | "deleted") => Err(PollError::Permanent(failure_error(
            job,
            task,
            answer.message.as_deref(),
        ))),
        _ => Ok(Poll::Pending {
            percent: answer.progress.and_then(|percent| percent.parse().ok()),
            message: answer
                .message
                .or(answer.status)
                .unwrap_or_else(|| "pending".to_owned()),
        }),
    }
}

/// What AWS gave as the reason, and what is known to help.
fn failure_error(job: &Job, task: &str, reason: Option<&str>) -> Error {
    let reason = reason
        .filter(|reason| !reason.is_empty())
        .unwrap_or("AWS gave no reason");
    let error = Error::failed(format!("the import {task} failed")).with_cause(reason);
    match hints::import_failure_hint(reason, &job.common.image, &job.role_name) {
        Some(help) => error.hint(help),
        None => error,
    }
}

/// The command that cancels the task.
pub fn cancel_command(job: &Job, task: &str) -> Command {
    job.cli
        .words("ec2 cancel-import-task")
        .option("--import-task-id", task)
        .option("--region", &job.region)
}

/// Cancels the task and waits until it has let go of the object. A task that was
/// quicker than the cancel has made an image or a snapshot, which goes too.
pub async fn cancel(clients: &Clients, task: &str) -> anyhow::Result<()> {
    let cancelled = clients
        .ec2
        .cancel_import_task()
        .import_task_id(task)
        .cancel_reason("cancelled by the user")
        .send()
        .await;
    let cancelled =
        cancelled.map_err(|error| ServiceError::from(error).requiring("ec2:CancelImportTask"));
    let end = async || match describe(clients, task).await? {
        Some(task) if !matches!(task.status.as_deref(), Some("completed" | "deleted")) => {
            Err(anyhow::anyhow!("it is still being cancelled"))
        }
        task => Ok(task),
    };
    let end = wait_while(CANCELLED, end, |_| cancelled.is_ok()).await;
    let end = match (end, &cancelled) {
        (Err(_), Err(fault)) => return Err(fault.clone().into()),
        (end, _) => end?,
    };
    let has_ended = end.is_some();
    match end.and_then(|task| task.result_id) {
        Some(snapshot) if makes_snapshot(task) => ami::delete_snapshot(clients, &snapshot).await,
        Some(image) => ami::deregister(clients, &image).await,
        None => Ok(cancelled
            .map(drop)
            .or_else(|fault| if has_ended { Err(fault) } else { Ok(()) })?),
    }
}
