//! The custom image: the request, its states, and finding the one whose id was not
//! heard. DigitalOcean knows no state "failed": an import that fails is `deleted`, with
//! the reason in `error_message` (`apis.md` C2).

use serde_json::{Value, json};

use super::api::{Api, Image};
use super::fault::Fault;
use super::help;
use super::job::Job;
use super::options::ObjectAccess;
use crate::error::{Error, Result};
use crate::wait::{Poll, Trouble};

/// What the token must be allowed for the image and its tags.
const CREATE: &str = "image:create, and tag:create for new tags";
const READ: &str = "image:read";

/// Everything that the request says but the address. Two requests with the same words are the same request.
pub fn request(job: &Job) -> String {
    format!(
        "{} {} {:?} {} {:?} {:?}",
        job.name_template,
        job.region(),
        job.description,
        job.distribution,
        job.tags,
        job.access
    )
}

fn body(job: &Job, url: &str) -> Value {
    let mut body = json!({
        "name": job.name,
        "url": url,
        "region": job.region(),
        "distribution": job.distribution,
        "tags": job.tags,
    });
    if let Some(description) = &job.description {
        body["description"] = json!(description);
    }
    body
}

/// The ids of the images that have this name already, which is no name's privilege.
pub async fn namesakes(job: &Job, api: &Api) -> Result<Vec<u64>, Fault> {
    let images = api.own_images().await?;
    let alive = |image: &Image| !is(image, "deleted");
    let same = images
        .into_iter()
        .filter(|image| image.name.as_ref() == Some(&job.name));
    Ok(same.filter(alive).map(|image| image.id).collect())
}

/// Starts the import, once. A request whose answer was lost may have made an image; it is
/// looked for among those of the same name that were not there `before`, if that is known.
pub async fn start(job: &Job, api: &Api, url: &str, before: Option<&[u64]>) -> Result<u64> {
    let mut tried = 0;
    loop {
        let fault = match api.create_image(&body(job, url)).await {
            Ok(image) => return Ok(image.id),
            Err(fault) => fault,
        };
        let Some(before) = before.filter(|_| !fault.did_nothing()) else {
            return Err(refused(job, fault));
        };
        // An answer that was lost may still be on its way; a server's trouble is over.
        let pause = api.pause(tried).filter(|_| fault.is_answered());
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        match newcomer(job, api, before).await? {
            Some(id) => return Ok(id),
            None if pause.is_none() => return Err(refused(job, fault)),
            None => tried += 1,
        }
    }
}

/// The image of this name that was not there before.
pub async fn newcomer(job: &Job, api: &Api, before: &[u64]) -> Result<Option<u64>> {
    let now = namesakes(job, api).await;
    let now = now.map_err(|fault| fault.fails("the account's images could not be listed", READ))?;
    Ok(now.into_iter().filter(|id| !before.contains(id)).max())
}

fn refused(job: &Job, fault: Fault) -> Error {
    let unreachable = fault.to_string().to_lowercase().contains("url");
    let error = fault.fails("the import could not be started", CREATE);
    if unreachable && job.access == ObjectAccess::Presigned {
        return error.hint(
            "DigitalOcean may not take signed addresses: leave --object-access presigned out",
        );
    }
    error
}

/// Whether an image that an earlier run has made is on its way, or done; none if it is gone.
pub async fn find(api: &Api, id: u64) -> Result<Option<Image>> {
    match api.image(id).await {
        Ok(image) if is(&image, "deleted") || reason(&image).is_some() => Ok(None),
        Ok(image) => Ok(Some(image)),
        Err(fault) if fault.status() == Some(404) => Ok(None),
        Err(fault) => Err(fault.fails(format!("the image {id} could not be asked for"), READ)),
    }
}

/// One question to the image.
pub async fn poll(job: &Job, api: &Api, id: u64) -> Result<Poll<Image>, Trouble> {
    let failed = || format!("the import {id} failed");
    let image = match api.image(id).await {
        Ok(image) => image,
        Err(fault) if fault.is_passing() => {
            return Err(Trouble::Passing(
                fault.fails("the import's state could not be asked", READ),
            ));
        }
        Err(fault) if fault.status() == Some(404) => {
            let error = Error::failed(failed()).because(fault);
            return Err(Trouble::Final(
                error.hint("somebody may have deleted the image"),
            ));
        }
        Err(fault) => {
            return Err(Trouble::Final(
                fault.fails("the import's state could not be asked", READ),
            ));
        }
    };
    if let Some(reason) = reason(&image) {
        return Err(Trouble::Final(explained(
            job,
            Error::failed(failed()),
            reason,
        )));
    }
    if is(&image, "deleted") || is(&image, "retired") {
        let error = Error::failed(failed()).because_of("DigitalOcean gave no reason");
        return Err(Trouble::Final(error));
    }
    if is(&image, "available") {
        return Ok(Poll::Done(image));
    }
    let message = image.status.unwrap_or_default().to_lowercase();
    Ok(Poll::NotYet {
        percent: None,
        message,
    })
}

/// `NEW` is seen in capitals, so none is trusted to stay as it is.
fn is(image: &Image, status: &str) -> bool {
    image
        .status
        .as_ref()
        .is_some_and(|said| said.eq_ignore_ascii_case(status))
}

/// The description's own example of no error is one blank.
fn reason(image: &Image) -> Option<&str> {
    image
        .error_message
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn explained(job: &Job, error: Error, reason: &str) -> Error {
    let error = error.because_of(reason.trim_end_matches('.'));
    match help::reason(job, reason) {
        Some(help) => error.hint(help),
        None => error,
    }
}
