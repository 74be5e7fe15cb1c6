//! The custom image: the request and its states. DigitalOcean knows no state "failed": an import that fails is `deleted`, with
//! the reason in `error_message` (`apis.md` C2).

use serde_json::{Value, json};

use super::client::{Api, Image};
use super::error::Fault;
use super::hints;
use super::image_marker::Mark;
use super::job::Job;
use super::options::ObjectAccess;
use crate::error::{Error, Result};
use crate::import::poll::{Poll, Trouble};
use crate::shell::Command;

/// What the token must be allowed for the image and its tags.
const CREATE: &str = "image:create, and tag:create for new tags";
const READ: &str = "image:read";

fn body(job: &Job, url: &str, mark: &Mark) -> Value {
    let tags: Vec<_> = job.tags.iter().chain(&mark.tag).collect();
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
pub async fn namesakes(job: &Job, api: &Api) -> Result<Vec<u64>, Fault> {
    let images = api.own_images().await?;
    let same = images
        .into_iter()
        .filter(|image| image.name.as_ref() == Some(&job.name) && !image.is_gone());
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
pub async fn start(job: &Job, api: &Api, url: &str, mark: &Mark) -> Result<Image, NotStarted> {
    let mut tried = 0;
    loop {
        let fault = match api.create_image(&body(job, url, mark)).await {
            Ok(image) => return Ok(image),
            Err(fault) => fault,
        };
        if fault.status() == Some(403) {
            return Err(NotStarted::Forbidden(refused(job, fault)));
        }
        if fault.did_nothing() {
            return Err(NotStarted::Refused(refused(job, fault)));
        }
        let pause = api.pause(tried);
        if let Some(pause) = pause {
            // It may still be on its way.
            tokio::time::sleep(pause).await;
        }
        match mark.find(api).await {
            Ok(found) => match found.into_iter().next() {
                Some(image) => return Ok(image),
                None if pause.is_some() => tried += 1,
                None => return Err(NotStarted::Refused(refused(job, fault))),
            },
            Err(_) => return Err(NotStarted::Unknown(refused(job, fault))),
        }
    }
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

/// The command that deletes the image.
pub fn removal(id: u64) -> Command {
    let delete = Command::new("doctl compute image delete");
    delete.arg(id.to_string()).words("--force")
}

/// Whether an image that an earlier run has made is on its way, or done; none if it is gone.
pub async fn find(api: &Api, id: u64) -> Result<Option<Image>> {
    match api.image(id).await {
        Ok(image) if image.is_gone() => Ok(None),
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
        Err(fault) if fault.status() == Some(404) => {
            let error = Error::failed(failed()).because(fault);
            return Err(Trouble::Refused(
                error.hint("somebody may have deleted the image"),
            ));
        }
        Err(fault) => return Err(unknown(fault, "the import's state could not be asked")),
    };
    if let Some(reason) = image.failure() {
        return Err(Trouble::Final(explained(
            job,
            Error::failed(failed()),
            reason,
        )));
    }
    if image.has_status("deleted") || image.has_status("retired") {
        let error = Error::failed(failed()).because_of("DigitalOcean gave no reason");
        return Err(Trouble::Final(error));
    }
    if image.has_status("available") {
        return Ok(Poll::Done(image));
    }
    let message = image.status.unwrap_or_default().to_lowercase();
    Ok(Poll::NotYet {
        percent: None,
        message,
    })
}

/// An answer without the state: DigitalOcean goes on, so it is asked again, more often
/// where the trouble is on the way than where it refuses.
pub fn unknown(fault: Fault, what: &str) -> Trouble {
    if fault.is_passing() {
        Trouble::Passing(fault.fails(what, READ))
    } else if fault.is_unauthorized() {
        Trouble::Final(fault.fails(what, READ))
    } else {
        Trouble::Refused(fault.fails(what, READ))
    }
}

fn explained(job: &Job, error: Error, reason: &str) -> Error {
    let error = error.because_of(reason.trim_end_matches('.'));
    match hints::reason(reason, &job.common.image) {
        Some(help) => error.hint(help),
        None => error,
    }
}
