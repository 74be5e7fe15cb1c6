//! What runs on other machines have sent under the same key. Each run gives the key a random
//! part of its own, so what they left is found by what its names have in common, and counts
//! only as far as it has the local bytes.

use super::{Run, image, key};
use crate::error::{Error, Result};
use crate::import;
use crate::store::Store;
use crate::store::s3::SPACES_LIMITS;

/// Objects that are compared with the local bytes, the newest first: each costs a look at
/// the whole image.
const COMPARED: usize = 3;

impl Run<'_> {
    /// The key as the user gave it, where the names of other runs follow from it.
    pub(super) fn shared_key(&self) -> Option<&str> {
        let job = &self.job;
        let given = job.given_key.as_deref()?;
        let shared = job.common.resumes()
            && import::upload::is_steady(&job.key_template)
            && key::is_made_of(&job.key, given);
        shared.then_some(given)
    }

    /// Goes on with what another run has sent, if this one has sent nothing: true when the
    /// object is there. Who may not list the Space sends all of it.
    pub(super) async fn adopt(&mut self) -> Result<bool> {
        if self.shared_key().is_none() {
            return Ok(false);
        }
        let (job, api) = (&self.job, &self.api);
        let listed = async { Ok(image::namesakes(job, api).await.ok()) };
        self.namesakes = self.session.unless_stopped(listed).await?;
        if !self.journal.entry().is_empty() {
            return Ok(false);
        }
        let (objects, uploads) = self.names().await?;
        if self.adopt_object(objects).await? {
            return Ok(true);
        }
        for key in uploads {
            if self.take_key(&key) {
                break;
            }
        }
        Ok(false)
    }

    /// The upload that this run went on with is gone, since another run has completed it:
    /// true when its object is there.
    pub(super) async fn adopt_completed(&mut self) -> Result<bool> {
        let (objects, _) = self.names().await?;
        self.adopt_object(objects).await
    }

    /// The first of these objects that has the local bytes becomes this run's.
    async fn adopt_object(&mut self, objects: Vec<String>) -> Result<bool> {
        for key in objects.into_iter().take(COMPARED) {
            if self.has_local_bytes(&key).await? && self.take_key(&key) {
                let source = import::upload::mark(&self.job.common.image);
                self.journal
                    .note(|entry| (entry.source, entry.sent, entry.public) = (source, true, true));
                let text = format!("{} is there from another run", self.job.url());
                self.session.progress.fact(&text);
                self.hold_object();
                self.outcome.uploaded_bytes = Some(0);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether another run with this key has something in the Space.
    pub(super) async fn is_shared(&self) -> Result<bool> {
        let own = |key: &String| *key == self.job.key;
        let (objects, uploads) = self.names().await?;
        Ok(!objects.iter().chain(&uploads).all(own))
    }

    /// An error if the image has come to the account since this run began.
    pub(super) async fn is_there_another(&self) -> Result<()> {
        let Some(before) = &self.namesakes else {
            return Ok(());
        };
        let (job, api) = (&self.job, &self.api);
        let listed = async { Ok(image::namesakes(job, api).await.unwrap_or_default()) };
        let now = self.session.unless_stopped(listed).await?;
        match now.iter().find(|id| !before.contains(id)) {
            None => Ok(()),
            Some(id) => {
                let what = format!("another run has made the image {id} \"{}\"", job.name);
                Err(Error::failed(what)
                    .because_of(format!("it had the same key, and completed {}", job.url()))
                    .hint("use that image; the same command makes another one"))
            }
        }
    }

    /// The names of objects and unfinished uploads with the same key, the newest first.
    async fn names(&self) -> Result<(Vec<String>, Vec<String>)> {
        let Some(given) = self.shared_key() else {
            return Ok((Vec::new(), Vec::new()));
        };
        let (prefix, store) = (key::prefix(given), self.store());
        let listed = async { Ok(store.names(&prefix).await.unwrap_or_default()) };
        let mut names = self.session.unless_stopped(listed).await?;
        for names in [&mut names.objects, &mut names.uploads] {
            names.retain(|name| key::is_made_of(name, given));
        }
        Ok((names.objects, names.uploads))
    }

    /// The name is this run's from here on, unless another run on this machine has it.
    fn take_key(&mut self, key: &str) -> bool {
        let space = &self.job.space;
        let object = format!("digitalocean {} {} {key}", space.region, space.name);
        let taken = self.journal.claim(&object, key);
        if taken {
            key.clone_into(&mut self.job.key);
        }
        taken
    }

    /// Whether the object of this name was made of the local image as this run would send it.
    async fn has_local_bytes(&self, key: &str) -> Result<bool> {
        let store = self.store_of(key.to_owned());
        let head = async { Ok(store.head().await.unwrap_or_default()) };
        let Some(head) = self.session.unless_stopped(head).await? else {
            return Ok(false);
        };
        let part_size = import::upload::plan(&self.job.common, SPACES_LIMITS)?.part_size;
        let Some(proof) = head.proof(part_size) else {
            return Ok(false);
        };
        let (image, gzip) = (&self.job.common.image, self.job.common.gzip);
        let same = import::upload::is_of(image, gzip, store.checksum(), proof);
        self.session.unless_stopped(same).await
    }
}
