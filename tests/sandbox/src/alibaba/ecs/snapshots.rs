//! Snapshots: they stay when their image is deleted, and cannot go before it.

use serde_json::{Value, json};

use super::check::refused;
use super::model::{Region, Snapshot, Tags, new_id};
use super::{EcsProduct, merge, page};
use crate::alibaba::moment;
use crate::alibaba::rpc::{Answer, Call};
use crate::fault::ApiError;

impl EcsProduct {
    pub(super) fn describe_snapshots(&self, call: &Call<'_>, region: &str) -> Answer {
        let ids = call
            .get("SnapshotIds")
            .map(serde_json::from_str::<Vec<String>>);
        let ids = ids.transpose().map_err(|_| {
            refused(
                "InvalidSnapshotIds.Malformed",
                "SnapshotIds must be a JSON array.",
            )
        })?;
        let meant = |snapshot: &&Snapshot| {
            ids.as_ref().is_none_or(|ids| ids.contains(&snapshot.id))
                && call
                    .get("SnapshotName")
                    .is_none_or(|name| snapshot.name == name)
        };
        let mut state = self.ecs.state();
        let snapshots = state.region(region).snapshots.values();
        let (snapshots, numbers) =
            page(call, snapshots.filter(meant).map(Snapshot::json).collect())?;
        Ok(merge(
            json!({"Snapshots": {"Snapshot": snapshots}}),
            numbers,
        ))
    }

    /// The call has no region: snapshot ids are unique.
    pub(super) fn delete_snapshot(&self, call: &Call<'_>) -> Answer {
        let id = call.require("SnapshotId")?;
        let mut state = self.ecs.state();
        let region = state
            .regions
            .values_mut()
            .find(|region| region.snapshots.contains_key(id));
        let text = "The specified snapshot does not exist.";
        let region =
            region.ok_or_else(|| ApiError::new(404, "InvalidSnapshotId.NotFound", text))?;
        let mut mappings = region.images.values().flat_map(|image| &image.mappings);
        if mappings.any(|mapping| mapping.snapshot.as_deref() == Some(id)) {
            let text = "The snapshot has been used to create images.";
            return Err(ApiError::new(403, "SnapshotCreatedImage", text));
        }
        region.snapshots.remove(id);
        Ok(json!({}))
    }
}

/// A finished image has a snapshot of each of its disks.
pub(super) fn take_snapshots(region: &mut Region, image: &str) {
    let Some(image) = region.images.get_mut(image) else {
        return;
    };
    for mapping in &mut image.mappings {
        let snapshot = Snapshot {
            id: new_id("s"),
            name: format!("Created_from_{}", image.id),
            size: mapping.size,
            created: moment::extended(moment::now()),
            tags: Tags::new(),
        };
        mapping.snapshot = Some(snapshot.id.clone());
        region.snapshots.insert(snapshot.id.clone(), snapshot);
    }
}

impl Snapshot {
    fn json(&self) -> Value {
        let tag = |(key, value): (&String, &String)| json!({"TagKey": key, "TagValue": value});
        json!({
            "SnapshotId": self.id,
            "SnapshotName": self.name,
            "Status": "accomplished",
            "Progress": "100%",
            "SourceDiskSize": self.size.to_string(),
            "CreationTime": self.created,
            "Tags": {"Tag": self.tags.iter().map(tag).collect::<Vec<_>>()},
        })
    }
}
