//! A partition and what is in it.

use crate::image::{Partition, Role, VolumeKind};

/// A partition and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The partition; of a disk without a table, all of it, with the number 0.
    pub partition: Partition,
    /// None where no mark is known.
    pub content: Option<VolumeKind>,
    /// Where the system mounts it, as far as that is seen.
    pub mounted: Option<String>,
}

impl Volume {
    /// In a list: "EFI system (FAT)".
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
