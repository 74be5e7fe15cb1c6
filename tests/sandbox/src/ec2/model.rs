//! What a region holds: images, snapshots and import tasks.

use std::collections::BTreeMap;
use std::time::Instant;

use super::disks::Disk;
use super::script::{CopyScript, ImportScript};
use super::writing::PendingSnapshot;
use crate::clock;
use crate::content::Content;
use crate::fault::ApiError;
use crate::query::Query;
use crate::xml::Xml;

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Default)]
pub(super) struct Region {
    pub(super) images: BTreeMap<String, Image>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    pub(super) tasks: BTreeMap<String, Task>,
    /// What was asked under a client token, and the id it made
    pub(super) client_tokens: BTreeMap<String, (Query, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kms {
    pub(super) encrypted: bool,
    pub(super) key_id: Option<String>,
}

pub(super) struct Image {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) pending: Option<CopyScript>,
    pub(super) failure: Option<String>,
    pub(super) created: String,
    pub(super) architecture: String,
    pub(super) boot_mode: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) imds_support: Option<String>,
    pub(super) virtualization: String,
    pub(super) ena_support: bool,
    pub(super) tpm_support: Option<String>,
    pub(super) root_device: String,
    /// Device name and snapshot
    pub(super) mappings: Vec<(String, String)>,
    /// Kind of the root volume, and its size in GiB where that is not the snapshot's
    pub(super) volume: (String, Option<u64>),
    pub(super) uefi_data: Option<String>,
    pub(super) source: Option<String>,
    pub(super) tags: Tags,
    pub(super) launch_permissions: Vec<Permission>,
    pub(super) deprecated: Option<String>,
    pub(super) content: Option<Content>,
}

impl Image {
    pub(super) fn new(name: &str) -> Self {
        Self {
            id: new_id("ami"),
            name: name.to_owned(),
            description: None,
            pending: None,
            failure: None,
            created: clock::now(),
            architecture: "x86_64".to_owned(),
            boot_mode: None,
            platform: None,
            imds_support: None,
            virtualization: "hvm".to_owned(),
            ena_support: true,
            tpm_support: None,
            root_device: "/dev/sda1".to_owned(),
            mappings: Vec::new(),
            volume: ("gp2".to_owned(), None),
            uefi_data: None,
            source: None,
            tags: Tags::new(),
            launch_permissions: Vec::new(),
            deprecated: None,
            content: None,
        }
    }

    pub(super) fn state(&self) -> &'static str {
        match (&self.pending, &self.failure) {
            (Some(_), _) => "pending",
            (None, Some(_)) => "failed",
            (None, None) => "available",
        }
    }

    /// A poll brings a pending image nearer to its end.
    pub(super) fn poll(&mut self) {
        if self.pending.as_mut().is_some_and(CopyScript::poll) {
            self.failure = self.pending.take().and_then(|script| script.failure);
        }
    }

    pub(super) fn is_public(&self) -> bool {
        self.launch_permissions
            .iter()
            .any(|permission| permission.value == "all")
    }
}

/// One grant: `userId`, `group`, `organizationArn`, `organizationalUnitArn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    pub kind: &'static str,
    pub value: String,
}

pub(super) struct Snapshot {
    pub(super) id: String,
    pub(super) description: String,
    /// GiB
    pub(super) volume_size: u64,
    pub(super) started: String,
    pub(super) tags: Tags,
    pub(super) kms: Kms,
    pub(super) permissions: Vec<Permission>,
    pub(super) content: Option<Content>,
    /// Only of one that is written block by block
    pub(super) pending: Option<PendingSnapshot>,
}

impl Snapshot {
    pub(super) fn new(description: String, virtual_size: u64, content: Option<Content>) -> Self {
        Self {
            id: new_id("snap"),
            description,
            volume_size: virtual_size.div_ceil(1 << 30).max(1),
            started: clock::now(),
            tags: Tags::new(),
            kms: Kms::default(),
            permissions: Vec::new(),
            content,
            pending: None,
        }
    }
}

/// A disk of an import task, as the request gave it.
pub(super) struct Source {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) format: String,
    pub(super) description: Option<String>,
    pub(super) device: Option<String>,
    pub(super) content: Content,
    pub(super) disks: Vec<Disk>,
}

/// An import task, of an image or of a snapshot.
pub(super) struct Task {
    pub(super) id: String,
    pub(super) request: Query,
    pub(super) tags: Tags,
    pub(super) sources: Vec<Source>,
    /// AWS's reason against the object, told once validation is over
    pub(super) rejection: Option<String>,
    pub(super) script: ImportScript,
    pub(super) phase: Phase,
    pub(super) since: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The step of the script
    Active(usize),
    Deleting(String),
    Deleted(String),
    /// The image or the snapshot
    Completed(String, Vec<String>),
}

impl Phase {
    pub(super) fn status(&self) -> &'static str {
        match self {
            Self::Active(_) => "active",
            Self::Deleting(_) => "deleting",
            Self::Deleted(_) => "deleted",
            Self::Completed(..) => "completed",
        }
    }
}

/// `ami-0123456789abcdef0`
pub(super) fn new_id(prefix: &str) -> String {
    format!(
        "{prefix}-{}",
        &uuid::Uuid::new_v4().simple().to_string()[..17]
    )
}

/// The tags that a `TagSpecification` gives this kind of resource.
pub(super) fn tags_for(query: &Query, allowed: &[&str], kind: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for specification in query.structs("TagSpecification") {
        let resource = specification.required("ResourceType")?;
        if !allowed.contains(&resource) {
            let text =
                format!("'{resource}' is not a valid taggable resource type for this operation.");
            return Err(ApiError::new(400, "InvalidParameterValue", text));
        }
        if resource == kind {
            tags.extend(tags_of(&specification)?);
        }
    }
    Ok(tags)
}

pub(super) fn tags_of(query: &Query) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in query.structs("Tag") {
        let key = tag.required("Key")?;
        if key.starts_with("aws:") {
            let text = "Tag keys starting with 'aws:' are reserved for internal use";
            return Err(ApiError::new(400, "InvalidParameterValue", text));
        }
        let value = tag.get_owned("Value").unwrap_or_default();
        if tags.insert(key.to_owned(), value).is_some() {
            let text = format!("Duplicate tag key '{key}' specified.");
            return Err(ApiError::new(400, "InvalidParameterValue", text));
        }
    }
    Ok(tags)
}

pub(super) fn write_tags(xml: &mut Xml, tags: &Tags) {
    if !tags.is_empty() {
        xml.items("tagSet", tags, |xml, (key, value)| {
            xml.text("key", key).text("value", value);
        });
    }
}
