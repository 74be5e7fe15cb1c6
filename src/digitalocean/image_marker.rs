//! Finds the image of an import without its ID. DigitalOcean has no client token, so the image
//! gets a tag of its own, which is removed at the end: the same bytes, requested with the same
//! values under the same key, have the same tag on every machine. If the token may not create
//! tags, only the image's name remains.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::client::{Api, Image};
use super::error::ServiceError;
use super::job::Job;

/// How every tag of this kind begins; 32 hexadecimal digits follow.
const PREFIX: &str = "imgimport-";

/// What the journal keeps before an image is asked for.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct ImageMarker {
    /// The image's own tag; none where the token may not create tags.
    pub tag: Option<String>,
    /// Its name.
    pub name: String,
    /// The ids of the images that had this name before; looked at only without a tag.
    #[serde(default)]
    pub others: Vec<u64>,
}

impl ImageMarker {
    /// The mark of the image that is made of the object with this tag. Where the service
    /// does not show the object's tag, chance takes its place.
    pub fn for_job(job: &Job, etag: Option<&str>) -> Self {
        let chance = Uuid::new_v4().to_string();
        let key = job.requested_key.as_ref().unwrap_or(&job.key);
        let parts = [
            &job.space.region,
            &job.space.name,
            key,
            &job.fingerprint(),
            etag.unwrap_or(&chance),
        ];
        let joined = parts.map(String::from).join("\0");
        let digest = hex::encode(&Sha256::digest(joined)[..16]);
        Self {
            tag: Some(format!("{PREFIX}{digest}")),
            name: job.name.clone(),
            others: Vec::new(),
        }
    }

    /// The mark that the journal keeps, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let mark: Self = serde_json::from_str(text).ok()?;
        let is_ours = |tag: &String| {
            let digits = tag.strip_prefix(PREFIX).unwrap_or_default();
            digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        };
        mark.tag.as_ref().is_none_or(is_ours).then_some(mark)
    }

    /// As the journal keeps it.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The images that have it and are not gone, the oldest first.
    pub async fn find(&self, api: &Api) -> Result<Vec<Image>, ServiceError> {
        let mut images = match &self.tag {
            Some(tag) => api.tagged_images(tag).await?,
            None => api.private_images().await?,
        };
        // A gateway that ignores the filter would show images that are somebody else's.
        images.retain(|image| {
            let is_meant = match &self.tag {
                Some(tag) => image.tags.contains(tag),
                None => !self.others.contains(&image.id),
            };
            is_meant && image.name.as_ref() == Some(&self.name) && !image.is_unusable()
        });
        images.sort_by_key(|image| image.id);
        Ok(images)
    }

    /// Deletes the images that have it but this one.
    pub async fn delete_others(&self, api: &Api, keep: u64) -> Result<(), ServiceError> {
        for image in self.find(api).await? {
            if image.id != keep {
                api.delete_image(image.id).await?;
            }
        }
        Ok(())
    }

    /// Deletes all images that have it, the one whose id is known first, and the tag.
    async fn delete(&self, api: &Api, known_id: Option<u64>) -> Result<(), ServiceError> {
        if let Some(id) = known_id {
            api.delete_image(id).await?;
        }
        for image in self.find(api).await? {
            api.delete_image(image.id).await?;
        }
        match self.delete_tag(api).await {
            // A tag without an image does no harm, and the token can't do more.
            Err(fault) if fault.status() != Some(403) => Err(fault),
            _ => Ok(()),
        }
    }

    /// Removes the tag from the account.
    pub async fn delete_tag(&self, api: &Api) -> Result<(), ServiceError> {
        match &self.tag {
            Some(tag) => api.delete_tag(tag).await,
            None => Ok(()),
        }
    }
}

/// Deletes the image, and all that has the mark, where there is one.
pub async fn delete(
    api: &Api,
    marker: Option<&ImageMarker>,
    id: Option<u64>,
) -> Result<(), ServiceError> {
    match (marker, id) {
        (Some(mark), _) => mark.delete(api, id).await,
        (None, Some(id)) => api.delete_image(id).await,
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn mark(tag: Option<&str>) -> ImageMarker {
        ImageMarker {
            tag: tag.map(str::to_owned),
            name: "web".to_owned(),
            others: vec![7],
        }
    }

    #[test]
    fn marker_survives_a_round_trip() {
        for mark in [mark(None), mark(Some(&format!("{PREFIX}{:032x}", 77)))] {
            assert_eq!(ImageMarker::parse(&mark.to_text()), Some(mark));
        }
    }

    #[test]
    fn foreign_tag_is_rejected() {
        for tag in [
            "production",
            "imgimport-",
            "imgimport-77",
            "imgimport-../../images/1",
        ] {
            assert_eq!(
                ImageMarker::parse(&mark(Some(tag)).to_text()),
                None,
                "{tag}"
            );
        }
        assert_eq!(ImageMarker::parse("157000001 157000002"), None);
    }
}
