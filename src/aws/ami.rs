//! The finished AMI: its name, its tags, its attributes. EC2 has one call for each, and finds a
//! new image only after some seconds.

use std::time::{Duration, Instant};

use aws_sdk_ec2::operation::copy_image::builders::CopyImageFluentBuilder;
use aws_sdk_ec2::operation::deregister_image::builders::DeregisterImageFluentBuilder;
use aws_sdk_ec2::types::{AttributeValue, Image, ImageState, ResourceType, Tag};
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::client::Clients;
use super::consistency::{CONSISTENCY, is_unknown};
use super::error::ServiceError;
use super::job::{Encryption, Job};
use super::tags::tags;
use crate::error::{Error, Result};
use crate::import::poll::{Poll, PollError};
use crate::net::retry::wait_while;
use crate::shell::Command;

/// By then every part of EC2 knows a new image.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(120);

/// Gives the image its name: EC2 can only copy it under another one.
pub async fn copy(
    job: &Job,
    clients: &Clients,
    image: &str,
    name: &str,
    token: &str,
) -> Result<String> {
    let call = copy_request(job, clients, image, name, token, job.encryption.as_ref());
    let failed = || format!("{image} could not be named \"{name}\"");
    let copy = send_copy(&call).await;
    copy.map_err(|fault| fault.into_error(failed(), "ec2:CopyImage"))
}

/// Sends CopyImage, again if the answer can't be read: with the same token that is the same
/// copy. The copy's id.
pub async fn send_copy(call: &CopyImageFluentBuilder) -> Result<String, ServiceError> {
    let request = || async {
        let answer = call.clone().send().await.map_err(ServiceError::from)?;
        let id = answer.image_id;
        id.ok_or_else(|| ServiceError::invalid_response("AWS gave no image id"))
    };
    let is_retryable = |fault: &ServiceError| is_unknown(fault) || fault.is_invalid_response();
    wait_while(CONSISTENCY, request, is_retryable).await
}

/// Whether the caller may copy; copies nothing.
pub async fn dry_run_copy(job: &Job, clients: &Clients, image: &str) -> Result<(), ServiceError> {
    let (name, token) = (job.image_name(), uuid::Uuid::new_v4().to_string());
    let encryption = job.encryption.as_ref();
    let request = copy_request(job, clients, image, &name, &token, encryption);
    Ok(request.dry_run(true).send().await.map(drop)?)
}

/// CopyImage, to the region of the clients. Tags travel with the call; the token makes a
/// repeated request the same one.
pub fn copy_request(
    job: &Job,
    clients: &Clients,
    image: &str,
    name: &str,
    token: &str,
    encryption: Option<&Encryption>,
) -> CopyImageFluentBuilder {
    let specifications: Vec<_> = [ResourceType::Image, ResourceType::Snapshot]
        .into_iter()
        .filter_map(|kind| tags(job, kind))
        .collect();
    clients
        .ec2
        .copy_image()
        .name(name)
        .source_image_id(image)
        .source_region(&job.region)
        .client_token(token)
        .set_description(job.description.clone())
        .set_encrypted(encryption.map(|_| true))
        .set_kms_key_id(encryption.and_then(|encryption| encryption.kms_key.clone()))
        .set_tag_specifications((!specifications.is_empty()).then_some(specifications))
}

/// One question to an image in the making, which began then.
pub async fn poll(
    clients: &Clients,
    image: &str,
    action: &str,
    started: Instant,
) -> Result<Poll<Image>, PollError> {
    let failed = format!("the state of {image} could not be asked");
    let answer = match describe(clients, image).await {
        Ok(answer) => answer,
        Err(fault) if fault.is_transient() => {
            return Err(PollError::Transient(
                fault.into_error(failed, "ec2:DescribeImages"),
            ));
        }
        Err(fault) => {
            return Err(PollError::Permanent(
                fault.into_error(failed, "ec2:DescribeImages"),
            ));
        }
    };
    let pending = || Poll::Pending {
        percent: None,
        message: action.to_owned(),
    };
    let Some(answer) = answer else {
        if started.elapsed() < VISIBILITY_TIMEOUT {
            return Ok(pending());
        }
        let error = Error::failed(format!("{image} is gone"));
        return Err(PollError::Permanent(
            error.with_cause("EC2 knows no such image"),
        ));
    };
    match answer.state().map(ImageState::as_str) {
        Some("available") => Ok(Poll::Done(answer)),
        None | Some("pending" | "transient") => Ok(pending()),
        Some(state) => {
            let reason = answer
                .state_reason()
                .and_then(|reason| reason.message())
                .unwrap_or("AWS gave no reason");
            Err(PollError::Permanent(
                Error::failed(format!("{image} is {state}")).with_cause(reason),
            ))
        }
    }
}

async fn describe(clients: &Clients, image: &str) -> Result<Option<Image>, ServiceError> {
    match clients.ec2.describe_images().image_ids(image).send().await {
        Ok(answer) => Ok(answer.images.and_then(|images| images.into_iter().next())),
        Err(error) => match ServiceError::from(error) {
            fault if is_unknown(&fault) => Ok(None),
            fault => Err(fault),
        },
    }
}

/// Whether EC2 knows the image.
pub async fn exists(clients: &Clients, image: &str) -> Result<bool> {
    let found = describe(clients, image).await;
    let found = found.map_err(|fault| {
        fault.into_error(
            format!("the state of {image} could not be asked"),
            "ec2:DescribeImages",
        )
    })?;
    Ok(found.is_some_and(|image| {
        image
            .state()
            .is_none_or(|state| state.as_str() != "deregistered")
    }))
}

/// Whether nothing can become of the image any more. Not being told is no reason to think so.
pub async fn has_failed(clients: &Clients, image: &str) -> bool {
    match describe(clients, image).await {
        Ok(Some(image)) => matches!(
            image.state().map(ImageState::as_str),
            Some("failed" | "invalid" | "error" | "deregistered")
        ),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Whether EC2 knows the snapshot.
pub async fn snapshot_exists(clients: &Clients, snapshot: &str) -> Result<bool> {
    let call = clients.ec2.describe_snapshots().snapshot_ids(snapshot);
    match call.send().await.map_err(ServiceError::from) {
        Ok(answer) => Ok(!answer.snapshots().is_empty()),
        Err(fault) if is_unknown(&fault) => Ok(false),
        Err(fault) => Err(fault.into_error(
            format!("the state of {snapshot} could not be asked"),
            "ec2:DescribeSnapshots",
        )),
    }
}

/// The snapshots behind an image.
pub fn snapshots(image: &Image) -> Vec<String> {
    let disks = image
        .block_device_mappings()
        .iter()
        .filter_map(|disk| disk.ebs());
    disks.filter_map(|disk| disk.snapshot_id.clone()).collect()
}

/// The command that removes an image and its snapshots.
pub fn deregister_command(cli: &Command, image: &str, region: &str) -> Command {
    cli.words("ec2 deregister-image")
        .option("--image-id", image)
        .words("--delete-associated-snapshots")
        .option("--region", region)
}

/// The command that removes a snapshot in the region of the import.
pub fn delete_snapshot_command(job: &Job, snapshot: &str) -> Command {
    job.cli
        .words("ec2 delete-snapshot")
        .option("--snapshot-id", snapshot)
        .option("--region", &job.region)
}

/// Removes an image and its snapshots; one that is gone already is fine.
pub async fn deregister(clients: &Clients, image: &str) -> anyhow::Result<()> {
    let snapshots = describe(clients, image)
        .await?
        .as_ref()
        .map(snapshots)
        .unwrap_or_default();
    // A pending image does not say which snapshots it will have; EC2 knows.
    let call = clients.ec2.deregister_image().image_id(image);
    ignore_not_found(call.delete_associated_snapshots(true)).await?;
    for snapshot in snapshots {
        delete_snapshot(clients, &snapshot).await?;
    }
    Ok(())
}

/// Removes an image, not its snapshots; one that is gone already is fine.
pub async fn deregister_only(clients: &Clients, image: &str) -> anyhow::Result<()> {
    ignore_not_found(clients.ec2.deregister_image().image_id(image)).await
}

async fn ignore_not_found(call: DeregisterImageFluentBuilder) -> anyhow::Result<()> {
    match call.send().await.map_err(ServiceError::from) {
        Err(fault) if !is_unknown(&fault) => Err(fault.requiring("ec2:DeregisterImage").into()),
        _ => Ok(()),
    }
}

/// Removes a snapshot; one that is gone already is fine.
pub async fn delete_snapshot(clients: &Clients, snapshot: &str) -> anyhow::Result<()> {
    let call = clients.ec2.delete_snapshot().snapshot_id(snapshot);
    match call.send().await.map_err(ServiceError::from) {
        Err(fault) if !is_unknown(&fault) => {
            let fault = fault.requiring("ec2:DeleteSnapshot");
            Err(anyhow::Error::from(fault).context(format!("{snapshot} stays")))
        }
        _ => Ok(()),
    }
}

/// Tags the image and its snapshots.
pub async fn tag(job: &Job, clients: &Clients, ids: &[String]) -> Result<()> {
    if job.tags.is_empty() || ids.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = job
        .tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect();
    let request = || async {
        let call = clients
            .ec2
            .create_tags()
            .set_resources(Some(ids.to_vec()))
            .set_tags(Some(list.clone()));
        call.send().await.map(drop).map_err(ServiceError::from)
    };
    let done = wait_while(CONSISTENCY, request, is_unknown).await;
    done.map_err(|fault| {
        fault.into_error(format!("{} could not be tagged", ids[0]), "ec2:CreateTags")
    })
}

/// Description and metadata service: one call for each, as EC2 wants it. They may have
/// been `carried` by RegisterImage.
pub async fn set_attributes(
    job: &Job,
    clients: &Clients,
    image: &str,
    is_copied: bool,
) -> Result<()> {
    let value = |text: &str| AttributeValue::builder().value(text).build();
    let change = || clients.ec2.modify_image_attribute().image_id(image);
    let mut changes = Vec::new();
    if let Some(text) = job.description.as_ref().filter(|_| !is_copied) {
        changes.push(("description", change().description(value(text))));
    }
    if let Some(version) = job.imds_support.as_ref().filter(|_| !is_copied) {
        changes.push((
            "IMDS support",
            change().imds_support(value(&super::values::flag_value(version))),
        ));
    }
    for (what, call) in changes {
        let request = || async {
            call.clone()
                .send()
                .await
                .map(drop)
                .map_err(ServiceError::from)
        };
        let done = wait_while(CONSISTENCY, request, is_unknown).await;
        done.map_err(|fault| {
            fault.into_error(
                format!("the {what} of {image} could not be set"),
                "ec2:ModifyImageAttribute",
            )
        })?;
    }
    Ok(())
}

/// EnableImageDeprecation.
pub async fn deprecate(clients: &Clients, image: &str, at: Option<Timestamp>) -> Result<()> {
    let Some(at) = at else { return Ok(()) };
    let call = clients
        .ec2
        .enable_image_deprecation()
        .image_id(image)
        .deprecate_at(DateTime::from_secs(at.as_second()));
    let request = || async {
        call.clone()
            .send()
            .await
            .map(drop)
            .map_err(ServiceError::from)
    };
    let done = wait_while(CONSISTENCY, request, is_unknown).await;
    done.map_err(|fault| {
        fault.into_error(
            format!("the deprecation of {image} could not be set"),
            "ec2:EnableImageDeprecation",
        )
    })
}
