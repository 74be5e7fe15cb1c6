//! What tests see of a region.

use std::collections::BTreeMap;

use super::model::{Image, Snapshot, Task};

/// An image as tests see it.
#[derive(Clone, Debug)]
pub struct ImageView {
    pub region: String,
    pub id: String,
    pub name: String,
    /// `Waiting`, `Creating`, `Available`, `CreateFailed`, `Deprecated`
    pub status: &'static str,
    /// GiB
    pub size: u64,
    pub tags: BTreeMap<String, String>,
    /// The accounts it is shared with, in order
    pub shares: Vec<String>,
    pub encrypted: bool,
    /// Region and id of the image it is a copy of
    pub copied_from: Option<(String, String)>,
    /// What else requests said, by parameter: `Description`, `OSType`, `BootMode`, `KMSKeyId`
    pub facts: BTreeMap<&'static str, String>,
    pub snapshots: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct SnapshotView {
    pub region: String,
    pub id: String,
    /// GiB
    pub size: u64,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub struct TaskView {
    pub region: String,
    pub id: String,
    pub image_id: String,
    /// `Processing`, `Finished`, `Failed`, `Cancelled`
    pub status: &'static str,
    pub progress: u8,
}

impl ImageView {
    /// A fact by the parameter's name, or the empty string.
    pub fn get(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }
}

impl Image {
    pub(super) fn view(&self, region: &str) -> ImageView {
        let source = self.copy.as_ref();
        let snapshots = self
            .mappings
            .iter()
            .filter_map(|mapping| mapping.snapshot.clone());
        ImageView {
            region: region.to_owned(),
            id: self.id.clone(),
            name: self.name.clone(),
            status: self.status.name(),
            size: self.size,
            tags: self.tags.clone(),
            shares: self.shares.iter().cloned().collect(),
            encrypted: self.encrypted,
            copied_from: source.map(|copy| (copy.region.clone(), copy.image.clone())),
            facts: self.fields.clone(),
            snapshots: snapshots.collect(),
        }
    }
}

impl Snapshot {
    pub(super) fn view(&self, region: &str) -> SnapshotView {
        SnapshotView {
            region: region.to_owned(),
            id: self.id.clone(),
            size: self.size,
            tags: self.tags.clone(),
        }
    }
}

impl Task {
    pub(super) fn view(&self, region: &str) -> TaskView {
        TaskView {
            region: region.to_owned(),
            id: self.id.clone(),
            image_id: self.image.clone(),
            status: self.status(),
            progress: self.progress(),
        }
    }
}
