//! What tests see of images, snapshots and tasks.

use std::collections::BTreeMap;

use super::model::{Image, Permission, Snapshot, Source, Task};
use crate::desk::Detail;

/// An image as tests see it.
#[derive(Clone, Debug)]
pub struct ImageView {
    pub region: String,
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    /// `pending`, `available`, `failed`
    pub state: &'static str,
    pub architecture: String,
    pub boot_mode: Option<String>,
    pub imds_support: Option<String>,
    pub tpm_support: Option<String>,
    pub uefi_data: Option<String>,
    pub virtualization: String,
    pub ena_support: bool,
    pub root_device: String,
    /// Kind of the root volume, and its size in GiB if the request gave one
    pub volume: (String, Option<u64>),
    pub tags: BTreeMap<String, String>,
    pub launch_permissions: Vec<Permission>,
    /// `deprecationTime`
    pub deprecated: Option<String>,
    pub snapshot_ids: Vec<String>,
    /// The image it was copied from
    pub source: Option<String>,
}

#[derive(Clone, Debug)]
pub struct SnapshotView {
    pub region: String,
    pub id: String,
    /// `pending`, `completed`, `error`
    pub status: &'static str,
    pub description: String,
    /// GiB
    pub volume_size: u64,
    pub encrypted: bool,
    pub kms_key_id: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub permissions: Vec<Permission>,
}

#[derive(Clone, Debug)]
pub struct TaskView {
    pub region: String,
    pub id: String,
    /// `active`, `deleting`, `deleted`, `completed`
    pub status: &'static str,
    pub bucket: String,
    pub key: String,
    pub format: String,
    pub tags: BTreeMap<String, String>,
    /// The request's parameters by their wire names
    pub request: Detail,
}

impl Image {
    pub(super) fn view(&self, region: &str) -> ImageView {
        ImageView {
            region: region.to_owned(),
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            state: self.state(),
            architecture: self.architecture.clone(),
            boot_mode: self.boot_mode.clone(),
            imds_support: self.imds_support.clone(),
            tpm_support: self.tpm_support.clone(),
            uefi_data: self.uefi_data.clone(),
            virtualization: self.virtualization.clone(),
            ena_support: self.ena_support,
            root_device: self.root_device.clone(),
            volume: self.volume.clone(),
            tags: self.tags.clone(),
            launch_permissions: self.launch_permissions.clone(),
            deprecated: self.deprecated.clone(),
            snapshot_ids: self.mappings.iter().map(|(_, id)| id.clone()).collect(),
            source: self.source.clone(),
        }
    }
}

impl Snapshot {
    pub(super) fn view(&self, region: &str) -> SnapshotView {
        SnapshotView {
            region: region.to_owned(),
            id: self.id.clone(),
            status: self.status(),
            description: self.description.clone(),
            volume_size: self.volume_size,
            encrypted: self.kms.encrypted,
            kms_key_id: self.kms.key_id.clone(),
            tags: self.tags.clone(),
            permissions: self.permissions.clone(),
        }
    }
}

impl Task {
    pub(super) fn view(&self, region: &str) -> TaskView {
        let source = self.sources.first();
        let said = |of: fn(&Source) -> &String| source.map(of).cloned().unwrap_or_default();
        TaskView {
            region: region.to_owned(),
            id: self.id.clone(),
            status: self.phase.status(),
            bucket: said(|source| &source.bucket),
            key: said(|source| &source.key),
            format: said(|source| &source.format),
            tags: self.tags.clone(),
            request: self.request.parameters(),
        }
    }
}
