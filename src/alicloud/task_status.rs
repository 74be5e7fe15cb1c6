//! Import tasks: their state, the task of an image, cancelling one. Only DescribeTaskAttribute
//! returns the reason of a failure.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::api::{EmptyResponse, params};
use super::client::Clients;
use super::error::ServiceError;
use super::job::Job;
use super::{ids, image};
use crate::net::retry::{RetryPolicy, wait_while};
use crate::net::service_error::ErrorClass;
use crate::shell::Command;

/// Retries while a cancelled task still uses the object.
const CANCELLED: RetryPolicy =
    RetryPolicy::new(120, Duration::from_secs(1), Duration::from_secs(1));

/// DescribeTaskAttribute's answer. `TaskStatus` has no default: an answer without it is none
/// of ECS's.
#[expect(clippy::struct_field_names, reason = "ECS's own names")]
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Task {
    pub task_status: String,
    #[serde(default)]
    pub task_process: Value,
    #[serde(default)]
    failed_count: Value,
    #[serde(default)]
    operation_progress_set: Operations,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Operations {
    operation_progress: Vec<Operation>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Operation {
    error_code: String,
    error_msg: String,
}

/// A page of DescribeTasks.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tasks {
    task_set: TaskSet,
    #[serde(default)]
    total_count: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskSet {
    task: Vec<ListedTask>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedTask {
    #[serde(deserialize_with = "ids::task_id")]
    task_id: String,
    /// The image.
    #[serde(default)]
    resource_id: String,
}

impl Task {
    /// It has ended without an image.
    pub fn has_failed(&self) -> bool {
        // A number, or a number in quotes.
        let failures = self.failed_count.to_string();
        let some = failures
            .trim_matches('"')
            .parse::<u32>()
            .is_ok_and(|count| count > 0);
        matches!(
            self.task_status.as_str(),
            "Failed" | "Deleted" | "Canceled" | "Cancelled"
        ) || (self.task_status == "Finished" && some)
    }

    /// It has ended.
    pub fn has_ended(&self) -> bool {
        self.task_status == "Finished" || self.has_failed()
    }

    /// "the sentence (Code)".
    pub fn reason(&self) -> Option<String> {
        let operations = self.operation_progress_set.operation_progress.iter();
        let mut reasons = operations.filter(|operation| {
            !operation.error_msg.is_empty() || !operation.error_code.is_empty()
        });
        reasons.next().map(|operation| {
            match (
                operation.error_msg.trim_end_matches('.'),
                operation.error_code.as_str(),
            ) {
                (message, "") => message.to_owned(),
                ("", code) => code.to_owned(),
                (message, code) => format!("{message} ({code})"),
            }
        })
    }
}

/// The task as ECS describes it; none where it is unknown, or not for this caller to see.
pub async fn describe(clients: &Clients, task: Option<&str>) -> Result<Option<Task>, ServiceError> {
    let Some(task) = task else {
        return Ok(None);
    };
    let answer = clients
        .ecs("DescribeTaskAttribute", params([("TaskId", task)]))
        .await;
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(fault)
            if fault.is_denied()
                || fault.class() == ErrorClass::Unsupported
                || fault
                    .code()
                    .unwrap_or_default()
                    .starts_with("InvalidTaskId") =>
        {
            tracing::debug!("{task} can't be looked at: {fault}");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Why the task failed, asked for once more.
pub async fn reason(clients: &Clients, task: Option<&str>) -> Option<String> {
    let state = describe(clients, task).await.ok()?;
    state.and_then(|state| state.reason())
}

/// The task that makes an image.
pub async fn find_by_image(
    clients: &Clients,
    region: &str,
    image: &str,
) -> Result<Option<String>, ServiceError> {
    let mut read_count = 0;
    for number in 1..=image::MAX_PAGES {
        let parameters = params([
            ("TaskAction", "ImportImage"),
            ("ResourceIds.1", image),
            ("PageSize", image::PAGE_SIZE),
            ("PageNumber", &number.to_string()),
        ]);
        let page: Tasks = clients.ecs_in(region, "DescribeTasks", parameters).await?;
        let tasks = page.task_set.task;
        read_count += tasks.len();
        let last = tasks.is_empty() || read_count >= page.total_count;
        let mut matching = tasks.into_iter().filter(|task| task.resource_id == image);
        if let Some(task) = matching.next() {
            return Ok(Some(task.task_id));
        }
        if last {
            break;
        }
    }
    Ok(None)
}

/// The command that cancels the task.
pub fn cancel_command(job: &Job, task: &str) -> Command {
    let cancel = job.cli.words("ecs CancelTask").option("--TaskId", task);
    cancel.option("--RegionId", &job.region)
}

/// The command that lists the import tasks of the region.
pub fn list_command(job: &Job) -> Command {
    let list = "ecs DescribeTasks --TaskAction ImportImage";
    job.cli.words(list).option("--RegionId", &job.region)
}

/// Cancels the task and waits until it has let go of the object.
pub async fn cancel(clients: &Clients, task: &str) -> anyhow::Result<()> {
    let cancelled: Result<EmptyResponse, ServiceError> =
        clients.ecs("CancelTask", params([("TaskId", task)])).await;
    let over = async || match describe(clients, Some(task)).await? {
        Some(state) if !state.has_ended() => Err(anyhow::anyhow!("it is still being cancelled")),
        _ => Ok(()),
    };
    let over = wait_while(CANCELLED, over, |_| cancelled.is_ok()).await;
    match (over, cancelled) {
        (Err(_), Err(fault)) => Err(fault.into()),
        (over, _) => over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(json: &str) -> Task {
        serde_json::from_str(json).expect("a task")
    }

    #[test]
    fn finished_task_with_failures_has_failed() {
        assert!(!task(r#"{"TaskStatus": "Finished", "FailedCount": 0}"#).has_failed());
        assert!(task(r#"{"TaskStatus": "Finished", "FailedCount": "1"}"#).has_failed());
        assert!(task(r#"{"TaskStatus": "Failed"}"#).has_failed());
        assert!(!task(r#"{"TaskStatus": "Processing"}"#).has_ended());
    }

    #[test]
    fn reason_comes_from_the_operation() {
        let failed = task(
            r#"{"TaskStatus": "Failed", "OperationProgressSet": {"OperationProgress": [{"OperationStatus": "Success"},
            {"ErrorCode": "InvalidImageFormat", "ErrorMsg": "The file is no disk."}]}}"#,
        );
        assert_eq!(
            failed.reason().as_deref(),
            Some("The file is no disk (InvalidImageFormat)")
        );
        assert_eq!(task(r#"{"TaskStatus": "Processing"}"#).reason(), None);
    }
}
