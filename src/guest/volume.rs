//! A partition and its content.

use crate::image::{Partition, Role, VolumeKind};

/// A partition and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The partition; for a disk without a table, the whole disk with the number 0.
    pub partition: Partition,
    /// `None` where no signature is known.
    pub content: Option<VolumeKind>,
    /// The mount point in the system, where that is known.
    pub mounted: Option<String>,
}

impl Volume {
    /// Returns the name in a list: "EFI system (FAT)".
    pub fn name(&self) -> String {
        let content = self.content.map(VolumeKind::name);
        match (self.partition.role, &self.mounted, content) {
            (Role::BiosBoot, _, _) => "BIOS boot".to_owned(),
            (Role::EfiSystem, _, Some(content)) => format!("EFI system ({content})"),
            (Role::EfiSystem, _, None) => "EFI system".to_owned(),
            (Role::Other, Some(place), Some(content)) => format!("{place} ({content})"),
            (Role::Other, None, Some(content)) => content.to_owned(),
            (Role::Other, _, None) => "unknown".to_owned(),
        }
    }
}
