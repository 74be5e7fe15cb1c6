//! The custom image: the request and its states. DigitalOcean knows no state "failed": an import that fails is `deleted`, with
//! the reason in `error_message` (`apis.md` C2).

use serde_json::{Value, json};

use super::client::{Api, Image};
use super::error::{ServiceError, failed};
use super::hints;
use super::image_marker::ImageMarker;
use super::job::Job;
use super::options::ObjectAccess;
use crate::error::{Error, Result};
use crate::import::poll::{Poll, PollError};
use crate::net::service_error::ErrorClass;
use crate::shell::Command;

/// What the token must be allowed for the image and its tags.
const CREATE_SCOPES: &str = "image:create, and tag:create for new tags";
const READ_SCOPE: &str = "image:read";

fn request_body(job: &Job, url: &str, marker: &ImageMarker) -> Value {
    let tags: Vec<_> = job.tags.iter().chain(&marker.tag).collect();
    let mut body = json!({
        "name": job.name,
        "url": url,
        "region": job.region(),
        "distribution": job.distribution,
        "tags": tags,
    });
    if let Some(description) = &job.description {
        body["description"] = json!(description);
    }
    body
}

/// The ids of the images that have this name already, which is no name's privilege.
pub async fn images_named(job: &Job, api: &Api) -> Result<Vec<u64>, ServiceError> {
    let images = api.private_images().await?;
    let same = images
        .into_iter()
        .filter(|image| image.name.as_ref() == Some(&job.name) && !image.is_unusable());
    Ok(same.map(|image| image.id).collect())
}

/// Why there is no image.
pub enum NotStarted {
    /// None was made.
    Refused(Error),
    /// The token may not create the image's own tag, or no image at all.
    Forbidden(Error),
    /// One may have been made, and nobody can say.
    Unknown(Error),
}

/// Starts the import. A request whose answer was lost may have made an image, which is
/// looked for by its mark before another one is asked for.
pub async fn start(
    job: &Job,
    api: &Api,
    url: &str,
    marker: &ImageMarker,
) -> Result<Image, NotStarted> {
    let mut backoff = api.backoff();
    loop {
        let fault = match api.create_image(&request_body(job, url, marker)).await {
            Ok(image) => return Ok(image),
            Err(fault) => fault,
        };
        if fault.is_denied() {
            return Err(NotStarted::Forbidden(create_error(job, fault)));
        }
        if fault.was_not_executed() {
            return Err(NotStarted::Refused(create_error(job, fault)));
        }
        let pause = backoff.delay_after(ErrorClass::Transient);
        if let Some(pause) = pause {
            // It may still be on its way.
            tokio::time::sleep(pause).await;
        }
        match marker.find(api).await {
            Ok(found) => match found.into_iter().next() {
                Some(image) => return Ok(image),
                None if pause.is_some() => {}
                None => return Err(NotStarted::Refused(create_error(job, fault))),
            },
            Err(_) => return Err(NotStarted::Unknown(create_error(job, fault))),
        }
    }
}

fn create_error(job: &Job, fault: ServiceError) -> Error {
    let unreachable = fault.to_string().to_lowercase().contains("url");
    let error = failed(fault, "the import could not be started", CREATE_SCOPES);
    if unreachable && job.access == ObjectAccess::Presigned {
        return error.hint(
            "DigitalOcean may not take signed addresses: leave --object-access presigned out",
        );
    }
    error
}

/// The command that deletes the image.
pub fn delete_command(id: u64) -> Command {
    let delete = Command::new("doctl compute image delete");
    delete.arg(id.to_string()).words("--force")
}

/// Whether an image that an earlier run has made is on its way, or done; none if it is gone.
pub async fn find(api: &Api, id: u64) -> Result<Option<Image>> {
    match api.image(id).await {
        Ok(image) if image.is_unusable() => Ok(None),
        Ok(image) => Ok(Some(image)),
        Err(fault) if fault.status() == Some(404) => Ok(None),
        Err(fault) => Err(failed(
            fault,
            format!("the image {id} could not be asked for"),
            READ_SCOPE,
        )),
    }
}

/// One question to the image.
pub async fn poll(job: &Job, api: &Api, id: u64) -> Result<Poll<Image>, PollError> {
    let failed = || format!("the import {id} failed");
    let image = match api.image(id).await {
        Ok(image) => image,
        Err(fault) if fault.status() == Some(404) => {
            let error = Error::failed(failed()).with_source(fault);
            return Err(PollError::Rejected(
                error.hint("somebody may have deleted the image"),
            ));
        }
        Err(fault) => return Err(poll_error(fault, "the import's state could not be asked")),
    };
    if let Some(reason) = image.failure_reason() {
        return Err(PollError::Permanent(with_failure_hint(
            job,
            Error::failed(failed()),
            reason,
        )));
    }
    if image.has_status("deleted") || image.has_status("retired") {
        let error = Error::failed(failed()).with_cause("DigitalOcean gave no reason");
        return Err(PollError::Permanent(error));
    }
    if image.has_status("available") {
        return Ok(Poll::Done(image));
    }
    let message = image.status.unwrap_or_default().to_lowercase();
    Ok(Poll::Pending {
        percent: None,
        message,
    })
}

/// An answer without the state: DigitalOcean goes on, so it is asked again, more often
/// where the trouble is on the way than where it refuses.
pub fn poll_error(fault: ServiceError, what: &str) -> PollError {
    if fault.class().is_retryable() {
        PollError::Transient(failed(fault, what, READ_SCOPE))
    } else if fault.class() == ErrorClass::NoCredentials {
        PollError::Permanent(failed(fault, what, READ_SCOPE))
    } else {
        PollError::Rejected(failed(fault, what, READ_SCOPE))
    }
}

fn with_failure_hint(job: &Job, error: Error, reason: &str) -> Error {
    let error = error.with_cause(reason.trim_end_matches('.'));
    match hints::import_failure_hint(reason, &job.common.image) {
        Some(help) => error.hint(help),
        None => error,
    }
}
