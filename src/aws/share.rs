//! The accounts that may launch the AMI, and those that may create volumes from its snapshots.
//! Neither is ever copied: an image in another region must be shared again.

use aws_sdk_ec2::types::{
    CreateVolumePermission, CreateVolumePermissionModifications, LaunchPermission,
    LaunchPermissionModifications, PermissionGroup, SnapshotAttributeName,
};

use super::client::Clients;
use super::consistency::{CONSISTENCY, is_unknown};
use super::error::ServiceError;
use super::job::{Job, Share};
use crate::error::Result;
use crate::net::retry::wait_while;
use crate::shell::Command;

/// Shares the image and its snapshots as asked.
pub async fn share(job: &Job, clients: &Clients, image: &str, snapshots: &[String]) -> Result<()> {
    share_image(job, clients, image).await?;
    share_snapshots(job, clients, snapshots).await
}

async fn share_image(job: &Job, clients: &Clients, image: &str) -> Result<()> {
    let Some(permissions) = launch_permissions(&job.share) else {
        return Ok(());
    };
    let call = clients
        .ec2
        .modify_image_attribute()
        .image_id(image)
        .launch_permission(permissions);
    let request = || async {
        call.clone()
            .send()
            .await
            .map(drop)
            .map_err(ServiceError::from)
    };
    let done = wait_while(CONSISTENCY, request, is_unknown).await;
    done.map_err(|fault| {
        let blocked = job.share.is_public() && fault.code() == "OperationNotPermitted";
        let error = fault.into_error(
            format!("the launch permissions of {image} could not be set"),
            "ec2:ModifyImageAttribute",
        );
        if blocked {
            error.hint(unblock_command(&job.cli, &clients.region))
        } else {
            error
        }
    })
}

/// How an account lets AMIs be public.
pub fn unblock_command(cli: &Command, region: &str) -> String {
    let disable = cli.words("ec2 disable-image-block-public-access");
    format!(
        "lift the block, which may take 10 minutes: {}",
        disable.option("--region", region)
    )
}

pub fn launch_permissions(share: &Share) -> Option<LaunchPermissionModifications> {
    let permission = LaunchPermission::builder;
    let users = share
        .users
        .iter()
        .map(|user| permission().user_id(user).build());
    let groups = share.groups.iter().map(|group| {
        permission()
            .group(PermissionGroup::from(group.as_str()))
            .build()
    });
    let organizations = share
        .org_arns
        .iter()
        .map(|arn| permission().organization_arn(arn).build());
    let units = share
        .ou_arns
        .iter()
        .map(|arn| permission().organizational_unit_arn(arn).build());
    let all: Vec<_> = users
        .chain(groups)
        .chain(organizations)
        .chain(units)
        .collect();
    (!all.is_empty()).then(|| {
        LaunchPermissionModifications::builder()
            .set_add(Some(all))
            .build()
    })
}

/// Accounts that may launch the image may make volumes of its snapshots, too.
async fn share_snapshots(job: &Job, clients: &Clients, snapshots: &[String]) -> Result<()> {
    if job.share.users.is_empty() || !job.share.snapshots {
        return Ok(());
    }
    let add: Vec<_> = job
        .share
        .users
        .iter()
        .map(|user| CreateVolumePermission::builder().user_id(user).build())
        .collect();
    let permissions = CreateVolumePermissionModifications::builder()
        .set_add(Some(add))
        .build();
    for snapshot in snapshots {
        let call = clients
            .ec2
            .modify_snapshot_attribute()
            .snapshot_id(snapshot)
            .attribute(SnapshotAttributeName::CreateVolumePermission)
            .create_volume_permission(permissions.clone());
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
                format!("{snapshot} could not be shared"),
                "ec2:ModifySnapshotAttribute",
            )
        })?;
    }
    Ok(())
}
