//! What can be known before a byte leaves: whether the names are free, the bucket is
//! there and in the right region, the role looks right. Changes nothing.

use super::client::Clients;
use super::image::{self, Image};
use super::job::{Job, Replace};
use super::{role, upload};
use crate::error::{Error, Result};
use crate::import::journal::Entry;
use crate::net::permission;
use crate::store::Error as Refusal;
use crate::store::oss::Bucket;

/// What the import has to make first.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// There is no such bucket.
    pub no_bucket: bool,
    /// What the role lacks.
    pub role: role::State,
    /// Regions in which another image has the name, and is to be replaced.
    pub taken: Vec<String>,
}

/// Asks all of it at once; the first in order of sense is the one reported. `entry` tells
/// what an unfinished run has made already.
pub async fn check(job: &Job, clients: &Clients, entry: &Entry) -> Result<Findings> {
    let (taken, no_bucket, role) = tokio::join!(
        names(job, clients, entry),
        bucket(job, clients),
        role::look(job, clients)
    );
    let taken = taken?;
    Ok(Findings {
        no_bucket: no_bucket?,
        role,
        taken,
    })
}

/// ECS would refuse a name that is taken only after the upload, a copy's after the import.
async fn names(job: &Job, clients: &Clients, entry: &Entry) -> Result<Vec<String>> {
    let copies = job.copies.iter().map(|copy| {
        let ours = entry.copies.get(&copy.region).cloned();
        (copy.region.as_str(), copy.name.as_str(), ours)
    });
    let first = (job.region.as_str(), job.name.as_str(), entry.image.clone());
    let mut taken = Vec::new();
    for (region, name, ours) in std::iter::once(first).chain(copies) {
        let images = image::named(clients, region, name).await;
        let images = images.map_err(|fault| {
            let what = format!("the image's name can't be looked up in {region}");
            fault.fails(what, "ecs:DescribeImages")
        })?;
        let asked = entry.client_token.is_some();
        let is_ours = |image: &Image| {
            Some(&image.image_id) == ours.as_ref() || (asked && image.reads(&job.bucket, &job.key))
        };
        if let Some(other) = images.iter().find(|image| !is_ours(image)) {
            if job.replace == Replace::Never {
                return Err(in_the_way(region, name, other));
            }
            taken.push(region.to_owned());
        }
    }
    Ok(taken)
}

fn in_the_way(region: &str, name: &str, other: &Image) -> Error {
    let (id, status) = (&other.image_id, &other.status);
    Error::failed(format!("the image's name \"{name}\" is taken"))
        .because_of(format!("{id} in {region} has it ({status})"))
        .hint("choose another --image-name, such as one with {{timestamp}}, or say --force-delete")
}

/// Whether the bucket has to be made.
async fn bucket(job: &Job, clients: &Clients) -> Result<bool> {
    match clients.oss(&job.bucket, "").bucket().await {
        Ok(None) => Ok(true),
        Ok(Some(bucket)) => fits(job, &bucket).map(|()| false),
        Err(error) => Err(unusable(job, error)),
    }
}

fn unusable(job: &Job, error: Refusal) -> Error {
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
        _ => upload::advice(job, &error.to_string()),
    };
    let what = Error::failed(format!("the bucket {} can't be used", job.bucket)).because(error);
    match hint {
        Some(hint) => what.hint(hint),
        None => what,
    }
}

fn fits(job: &Job, bucket: &Bucket) -> Result<()> {
    let unfit = || Error::failed(format!("the bucket {} can't be used", job.bucket));
    let (there, here) = (&bucket.region, &job.region);
    if !there.is_empty() && there != here {
        return Err(unfit()
            .because_of(format!(
                "it lies in {there}, the import in {here}; ECS reads only from the region's own buckets"
            ))
            .hint(format!(
                "name a bucket in {here}, or import into {there} with --region {there}"
            )));
    }
    match &bucket.encryption {
        Some(kind) => Err(unfit()
            .because_of(format!(
                "it encrypts its objects ({kind}), which ImportImage does not take (InvalidOSSBucket.EncryptUnsupported)"
            ))
            .hint("name another --bucket; one that does not exist is made")),
        None => Ok(()),
    }
}
