//! The image in ECS: finds it by its ID, its name, or the client token of its request, and
//! waits for it.

use serde::Deserialize;
use serde_json::Value;

use super::api::{params, tags};
use super::client::Clients;
use super::error::{self, ServiceError};
use super::ids;
use super::job::{CopyTarget, Job};
use super::sign::Pairs;
use super::validate;
use crate::error::{Error, Result};
use crate::import::poll::{Poll, PollError};
use crate::shell::Command;

/// DescribeImages shows only what is available unless it is asked for all of these.
const ALL_STATES: &str = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated";
/// DescribeImages, "PageSize".
pub const PAGE_SIZE: &str = "100";
/// More pages than an account has images for; an answer that never ends is none.
pub const MAX_PAGES: usize = 100;
/// The tag that carries the ClientToken of the request that asked for the image. By it the
/// image is found where the answer was lost, or not written down.
const TOKEN_TAG: &str = "imgimport:token";

/// An image as DescribeImages shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    #[serde(deserialize_with = "ids::image_id")]
    pub image_id: String,
    #[serde(default)]
    pub image_name: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub progress: Value,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    disk_device_mappings: Disks,
    #[serde(default)]
    tags: Tags,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Disks {
    disk_device_mapping: Vec<Disk>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Disk {
    #[serde(rename = "SnapshotId", deserialize_with = "ids::snapshot_id")]
    snapshot: String,
    #[serde(rename = "ImportOSSBucket")]
    bucket: String,
    #[serde(rename = "ImportOSSObject")]
    object: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Tags {
    tag: Vec<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Tag {
    tag_key: String,
    tag_value: String,
}

/// `Images` has no default: an answer without it is none of ECS's, and says nothing of what
/// there is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    images: Images,
    #[serde(default)]
    total_count: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Images {
    image: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreatedImage {
    #[serde(deserialize_with = "ids::image_id")]
    image_id: String,
}

impl Image {
    /// An image that DescribeImages does not show yet.
    pub fn not_visible_yet(id: &str) -> Self {
        Self {
            image_id: id.to_owned(),
            ..Self::default()
        }
    }

    /// The snapshots behind it.
    pub fn snapshots(&self) -> Vec<String> {
        let disks = self.disk_device_mappings.disk_device_mapping.iter();
        disks
            .map(|disk| disk.snapshot.clone())
            .filter(|id| !id.is_empty())
            .collect()
    }

    /// Whether it is being made of this object.
    pub fn imports_object(&self, bucket: &str, key: &str) -> bool {
        self.is_in_progress() && self.was_imported_from(bucket, key)
    }

    /// Whether it is, or was, imported from this object.
    pub fn was_imported_from(&self, bucket: &str, key: &str) -> bool {
        let mut disks = self.disk_device_mappings.disk_device_mapping.iter();
        disks.any(|disk| disk.bucket == bucket && disk.object == key)
    }

    /// Whether ECS works on it.
    pub fn is_in_progress(&self) -> bool {
        matches!(self.status.as_str(), "Creating" | "Waiting")
    }

    /// It can't be used and never will be.
    pub fn has_failed(&self) -> bool {
        matches!(self.status.as_str(), "CreateFailed" | "UnAvailable")
    }

    /// Whether the request with this token has asked for it.
    fn has_token(&self, token: &str) -> bool {
        let mut tags = self.tags.tag.iter();
        tags.any(|tag| tag.tag_key == TOKEN_TAG && tag.tag_value == token)
    }

    /// "73%".
    pub fn percent(&self) -> Option<u8> {
        percent(&self.progress)
    }
}

/// "73%", or the number.
pub fn percent(progress: &Value) -> Option<u8> {
    let text = progress.to_string();
    text.trim_matches(['"', '%']).parse().ok()
}

/// A name that no other image has, for as long as the wanted one is not to be had.
pub fn token_name(token: &str) -> String {
    format!("imgimport-{token}")
}

/// Whether the job's tags leave room for the one that carries the token.
pub fn has_room_for_tag(job: &Job) -> bool {
    job.tags.len() < validate::MAX_TAGS
}

/// The job's tags, and the one that carries the token.
pub fn tags_with_token(job: &Job, token: &str) -> Pairs {
    let mut all = job.tags.clone();
    if has_room_for_tag(job) {
        all.push((TOKEN_TAG.to_owned(), token.to_owned()));
    }
    tags(&all)
}

/// The command that looks for the image of a request.
pub fn describe_command(cli: &Command, region: &str, token: &str) -> Command {
    cli.words("ecs DescribeImages --Status Creating,Available")
        .option("--RegionId", region)
        .option("--Tag.1.Key", TOKEN_TAG)
        .option("--Tag.1.Value", token)
}

/// One image by its id, in whatever state.
pub async fn find(
    clients: &Clients,
    region: &str,
    image: &str,
) -> Result<Option<Image>, ServiceError> {
    let images = list(clients, region, params([("ImageId", image)])).await?;
    Ok(images
        .into_iter()
        .find(|candidate| candidate.image_id == image))
}

/// The account's images of exactly this name; ECS compares loosely.
pub async fn find_by_name(
    clients: &Clients,
    region: &str,
    name: &str,
) -> Result<Vec<Image>, ServiceError> {
    let filter = params([("ImageName", name), ("ImageOwnerAlias", "self")]);
    let mut images = list(clients, region, filter).await?;
    images.retain(|image| image.image_name == name);
    Ok(images)
}

/// The image that the request with this token has asked for. Without its tag it has a name
/// of its own, which holds the token.
pub async fn find_by_token(
    clients: &Clients,
    region: &str,
    token: &str,
) -> Result<Option<Image>, ServiceError> {
    let filter = params([
        ("ImageOwnerAlias", "self"),
        ("Tag.1.Key", TOKEN_TAG),
        ("Tag.1.Value", token),
    ]);
    let tagged = list(clients, region, filter).await?;
    if let Some(image) = tagged.into_iter().find(|image| image.has_token(token)) {
        return Ok(Some(image));
    }
    let named = find_by_name(clients, region, &token_name(token)).await?;
    Ok(named.into_iter().next())
}

/// The account's images that are being made of this object.
pub async fn importing_from(
    clients: &Clients,
    region: &str,
    bucket: &str,
    key: &str,
) -> Result<Vec<Image>, ServiceError> {
    let mut images = list(clients, region, params([("ImageOwnerAlias", "self")])).await?;
    images.retain(|image| image.imports_object(bucket, key));
    Ok(images)
}

/// All pages of DescribeImages.
async fn list(clients: &Clients, region: &str, filter: Pairs) -> Result<Vec<Image>, ServiceError> {
    let mut images = Vec::new();
    for number in 1..=MAX_PAGES {
        let mut parameters = filter.clone();
        parameters.extend(params([("Status", ALL_STATES), ("PageSize", PAGE_SIZE)]));
        if number > 1 {
            parameters.extend(params([("PageNumber", &number.to_string())]));
        }
        let page: Page = clients.ecs_in(region, "DescribeImages", parameters).await?;
        let last = page.images.image.is_empty();
        images.extend(page.images.image);
        if last || images.len() >= page.total_count {
            break;
        }
    }
    Ok(images)
}

/// Refusals of questions that have been answered before: one is odd, several are meant.
#[derive(Default)]
pub struct Refusals(u8);

impl Refusals {
    const MAX_REFUSALS: u8 = 3;

    /// What a fault means for a wait; `failed` is the error that it becomes.
    pub fn classify(
        &mut self,
        fault: ServiceError,
        failed: impl FnOnce(ServiceError) -> Error,
    ) -> Result<Poll<Image>, PollError> {
        if fault.is_transient() {
            return Err(PollError::Transient(failed(fault)));
        }
        self.0 += 1;
        if self.0 >= Self::MAX_REFUSALS {
            return Err(PollError::Permanent(failed(fault)));
        }
        tracing::debug!("{fault}; asked again");
        Ok(Poll::Pending {
            percent: None,
            message: "Waiting".to_owned(),
        })
    }

    /// There was an answer.
    pub fn reset(&mut self) {
        self.0 = 0;
    }
}

/// One question to an image in the making.
pub async fn poll(
    clients: &Clients,
    region: &str,
    image: &str,
    refusals: &mut Refusals,
) -> Result<Poll<Image>, PollError> {
    let failed = format!("the state of {image} could not be asked");
    let answer = match find(clients, region, image).await {
        Ok(answer) => answer,
        Err(fault) => {
            return refusals.classify(fault, |fault| {
                error::failed(fault, failed, "ecs:DescribeImages")
            });
        }
    };
    refusals.reset();
    match answer {
        // Right after the start the image may not be known everywhere; it is not waited for
        // forever.
        None => Err(PollError::Transient(
            Error::failed(failed).with_cause(format!("{region} knows no such image")),
        )),
        Some(image) if image.status == "Available" => Ok(Poll::Done(image)),
        Some(image) if image.has_failed() => {
            let what = format!("the image {} in {region} failed", image.image_id);
            let status = format!("it is {}; Alibaba Cloud gives no reason", image.status);
            Err(PollError::Permanent(Error::failed(what).with_cause(status)))
        }
        Some(image) => Ok(Poll::Pending {
            percent: image.percent(),
            message: image.status,
        }),
    }
}

/// What CopyImage is asked for. The token makes a repeated request the same one.
pub fn copy_parameters(
    job: &Job,
    image: &str,
    copy: &CopyTarget,
    (name, token): (&str, &str),
) -> Pairs {
    let mut parameters = params([
        ("ImageId", image),
        ("DestinationRegionId", &copy.region),
        ("DestinationImageName", name),
        ("ClientToken", token),
    ]);
    if let Some(text) = &job.description {
        parameters.extend(params([("DestinationDescription", text)]));
    }
    if let Some(group) = &job.resource_group {
        parameters.extend(params([("ResourceGroupId", group)]));
    }
    if let Some(encryption) = &copy.encryption {
        let key = encryption.kms_key.iter();
        parameters.extend(params([("Encrypted", "true")]));
        parameters.extend(key.map(|key| ("KMSKeyId".to_owned(), key.clone())));
    }
    parameters.extend(tags_with_token(job, token));
    parameters
}

/// Starts a copy, or finds the one that an earlier request with the token has started.
pub async fn copy(
    clients: &Clients,
    region: &str,
    parameters: Pairs,
    token: &str,
) -> Result<String, ServiceError> {
    let created: Result<CreatedImage, ServiceError> = clients.ecs("CopyImage", parameters).await;
    let fault = match created {
        Ok(created) => return Ok(created.image_id),
        Err(fault) => fault,
    };
    let perhaps_ours = matches!(
        fault.code().unwrap_or_default(),
        "InvalidImageName.Duplicated" | "IdempotentParameterMismatch"
    );
    if perhaps_ours || !fault.was_not_executed() {
        match find_by_token(clients, region, token).await {
            Ok(Some(image)) => return Ok(image.image_id),
            Ok(None) => return Err(fault.with_may_have_executed(false)),
            Err(_) => {}
        }
    }
    Err(fault)
}

/// The command that deletes the image.
pub fn delete_command(cli: &Command, image: &str, region: &str) -> Command {
    let delete = cli.words("ecs DeleteImage").option("--ImageId", image);
    delete.option("--RegionId", region)
}
