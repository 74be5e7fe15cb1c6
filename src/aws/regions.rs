//! The regions of the copies, and what an account forbids in them: asked before a byte
//! leaves. Not being told is no fault, the copy itself will say.

use aws_sdk_ec2::types::{ManagedBy, Region};
use futures_util::future::try_join_all;

use super::client::Clients;
use super::error::Fault;
use super::job::Job;
use super::share::unblock;
use crate::error::{Error, Result};
use crate::shell::Command;

/// Names more alike than this are typing errors (Jaro-Winkler).
const ALIKE: f64 = 0.9;

/// Whether the account has all regions that get a copy.
pub async fn exist(job: &Job, clients: &Clients) -> Result<()> {
    if job.copies.is_empty() {
        return Ok(());
    }
    let request = clients.ec2.describe_regions().all_regions(true);
    let known = match request.send().await.map_err(Fault::from) {
        Ok(answer) => answer.regions.unwrap_or_default(),
        Err(fault) if fault.leaves_open() => {
            tracing::debug!("the regions can't be listed: {fault}");
            return Ok(());
        }
        Err(fault) => {
            return Err(fault.fails("the regions can't be listed", "ec2:DescribeRegions"));
        }
    };
    for copy in &job.copies {
        usable(&job.cli, &copy.region, &known)?;
    }
    Ok(())
}

fn usable(cli: &Command, name: &str, known: &[Region]) -> Result<()> {
    let failed = || Error::failed(format!("the AMI can't be copied to {name}"));
    let found = known
        .iter()
        .find(|region| region.region_name() == Some(name));
    match found.map(|region| region.opt_in_status()) {
        Some(Some("not-opted-in")) => Err(failed()
            .because_of("the region is not enabled for the account")
            .hint(format!(
                "enable it: {}",
                cli.words("account enable-region")
                    .option("--region-name", name)
            ))),
        Some(_) => Ok(()),
        None => {
            let error = failed().because_of("there is no such region");
            Err(match nearest(name, known) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint(format!(
                    "list the regions with: {}",
                    cli.words("ec2 describe-regions --all-regions")
                )),
            })
        }
    }
}

fn nearest<'a>(name: &str, known: &'a [Region]) -> Option<&'a str> {
    let names = known.iter().filter_map(Region::region_name);
    let (likeness, near) = names
        .map(|one| (strsim::jaro_winkler(name, one), one))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness > ALIKE).then_some(near)
}

/// Whether the account lets everybody in, in all regions, where that is asked for.
pub async fn let_in_the_public(job: &Job, clients: &Clients) -> Result<()> {
    if !job.share.is_public() {
        return Ok(());
    }
    let regions = std::iter::once(&job.region).chain(job.copies.iter().map(|copy| &copy.region));
    let questions = regions.map(async |region| {
        let there = clients.in_region(region);
        is_open(&job.cli, region, &there).await?;
        is_plain(&job.cli, region, &there).await
    });
    try_join_all(questions).await.map(drop)
}

/// "Block public access for AMIs" is on in every account that has had no public AMI.
async fn is_open(cli: &Command, region: &str, clients: &Clients) -> Result<()> {
    let request = clients.ec2.get_image_block_public_access_state();
    let answer = match request.send().await.map_err(Fault::from) {
        Ok(answer) => answer,
        Err(fault) => return not_told(fault, "ec2:GetImageBlockPublicAccessState"),
    };
    if answer.image_block_public_access_state() != Some("block-new-sharing") {
        return Ok(());
    }
    let error = private(region).because_of(format!(
        "the account blocks public access to AMIs in {region}"
    ));
    Err(match answer.managed_by() {
        Some(ManagedBy::DeclarativePolicy) => error
            .hint("a declarative policy of the organization does it, and only that can lift it"),
        _ => error.hint(unblock(cli, region)),
    })
}

/// With encryption by default on, whatever is imported or copied is encrypted.
async fn is_plain(cli: &Command, region: &str, clients: &Clients) -> Result<()> {
    let request = clients.ec2.get_ebs_encryption_by_default();
    match request.send().await.map_err(Fault::from) {
        Ok(answer) if answer.ebs_encryption_by_default() == Some(true) => Err(private(region)
            .because_of(format!(
                "the account encrypts every new snapshot in {region}, and an encrypted AMI can't be public"
            ))
            .hint(format!(
                "switch that off: {}",
                cli.words("ec2 disable-ebs-encryption-by-default").option("--region", region)
            ))),
        Ok(_) => Ok(()),
        Err(fault) => not_told(fault, "ec2:GetEbsEncryptionByDefault"),
    }
}

fn private(region: &str) -> Error {
    Error::failed(format!("the AMI can't be public in {region}"))
}

fn not_told(fault: Fault, action: &str) -> Result<()> {
    if fault.leaves_open() {
        tracing::debug!("{action} brought nothing: {fault}");
        return Ok(());
    }
    Err(fault.fails("the account's settings could not be asked", action))
}
