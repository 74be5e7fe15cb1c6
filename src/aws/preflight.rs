//! What can be known before a byte leaves: who asks, whether the bucket is there and in
//! the right region, whether the name is free and the service role looks right.

use aws_sdk_ec2::types::{Filter, Image};
use aws_sdk_s3::error::SdkError;

use super::clients::Clients;
use super::fault::Fault;
use super::image::snapshots;
use super::job::Job;
use super::role::{self, Finding};
use crate::error::{Error, Result};

/// The images that an unfinished run may have left under the name.
#[derive(Debug, Default)]
pub struct Ours {
    /// The image itself.
    pub image: Option<String>,
    /// The snapshot from which it was registered, if its id went unheard.
    pub snapshot: Option<String>,
}

/// Asks all of it at once; the first in order of sense is the one reported. What the
/// service role looks like is for the caller to judge.
pub async fn check(job: &Job, clients: &Clients, ours: &Ours) -> Result<Finding> {
    if job.check_caller {
        let answer = clients.sts.get_caller_identity().send().await;
        answer.map_err(|error| {
            Fault::from(error).fails("AWS does not accept the caller", "sts:GetCallerIdentity")
        })?;
    }
    let (bucket, name, role) = tokio::join!(
        bucket(job, clients),
        name(job, clients, ours),
        role::look(job, clients)
    );
    bucket.and(name).map(|()| role)
}

/// HeadBucket; its answer names the bucket's region even when it refuses.
async fn bucket(job: &Job, clients: &Clients) -> Result<()> {
    let what = || format!("the bucket {} can't be used", job.bucket);
    match clients.s3.head_bucket().bucket(&job.bucket).send().await {
        Ok(answer) => local(job, answer.bucket_region()),
        Err(error) => {
            let status = error
                .raw_response()
                .map_or(0, |answer| answer.status().as_u16());
            let region = error
                .raw_response()
                .and_then(|answer| answer.headers().get("x-amz-bucket-region"))
                .map(str::to_owned);
            local(job, region.as_deref())?;
            Err(match status {
                404 => Error::failed(what())
                    .because_of("there is no such bucket")
                    .hint(format!(
                        "create it: aws s3 mb s3://{} --region {}",
                        job.bucket, job.region
                    )),
                403 => denied(job, &error),
                _ => Fault::from(error).fails(what(), "s3:ListBucket"),
            })
        }
    }
}

/// A HEAD has no body, so S3 can't say whether keys or permissions are wrong.
fn denied<E>(job: &Job, error: &SdkError<E>) -> Error
where
    E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    use aws_sdk_s3::operation::RequestId;
    let request = error
        .request_id()
        .map(|id| format!(" (403, request {id})"))
        .unwrap_or_default();
    Error::failed(format!("the bucket {} can't be used", job.bucket))
        .because_of(format!("S3 denies access to it{request}"))
        .hint("the bucket may be another account's; or allow the caller s3:ListBucket on it, the README has a policy to paste")
}

fn local(job: &Job, region: Option<&str>) -> Result<()> {
    match region {
        Some(region) if region != job.region => Err(Error::failed(format!(
            "the bucket {} can't be used",
            job.bucket
        ))
        .because_of(format!(
            "it lies in {region}, the import in {}; EC2 reads only from the region's own buckets",
            job.region
        ))
        .hint(format!(
            "name a bucket in {}, or import into {region} with --region {region}",
            job.region
        ))),
        _ => Ok(()),
    }
}

/// CopyImage accepts a name that is taken only to refuse it after the import, and
/// RegisterImage is asked after it.
async fn name(job: &Job, clients: &Clients, ours: &Ours) -> Result<()> {
    let own = job.road.registers().then(|| job.image_name());
    let Some(name) = &job.name.clone().or(own) else {
        return Ok(());
    };
    let filter = Filter::builder().name("name").values(name).build();
    let answer = clients
        .ec2
        .describe_images()
        .owners("self")
        .filters(filter)
        .include_disabled(true)
        .send()
        .await;
    let answer = answer.map_err(|error| {
        Fault::from(error).fails("the AMI's name can't be looked up", "ec2:DescribeImages")
    })?;
    let is_ours = |image: &Image| {
        let id = ours.image.is_some() && image.image_id() == ours.image.as_deref();
        id || ours
            .snapshot
            .as_ref()
            .is_some_and(|snapshot| snapshots(image).contains(snapshot))
    };
    let taken = answer
        .images()
        .iter()
        .find(|image| image.name() == Some(name) && !is_ours(image));
    match taken {
        Some(image) => Err(Error::failed(format!("the AMI's name \"{name}\" is taken"))
            .because_of(format!("{} in {} has it", image.image_id().unwrap_or("an image"), job.region))
            .hint("choose another --ami-name, such as one with {{timestamp}}, or deregister that image")),
        None => Ok(()),
    }
}
