//! Changes the attributes of an available image: its name, description, tags and shares. Each
//! request has the same result when it is repeated.

use super::api::{EmptyResponse, indexed, params, tags};
use super::client::Clients;
use super::error::{self, ServiceError};
use super::image::{self, Image};
use super::job::{Job, Replace};
use super::remove;
use crate::error::{Error, Result};
use crate::import::journal::{ImageSnapshot, Journal};

/// ModifyImageSharePermission ignores whatever comes after the tenth account.
const MAX_ACCOUNTS: usize = 10;

/// The name, where the image was made under another one because this was taken. Whatever
/// has the name goes first, now that its successor is available; the journal knows of it, and
/// of its snapshots, before it goes.
pub async fn rename(
    clients: &Clients,
    journal: &Journal,
    region: &str,
    image: &Image,
    name: &str,
    replace: Replace,
) -> Result<()> {
    let id = &image.image_id;
    if image.image_name == name {
        return Ok(());
    }
    let what = || format!("{id} could not be named \"{name}\"");
    let old = image::find_by_name(clients, region, name).await;
    let old = old.map_err(|fault| error::failed(fault, what(), "ecs:DescribeImages"))?;
    for old in old.iter().filter(|old| old.image_id != *id) {
        if replace == Replace::Never {
            let conflict = format!("{} in {region} has taken the name", old.image_id);
            return Err(Error::failed(what())
                .with_cause(conflict)
                .hint("choose another --image-name, or add --force-delete"));
        }
        delete_replaced(clients, journal, region, old, replace).await?;
    }
    remove::snapshots(clients, journal, region)
        .await
        .map_err(|(snapshot, image, fault)| {
            let what = format!("{snapshot} of the replaced {image} could not be deleted");
            error::failed(fault, what, "ecs:DeleteSnapshot")
        })?;
    let parameters = params([("ImageId", id), ("ImageName", name)]);
    let done: Result<EmptyResponse, ServiceError> = clients
        .ecs_in(region, "ModifyImageAttribute", parameters)
        .await;
    done.map(drop)
        .map_err(|fault| error::failed(fault, what(), "ecs:ModifyImageAttribute"))
}

async fn delete_replaced(
    clients: &Clients,
    journal: &Journal,
    region: &str,
    old: &Image,
    replace: Replace,
) -> Result<()> {
    let id = &old.image_id;
    journal.update(|entry| {
        entry.replaced.insert(region.to_owned(), id.clone());
        if replace == Replace::WithSnapshots {
            let all = old.snapshots().into_iter();
            let owner = ImageSnapshot {
                region: region.to_owned(),
                image: id.clone(),
            };
            entry
                .snapshots
                .extend(all.map(|snapshot| (snapshot, owner.clone())));
        }
    });
    remove::delete(clients, region, id).await.map_err(|fault| {
        let what = format!("{id}, which has the name, could not be deleted");
        error::failed(fault, what, "ecs:DeleteImage")
    })
}

/// Description and family: what differs from what was asked for.
pub async fn set_description(job: &Job, clients: &Clients, image: &Image) -> Result<()> {
    let mut changes = params([("ImageId", &image.image_id)]);
    if let Some(text) = job
        .description
        .as_ref()
        .filter(|text| **text != image.description)
    {
        changes.extend(params([("Description", text)]));
    }
    if let Some(family) = &job.family {
        changes.extend(params([("ImageFamily", family)]));
    }
    if changes.len() == 1 {
        return Ok(());
    }
    let done: Result<EmptyResponse, ServiceError> =
        clients.ecs("ModifyImageAttribute", changes).await;
    done.map(drop).map_err(|fault| {
        error::failed(
            fault,
            format!("{} could not be described", image.image_id),
            "ecs:ModifyImageAttribute",
        )
    })
}

/// Tags on the image and its snapshots.
pub async fn tag(job: &Job, clients: &Clients, region: &str, image: &Image) -> Result<()> {
    if job.tags.is_empty() {
        return Ok(());
    }
    for (kind, ids) in [
        ("image", vec![image.image_id.clone()]),
        ("snapshot", image.snapshots()),
    ] {
        if ids.is_empty() {
            continue;
        }
        let mut parameters = params([("ResourceType", kind)]);
        parameters.extend(indexed("ResourceId", &ids));
        parameters.extend(tags(&job.tags));
        let done: Result<EmptyResponse, ServiceError> =
            clients.ecs_in(region, "TagResources", parameters).await;
        done.map_err(|fault| {
            error::failed(
                fault,
                format!("{} could not be tagged", ids.join(", ")),
                "ecs:TagResources",
            )
        })?;
    }
    Ok(())
}

/// Lets other accounts use the image, ten with each request.
pub async fn share(job: &Job, clients: &Clients, region: &str, image: &str) -> Result<()> {
    for accounts in job.accounts.chunks(MAX_ACCOUNTS) {
        let mut parameters = params([("ImageId", image)]);
        parameters.extend(indexed("AddAccount", accounts));
        let done: Result<EmptyResponse, ServiceError> = clients
            .ecs_in(region, "ModifyImageSharePermission", parameters)
            .await;
        done.map_err(|fault| {
            let what = format!("{image} could not be shared with {}", accounts.join(", "));
            error::failed(fault, what, "ecs:ModifyImageSharePermission")
        })?;
    }
    Ok(())
}
