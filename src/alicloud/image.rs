//! The image in ECS: looked up by its id, its name, or the token of the request that asked
//! for it; waited for.

use serde::Deserialize;
use serde_json::Value;

use super::api::{pairs, tags};
use super::client::Clients;
use super::error::Fault;
use super::ids;
use super::job::{Copied, Job};
use super::sign::Pairs;
use super::validate;
use crate::error::{Error, Result};
use crate::import::poll::{Poll, Trouble};
use crate::shell::Command;

/// DescribeImages shows only what is available unless it is asked for all of these.
const STATES: &str = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated";
/// DescribeImages, "PageSize".
pub const PAGE: &str = "100";
/// More pages than an account has images for; an answer that never ends is none.
pub const PAGES: usize = 100;
/// The tag that carries the ClientToken of the request that asked for the image. By it the
/// image is found where the answer was lost, or not written down.
const TOKEN: &str = "imgimport:token";

/// An image as DescribeImages shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    #[serde(deserialize_with = "ids::image")]
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
    #[serde(rename = "SnapshotId", deserialize_with = "ids::snapshot")]
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
struct Made {
    #[serde(deserialize_with = "ids::image")]
    image_id: String,
}

impl Image {
    /// An image that DescribeImages does not show yet.
    pub fn unseen(id: &str) -> Self {
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
    pub fn reads(&self, bucket: &str, key: &str) -> bool {
        self.is_being_made() && self.is_of(bucket, key)
    }

    /// Whether it is, or was, imported from this object.
    pub fn is_of(&self, bucket: &str, key: &str) -> bool {
        let mut disks = self.disk_device_mappings.disk_device_mapping.iter();
        disks.any(|disk| disk.bucket == bucket && disk.object == key)
    }

    /// Whether ECS works on it.
    pub fn is_being_made(&self) -> bool {
        matches!(self.status.as_str(), "Creating" | "Waiting")
    }

    /// It can't be used and never will be.
    pub fn has_failed(&self) -> bool {
        matches!(self.status.as_str(), "CreateFailed" | "UnAvailable")
    }

    /// Whether the request with this token has asked for it.
    fn carries(&self, token: &str) -> bool {
        let mut tags = self.tags.tag.iter();
        tags.any(|tag| tag.tag_key == TOKEN && tag.tag_value == token)
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

/// A name that no other image has, for as long as the wanted one is not to be had.
pub fn own_name(token: &str) -> String {
    format!("imgimport-{token}")
}

/// Whether the job's tags leave room for the one that carries the token.
pub fn has_room(job: &Job) -> bool {
    job.tags.len() < validate::TAGS
}

/// The job's tags, and the one that carries the token.
pub fn marked(job: &Job, token: &str) -> Pairs {
    let mut all = job.tags.clone();
    if has_room(job) {
        all.push((TOKEN.to_owned(), token.to_owned()));
    }
    tags(&all)
}

/// The command that looks for the image of a request.
pub fn filter(cli: &Command, region: &str, token: &str) -> Command {
    cli.words("ecs DescribeImages --Status Creating,Available")
        .option("--RegionId", region)
        .option("--Tag.1.Key", TOKEN)
        .option("--Tag.1.Value", token)
}

/// One image by its id, in whatever state.
pub async fn find(clients: &Clients, region: &str, image: &str) -> Result<Option<Image>, Fault> {
    let images = list(clients, region, pairs([("ImageId", image)])).await?;
    Ok(images.into_iter().find(|one| one.image_id == image))
}

/// The account's images of exactly this name; ECS compares loosely.
pub async fn named(clients: &Clients, region: &str, name: &str) -> Result<Vec<Image>, Fault> {
    let filter = pairs([("ImageName", name), ("ImageOwnerAlias", "self")]);
    let mut images = list(clients, region, filter).await?;
    images.retain(|one| one.image_name == name);
    Ok(images)
}

/// The image that the request with this token has asked for. Without its tag it has a name
/// of its own, which holds the token.
pub async fn requested(
    clients: &Clients,
    region: &str,
    token: &str,
) -> Result<Option<Image>, Fault> {
    let filter = pairs([
        ("ImageOwnerAlias", "self"),
        ("Tag.1.Key", TOKEN),
        ("Tag.1.Value", token),
    ]);
    let tagged = list(clients, region, filter).await?;
    if let Some(image) = tagged.into_iter().find(|image| image.carries(token)) {
        return Ok(Some(image));
    }
    let named = named(clients, region, &own_name(token)).await?;
    Ok(named.into_iter().next())
}

/// The account's images that are being made of this object.
pub async fn made_of(
    clients: &Clients,
    region: &str,
    bucket: &str,
    key: &str,
) -> Result<Vec<Image>, Fault> {
    let mut images = list(clients, region, pairs([("ImageOwnerAlias", "self")])).await?;
    images.retain(|image| image.reads(bucket, key));
    Ok(images)
}

/// All pages of DescribeImages.
async fn list(clients: &Clients, region: &str, filter: Pairs) -> Result<Vec<Image>, Fault> {
    let mut found = Vec::new();
    for number in 1..=PAGES {
        let mut parameters = filter.clone();
        parameters.extend(pairs([("Status", STATES), ("PageSize", PAGE)]));
        if number > 1 {
            parameters.extend(pairs([("PageNumber", &number.to_string())]));
        }
        let page: Page = clients.ecs_in(region, "DescribeImages", parameters).await?;
        let last = page.images.image.is_empty();
        found.extend(page.images.image);
        if last || found.len() >= page.total_count {
            break;
        }
    }
    Ok(found)
}

/// Refusals of questions that have been answered before: one is odd, several are meant.
#[derive(Default)]
pub struct Refusals(u8);

impl Refusals {
    const MEANT: u8 = 3;

    /// What a fault means for a wait; `failed` is the error that it becomes.
    pub fn judge(
        &mut self,
        fault: Fault,
        failed: impl FnOnce(Fault) -> Error,
    ) -> Result<Poll<Image>, Trouble> {
        if fault.is_passing() {
            return Err(Trouble::Passing(failed(fault)));
        }
        self.0 += 1;
        if self.0 >= Self::MEANT {
            return Err(Trouble::Final(failed(fault)));
        }
        tracing::debug!("{fault}; asked again");
        Ok(Poll::NotYet {
            percent: None,
            message: "Waiting".to_owned(),
        })
    }

    /// There was an answer.
    pub fn forget(&mut self) {
        self.0 = 0;
    }
}

/// One question to an image in the making.
pub async fn poll(
    clients: &Clients,
    region: &str,
    image: &str,
    refusals: &mut Refusals,
) -> Result<Poll<Image>, Trouble> {
    let failed = format!("the state of {image} could not be asked");
    let answer = match find(clients, region, image).await {
        Ok(answer) => answer,
        Err(fault) => {
            return refusals.judge(fault, |fault| fault.fails(failed, "ecs:DescribeImages"));
        }
    };
    refusals.forget();
    match answer {
        // Right after the start the image may not be known everywhere; it is not waited for
        // forever.
        None => Err(Trouble::Passing(
            Error::failed(failed).because_of(format!("{region} knows no such image")),
        )),
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

/// What CopyImage is asked for. The token makes a repeated request the same one.
pub fn copy_parameters(
    job: &Job,
    image: &str,
    copy: &Copied,
    (name, token): (&str, &str),
) -> Pairs {
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
    parameters.extend(marked(job, token));
    parameters
}

/// Starts a copy, or finds the one that an earlier request with the token has started.
pub async fn copy(
    clients: &Clients,
    region: &str,
    parameters: Pairs,
    token: &str,
) -> Result<String, Fault> {
    let made: Result<Made, Fault> = clients.ecs("CopyImage", parameters).await;
    let fault = match made {
        Ok(made) => return Ok(made.image_id),
        Err(fault) => fault,
    };
    let perhaps_ours = matches!(
        fault.code(),
        "InvalidImageName.Duplicated" | "IdempotentParameterMismatch"
    );
    if perhaps_ours || !fault.is_refusal() {
        match requested(clients, region, token).await {
            Ok(Some(image)) => return Ok(image.image_id),
            Ok(None) => return Err(fault.came_to_nothing()),
            Err(_) => {}
        }
    }
    Err(fault)
}

/// The command that deletes the image.
pub fn removal(cli: &Command, image: &str, region: &str) -> Command {
    let delete = cli.words("ecs DeleteImage").option("--ImageId", image);
    delete.option("--RegionId", region)
}
