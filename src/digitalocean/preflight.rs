//! Checks before the upload: the token, the regions and whether they accept images, the Space
//! and its owner.

use super::client::{Api, Region};
use super::error::failed;
use super::hints::{HintContext, hint};
use super::job::Job;
use crate::error::{Error, Result};
use crate::net::service_error::ErrorClass;
use crate::progress::Progress;
use crate::shell::Command;
use crate::store::Store;
use crate::store::s3::S3;

/// What a region needs for images from other regions (API reference, regions).
const TRANSFER_FEATURE: &str = "image_transfer";

/// The account's mail address, or why it was not told.
pub type Caller = Result<String, String>;

/// Asks all of it at once; the first in order of sense is the one reported. Says who the
/// caller is, where the token may ask for it.
pub async fn check(
    job: &Job,
    api: &Api,
    spaces: &aws_sdk_s3::Client,
    store: &S3,
    progress: &Progress,
) -> Result<Caller> {
    let (account, regions, space) = tokio::join!(
        check_account(api, progress),
        check_regions(job, api, progress),
        check_space(job, spaces, store)
    );
    let caller = account?;
    regions.and(space).map(|()| caller)
}

/// A token with chosen scopes may lack this one; what it needs is seen later.
async fn check_account(api: &Api, progress: &Progress) -> Result<Caller> {
    match api.account().await {
        Ok(account) if account.status.eq_ignore_ascii_case("locked") => {
            Err(Error::failed("the DigitalOcean account is locked")
                .with_cause(account.status_message))
        }
        Ok(account) => Ok(Ok(account.email)),
        Err(fault) if fault.class() == ErrorClass::NoCredentials => Err(failed(
            fault,
            "DigitalOcean does not accept the caller",
            "account:read",
        )),
        Err(fault) if fault.is_denied() => Ok(Err("the token lacks account:read".to_owned())),
        Err(fault) => {
            let text = format!("DigitalOcean did not say who the caller is: {fault}");
            progress.note(&text);
            Ok(Err(fault.to_string()))
        }
    }
}

/// Every region is asked for, none is known here: new ones appear.
async fn check_regions(job: &Job, api: &Api, progress: &Progress) -> Result<()> {
    let regions = match api.regions().await {
        Ok(regions) => regions,
        Err(fault) if fault.is_denied() => {
            progress.warn("the token may not list regions (regions:read): they are not checked");
            return Ok(());
        }
        Err(fault) if fault.class() == ErrorClass::NoCredentials => {
            return Err(failed(
                fault,
                "the regions could not be asked for",
                "regions:read",
            ));
        }
        Err(fault) => {
            progress.warn(&format!(
                "the regions could not be asked for, so they are not checked: {fault}"
            ));
            return Ok(());
        }
    };
    for (number, region) in job.regions.iter().enumerate() {
        let Some(entry) = regions.iter().find(|entry| entry.slug == *region) else {
            return Err(unknown_region(region, &regions));
        };
        let features = entry.features.as_ref();
        let stays = |all: &Vec<String>| !all.iter().any(|feature| feature == TRANSFER_FEATURE);
        if number > 0 && features.is_some_and(stays) {
            return Err(
                Error::failed(format!("no image can be transferred to {region}"))
                    .with_cause(format!(
                        "DigitalOcean lists no {TRANSFER_FEATURE} among its features"
                    ))
                    .hint(format!("leave --image-region {region} out")),
            );
        }
    }
    Ok(())
}

fn unknown_region(region: &str, regions: &[Region]) -> Error {
    let slugs: Vec<_> = regions.iter().map(|region| region.slug.as_str()).collect();
    Error::failed(format!("DigitalOcean has no region {region}"))
        .hint(format!("choose one of {}", slugs.join(", ")))
}

/// HeadBucket. Its refusals have no body, so a small list is asked for, which says why.
async fn check_space(job: &Job, spaces: &aws_sdk_s3::Client, store: &S3) -> Result<()> {
    let (name, region) = (&job.space.name, &job.space.region);
    let what = || format!("the Space {name} can't be used");
    let Err(error) = spaces.head_bucket().bucket(name).send().await else {
        return Ok(());
    };
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    if matches!(status, Some(405 | 501)) {
        return Ok(()); // no such question here; the upload will say
    }
    if status == Some(404) {
        return Err(Error::failed(what())
            .with_cause(format!("there is no such Space in {region}"))
            .hint(format!(
                "name its own region with --spaces-region, or create it: {}",
                Command::new("aws s3 mb")
                    .arg(format!("s3://{name}"))
                    .option("--endpoint-url", &job.space.endpoint)
            )));
    }
    let Err(refusal) = store.open_uploads().await else {
        return Ok(());
    };
    let hint = hint(&refusal, &HintContext::SpaceCheck);
    let error = Error::failed(what()).with_source(refusal);
    Err(match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}
