//! The image in ECS: looked up, changed, shared, copied, deleted.

use serde::Deserialize;
use serde_json::Value;

use super::api::{list, pairs, tags};
use super::clients::Clients;
use super::fault::Fault;
use super::job::{Copied, Job, Replace};
use crate::error::{Error, Result};
use crate::wait::{Poll, Trouble};

/// DescribeImages shows only what is available unless it is asked for all of these.
const STATES: &str = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated";
/// DescribeImages, "PageSize".
const PAGE: &str = "100";
/// ModifyImageSharePermission ignores whatever comes after the tenth account.
const ACCOUNTS: usize = 10;

/// An image as DescribeImages shows it.
#[expect(clippy::struct_field_names, reason = "ECS's own names")]
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Image {
    pub image_id: String,
    pub image_name: String,
    pub status: String,
    pub progress: Value,
    pub description: String,
    disk_device_mappings: Disks,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Disks {
    disk_device_mapping: Vec<Disk>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Disk {
    #[serde(rename = "SnapshotId")]
    snapshot: String,
    #[serde(rename = "ImportOSSBucket")]
    bucket: String,
    #[serde(rename = "ImportOSSObject")]
    object: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Page {
    images: Images,
    total_count: usize,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Images {
    image: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    image_id: String,
}

impl Image {
    /// The snapshots behind it.
    pub fn snapshots(&self) -> Vec<String> {
        let disks = self.disk_device_mappings.disk_device_mapping.iter();
        disks
            .map(|disk| disk.snapshot.clone())
            .filter(|id| !id.is_empty())
            .collect()
    }

    /// Whether it is being made of this object.
    pub fn reads(&self, bucket: &str, key: &str) -> bool {
        let making = matches!(self.status.as_str(), "Creating" | "Waiting");
        let disks = &self.disk_device_mappings.disk_device_mapping;
        making
            && disks
                .iter()
                .any(|disk| disk.bucket == bucket && disk.object == key)
    }

    /// It can't be used and never will be.
    pub fn has_failed(&self) -> bool {
        matches!(self.status.as_str(), "CreateFailed" | "UnAvailable")
    }

    /// "73%".
    pub fn percent(&self) -> Option<u8> {
        percent(&self.progress)
    }
}

/// "73%", or the number.
pub fn percent(said: &Value) -> Option<u8> {
    let text = said.to_string();
    text.trim_matches(['"', '%']).parse().ok()
}

/// One image by its id, in whatever state.
pub async fn find(clients: &Clients, region: &str, image: &str) -> Result<Option<Image>, Fault> {
    let parameters = pairs([("ImageId", image), ("Status", STATES), ("PageSize", PAGE)]);
    let page: Page = clients.ecs_in(region, "DescribeImages", parameters).await?;
    let mut images = page.images.image.into_iter();
    Ok(images.find(|one| one.image_id == image))
}

/// The account's images of exactly this name; ECS compares loosely.
pub async fn named(clients: &Clients, region: &str, name: &str) -> Result<Vec<Image>, Fault> {
    let (mut found, mut seen) = (Vec::new(), 0);
    for number in 1.. {
        let parameters = pairs([
            ("ImageName", name),
            ("ImageOwnerAlias", "self"),
            ("Status", STATES),
            ("PageSize", PAGE),
            ("PageNumber", &number.to_string()),
        ]);
        let page: Page = clients.ecs_in(region, "DescribeImages", parameters).await?;
        let images = page.images.image;
        seen += images.len();
        let last = images.is_empty() || seen >= page.total_count;
        found.extend(images.into_iter().filter(|one| one.image_name == name));
        if last {
            break;
        }
    }
    Ok(found)
}

/// The account's images that are being made of this object.
pub async fn made_of(
    clients: &Clients,
    region: &str,
    bucket: &str,
    key: &str,
) -> Result<Vec<Image>, Fault> {
    let parameters = pairs([
        ("ImageOwnerAlias", "self"),
        ("Status", "Creating,Waiting"),
        ("PageSize", PAGE),
    ]);
    let page: Page = clients.ecs_in(region, "DescribeImages", parameters).await?;
    let images = page.images.image.into_iter();
    Ok(images.filter(|image| image.reads(bucket, key)).collect())
}

/// One question to an image in the making.
pub async fn poll(clients: &Clients, region: &str, image: &str) -> Result<Poll<Image>, Trouble> {
    let failed = format!("the state of {image} could not be asked");
    let answer = match find(clients, region, image).await {
        Ok(answer) => answer,
        Err(fault) if fault.is_passing() => {
            return Err(Trouble::Passing(fault.fails(failed, "ecs:DescribeImages")));
        }
        Err(fault) => return Err(Trouble::Final(fault.fails(failed, "ecs:DescribeImages"))),
    };
    match answer {
        // Right after the start the image may not be known everywhere.
        None => Ok(Poll::NotYet {
            percent: None,
            message: "Waiting".to_owned(),
        }),
        Some(image) if image.status == "Available" => Ok(Poll::Done(image)),
        Some(image) if image.has_failed() => {
            let what = format!("the image {} in {region} failed", image.image_id);
            let status = format!("it is {}; Alibaba Cloud gives no reason", image.status);
            Err(Trouble::Final(Error::failed(what).because_of(status)))
        }
        Some(image) => Ok(Poll::NotYet {
            percent: image.percent(),
            message: image.status,
        }),
    }
}

/// The name, where the image was made under another one because this was taken. Whatever
/// has the name goes first, now that its successor is available.
pub async fn rename(
    clients: &Clients,
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
    let old = named(clients, region, name).await;
    let old = old.map_err(|fault| fault.fails(what(), "ecs:DescribeImages"))?;
    for old in old.iter().filter(|old| old.image_id != *id) {
        remove_old(clients, region, old, replace).await?;
    }
    let parameters = pairs([("ImageId", id), ("ImageName", name)]);
    let done: Result<Value, Fault> = clients
        .ecs_in(region, "ModifyImageAttribute", parameters)
        .await;
    done.map(drop)
        .map_err(|fault| fault.fails(what(), "ecs:ModifyImageAttribute"))
}

async fn remove_old(clients: &Clients, region: &str, old: &Image, replace: Replace) -> Result<()> {
    let id = &old.image_id;
    let gone = delete(clients, region, id).await;
    gone.map_err(|fault| {
        let what = format!("{id}, which has the name, could not be deleted");
        fault.fails(what, "ecs:DeleteImage")
    })?;
    if replace != Replace::WithSnapshots {
        return Ok(());
    }
    for snapshot in old.snapshots() {
        let gone = delete_snapshot(clients, region, &snapshot).await;
        gone.map_err(|fault| {
            let what = format!("{snapshot} of the replaced {id} could not be deleted");
            fault.fails(what, "ecs:DeleteSnapshot")
        })?;
    }
    Ok(())
}

/// Description and family: what differs from what was asked for.
pub async fn describe_as_asked(job: &Job, clients: &Clients, image: &Image) -> Result<()> {
    let mut changes = pairs([("ImageId", &image.image_id)]);
    if let Some(text) = job
        .description
        .as_ref()
        .filter(|text| **text != image.description)
    {
        changes.extend(pairs([("Description", text)]));
    }
    if let Some(family) = &job.family {
        changes.extend(pairs([("ImageFamily", family)]));
    }
    if changes.len() == 1 {
        return Ok(());
    }
    let done: Result<Value, Fault> = clients.ecs("ModifyImageAttribute", changes).await;
    done.map(drop).map_err(|fault| {
        fault.fails(
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
        let mut parameters = pairs([("ResourceType", kind)]);
        parameters.extend(list("ResourceId", &ids));
        parameters.extend(tags(&job.tags));
        let done: Result<Value, Fault> = clients.ecs_in(region, "TagResources", parameters).await;
        done.map_err(|fault| {
            fault.fails(
                format!("{} could not be tagged", ids.join(", ")),
                "ecs:TagResources",
            )
        })?;
    }
    Ok(())
}

/// Lets other accounts use the image, ten with each request.
pub async fn share(job: &Job, clients: &Clients, region: &str, image: &str) -> Result<()> {
    for accounts in job.accounts.chunks(ACCOUNTS) {
        let mut parameters = pairs([("ImageId", image)]);
        parameters.extend(list("AddAccount", accounts));
        let done: Result<Value, Fault> = clients
            .ecs_in(region, "ModifyImageSharePermission", parameters)
            .await;
        done.map_err(|fault| {
            let what = format!("{image} could not be shared with {}", accounts.join(", "));
            fault.fails(what, "ecs:ModifyImageSharePermission")
        })?;
    }
    Ok(())
}

/// Starts a copy. The token makes a repeated request the same one.
pub async fn copy(
    job: &Job,
    clients: &Clients,
    image: &str,
    copy: &Copied,
    (name, token): (&str, &str),
) -> Result<String> {
    let mut parameters = pairs([
        ("ImageId", image),
        ("DestinationRegionId", &copy.region),
        ("DestinationImageName", name),
        ("ClientToken", token),
    ]);
    if let Some(text) = &job.description {
        parameters.extend(pairs([("DestinationDescription", text)]));
    }
    if let Some(group) = &job.resource_group {
        parameters.extend(pairs([("ResourceGroupId", group)]));
    }
    if let Some(encryption) = &copy.encryption {
        let key = encryption.kms_key.iter();
        parameters.extend(pairs([("Encrypted", "true")]));
        parameters.extend(key.map(|key| ("KMSKeyId".to_owned(), key.clone())));
    }
    parameters.extend(tags(&job.tags));
    let made: Result<Made, Fault> = clients.ecs("CopyImage", parameters).await;
    let what = || format!("{image} could not be copied to {}", copy.region);
    made.map(|made| made.image_id)
        .map_err(|fault| fault.fails(what(), "ecs:CopyImage"))
}

/// Removes an image; one that is gone already is fine. The snapshots stay.
pub async fn delete(clients: &Clients, region: &str, image: &str) -> Result<(), Fault> {
    let gone: Result<Value, Fault> = clients
        .ecs_in(region, "DeleteImage", pairs([("ImageId", image)]))
        .await;
    match gone {
        Err(fault) if !fault.code().ends_with("NotFound") => Err(fault),
        _ => Ok(()),
    }
}

/// Stops a copy that is under way; removes one that is done.
pub async fn cancel_copy(clients: &Clients, region: &str, image: &str) -> anyhow::Result<()> {
    let Some(found) = find(clients, region, image).await? else {
        return Ok(());
    };
    if matches!(found.status.as_str(), "Creating" | "Waiting") {
        let _: Value = clients
            .ecs_in(region, "CancelCopyImage", pairs([("ImageId", image)]))
            .await?;
    }
    delete_all(clients, region, image).await
}

/// Removes the image and the snapshots behind it.
pub async fn delete_all(clients: &Clients, region: &str, image: &str) -> anyhow::Result<()> {
    let found = find(clients, region, image).await?;
    delete(clients, region, image).await?;
    for snapshot in found.iter().flat_map(Image::snapshots) {
        delete_snapshot(clients, region, &snapshot).await?;
    }
    Ok(())
}

/// Removes a snapshot; one that is gone already is fine.
pub async fn delete_snapshot(clients: &Clients, region: &str, snapshot: &str) -> Result<(), Fault> {
    let parameters = pairs([("SnapshotId", snapshot)]);
    let gone: Result<Value, Fault> = clients.ecs_at(region, "DeleteSnapshot", &parameters).await;
    match gone {
        Err(fault) if !fault.code().ends_with("NotFound") => Err(fault),
        _ => Ok(()),
    }
}
