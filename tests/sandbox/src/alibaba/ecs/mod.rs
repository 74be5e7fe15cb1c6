//! ECS: imports, their tasks, and what is done with the images afterwards. The state is
//! per region; the region is the parameter `RegionId`.

mod attributes;
mod check;
mod disks;
mod images;
mod import;
mod model;
mod script;
mod snapshots;
mod task;
mod view;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

pub use self::script::{CopyScript, ImportScript};
pub use self::view::{ImageView, SnapshotView, TaskView};

use self::model::{CreatedImage, Image, Region};
use super::oss::Oss;
use super::roles::Ram;
use super::rpc::{Answer, Call, Product};
use crate::content::Content;
use crate::fault::ApiError;
use crate::query::Query;

/// Some of Alibaba's regions; others do not exist here.
const REGIONS: &[(&str, &str)] = &[
    ("ap-northeast-1", "Japan (Tokyo)"),
    ("ap-southeast-1", "Singapore"),
    ("cn-beijing", "China (Beijing)"),
    ("cn-hangzhou", "China (Hangzhou)"),
    ("cn-hongkong", "China (Hong Kong)"),
    ("cn-shanghai", "China (Shanghai)"),
    ("cn-shenzhen", "China (Shenzhen)"),
    ("cn-zhangjiakou", "China (Zhangjiakou)"),
    ("eu-central-1", "Germany (Frankfurt)"),
    ("eu-west-1", "UK (London)"),
    ("us-east-1", "US (Virginia)"),
    ("us-west-1", "US (Silicon Valley)"),
];

/// Images, snapshots and tasks of all regions.
#[derive(Clone)]
pub struct Ecs {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    regions: BTreeMap<String, Region>,
    script: ImportScript,
    copies: CopyScript,
    copied: usize,
}

impl Ecs {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::default(),
        }
    }

    /// The images of all regions, failed ones and unfinished ones included.
    pub fn images(&self) -> Vec<ImageView> {
        self.views(|name, region| {
            region
                .images
                .values()
                .map(|image| image.view(name))
                .collect()
        })
    }

    pub fn image(&self, id: &str) -> Option<ImageView> {
        self.images().into_iter().find(|image| image.id == id)
    }

    pub fn snapshots(&self) -> Vec<SnapshotView> {
        self.views(|name, region| {
            region
                .snapshots
                .values()
                .map(|one| one.view(name))
                .collect()
        })
    }

    pub fn tasks(&self) -> Vec<TaskView> {
        self.views(|name, region| region.tasks.values().map(|task| task.view(name)).collect())
    }

    /// An available image of this name, as somebody made it before; its id.
    pub fn register_image(&self, region: &str, name: &str) -> String {
        let image = Image::new(Some(name));
        let id = image.id.clone();
        let mut state = self.state();
        let region = state.regions.entry(region.to_owned()).or_default();
        region.images.insert(id.clone(), image);
        id
    }

    /// The object's bytes from which an image, or a copy of it, was imported.
    pub fn imported_bytes(&self, image_id: &str) -> Option<Vec<u8>> {
        let content = self.imported_content(image_id)?;
        Some(content.bytes().expect("the sandbox can read its own files"))
    }

    pub fn imported_content(&self, image_id: &str) -> Option<Content> {
        let state = self.state();
        let mut regions = state.regions.values();
        regions.find_map(|region| region.images.get(image_id)?.contents.first().cloned())
    }

    /// How the imports that start from now on go.
    pub fn import_script(&self, script: ImportScript) {
        self.state().script = script;
    }

    /// How the copies that start from now on go.
    pub fn copy_script(&self, script: CopyScript) {
        self.state().copies = script;
    }

    fn views<T>(&self, of: impl Fn(&str, &Region) -> Vec<T>) -> Vec<T> {
        let state = self.state();
        let regions = state.regions.iter();
        regions
            .flat_map(|(name, region)| of(name, region))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics with the images in hand")
    }
}

impl State {
    fn region(&mut self, name: &str) -> &mut Region {
        self.regions.entry(name.to_owned()).or_default()
    }
}

pub(super) struct EcsProduct {
    pub(super) ecs: Ecs,
    pub(super) oss: Oss,
    pub(super) ram: Ram,
}

impl Product for EcsProduct {
    const NAME: &'static str = "ecs";
    const VERSION: &'static str = "2014-05-26";

    fn parameters_of(action: &str) -> Option<&'static [&'static str]> {
        wire::parameters_of(action)
    }

    fn perform(&self, call: &Call<'_>) -> Answer {
        let region = region_of(call)?;
        match call.action {
            "ImportImage" => self.import_image(call, &region),
            "DescribeImages" => self.describe_images(call, &region),
            "DescribeTasks" => self.describe_tasks(call, &region),
            "DescribeTaskAttribute" => self.describe_task(call, &region),
            "CancelTask" => self.cancel_task(call, &region),
            "DeleteImage" => self.delete_image(call, &region),
            "CopyImage" => self.copy_image(call, &region),
            "CancelCopyImage" => self.cancel_copy(call, &region),
            "ModifyImageSharePermission" => self.share(call, &region),
            "DescribeImageSharePermission" => self.describe_shares(call, &region),
            "ModifyImageAttribute" => self.modify(call, &region),
            "TagResources" => self.tag(call, &region),
            "DescribeSnapshots" => self.describe_snapshots(call, &region),
            "DeleteSnapshot" => self.delete_snapshot(call),
            _ => Ok(describe_regions()),
        }
    }
}

/// Two actions need no region.
fn region_of(call: &Call<'_>) -> Result<String, ApiError> {
    if ["DeleteSnapshot", "DescribeRegions"].contains(&call.action) {
        return Ok(String::new());
    }
    check_region(call.require("RegionId")?).map(str::to_owned)
}

fn check_region(region: &str) -> Result<&str, ApiError> {
    if REGIONS.iter().any(|(id, _)| *id == region) {
        return Ok(region);
    }
    let text = "The specified RegionId does not exist.";
    Err(ApiError::new(404, "InvalidRegionId.NotFound", text))
}

fn describe_regions() -> Value {
    let region = |(id, name): &(&str, &str)| {
        json!({
            "RegionId": id, "LocalName": name, "Status": "available",
            "RegionEndpoint": format!("ecs.{id}.aliyuncs.com"),
        })
    };
    let regions: Vec<_> = REGIONS.iter().map(region).collect();
    json!({"Regions": {"Region": regions}})
}

/// What an earlier request with the same token made.
fn find_by_token(region: &Region, query: &Query) -> Result<Option<CreatedImage>, ApiError> {
    let token = query.get("ClientToken");
    let Some((request, made)) = token.and_then(|token| region.tokens.get(token)) else {
        return Ok(None);
    };
    if request != query {
        let text = "The specified ClientToken has been used with other parameters.";
        return Err(ApiError::new(400, "IdempotentParameterMismatch", text));
    }
    Ok(Some(made.clone()))
}

fn record_token(region: &mut Region, query: &Query, made: CreatedImage) {
    if let Some(token) = query.get_owned("ClientToken") {
        region.tokens.insert(token, (query.clone(), made));
    }
}

/// A page of a list, and the numbers that go with it.
fn page<T>(call: &Call<'_>, items: Vec<T>) -> Result<(Vec<T>, Value), ApiError> {
    let number = |name: &str, default: usize| {
        call.get(name)
            .map_or(Some(default), |text| text.parse().ok())
    };
    let (page, size) = (number("PageNumber", 1), number("PageSize", 10));
    let page = page.filter(|page| *page >= 1);
    let size = size.filter(|size| (1..=100).contains(size));
    let (Some(page), Some(size)) = (page, size) else {
        let text = "The specified PageNumber or PageSize is not valid.";
        return Err(ApiError::new(400, "InvalidParameter", text));
    };
    let numbers = json!({"PageNumber": page, "PageSize": size, "TotalCount": items.len()});
    let items = items.into_iter().skip((page - 1) * size).take(size);
    Ok((items.collect(), numbers))
}

/// Two objects as one.
fn merge(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

fn no_image(id: &str) -> ApiError {
    let text = format!("The specified ImageId {id} does not exist.");
    ApiError::new(404, "InvalidImageId.NotFound", text)
}
