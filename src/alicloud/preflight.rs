//! Checks before the upload: the names, the bucket and its region, and the role. Changes
//! nothing.

use super::client::Clients;
use super::error;
use super::image::{self, Image};
use super::job::{Job, Replace};
use super::{role, upload};
use crate::error::{Error, Result};
use crate::import::journal::JournalEntry;
use crate::net::permission;
use crate::store::Error as Refusal;
use crate::store::oss::Bucket;

/// What the import has to make first.
#[derive(Clone, Debug, Default)]
pub struct PreflightReport {
    /// There is no such bucket.
    pub no_bucket: bool,
    /// What the role lacks.
    pub role: role::RoleStatus,
    /// Regions in which another image has the name, and is to be replaced.
    pub taken_in: Vec<String>,
}

/// Asks all of it at once; the first in order of sense is the one reported. `entry` tells
/// what an unfinished run has made already.
pub async fn check(job: &Job, clients: &Clients, entry: &JournalEntry) -> Result<PreflightReport> {
    let (taken_in, no_bucket, role) = tokio::join!(
        check_names(job, clients, entry),
        check_bucket(job, clients),
        role::inspect(job, clients)
    );
    let taken_in = taken_in?;
    Ok(PreflightReport {
        no_bucket: no_bucket?,
        role,
        taken_in,
    })
}

/// ECS would refuse a name that is taken only after the upload, a copy's after the import.
async fn check_names(job: &Job, clients: &Clients, entry: &JournalEntry) -> Result<Vec<String>> {
    let copies = job.copies.iter().map(|copy| {
        let earlier_copy = entry.copies.get(&copy.region).cloned();
        (copy.region.as_str(), copy.name.as_str(), earlier_copy)
    });
    let first = (job.region.as_str(), job.name.as_str(), entry.image.clone());
    let mut taken_in = Vec::new();
    for (region, name, earlier_copy) in std::iter::once(first).chain(copies) {
        let images = image::find_by_name(clients, region, name).await;
        let images = images.map_err(|fault| {
            let what = format!("the image's name can't be looked up in {region}");
            error::failed(fault, what, "ecs:DescribeImages")
        })?;
        let has_request = entry.client_token.is_some();
        let is_ours = |image: &Image| {
            Some(&image.image_id) == earlier_copy.as_ref()
                || (has_request && image.imports_object(&job.bucket, &job.key))
        };
        if let Some(conflict) = images.iter().find(|image| !is_ours(image)) {
            if job.replace == Replace::Never {
                return Err(conflicting_image(region, name, conflict));
            }
            taken_in.push(region.to_owned());
        }
    }
    Ok(taken_in)
}

fn conflicting_image(region: &str, name: &str, conflict: &Image) -> Error {
    let (id, status) = (&conflict.image_id, &conflict.status);
    Error::failed(format!("the image's name \"{name}\" is taken"))
        .with_cause(format!("{id} in {region} has it ({status})"))
        .hint("choose another --image-name, such as one with {{timestamp}}, or say --force-delete")
}

/// Whether the bucket has to be made.
async fn check_bucket(job: &Job, clients: &Clients) -> Result<bool> {
    match clients.oss(&job.bucket, "").bucket().await {
        Ok(None) => Ok(true),
        Ok(Some(bucket)) => check_bucket_fits(job, &bucket).map(|()| false),
        Err(error) => Err(bucket_unusable(job, error)),
    }
}

fn bucket_unusable(job: &Job, error: Refusal) -> Error {
    let elsewhere = error.message().contains("specified endpoint");
    let hint = match error.code() {
        Some("AccessDenied") if elsewhere => Some(format!(
            "the bucket lies in another region: name one in {}, or import into the bucket's region with --region",
            job.region
        )),
        Some("AccessDenied") => Some(format!(
            "the bucket may be another account's; or {}",
            permission::allow(
                permission::RAM,
                &format!("oss:GetBucketInfo on acs:oss:*:*:{}", job.bucket)
            )
        )),
        _ => upload::upload_hint(job, &error.to_string()),
    };
    let what = Error::failed(format!("the bucket {} can't be used", job.bucket)).with_source(error);
    match hint {
        Some(hint) => what.hint(hint),
        None => what,
    }
}

fn check_bucket_fits(job: &Job, bucket: &Bucket) -> Result<()> {
    let unfit = || Error::failed(format!("the bucket {} can't be used", job.bucket));
    let (bucket_region, job_region) = (&bucket.region, &job.region);
    if !bucket_region.is_empty() && bucket_region != job_region {
        return Err(unfit()
            .with_cause(format!(
                "it lies in {bucket_region}, the import in {job_region}; ECS reads only from the region's own buckets"
            ))
            .hint(format!(
                "name a bucket in {job_region}, or import into {bucket_region} with --region {bucket_region}"
            )));
    }
    match &bucket.encryption {
        Some(kind) => Err(unfit()
            .with_cause(format!(
                "it encrypts its objects ({kind}), which ImportImage does not take (InvalidOSSBucket.EncryptUnsupported)"
            ))
            .hint("name another --bucket; one that does not exist is made")),
        None => Ok(()),
    }
}
