//! Checks the regions of the copies and the account's restrictions in them before the upload. A
//! missing permission for a check is not an error: the copy itself will report the problem.

use aws_sdk_ec2::types::{ManagedBy, Region};
use futures_util::future::try_join_all;

use super::client::Clients;
use super::error::ServiceError;
use super::job::Job;
use super::share::unblock_command;
use crate::error::{Error, Result};
use crate::shell::Command;

/// Names more alike than this are typing errors (Jaro-Winkler).
const TYPO_SIMILARITY: f64 = 0.9;

/// Whether the account has all regions that get a copy.
pub async fn check_copy_regions(job: &Job, clients: &Clients) -> Result<()> {
    if job.copies.is_empty() {
        return Ok(());
    }
    let request = clients.ec2.describe_regions().all_regions(true);
    let regions = match request.send().await.map_err(ServiceError::from) {
        Ok(answer) => answer.regions.unwrap_or_default(),
        Err(fault) if fault.is_inconclusive() => {
            tracing::debug!("the regions can't be listed: {fault}");
            return Ok(());
        }
        Err(fault) => {
            return Err(fault.into_error("the regions can't be listed", "ec2:DescribeRegions"));
        }
    };
    for copy in &job.copies {
        check_enabled(&job.cli, &copy.region, &regions)?;
    }
    Ok(())
}

fn check_enabled(cli: &Command, name: &str, regions: &[Region]) -> Result<()> {
    let failed = || Error::failed(format!("the AMI can't be copied to {name}"));
    let found = regions
        .iter()
        .find(|region| region.region_name() == Some(name));
    match found.map(|region| region.opt_in_status()) {
        Some(Some("not-opted-in")) => Err(failed()
            .with_cause("the region is not enabled for the account")
            .hint(format!(
                "enable it: {}",
                cli.words("account enable-region")
                    .option("--region-name", name)
            ))),
        Some(_) => Ok(()),
        None => {
            let error = failed().with_cause("there is no such region");
            Err(match nearest(name, regions) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint(format!(
                    "list the regions with: {}",
                    cli.words("ec2 describe-regions --all-regions")
                )),
            })
        }
    }
}

fn nearest<'a>(name: &str, regions: &'a [Region]) -> Option<&'a str> {
    let names = regions.iter().filter_map(Region::region_name);
    let (likeness, near) = names
        .map(|region_name| (strsim::jaro_winkler(name, region_name), region_name))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness > TYPO_SIMILARITY).then_some(near)
}

/// Whether the account lets everybody in, in all regions, where that is asked for.
pub async fn check_public_access(job: &Job, clients: &Clients) -> Result<()> {
    if !job.share.is_public() {
        return Ok(());
    }
    let regions = std::iter::once(&job.region).chain(job.copies.iter().map(|copy| &copy.region));
    let questions = regions.map(async |region| {
        let regional_clients = clients.in_region(region);
        check_block_public_access(&job.cli, region, &regional_clients).await?;
        check_default_encryption(&job.cli, region, &regional_clients).await
    });
    try_join_all(questions).await.map(drop)
}

/// "Block public access for AMIs" is on in every account that has had no public AMI.
async fn check_block_public_access(cli: &Command, region: &str, clients: &Clients) -> Result<()> {
    let request = clients.ec2.get_image_block_public_access_state();
    let answer = match request.send().await.map_err(ServiceError::from) {
        Ok(answer) => answer,
        Err(fault) => return ignore_inconclusive(fault, "ec2:GetImageBlockPublicAccessState"),
    };
    if answer.image_block_public_access_state() != Some("block-new-sharing") {
        return Ok(());
    }
    let error = cannot_be_public(region).with_cause(format!(
        "the account blocks public access to AMIs in {region}"
    ));
    Err(match answer.managed_by() {
        Some(ManagedBy::DeclarativePolicy) => error
            .hint("a declarative policy of the organization does it, and only that can lift it"),
        _ => error.hint(unblock_command(cli, region)),
    })
}

/// With encryption by default on, whatever is imported or copied is encrypted.
async fn check_default_encryption(cli: &Command, region: &str, clients: &Clients) -> Result<()> {
    let request = clients.ec2.get_ebs_encryption_by_default();
    match request.send().await.map_err(ServiceError::from) {
        Ok(answer) if answer.ebs_encryption_by_default() == Some(true) => Err(cannot_be_public(region)
            .with_cause(format!(
                "the account encrypts every new snapshot in {region}, and an encrypted AMI can't be public"
            ))
            .hint(format!(
                "switch that off: {}",
                cli.words("ec2 disable-ebs-encryption-by-default").option("--region", region)
            ))),
        Ok(_) => Ok(()),
        Err(fault) => ignore_inconclusive(fault, "ec2:GetEbsEncryptionByDefault"),
    }
}

fn cannot_be_public(region: &str) -> Error {
    Error::failed(format!("the AMI can't be public in {region}"))
}

fn ignore_inconclusive(fault: ServiceError, action: &str) -> Result<()> {
    if fault.is_inconclusive() {
        tracing::debug!("{action} brought nothing: {fault}");
        return Ok(());
    }
    Err(fault.into_error("the account's settings could not be asked", action))
}
