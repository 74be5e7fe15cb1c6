//! What a region holds: images, snapshots and tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::disks::{Disk, Reason};
use super::script::{CopyScript, ImportScript};
use crate::alibaba::moment;
use crate::content::Content;
use crate::query::Query;

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Default)]
pub(super) struct Region {
    pub(super) images: BTreeMap<String, Image>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    pub(super) tasks: BTreeMap<String, Task>,
    /// What was asked under a client token, and what it made
    pub(super) tokens: BTreeMap<String, (Query, CreatedImage)>,
}

/// The ids an action made.
#[derive(Clone, Debug)]
pub(super) struct CreatedImage {
    pub(super) image: String,
    pub(super) task: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Waiting,
    Creating,
    Available,
    CreateFailed,
    Deprecated,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Creating => "Creating",
            Self::Available => "Available",
            Self::CreateFailed => "CreateFailed",
            Self::Deprecated => "Deprecated",
        }
    }
}

#[derive(Clone)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) progress: u8,
    pub(super) created: String,
    /// What ImportImage or ModifyImageAttribute said of it, by parameter name
    pub(super) fields: BTreeMap<&'static str, String>,
    /// GiB
    pub(super) size: u64,
    pub(super) mappings: Vec<Mapping>,
    pub(super) tags: Tags,
    pub(super) shares: BTreeSet<String>,
    pub(super) is_public: bool,
    pub(super) encrypted: bool,
    pub(super) copy: Option<Copy>,
    /// Polls until the image of a finished task is available
    pub(super) pending_polls: usize,
    pub(super) contents: Vec<Content>,
}

#[derive(Clone, Debug)]
pub(super) struct Mapping {
    pub(super) device: String,
    pub(super) kind: &'static str,
    pub(super) format: String,
    /// GiB
    pub(super) size: u64,
    pub(super) snapshot: Option<String>,
    pub(super) bucket: String,
    pub(super) key: String,
}

/// Where an image was copied from, and how far the copy is.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) region: String,
    pub(super) image: String,
    /// The queue's order
    pub(super) number: usize,
    pub(super) script: CopyScript,
}

impl Image {
    pub(super) fn new(name: Option<&str>) -> Self {
        let id = new_id("m");
        Self {
            name: name.unwrap_or(&id).to_owned(),
            id,
            status: Status::Available,
            progress: 100,
            created: moment::extended(moment::now()),
            fields: BTreeMap::new(),
            size: 20,
            mappings: Vec::new(),
            tags: Tags::new(),
            shares: BTreeSet::new(),
            is_public: false,
            encrypted: false,
            copy: None,
            pending_polls: 0,
            contents: Vec::new(),
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub(super) fn is_creating(&self) -> bool {
        matches!(self.status, Status::Waiting | Status::Creating)
    }
}

pub(super) struct Snapshot {
    pub(super) id: String,
    pub(super) name: String,
    /// GiB
    pub(super) size: u64,
    pub(super) created: String,
    pub(super) tags: Tags,
}

/// A disk of an import, as the request gave it.
pub(super) struct Source {
    pub(super) bucket: String,
    pub(super) key: String,
    /// GiB
    pub(super) size: Option<u64>,
    pub(super) content: Content,
    pub(super) disk: Option<Disk>,
}

pub(super) struct Task {
    pub(super) id: String,
    pub(super) image: String,
    pub(super) sources: Vec<Source>,
    /// The reason against the object, told once it was read
    pub(super) rejection: Option<Reason>,
    pub(super) script: ImportScript,
    pub(super) phase: Phase,
    pub(super) since: Instant,
    pub(super) created: String,
    pub(super) finished: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The step of the script
    Processing(usize),
    Finished,
    Failed(Reason),
    Cancelled,
}

impl Task {
    pub(super) fn status(&self) -> &'static str {
        match self.phase {
            Phase::Processing(_) => "Processing",
            Phase::Finished => "Finished",
            Phase::Failed(_) => "Failed",
            Phase::Cancelled => "Cancelled",
        }
    }

    pub(super) fn progress(&self) -> u8 {
        match self.phase {
            Phase::Processing(step) => self.script.steps.get(step).map_or(99, |step| step.progress),
            _ => 100,
        }
    }
}

/// `m-bp10123456789abcdef0`
pub(super) fn new_id(prefix: &str) -> String {
    format!(
        "{prefix}-bp1{}",
        &uuid::Uuid::new_v4().simple().to_string()[..17]
    )
}
