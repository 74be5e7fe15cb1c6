//! Finds what runs on other machines have uploaded under the same key. Each run adds its own
//! random part to the key, so their objects are found by the common part of their names, and
//! count only if they have the local bytes.

use super::{DigitalOceanImport, image, key};
use crate::error::{Error, Result};
use crate::import;
use crate::store::Store;
use crate::store::s3::SPACES_LIMITS;

/// Objects that are compared with the local bytes, the newest first: each costs a look at
/// the whole image.
const MAX_COMPARED: usize = 3;

impl DigitalOceanImport<'_> {
    /// The key as the user gave it, where the names of other runs follow from it.
    pub(super) fn requested_key(&self) -> Option<&str> {
        let job = &self.job;
        let requested = job.requested_key.as_deref()?;
        let shared = job.common.resumes()
            && import::upload::is_deterministic_key(&job.key_template)
            && key::is_derived_from(&job.key, requested);
        shared.then_some(requested)
    }

    /// Goes on with what another run has sent, if this one has sent nothing: true when the
    /// object is there. Who may not list the Space sends all of it.
    pub(super) async fn continue_other_upload(&mut self) -> Result<bool> {
        if self.requested_key().is_none() {
            return Ok(false);
        }
        let (job, api) = (&self.job, &self.api);
        let listed = async { Ok(image::images_named(job, api).await.ok()) };
        self.images_named = self.session.cancellable(listed).await?;
        if !self.journal.entry().is_empty() {
            return Ok(false);
        }
        let (objects, uploads) = self.list_names().await?;
        if self.use_matching_object(objects).await? {
            return Ok(true);
        }
        for key in uploads {
            if self.claim_key(&key) {
                break;
            }
        }
        Ok(false)
    }

    /// The upload that this run went on with is gone, since another run has completed it:
    /// true when its object is there.
    pub(super) async fn use_completed_object(&mut self) -> Result<bool> {
        let (objects, _) = self.list_names().await?;
        self.use_matching_object(objects).await
    }

    /// The first of these objects that has the local bytes becomes this run's.
    async fn use_matching_object(&mut self, objects: Vec<String>) -> Result<bool> {
        for key in objects.into_iter().take(MAX_COMPARED) {
            if self.has_local_bytes(&key).await? && self.claim_key(&key) {
                let source = import::upload::fingerprint(&self.job.common.image);
                self.journal.update(|entry| {
                    (entry.source, entry.uploaded, entry.public) = (source, true, true);
                });
                let text = format!("{} is there from another run", self.job.url());
                self.session.progress.info(&text);
                self.track_object();
                self.outcome.uploaded_bytes = Some(0);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether another run with this key has something in the Space.
    pub(super) async fn has_shared_objects(&self) -> Result<bool> {
        let is_own_key = |key: &String| *key == self.job.key;
        let (objects, uploads) = self.list_names().await?;
        Ok(!objects.iter().chain(&uploads).all(is_own_key))
    }

    /// An error if the image has come to the account since this run began.
    pub(super) async fn check_no_other_image(&self) -> Result<()> {
        let Some(before) = &self.images_named else {
            return Ok(());
        };
        let (job, api) = (&self.job, &self.api);
        let listed = async { Ok(image::images_named(job, api).await.unwrap_or_default()) };
        let now = self.session.cancellable(listed).await?;
        match now.iter().find(|id| !before.contains(id)) {
            None => Ok(()),
            Some(id) => {
                let what = format!("another run has made the image {id} \"{}\"", job.name);
                Err(Error::failed(what)
                    .with_cause(format!("it had the same key, and completed {}", job.url()))
                    .hint("use that image; the same command makes another one"))
            }
        }
    }

    /// The names of objects and unfinished uploads with the same key, the newest first.
    async fn list_names(&self) -> Result<(Vec<String>, Vec<String>)> {
        let Some(requested) = self.requested_key() else {
            return Ok((Vec::new(), Vec::new()));
        };
        let (prefix, store) = (key::prefix(requested), self.store());
        let listed = async { Ok(store.list_prefix(&prefix).await.unwrap_or_default()) };
        let mut names = self.session.cancellable(listed).await?;
        for names in [&mut names.objects, &mut names.uploads] {
            names.retain(|name| key::is_derived_from(name, requested));
        }
        Ok((names.objects, names.uploads))
    }

    /// The name is this run's from here on, unless another run on this machine has it.
    fn claim_key(&mut self, key: &str) -> bool {
        let space = &self.job.space;
        let object = format!("digitalocean {} {} {key}", space.region, space.name);
        let is_taken = self.journal.reserve_key(&object, key);
        if is_taken {
            key.clone_into(&mut self.job.key);
        }
        is_taken
    }

    /// Whether the object of this name was made of the local image as this run would send it.
    async fn has_local_bytes(&self, key: &str) -> Result<bool> {
        let store = self.store_for(key.to_owned());
        let head = async { Ok(store.object_info().await.unwrap_or_default()) };
        let Some(head) = self.session.cancellable(head).await? else {
            return Ok(false);
        };
        let part_size = import::upload::plan(&self.job.common, SPACES_LIMITS)?.part_size;
        let Some(proof) = head.content_check(part_size) else {
            return Ok(false);
        };
        let (image, gzip) = (&self.job.common.image, self.job.common.gzip);
        let same = import::upload::matches_local_bytes(image, gzip, store.checksum(), proof);
        self.session.cancellable(same).await
    }
}
