//! ImportImage: the request, the task's states, cancelling it. Why an import failed is
//! told by DescribeTaskAttribute alone; that it did, by the image, too.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use serde::Deserialize;
use serde_json::Value;

use super::api::{pairs, tags};
use super::clients::Clients;
use super::fault::Fault;
use super::help;
use super::image::{self, Image};
use super::job::Job;
use super::names::word;
use super::role;
use crate::error::{Error, Result};
use crate::wait::{Poll, Trouble};

/// Between two tries while a new role becomes known.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a cancelled task may take to let go of the object.
const LETTING_GO: Duration = Duration::from_mins(2);

/// What ECS made of the request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Started {
    /// `t-…`.
    pub task_id: String,
    /// `m-…`; it is there at once, in the making.
    pub image_id: String,
}

/// DescribeTaskAttribute's answer.
#[expect(clippy::struct_field_names, reason = "ECS's own names")]
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Task {
    task_status: String,
    task_process: Value,
    failed_count: Value,
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

impl Task {
    fn has_failed(&self) -> bool {
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

    fn is_over(&self) -> bool {
        self.task_status == "Finished" || self.has_failed()
    }

    /// "the sentence (Code)".
    fn reason(&self) -> Option<String> {
        let operations = self.operation_progress_set.operation_progress.iter();
        let mut told =
            operations.filter(|one| !one.error_msg.is_empty() || !one.error_code.is_empty());
        told.next().map(|one| {
            match (one.error_msg.trim_end_matches('.'), one.error_code.as_str()) {
                (message, "") => message.to_owned(),
                ("", code) => code.to_owned(),
                (message, code) => format!("{message} ({code})"),
            }
        })
    }
}

/// Everything that the request says of the image's content. Two requests with the same
/// words bring the same image; what can be changed afterwards is not among them.
pub fn request(job: &Job) -> String {
    format!(
        "{:?} {:?} {:?} {} {:?} {:?} {:?} {:?} {} {:?}",
        job.common.image.format,
        job.architecture,
        job.os_type,
        job.platform,
        job.boot_mode,
        job.system_size,
        job.license_type,
        job.detection,
        job.role_name,
        job.resource_group,
    )
}

/// Starts the import. The token makes a repeated request the same one, so that a lost
/// answer never starts a second import. A role that is missing is made, and waited for.
pub async fn start(job: &Job, clients: &Clients, name: &str, token: &str) -> Result<Started> {
    let first = match ask(job, clients, name, token).await {
        Err(fault) if is_role_trouble(&fault) => fault,
        other => return other.map_err(|fault| not_started(job, fault)),
    };
    role::prepare(job, clients)
        .await
        .map_err(|error| error.because(first))?;
    let attempts = usize::try_from(role::PROPAGATION.as_secs() / PAUSE.as_secs()).unwrap_or(1);
    let patience = ConstantBuilder::default()
        .with_delay(PAUSE)
        .with_max_times(attempts);
    let answer = (|| ask(job, clients, name, token))
        .retry(patience)
        .when(is_role_trouble)
        .await;
    answer.map_err(|fault| {
        if is_role_trouble(&fault) {
            role::unseen(job).because(fault)
        } else {
            not_started(job, fault)
        }
    })
}

fn not_started(job: &Job, fault: Fault) -> Error {
    // RAM writes the names of roles in small letters.
    let role = job.role_name.to_lowercase();
    let help = help::import(job, fault.code());
    let error = fault.fails(
        "the import could not be started",
        &format!("ecs:ImportImage and ram:PassRole on acs:ram:*:*:role/{role}"),
    );
    match help {
        Some(help) => error.hint(help),
        None => error,
    }
}

async fn ask(job: &Job, clients: &Clients, name: &str, token: &str) -> Result<Started, Fault> {
    clients
        .ecs("ImportImage", parameters(job, name, token))
        .await
}

/// What this import is asked for; asked again with the same token it is the same task.
pub fn parameters(job: &Job, name: &str, token: &str) -> Vec<(String, String)> {
    let format = job
        .common
        .image
        .format
        .map(|format| format.to_string().to_uppercase());
    let (architecture, os_type, boot_mode) = (
        word(&job.architecture),
        word(&job.os_type),
        word(&job.boot_mode),
    );
    let mut parameters = pairs([
        ("ImageName", name),
        ("Architecture", &architecture),
        ("OSType", &os_type),
        ("Platform", &job.platform),
        ("BootMode", &boot_mode),
        ("RoleName", &job.role_name),
        ("ClientToken", token),
        ("DiskDeviceMapping.1.OSSBucket", &job.bucket),
        ("DiskDeviceMapping.1.OSSObject", &job.key),
    ]);
    let optional = [
        ("DiskDeviceMapping.1.Format", format),
        (
            "DiskDeviceMapping.1.DiskImageSize",
            job.system_size.map(|size| size.to_string()),
        ),
        ("Description", job.description.clone()),
        ("LicenseType", job.license_type.as_ref().map(word)),
        ("DetectionStrategy", job.detection.as_ref().map(word)),
        ("ResourceGroupId", job.resource_group.clone()),
    ];
    let given = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    parameters.extend(given);
    parameters.extend(tags(&job.tags));
    parameters
}

/// Cancels an import whose answer nobody heard: asked for once more, it says its name.
pub async fn cancel_unheard(
    clients: &Clients,
    region: &str,
    again: Vec<(String, String)>,
) -> anyhow::Result<()> {
    let started: Result<Started, Fault> = clients.ecs("ImportImage", again).await;
    let Started { task_id, image_id } = started?;
    cancel(clients, region, &task_id, &image_id).await
}

/// ECS spells it `Acount` in its code and `Account` in its guide.
fn is_role_trouble(fault: &Fault) -> bool {
    fault.code().starts_with("NoSetRoletoECSServiceAc")
}

/// The task as ECS describes it. None where it is unknown, or not for this caller to see.
async fn describe(clients: &Clients, task: &str) -> Result<Option<Task>, Fault> {
    match clients
        .ecs("DescribeTaskAttribute", pairs([("TaskId", task)]))
        .await
    {
        Ok(answer) => Ok(Some(answer)),
        Err(fault)
            if fault.is_denied()
                || fault.leaves_open()
                || fault.code().starts_with("InvalidTaskId") =>
        {
            tracing::debug!("{task} can't be looked at: {fault}");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// The image of a task, as far as it has come; none if the import failed or is unknown.
pub async fn alive(job: &Job, clients: &Clients, task: &str, image: &str) -> Result<Option<Image>> {
    let ask = async {
        let task = describe(clients, task).await?;
        let image = image::find(clients, &job.region, image).await?;
        Ok((task, image))
    };
    let (task, image) = ask.await.map_err(|fault: Fault| {
        let what = format!("the state of {task} could not be asked");
        fault.fails(what, "ecs:DescribeTaskAttribute and ecs:DescribeImages")
    })?;
    let lost = task.is_some_and(|task| task.has_failed());
    Ok(image.filter(|image| !lost && !image.has_failed()))
}

/// One question to the task and to the image.
pub async fn poll(
    job: &Job,
    clients: &Clients,
    task: &str,
    id: &str,
) -> Result<Poll<Image>, Trouble> {
    let trouble = |fault: Fault| {
        let passing = fault.is_passing();
        let what = "the import's state could not be asked";
        let error = fault.fails(what, "ecs:DescribeTaskAttribute and ecs:DescribeImages");
        if passing {
            Trouble::Passing(error)
        } else {
            Trouble::Final(error)
        }
    };
    let state = describe(clients, task)
        .await
        .map_err(trouble)?
        .unwrap_or_default();
    let image = image::find(clients, &job.region, id)
        .await
        .map_err(trouble)?
        .unwrap_or_default();
    if image.status == "Available" && !state.has_failed() {
        return Ok(Poll::Done(image));
    }
    if state.has_failed() || image.has_failed() {
        // The image may have failed since the task was asked; the task knows why.
        let reason = match state.reason() {
            Some(reason) => Some(reason),
            None => reason(clients, task).await,
        };
        return Err(Trouble::Final(failure(
            job,
            (task, id),
            &image.status,
            reason,
        )));
    }
    let status = if state.is_over() {
        &image.status
    } else {
        &state.task_status
    };
    Ok(Poll::NotYet {
        percent: image::percent(&state.task_process).or_else(|| image.percent()),
        message: if status.is_empty() {
            "Waiting".to_owned()
        } else {
            status.clone()
        },
    })
}

async fn reason(clients: &Clients, task: &str) -> Option<String> {
    let state = describe(clients, task).await.ok()?;
    state.and_then(|state| state.reason())
}

/// What ECS gave as the reason, and what is known to help.
fn failure(job: &Job, (task, image): (&str, &str), status: &str, reason: Option<String>) -> Error {
    let reason = reason.unwrap_or_else(|| match status {
        "" => "Alibaba Cloud gave no reason".to_owned(),
        status => format!("{image} is {status}; Alibaba Cloud gave no reason"),
    });
    let help = help::reason(job, &reason);
    let error = Error::failed(format!("the import {task} failed")).because_of(reason);
    match help {
        Some(help) => error.hint(help),
        None => error,
    }
}

/// Cancels the task and waits until it has let go of the object. A task that was
/// quicker than the cancel has made an image, which goes too.
pub async fn cancel(
    clients: &Clients,
    region: &str,
    task: &str,
    image: &str,
) -> anyhow::Result<()> {
    let cancelled: Result<Value, Fault> =
        clients.ecs("CancelTask", pairs([("TaskId", task)])).await;
    let rounds = usize::try_from(LETTING_GO.as_secs()).unwrap_or(1);
    let over = async || match describe(clients, task).await? {
        Some(state) if !state.is_over() => Err(anyhow::anyhow!("it is still being cancelled")),
        _ => Ok(()),
    };
    let patience = ConstantBuilder::default()
        .with_delay(Duration::from_secs(1))
        .with_max_times(rounds);
    let over = over.retry(patience).when(|_| cancelled.is_ok()).await;
    match (over, cancelled) {
        (Err(_), Err(fault)) => return Err(fault.into()),
        (over, _) => over?,
    }
    image::delete_all(clients, region, image).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(json: &str) -> Task {
        serde_json::from_str(json).expect("a task")
    }

    #[test]
    fn a_finished_task_may_have_failed() {
        assert!(!task(r#"{"TaskStatus": "Finished", "FailedCount": 0}"#).has_failed());
        assert!(task(r#"{"TaskStatus": "Finished", "FailedCount": "1"}"#).has_failed());
        assert!(task(r#"{"TaskStatus": "Failed"}"#).has_failed());
        assert!(!task(r#"{"TaskStatus": "Processing"}"#).is_over());
    }

    #[test]
    fn the_reason_is_the_operations() {
        let failed = task(
            r#"{"OperationProgressSet": {"OperationProgress": [{"OperationStatus": "Success"},
            {"ErrorCode": "InvalidImageFormat", "ErrorMsg": "The file is no disk."}]}}"#,
        );
        assert_eq!(
            failed.reason().as_deref(),
            Some("The file is no disk (InvalidImageFormat)")
        );
        assert_eq!(Task::default().reason(), None);
    }
}
