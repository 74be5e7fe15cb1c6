//! What can be known before a byte leaves: who asks, whether the bucket is there and in
//! the right region, whether the name is free and the service role looks right.

use aws_sdk_ec2::types::{Filter, Image};
use aws_sdk_s3::error::SdkError;

use super::clients::{Clients, PREFLIGHT_TIMEOUT};
use super::fault::Fault;
use super::image::snapshots;
use super::job::Job;
use super::road::Road;
use super::role::{self, Finding};
use super::{partition, publish, regions};
use crate::error::{Error, Result};
use crate::journal;
use crate::permission;
use crate::shell::Command;

/// What an unfinished run has made, which may have the name already.
pub struct Ours {
    images: Vec<String>,
    /// From which an image was registered, if its id went unheard.
    snapshot: Option<String>,
    /// Where a copy was asked for, and the answer was not heard.
    unheard: Vec<String>,
}

impl Ours {
    /// Those that the journal knows.
    pub fn of(entry: &journal::Entry, region: &str) -> Self {
        let images = entry.image.iter().chain(&entry.copy);
        let images = images.chain(entry.copies.values()).cloned();
        let asked = entry.copy_requests.keys();
        let unheard = asked.filter(|region| !entry.copies.contains_key(*region));
        let first = entry.copy_token.is_some() && entry.copy.is_none();
        let first = first.then(|| region.to_owned());
        Self {
            images: images.collect(),
            snapshot: entry.snapshot.clone(),
            unheard: unheard.cloned().chain(first).collect(),
        }
    }

    fn may_be(&self, image: &Image, region: &str) -> bool {
        let made_of = |snapshot: &String| snapshots(image).contains(snapshot);
        self.images.iter().any(|id| image.image_id() == Some(id))
            || self.snapshot.as_ref().is_some_and(made_of)
            || self.unheard.iter().any(|one| one == region)
    }
}

/// What was seen.
pub struct Found {
    /// The service role.
    pub role: Finding,
    /// Who asks, where that was asked for.
    pub caller: Option<String>,
    /// Why nobody said who asks.
    pub unknown: Option<Fault>,
}

/// Asks all of it at once; the first in order of sense is the one reported. What the
/// service role looks like is for the caller to judge.
pub async fn check(job: &Job, clients: &Clients, ours: &Ours) -> Result<Found> {
    let (caller, role) = tokio::join!(caller(job, clients), role(job, clients));
    let (caller, unknown) = caller?;
    regions::exist(job, clients).await?;
    let (bucket, name, elsewhere, public, parameter) = tokio::join!(
        bucket(job, clients),
        name(job, &job.region, clients, ours),
        names_elsewhere(job, clients, ours),
        regions::let_in_the_public(job, clients),
        publish::check(job, clients),
    );
    let all = bucket.and(name).and(elsewhere).and(public).and(parameter);
    all.map(|()| Found {
        role,
        caller,
        unknown,
    })
}

/// GetCallerIdentity. AWS grants it to everybody whose keys are good; where nobody answers,
/// S3 and EC2 will say whether they are.
async fn caller(job: &Job, clients: &Clients) -> Result<(Option<String>, Option<Fault>)> {
    if !job.check_caller || !clients.has_sts {
        return Ok((None, None));
    }
    let asked = clients.sts.get_caller_identity().send();
    let answer = match tokio::time::timeout(PREFLIGHT_TIMEOUT, asked).await {
        Ok(answer) => answer.map_err(Fault::from),
        Err(_) => Err(Fault::unheard("STS does not answer")),
    };
    match answer {
        Ok(answer) => Ok((answer.arn, None)),
        Err(fault) if fault.leaves_open() => Ok((None, Some(fault))),
        Err(fault) => Err(fault.fails("AWS does not accept the caller", "sts:GetCallerIdentity")),
    }
}

/// The copies have the name of the AMI.
async fn names_elsewhere(job: &Job, clients: &Clients, ours: &Ours) -> Result<()> {
    let questions = job.copies.iter().map(async |copy| {
        let clients = clients.in_region(&copy.region);
        name(job, &copy.region, &clients, ours).await
    });
    futures_util::future::try_join_all(questions).await?;
    Ok(())
}

/// What is written block by block needs no service role.
async fn role(job: &Job, clients: &Clients) -> Finding {
    match job.road {
        Road::EbsDirect => Finding::Right,
        _ => tokio::time::timeout(PREFLIGHT_TIMEOUT, role::look(job, clients))
            .await
            .unwrap_or_else(|_| Finding::Hidden(Fault::unheard("IAM does not answer"))),
    }
}

/// HeadBucket; its answer names the bucket's region even when it refuses.
async fn bucket(job: &Job, clients: &Clients) -> Result<()> {
    if job.road == Road::EbsDirect {
        return Ok(());
    }
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
                // No such question here; the upload will say.
                405 | 501 => return Ok(()),
                404 => Error::failed(what())
                    .because_of("there is no such bucket")
                    .hint(format!("create it: {}", creation(job))),
                403 => denied(job, &error),
                _ => Fault::from(error).fails(what(), &listing(job)),
            })
        }
    }
}

/// The command that creates the bucket.
fn creation(job: &Job) -> Command {
    let url = format!("s3://{}", job.bucket);
    job.cli
        .words("s3 mb")
        .arg(url)
        .option("--region", &job.region)
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
        .hint(format!(
            "the bucket may be another account's; or {}",
            permission::allow(permission::IAM, &listing(job))
        ))
}

/// HeadBucket's permission has a list's name.
fn listing(job: &Job) -> String {
    let partition = partition::of(&job.region);
    format!("s3:ListBucket on arn:{partition}:s3:::{}", job.bucket)
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
async fn name(job: &Job, region: &str, clients: &Clients, ours: &Ours) -> Result<()> {
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
    let taken = |image: &&Image| image.name() == Some(name) && !ours.may_be(image, region);
    match answer.images().iter().find(taken) {
        Some(image) => Err(Error::failed(format!("the AMI's name \"{name}\" is taken"))
            .because_of(format!("{} in {region} has it", image.image_id().unwrap_or("an image")))
            .hint("choose another --ami-name, such as one with {{timestamp}}, or deregister that image")),
        None => Ok(()),
    }
}
