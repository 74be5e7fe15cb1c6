//! Images: finding, deleting and copying them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::check::{self, refused};
use super::import::{check_name, dry_run};
use super::model::{Copy, CreatedImage, Image, Mapping, Region, Status};
use super::snapshots::take_snapshots;
use super::{EcsProduct, State, check_region, find_by_token, merge, no_image, page, record_token};
use crate::alibaba::rpc::{Answer, Call};
use crate::fault::ApiError;

/// Without a `Status`, only these are shown.
const DEFAULT_STATUS: &str = "Available";

impl EcsProduct {
    /// Asking for an image by id is a poll.
    pub(super) fn describe_images(&self, call: &Call<'_>, region: &str) -> Answer {
        let ids: Vec<_> = split(call.get("ImageId")).map(str::to_owned).collect();
        let mut state = self.ecs.state();
        let images = state.region(region).images.values();
        let images: Vec<_> = images
            .filter(|image| matches_request(image, call, &ids))
            .map(Image::json)
            .collect();
        let (images, numbers) = page(call, images)?;
        for id in &ids {
            self.poll(&mut state, region, id);
        }
        let answer = json!({"Images": {"Image": images}, "RegionId": region});
        Ok(merge(answer, numbers))
    }

    fn poll(&self, state: &mut State, region: &str, id: &str) {
        let place = state.region(region);
        let Some(image) = place.images.get_mut(id) else {
            return;
        };
        if image.copy.is_some() {
            return poll_copies(state, region, id);
        }
        if image.pending_polls > 0 {
            image.pending_polls -= 1;
            if image.pending_polls == 0 {
                image.status = Status::Available;
            }
            return;
        }
        let task = place.tasks.values().find(|task| task.image == id);
        let task = task.map(|task| task.id.clone());
        self.advance(place, &task.unwrap_or_default());
    }

    /// What is not there is deleted already; snapshots stay.
    pub(super) fn delete_image(&self, call: &Call<'_>, region: &str) -> Answer {
        let id = call.require("ImageId")?;
        let mut state = self.ecs.state();
        let place = state.region(region);
        if place.images.get(id).is_some_and(Image::is_creating) {
            let text = "The specified image is importing or being copied.";
            return Err(ApiError::new(403, "ImageIsImporting", text));
        }
        place.images.remove(id);
        Ok(json!({}))
    }

    pub(super) fn copy_image(&self, call: &Call<'_>, region: &str) -> Answer {
        let (id, target) = (
            call.require("ImageId")?,
            check_region(call.require("DestinationRegionId")?)?,
        );
        check::name(call.get("DestinationImageName"))?;
        check::description(call.get("DestinationDescription"))?;
        check::resource_group(call.query)?;
        let tags = check::tags(call.query)?;
        check_encryption(call)?;
        let mut state = self.ecs.state();
        if let Some(made) = find_by_token(state.region(region), call.query)? {
            return Ok(json!({"ImageId": made.image}));
        }
        let source = available(state.region(region), id)?.clone();
        check_name(&mut state, target, call.get("DestinationImageName"))?;
        dry_run(call, "DryRunOperation")?;
        let mut image = copy(&source, call);
        image.tags = tags;
        image.copy = Some(state.next_copy(region, id));
        let made = CreatedImage {
            image: image.id.clone(),
            task: None,
        };
        record_token(state.region(region), call.query, made.clone());
        state.region(target).images.insert(image.id.clone(), image);
        Ok(json!({"ImageId": made.image}))
    }

    /// Cancelling deletes the half copy.
    pub(super) fn cancel_copy(&self, call: &Call<'_>, region: &str) -> Answer {
        let id = call.require("ImageId")?;
        let mut state = self.ecs.state();
        let images = &mut state.region(region).images;
        let image = images.get(id).ok_or_else(|| no_image(id))?;
        if image.copy.is_none() {
            let text = "The specified image is not the target image of a copy action.";
            return Err(refused("ImageCreatedNotFromCopy", text));
        }
        if !image.is_creating() {
            return Err(refused(
                "IncorrectImageStatus",
                "The image is copied finished.",
            ));
        }
        images.remove(id);
        Ok(json!({}))
    }
}

impl State {
    fn next_copy(&mut self, region: &str, image: &str) -> Copy {
        self.copied += 1;
        Copy {
            region: region.to_owned(),
            image: image.to_owned(),
            number: self.copied,
            script: self.copies.clone(),
        }
    }
}

/// One copy runs per source region, the others queue; a poll of any brings the first on.
/// <https://www.alibabacloud.com/help/zh/ecs/developer-reference/api-copyimage>
fn poll_copies(state: &mut State, region: &str, id: &str) {
    let regions = state
        .region(region)
        .images
        .get(id)
        .filter(|image| image.is_creating());
    let Some(source) = regions.and_then(|image| Some(image.copy.as_ref()?.region.clone())) else {
        return;
    };
    let waiting = |image: &&mut Image| {
        let from = image.copy.as_ref().map(|copy| &copy.region);
        image.is_creating() && from == Some(&source)
    };
    let number = |image: &Image| image.copy.as_ref().map(|copy| copy.number);
    let first = state.regions.values_mut().filter_map(|region| {
        let images = region.images.values_mut().filter(waiting);
        let id = images.min_by_key(|image| number(image))?.id.clone();
        Some((number(&region.images[&id]), id, region))
    });
    if let Some((_, id, region)) = first.min_by_key(|(number, ..)| *number) {
        let copied = region.images.get_mut(&id).map(Image::poll_copy);
        if copied == Some(Status::Available) {
            take_snapshots(region, &id);
        }
    }
}

impl Image {
    fn poll_copy(&mut self) -> Status {
        if let Some(copy) = &mut self.copy {
            let is_done = copy.script.poll();
            self.progress = if is_done { 100 } else { copy.script.progress() };
            self.status = match (is_done, copy.script.fails) {
                (false, _) => Status::Creating,
                (true, false) => Status::Available,
                (true, true) => Status::CreateFailed,
            };
        }
        self.status
    }

    fn json(&self) -> Value {
        let fact = |name: &str| self.field(name).unwrap_or_default();
        let tag = |(key, value): (&String, &String)| json!({"TagKey": key, "TagValue": value});
        json!({
            "ImageId": self.id,
            "ImageName": self.name,
            "Status": self.status.name(),
            "Progress": format!("{}%", self.progress),
            "Size": self.size,
            "OSType": fact("OSType"),
            "Architecture": fact("Architecture"),
            "Platform": fact("Platform"),
            "BootMode": fact("BootMode"),
            "Description": fact("Description"),
            "ResourceGroupId": fact("ResourceGroupId"),
            "ImageFamily": fact("ImageFamily"),
            "ImageOwnerAlias": "self",
            "CreationTime": self.created,
            "IsCopied": self.copy.is_some(),
            "IsPublic": self.is_public,
            "IsSelfShared": if self.shares.is_empty() { "" } else { "True" },
            "Usage": "none",
            "Features": {"NvmeSupport": fact("Features.NvmeSupport"), "ImdsSupport": fact("Features.ImdsSupport")},
            "Tags": {"Tag": self.tags.iter().map(tag).collect::<Vec<_>>()},
            "DiskDeviceMappings": {"DiskDeviceMapping":
                self.mappings.iter().map(|mapping| mapping.json(self)).collect::<Vec<_>>()},
        })
    }
}

impl Mapping {
    fn json(&self, image: &Image) -> Value {
        json!({
            "Device": self.device,
            "Type": self.kind,
            "Format": self.format,
            "Size": self.size.to_string(),
            "SnapshotId": self.snapshot.as_deref().unwrap_or_default(),
            "Progress": format!("{}%", image.progress),
            "RemainTime": u64::from(100 - image.progress) * 6,
            "ImportOSSBucket": self.bucket,
            "ImportOSSObject": self.key,
            "Encrypted": image.encrypted,
        })
    }
}

fn split(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty())
}

fn matches_request(image: &Image, call: &Call<'_>, ids: &[String]) -> bool {
    let states: Vec<_> = split(call.get("Status").or(Some(DEFAULT_STATUS))).collect();
    let tags = call.query.structs("Tag");
    (ids.is_empty() || ids.contains(&image.id))
        && states
            .iter()
            .any(|state| *state == image.status.name() || *state == "ALL")
        && call
            .get("ImageName")
            .is_none_or(|name| image.name.contains(name.trim_matches('*')))
        && call
            .get("ImageOwnerAlias")
            .is_none_or(|owner| owner == "self")
        && call
            .get("ImageFamily")
            .is_none_or(|family| image.field("ImageFamily") == Some(family))
        && tags.iter().all(|tag| {
            let (key, value) = (
                tag.get("Key").or(tag.get("key")),
                tag.get("Value").or(tag.get("value")),
            );
            let found = image.tags.get(key.unwrap_or_default());
            found.is_some_and(|found| value.is_none_or(|value| found == value))
        })
}

/// Only available images can be copied or shared.
pub(super) fn available<'r>(region: &'r mut Region, id: &str) -> Result<&'r mut Image, ApiError> {
    let image = region.images.get_mut(id).ok_or_else(|| no_image(id))?;
    if image.status == Status::Available {
        return Ok(image);
    }
    let text = "The current status of the image does not support this operation.";
    Err(ApiError::new(403, "IncorrectImageStatus", text))
}

fn check_encryption(call: &Call<'_>) -> Result<(), ApiError> {
    if call.get("EncryptAlgorithm").is_some() {
        let text = "The parameter EncryptAlgorithm is not available.";
        return Err(refused("InvalidParameter.EncryptAlgorithm", text));
    }
    if call.get("KMSKeyId").is_some() && !call.query.flag("Encrypted") {
        let text = "The specified KMSKeyId needs Encrypted to be true.";
        return Err(refused("InvalidParameter.KMSKeyId", text));
    }
    Ok(())
}

fn copy(source: &Image, call: &Call<'_>) -> Image {
    let mut image = Image {
        status: Status::Creating,
        progress: 0,
        fields: source.fields.clone(),
        size: source.size,
        encrypted: call.query.flag("Encrypted") || source.encrypted,
        contents: source.contents.clone(),
        ..Image::new(call.get("DestinationImageName"))
    };
    let unsnapped = |mapping: &Mapping| Mapping {
        snapshot: None,
        ..mapping.clone()
    };
    image.mappings = source.mappings.iter().map(unsnapped).collect();
    let fields = [
        ("Description", "DestinationDescription"),
        ("ResourceGroupId", "ResourceGroupId"),
        ("KMSKeyId", "KMSKeyId"),
    ];
    let fields = fields.map(|(fact, name)| (fact, call.query.get_owned(name).unwrap_or_default()));
    image.fields.extend(BTreeMap::from(fields));
    image
}
