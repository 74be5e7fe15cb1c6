//! Checks before the upload: the caller's identity, the bucket and its region, the name, and
//! the service role.

use aws_sdk_ec2::types::{Filter, Image};
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput as Identity;

use super::ami::snapshots;
use super::client::{Clients, PREFLIGHT_TIMEOUT};
use super::error::ServiceError;
use super::job::Job;
use super::method::ImportMethod;
use super::role::{self, RoleStatus};
use super::{partition, regions, ssm_parameter, trust};
use crate::error::{Error, Result};
use crate::import::journal;
use crate::net::endpoint;
use crate::net::permission;
use crate::shell::Command;

/// What an unfinished run has made, which may have the name already.
pub struct PriorRun {
    images: Vec<String>,
    /// The snapshot from which an image was registered, if the response with its ID was lost.
    snapshot: Option<String>,
    /// Where a copy was asked for, and the answer was not heard.
    unconfirmed_regions: Vec<String>,
}

impl PriorRun {
    /// Those that the journal knows.
    pub fn from_entry(entry: &journal::JournalEntry, region: &str) -> Self {
        let images = entry.image.iter().chain(&entry.named_image);
        let images = images.chain(entry.copies.values()).cloned();
        let requested = entry.copy_requests.keys();
        let unconfirmed_regions = requested.filter(|region| !entry.copies.contains_key(*region));
        let first = entry.copy_token.is_some() && entry.named_image.is_none();
        let first = first.then(|| region.to_owned());
        Self {
            images: images.collect(),
            snapshot: entry.snapshot.clone(),
            unconfirmed_regions: unconfirmed_regions.cloned().chain(first).collect(),
        }
    }

    fn may_include(&self, image: &Image, region: &str) -> bool {
        let made_of = |snapshot: &String| snapshots(image).contains(snapshot);
        self.images.iter().any(|id| image.image_id() == Some(id))
            || self.snapshot.as_ref().is_some_and(made_of)
            || self
                .unconfirmed_regions
                .iter()
                .any(|unconfirmed| unconfirmed == region)
    }
}

/// What was seen.
pub struct PreflightReport {
    /// The service role.
    pub role: RoleStatus,
    /// Who asks, where that was asked for.
    pub caller: Option<String>,
    /// The account that owns the bucket, where that is known.
    pub bucket_owner: Option<String>,
    /// Why nobody said who asks.
    pub caller_error: Option<ServiceError>,
}

/// Asks all of it at once; the first in order of sense is the one reported. What the
/// service role looks like is for the caller to judge.
pub async fn check(job: &Job, clients: &Clients, prior_run: &PriorRun) -> Result<PreflightReport> {
    let (caller, role) = tokio::join!(caller(job, clients), check_role(job, clients));
    let (identity, unknown) = caller?;
    let (caller, account) = identity.map_or((None, None), |one| (one.arn, one.account));
    regions::check_copy_regions(job, clients).await?;
    let (bucket, name, elsewhere, public, parameter) = tokio::join!(
        check_bucket(job, clients, account),
        check_name(job, &job.region, clients, prior_run),
        check_copy_names(job, clients, prior_run),
        regions::check_public_access(job, clients),
        ssm_parameter::check(job, clients),
    );
    let bucket_owner = bucket?;
    name.and(elsewhere).and(public).and(parameter)?;
    Ok(PreflightReport {
        role,
        caller,
        bucket_owner,
        caller_error: unknown,
    })
}

/// GetCallerIdentity. AWS grants it to everybody whose keys are good; where nobody answers,
/// S3 and EC2 will say whether they are.
async fn caller(job: &Job, clients: &Clients) -> Result<(Option<Identity>, Option<ServiceError>)> {
    if !job.check_caller || !clients.has_sts {
        return Ok((None, None));
    }
    let request = clients.sts.get_caller_identity().send();
    let answer = match tokio::time::timeout(PREFLIGHT_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(ServiceError::from),
        Err(_) => Err(ServiceError::no_response("STS does not answer")),
    };
    match answer {
        Ok(answer) => Ok((Some(answer), None)),
        Err(fault) if fault.is_inconclusive() => Ok((None, Some(fault))),
        Err(fault) => {
            Err(fault.into_error("AWS does not accept the caller", "sts:GetCallerIdentity"))
        }
    }
}

/// The copies have the name of the AMI.
async fn check_copy_names(job: &Job, clients: &Clients, prior_run: &PriorRun) -> Result<()> {
    let questions = job.copies.iter().map(async |copy| {
        let clients = clients.in_region(&copy.region);
        check_name(job, &copy.region, &clients, prior_run).await
    });
    futures_util::future::try_join_all(questions).await?;
    Ok(())
}

/// What is written block by block needs no service role.
async fn check_role(job: &Job, clients: &Clients) -> RoleStatus {
    match job.method {
        ImportMethod::EbsDirect => RoleStatus::Valid,
        _ => tokio::time::timeout(PREFLIGHT_TIMEOUT, role::inspect(job, clients))
            .await
            .unwrap_or_else(|_| {
                RoleStatus::Unknown(ServiceError::no_response("IAM does not answer"))
            }),
    }
}

/// HeadBucket; its answer names the bucket's region even when it refuses. Returns the account
/// that must own the bucket in all further requests: the one that the user names, or else the
/// caller's. A bucket of somebody else under the name of a deleted one gets no image.
async fn check_bucket(
    job: &Job,
    clients: &Clients,
    caller: Option<String>,
) -> Result<Option<String>> {
    if job.method == ImportMethod::EbsDirect {
        return Ok(None);
    }
    let what = || format!("the bucket {} can't be used", job.bucket);
    let owner = job.bucket_owner.clone();
    let owner = owner.or_else(|| caller.filter(|_| knows_accounts(clients)));
    let head = |owner: Option<String>| {
        let call = clients.s3.head_bucket().bucket(&job.bucket);
        call.set_expected_bucket_owner(owner).send()
    };
    match head(owner.clone()).await {
        Ok(answer) => check_bucket_region(job, answer.bucket_region()).map(|()| owner),
        Err(error) => {
            let status = error
                .raw_response()
                .map_or(0, |answer| answer.status().as_u16());
            let region = error
                .raw_response()
                .and_then(|answer| answer.headers().get("x-amz-bucket-region"))
                .map(str::to_owned);
            check_bucket_region(job, region.as_deref())?;
            match status {
                // No such question here; the upload will say.
                405 | 501 => Ok(owner),
                404 => Err(Error::failed(what())
                    .with_cause("there is no such bucket")
                    .hint(format!("create it: {}", create_bucket_command(job)))),
                403 => match owner {
                    Some(owner) if head(None).await.is_ok() => Err(foreign(job, &owner)),
                    owner => denied(job, clients, owner).await,
                },
                _ => {
                    Err(ServiceError::from(error).into_error(what(), &list_bucket_permission(job)))
                }
            }
        }
    }
}

/// Whether the accounts of this object storage are those of AWS.
fn knows_accounts(clients: &Clients) -> bool {
    let registered_name =
        |url: &str| endpoint::is_loopback(url) || endpoint::is_within(url, trust::DOMAINS);
    clients.s3_endpoint.as_deref().is_none_or(registered_name)
}

/// The bucket lets the caller in, and is another account's.
fn foreign(job: &Job, owner: &str) -> Error {
    let error = Error::failed(format!("the bucket {} can't be used", job.bucket));
    if job.bucket_owner.is_some() {
        return error
            .with_cause(format!("it is not owned by the account {owner}"))
            .hint("correct --bucket-owner, or leave it out where the bucket is the caller's own");
    }
    error
        .with_cause(format!("it is not owned by the caller's account {owner}"))
        .hint("if it is the right bucket, name the account that owns it: --bucket-owner ACCOUNT")
}

/// The command that creates the bucket.
fn create_bucket_command(job: &Job) -> Command {
    let url = format!("s3://{}", job.bucket);
    job.cli
        .words("s3 mb")
        .arg(url)
        .option("--region", &job.region)
}

/// A HEAD has no body, so that S3 can't say whether keys or permissions are wrong: a list, which
/// needs the same permission, is asked for, and its refusal says it.
async fn denied(job: &Job, clients: &Clients, owner: Option<String>) -> Result<Option<String>> {
    let what = format!("the bucket {} can't be used", job.bucket);
    let call = clients.s3.list_objects_v2().bucket(&job.bucket).max_keys(1);
    let Err(error) = call.set_expected_bucket_owner(owner.clone()).send().await else {
        return Ok(owner);
    };
    let fault = ServiceError::from(error);
    if !fault.is_denied() {
        return Err(fault.into_error(what, &list_bucket_permission(job)));
    }
    let allow = permission::allow(permission::IAM, &list_bucket_permission(job));
    let hint = format!("the bucket may be another account's; or {allow}");
    Err(Error::failed(what).with_source(fault).hint(hint))
}

/// HeadBucket's permission has a list's name.
fn list_bucket_permission(job: &Job) -> String {
    let partition = partition::for_region(&job.region);
    format!("s3:ListBucket on arn:{partition}:s3:::{}", job.bucket)
}

fn check_bucket_region(job: &Job, region: Option<&str>) -> Result<()> {
    match region {
        Some(region) if region != job.region => Err(Error::failed(format!(
            "the bucket {} can't be used",
            job.bucket
        ))
        .with_cause(format!(
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
async fn check_name(
    job: &Job,
    region: &str,
    clients: &Clients,
    prior_run: &PriorRun,
) -> Result<()> {
    let own = job.method.registers().then(|| job.image_name());
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
        ServiceError::from(error)
            .into_error("the AMI's name can't be looked up", "ec2:DescribeImages")
    })?;
    let has_name =
        |image: &&Image| image.name() == Some(name) && !prior_run.may_include(image, region);
    match answer.images().iter().find(has_name) {
        Some(image) => Err(Error::failed(format!("the AMI's name \"{name}\" is taken"))
            .with_cause(format!("{} in {region} has it", image.image_id().unwrap_or("an image")))
            .hint("choose another --ami-name, such as one with {{timestamp}}, or deregister that image")),
        None => Ok(()),
    }
}
