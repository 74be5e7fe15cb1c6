//! Snapshots: describe and delete; and tags, which images have too.

use super::images::{invalid_value, matches_filters, no_image};
use super::model::{Snapshot, Tags, tags_of, write_tags};
use super::{Call, document, success_document};
use crate::fault::ApiError;
use crate::keys::ACCOUNT;
use crate::query::Answer;
use crate::xml::Xml;

const MAX_TAGS: usize = 50;

pub(super) fn no_snapshot(id: &str) -> ApiError {
    let text = format!("The snapshot '{id}' does not exist.");
    ApiError::new(400, "InvalidSnapshot.NotFound", text)
}

impl Call<'_> {
    pub(super) fn describe_snapshots(&self) -> Answer {
        let (ids, filters) = (self.query.list("SnapshotId"), self.query.structs("Filter"));
        self.region(|region| {
            if let Some(id) = ids.iter().find(|id| !region.snapshots.contains_key(*id)) {
                return Err(no_snapshot(id));
            }
            let mut found = Vec::new();
            for snapshot in region.snapshots.values() {
                let named = ids.is_empty() || ids.contains(&snapshot.id);
                if named && matches_filters(&filters, |name| snapshot.field(name))? {
                    found.push(snapshot);
                }
            }
            let answer = document("DescribeSnapshots", |xml| {
                xml.items("snapshotSet", found, |xml, snapshot| snapshot.write(xml));
            });
            for snapshot in region.snapshots.values_mut() {
                if ids.contains(&snapshot.id) {
                    snapshot.poll();
                }
            }
            Ok(answer)
        })
    }

    pub(super) fn delete_snapshot(&self) -> Answer {
        let id = self.query.required("SnapshotId")?;
        self.region(|region| {
            if let Some(image) = region.users_of(id).next() {
                let text = format!("The snapshot {id} is currently in use by {}", image.id);
                return Err(ApiError::new(400, "InvalidSnapshot.InUse", text));
            }
            region.snapshots.remove(id).ok_or_else(|| no_snapshot(id))?;
            Ok(success_document("DeleteSnapshot"))
        })
    }

    pub(super) fn create_tags(&self) -> Answer {
        let (ids, tags) = (self.query.list("ResourceId"), tags_of(self.query)?);
        if ids.is_empty() || tags.is_empty() {
            let text = "The request must contain the parameters ResourceId and Tag";
            return Err(ApiError::new(400, "MissingParameter", text));
        }
        self.region(|region| {
            let known = |id: &String| match id.split('-').next() {
                Some("ami") if !region.images.contains_key(id) => Err(no_image(id)),
                Some("snap") if !region.snapshots.contains_key(id) => Err(no_snapshot(id)),
                Some("ami" | "snap") => Ok(()),
                Some("import") if region.tasks.contains_key(id) => Ok(()),
                _ => Err(ApiError::new(
                    400,
                    "InvalidID",
                    format!("The ID '{id}' is not valid"),
                )),
            };
            ids.iter().try_for_each(known)?;
            for id in &ids {
                let images = region.images.get_mut(id).map(|image| &mut image.tags);
                let snapshots = region
                    .snapshots
                    .get_mut(id)
                    .map(|snapshot| &mut snapshot.tags);
                let tasks = region.tasks.get_mut(id).map(|task| &mut task.tags);
                let existing = images.or(snapshots).or(tasks);
                existing.map_or(Ok(()), |theirs| add_tags(theirs, &tags))?;
            }
            Ok(success_document("CreateTags"))
        })
    }
}

fn add_tags(existing: &mut Tags, tags: &Tags) -> Result<(), ApiError> {
    let mut all = existing.clone();
    all.extend(tags.clone());
    if all.len() > MAX_TAGS {
        let text = "The maximum number of Tags for a resource has been reached.";
        return Err(ApiError::new(400, "TagLimitExceeded", text));
    }
    if let Some(key) = all.keys().find(|key| key.chars().count() > 128) {
        return Err(invalid_value(format!(
            "Tag key exceeds the maximum length: {key}"
        )));
    }
    *existing = all;
    Ok(())
}

impl Snapshot {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        Some(match name {
            "snapshot-id" => vec![self.id.clone()],
            "status" => vec![self.status().to_owned()],
            "description" => vec![self.description.clone()],
            "owner-id" => vec![ACCOUNT.to_owned()],
            "encrypted" => vec![self.kms.encrypted.to_string()],
            _ => self
                .tags
                .get(name.strip_prefix("tag:")?)
                .into_iter()
                .cloned()
                .collect(),
        })
    }

    fn write(&self, xml: &mut Xml) {
        xml.text("snapshotId", &self.id)
            .text("volumeId", "vol-ffffffff");
        xml.text("status", self.status())
            .text("startTime", &self.started);
        xml.optional("statusMessage", self.failure());
        xml.text("progress", "100%").text("ownerId", ACCOUNT);
        xml.text("volumeSize", self.volume_size)
            .text("description", &self.description);
        xml.text("encrypted", self.kms.encrypted);
        xml.optional("kmsKeyId", self.kms.key_id.as_ref());
        write_tags(xml, &self.tags);
    }
}
