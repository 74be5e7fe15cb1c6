//! ImportImage: the request, the task's states, cancelling it. Only DescribeTaskAttribute
//! returns the reason of a failure; the failure itself is visible in the image, too.

use serde::Deserialize;

use super::api::params;
use super::client::Clients;
use super::error::{self, ServiceError};
use super::hints;
use super::hints::HintContext;
use super::image::{self, Image, Refusals};
use super::job::Job;
use super::task_status;
use super::task_status::Task;
use super::values::flag_value;
use super::{ids, remove, role};
use crate::error::{Error, Result};
use crate::import::journal::Journal;
use crate::import::poll::{Poll, PollError};
use crate::net::retry::wait_while;

/// An import under way.
#[derive(Clone, Debug)]
pub struct Import {
    /// `t-…`; none where the answer that names it was lost, and nobody may list the tasks.
    pub task: Option<String>,
    /// `m-…`; it is there at once, in the making.
    pub image: String,
}

/// What ImportImage answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImportImageResponse {
    #[serde(deserialize_with = "ids::task_id")]
    task_id: String,
    #[serde(deserialize_with = "ids::image_id")]
    image_id: String,
}

impl From<ImportImageResponse> for Import {
    fn from(started: ImportImageResponse) -> Self {
        Self {
            task: Some(started.task_id),
            image: started.image_id,
        }
    }
}

impl Import {
    /// The task, or the image where no task is known.
    pub fn name(&self) -> &str {
        self.task.as_deref().unwrap_or(&self.image)
    }
}

/// A request for an import as the journal has it: what its image is found by where the answer
/// was not written down.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// Its ClientToken.
    pub token: String,
    /// The name that it gives the image; none in a journal that does not say it.
    pub name: Option<String>,
    /// Where.
    pub region: String,
    /// The object that it reads.
    pub bucket: String,
    /// As above.
    pub key: String,
}

/// Everything that the request says of the image's content. Two requests with the same
/// words bring the same image; what can be changed afterwards is not among them.
pub fn fingerprint(job: &Job) -> String {
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
pub async fn start(
    job: &Job,
    clients: &Clients,
    journal: &Journal,
    (name, token): (&str, &str),
) -> Result<Import> {
    let first = match send(job, clients, name, token).await {
        Err(fault) if is_role_error(&fault) => fault,
        result => return result.map_err(|fault| start_error(job, fault)),
    };
    role::prepare(job, clients, journal)
        .await
        .map_err(|error| error.with_source(first))?;
    let send = || send(job, clients, name, token);
    let answer = wait_while(role::VISIBLE, send, is_role_error).await;
    answer.map_err(|fault| {
        if is_role_error(&fault) {
            role::not_visible_yet(job).with_source(fault)
        } else {
            start_error(job, fault)
        }
    })
}

fn hint_context(job: &Job) -> HintContext<'_> {
    HintContext {
        image: &job.common.image,
        region: &job.region,
        role_name: &job.role_name,
        attach: role::attach_command(job).to_string(),
    }
}

fn start_error(job: &Job, fault: ServiceError) -> Error {
    // RAM writes the names of roles in small letters.
    let role = job.role_name.to_lowercase();
    let help = hints::import_error_hint(fault.code().unwrap_or_default(), &hint_context(job));
    let error = error::failed(
        fault,
        "the import could not be started",
        &format!("ecs:ImportImage and ram:PassRole on acs:ram:*:*:role/{role}"),
    );
    match help {
        Some(help) => error.hint(help),
        None => error,
    }
}

/// ImportImage. What is in its way may be the image of an earlier request with this token:
/// ECS does not remember tokens for ever.
async fn send(
    job: &Job,
    clients: &Clients,
    name: &str,
    token: &str,
) -> Result<Import, ServiceError> {
    let response: Result<ImportImageResponse, ServiceError> = clients
        .ecs("ImportImage", parameters(job, name, token))
        .await;
    let fault = match response {
        Ok(started) => return Ok(started.into()),
        Err(fault) => fault,
    };
    let perhaps_ours = matches!(
        fault.code().unwrap_or_default(),
        "InvalidImageName.Duplicated" | "ImageIsImporting" | "IdempotentParameterMismatch"
    );
    if perhaps_ours || !fault.was_not_executed() {
        match find(clients, &journal_request(job, name, token)).await {
            Ok(Some(image)) if !image.has_failed() => {
                return Ok(existing_import(clients, &job.region, image.image_id).await);
            }
            Ok(None) => return Err(fault.with_may_have_executed(false)),
            _ => {}
        }
    }
    Err(fault)
}

/// The request as it stands in the journal.
pub fn journal_request(job: &Job, name: &str, token: &str) -> ImportRequest {
    ImportRequest {
        token: token.to_owned(),
        name: Some(name.to_owned()),
        region: job.region.clone(),
        bucket: job.bucket.clone(),
        key: job.key.clone(),
    }
}

/// The image that a request has asked for: by its tag, by a name that holds the token, or by
/// its name and the object that it is made of.
pub async fn find(
    clients: &Clients,
    request: &ImportRequest,
) -> Result<Option<Image>, ServiceError> {
    let (region, token) = (&request.region, &request.token);
    if let Some(image) = image::find_by_token(clients, region, token).await? {
        return Ok(Some(image));
    }
    let Some(name) = &request.name else {
        return Ok(None);
    };
    let mut named = image::find_by_name(clients, region, name)
        .await?
        .into_iter();
    let is_this_import = |image: &Image| image.was_imported_from(&request.bucket, &request.key);
    Ok(named.find(is_this_import))
}

/// An image that an earlier request has asked for, with its task where the tasks tell it.
pub async fn existing_import(clients: &Clients, region: &str, image: String) -> Import {
    let task = task_status::find_by_image(clients, region, &image)
        .await
        .unwrap_or_else(|fault| {
            tracing::debug!("the task of {image} can't be looked up: {fault}");
            None
        });
    Import { task, image }
}

/// What this import is asked for; asked again with the same token it is the same task.
pub fn parameters(job: &Job, name: &str, token: &str) -> Vec<(String, String)> {
    let format = job
        .common
        .image
        .format
        .map(|format| format.to_string().to_uppercase());
    let (architecture, os_type, boot_mode) = (
        flag_value(&job.architecture),
        flag_value(&job.os_type),
        flag_value(&job.boot_mode),
    );
    let mut parameters = params([
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
        ("LicenseType", job.license_type.as_ref().map(flag_value)),
        ("DetectionStrategy", job.detection.as_ref().map(flag_value)),
        ("ResourceGroupId", job.resource_group.clone()),
    ];
    let set = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    parameters.extend(set);
    parameters.extend(image::tags_with_token(job, token));
    parameters
}

/// Cancels an import whose answer was lost. What is not found may still be on its way: asked
/// for once more with the same token it is the same import, and names itself.
pub async fn cancel_unanswered(
    clients: &Clients,
    journal: &Journal,
    request: &ImportRequest,
    parameters: Vec<(String, String)>,
) -> anyhow::Result<()> {
    let import = match find(clients, request).await? {
        Some(image) => existing_import(clients, &request.region, image.image_id).await,
        None => match clients
            .ecs::<ImportImageResponse>("ImportImage", parameters)
            .await
        {
            Ok(started) => started.into(),
            Err(fault) if fault.was_not_executed() => {
                forget_import(journal);
                return Ok(());
            }
            Err(fault) => return Err(fault.into()),
        },
    };
    cancel(clients, journal, &request.region, &import).await
}

/// The journal knows of no import any more.
pub fn forget_import(journal: &Journal) {
    journal.update(|entry| {
        (entry.task, entry.image, entry.client_token) = (None, None, None);
        entry.name = None;
    });
}

/// ECS spells it `Acount` in its code and `Account` in its guide.
fn is_role_error(fault: &ServiceError) -> bool {
    fault
        .code()
        .unwrap_or_default()
        .starts_with("NoSetRoletoECSServiceAc")
}

/// Whether an import is alive: its image, as far as it has come. None if the import has
/// failed or was cancelled. An image that is not shown yet lives as long as its task does.
pub async fn image_in_progress(
    job: &Job,
    clients: &Clients,
    import: &Import,
) -> Result<Option<Image>> {
    let ask = async {
        let task = task_status::describe(clients, import.task.as_deref()).await?;
        let image = image::find(clients, &job.region, &import.image).await?;
        Ok((task, image))
    };
    let (task, image) = ask.await.map_err(|fault: ServiceError| {
        let what = format!("the state of {} could not be asked", import.name());
        error::failed(
            fault,
            what,
            "ecs:DescribeTaskAttribute and ecs:DescribeImages",
        )
    })?;
    Ok(match (task, image) {
        (Some(task), _) if task.has_failed() => None,
        (_, Some(image)) => Some(image).filter(|image| !image.has_failed()),
        (Some(task), None) if !task.has_ended() => Some(Image::not_visible_yet(&import.image)),
        _ => None,
    })
}

/// One question to the task and to the image.
pub async fn poll(
    job: &Job,
    clients: &Clients,
    import: &Import,
    refusals: &mut Refusals,
) -> Result<Poll<Image>, PollError> {
    const POLL_ERROR: &str = "the import's state could not be asked";
    let failed = |fault: ServiceError| {
        error::failed(
            fault,
            POLL_ERROR,
            "ecs:DescribeTaskAttribute and ecs:DescribeImages",
        )
    };
    let task = match task_status::describe(clients, import.task.as_deref()).await {
        Ok(task) => task,
        Err(fault) => return refusals.classify(fault, failed),
    };
    let image = match image::find(clients, &job.region, &import.image).await {
        Ok(image) => image,
        Err(fault) => return refusals.classify(fault, failed),
    };
    refusals.reset();
    if task.is_none() && image.is_none() {
        let reason = format!("{} knows neither the task nor the image", job.region);
        return Err(PollError::Transient(
            Error::failed(POLL_ERROR).with_cause(reason),
        ));
    }
    let image = image.unwrap_or_default();
    let has_failed = task.as_ref().is_some_and(Task::has_failed);
    if image.status == "Available" && !has_failed {
        return Ok(Poll::Done(image));
    }
    if has_failed || image.has_failed() {
        // The image may have failed since the task was asked; the task knows why.
        let reason = match task.as_ref().and_then(Task::reason) {
            Some(reason) => Some(reason),
            None => task_status::reason(clients, import.task.as_deref()).await,
        };
        return Err(PollError::Permanent(failure_error(
            job,
            import,
            &image.status,
            reason,
        )));
    }
    let percent = task
        .as_ref()
        .and_then(|task| image::percent(&task.task_process))
        .or_else(|| image.percent());
    let working = task.filter(|task| !task.has_ended() && !task.task_status.is_empty());
    let message = match (working, image.status.as_str()) {
        (Some(task), _) => task.task_status,
        (None, "") => "Waiting".to_owned(),
        (None, status) => status.to_owned(),
    };
    Ok(Poll::Pending { percent, message })
}

/// What ECS gave as the reason, and what is known to help.
fn failure_error(job: &Job, import: &Import, status: &str, reason: Option<String>) -> Error {
    let image = &import.image;
    let reason = reason.unwrap_or_else(|| match status {
        "" => "Alibaba Cloud gave no reason".to_owned(),
        status => format!("{image} is {status}; Alibaba Cloud gave no reason"),
    });
    let help = hints::import_failure_hint(&reason, &hint_context(job));
    let error = Error::failed(format!("the import {} failed", import.name())).with_cause(reason);
    match help {
        Some(help) => error.hint(help),
        None => error,
    }
}

/// Cancels the task and waits until it has let go of the object. A task that was
/// quicker than the cancel has made an image, which goes too. The journal forgets both.
pub async fn cancel(
    clients: &Clients,
    journal: &Journal,
    region: &str,
    import: &Import,
) -> anyhow::Result<()> {
    let task = match &import.task {
        Some(task) => Some(task.clone()),
        None => task_status::find_by_image(clients, region, &import.image).await?,
    };
    if let Some(task) = &task {
        task_status::cancel(clients, task).await?;
    }
    remove::image(clients, journal, region, &import.image).await?;
    forget_import(journal);
    Ok(())
}
