//! The temporary object in Spaces: its key, its access, upload and removal. It is public while
//! DigitalOcean reads it; otherwise it is private or removed.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{AppName, BehaviorVersion, Builder, Credentials, Region};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::hints::{HintContext, hint};
use super::job::{Job, Space};
use super::options::ObjectAccess;
use super::{DigitalOceanImport, TrackedObject};
use crate::error::{Error, Result};
use crate::import;
use crate::import::outcome;
use crate::import::undo::Handle;
use crate::import::undo::unconfirmed::PUBLICLY_READABLE;
use crate::import::upload::UploadTarget;
use crate::net::endpoint::is_loopback;
use crate::net::retry::RetryPolicy;
use crate::net::sdk_http;
use crate::shell::{Command, Removal};
use crate::store::Store;
use crate::store::s3::{Dialect, S3, S3Object, must_sign_payload};

/// A signed address must outlive the import, which takes minutes to hours; Spaces allows a week.
const SIGNED_URL_LIFETIME: Duration = Duration::from_hours(24);

/// After a stop, for a small request on the object.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What stands in a path as it is (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// The S3 client of the Space. Small requests are tried again with patience; parts are the
/// engine's business.
pub fn client(space: &Space, retry_policy: RetryPolicy) -> Result<Client> {
    let (access, secret) = (space.access_key.expose(), space.secret_key.expose());
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(space.region.clone()))
        .credentials_provider(Credentials::new(access, secret, None, None, "settings"))
        .http_client(sdk_http::client(None)?)
        .endpoint_url(&space.endpoint)
        .force_path_style(is_loopback(&space.endpoint))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(retry_policy.retries.saturating_add(1))
                .with_initial_backoff(retry_policy.min)
                .with_max_backoff(retry_policy.max),
        );
    if let Ok(name) = AppName::new("imgimport") {
        config = config.app_name(name);
    }
    Ok(Client::from_conf(config.build()))
}

/// The object's own address, as anybody may ask for it.
pub fn object_url(space: &Space, key: &str) -> String {
    let key = utf8_percent_encode(key, UNRESERVED);
    let (endpoint, name) = (&space.endpoint, &space.name);
    // No certificate covers a name with dots.
    if is_loopback(endpoint) || name.contains('.') {
        return format!("{endpoint}/{name}/{key}");
    }
    match endpoint.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{name}.{host}/{key}"),
        None => format!("{endpoint}/{name}/{key}"),
    }
}

fn target(job: &Job) -> UploadTarget {
    let endpoint = &job.space.endpoint;
    let remove = Command::new("aws s3 rm").arg(job.url());
    let abort = Command::new("aws s3api abort-multipart-upload");
    let abort = abort
        .option("--bucket", &job.space.name)
        .option("--key", &job.key);
    let abort = abort.option("--endpoint-url", endpoint);
    let list = Command::new("aws s3api list-multipart-uploads");
    let list = list
        .option("--bucket", &job.space.name)
        .option("--prefix", &job.key);
    let list = list.option("--endpoint-url", endpoint);
    UploadTarget {
        is_deterministic_key: import::upload::is_deterministic_key(&job.key_template),
        url: job.url(),
        remove: remove.option("--endpoint-url", endpoint),
        uploads: Removal::of_listed(list, "abort-multipart-upload"),
        abort: Box::new(move |upload| abort.option("--upload-id", &upload.0)),
    }
}

/// Returns the hint if the caller may not remove what a run has created: the object, its parts,
/// the image.
pub(super) fn removal_hint(
    space: &str,
) -> impl Fn(&anyhow::Error) -> Option<String> + Send + 'static {
    let space = space.to_owned();
    move |error| {
        let context = HintContext::Removal { space: &space };
        hint(error.downcast_ref()?, &context)
    }
}

impl DigitalOceanImport<'_> {
    fn removal_context(&self) -> HintContext<'_> {
        HintContext::Removal {
            space: &self.job.space.name,
        }
    }

    pub(super) fn store(&self) -> Arc<S3> {
        self.store_for(self.job.key.clone())
    }

    /// The same for another name.
    pub(super) fn store_for(&self, key: String) -> Arc<S3> {
        let object = S3Object {
            bucket: self.job.space.name.clone(),
            key,
            dialect: Dialect::Spaces,
            encryption: None,
            public_read: self.is_public(),
            owner: None,
            sign_payload: must_sign_payload(Some(&self.job.space.endpoint)),
        };
        Arc::new(S3::new(&self.spaces, object))
    }

    /// Whether everybody who knows its address may read the object.
    fn is_public(&self) -> bool {
        self.job.access == ObjectAccess::PublicRead
    }

    /// The address that DigitalOcean reads.
    pub(super) async fn source_url(&self) -> Result<String> {
        match self.job.access {
            ObjectAccess::PublicRead => Ok(object_url(&self.job.space, &self.job.key)),
            ObjectAccess::Presigned => {
                self.store()
                    .presigned(SIGNED_URL_LIFETIME)
                    .await
                    .map_err(|error| {
                        Error::failed(format!(
                            "no signed address of {} can be made",
                            self.job.url()
                        ))
                        .with_source(error)
                    })
            }
        }
    }

    /// The image becomes an object; what another run has sent is not sent again.
    pub(super) async fn send(&mut self) -> Result<()> {
        if self.continue_other_upload().await? {
            return Ok(());
        }
        let Err(error) = self.send_once().await else {
            return Ok(());
        };
        // A run on another machine has completed the upload that this one went on with.
        if !import::upload::is_gone(&error) || self.requested_key().is_none() {
            return Err(error);
        }
        if self.use_completed_object().await? {
            return Ok(());
        }
        self.check_no_other_image().await?;
        self.send_once().await
    }

    async fn send_once(&mut self) -> Result<()> {
        let is_public = self.is_public();
        self.journal.update(|entry| entry.public = is_public);
        let (store, target) = (self.store(), target(&self.job));
        let mut run = import::upload::UploadContext {
            job: &self.job.common,
            session: self.session,
            journal: &self.journal,
            cleanup: &mut self.cleanup,
        };
        match import::upload::send(&mut run, &store, &target).await {
            Ok(upload) => {
                self.track(upload.object, upload.uploaded_bytes == 0);
                self.outcome.uploaded_bytes = Some(upload.uploaded_bytes);
                self.outcome.source.sha256 = upload.sha256;
                self.outcome.seconds.upload = Some(upload.elapsed);
                Ok(())
            }
            Err(error) => {
                self.track_uncertain_object().await;
                let hint = error
                    .cause()
                    .and_then(|cause| hint(cause, &HintContext::Upload));
                Err(match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }

    /// An upload whose end was not heard may have made its object, which is public.
    async fn track_uncertain_object(&mut self) {
        let head = tokio::time::timeout(STOP_GRACE, self.store().object_info()).await;
        if matches!(head, Ok(Ok(Some(_)))) {
            self.track_object();
        }
    }

    /// The object of an earlier run.
    pub(super) fn track_object(&mut self) {
        let (store, target) = (self.store(), target(&self.job));
        let entry = import::upload::track_object(&mut self.cleanup, &store, &target);
        self.track(entry, true);
    }

    fn track(&mut self, entry: Handle, is_earlier: bool) {
        self.untrack_object();
        if self.is_public() {
            self.cleanup.note(entry, PUBLICLY_READABLE);
        }
        self.handles.object = Some(TrackedObject { entry, is_earlier });
        self.outcome.object = Some(self.outcome_object(false));
    }

    pub(super) fn untrack_object(&mut self) {
        if let Some(object) = self.handles.object.take() {
            self.cleanup.remove(object.entry);
        }
    }

    /// No import can be made of the object.
    pub(super) fn discard_object(&mut self) {
        if let Some(object) = self.handles.object.take() {
            self.cleanup.make_disposable(object.entry);
            self.journal.update(|entry| entry.uploaded = false);
        }
    }

    /// Lets DigitalOcean read an object that an earlier run may have made private.
    pub(super) async fn make_readable(&mut self) -> Result<()> {
        let is_earlier = self.handles.object.is_some_and(|object| object.is_earlier);
        if !is_earlier {
            return Ok(());
        }
        let (store, public, url) = (self.store(), self.is_public(), self.job.url());
        self.journal.update(|entry| entry.public |= public);
        let set = async { Ok(store.set_public(public).await) };
        let set = self.session.cancellable(set).await?;
        set.map_err(|error| {
            let hint = hint(&error, &self.removal_context());
            let failed = Error::failed(format!("the access to {url} could not be set"));
            let failed = failed.with_source(error);
            match hint {
                Some(hint) => failed.hint(hint),
                None => failed,
            }
        })
    }

    /// At the end of a run without an image: an object that nobody reads is private, for the
    /// next run; one that can't be made private goes.
    pub(super) async fn discard_public_object(&mut self) {
        let Some(object) = self.handles.object.filter(|_| self.is_public()) else {
            return;
        };
        let cancel = &self.session.cancel;
        let all_goes = !self.job.common.resumes() || cancel.undo.is_cancelled();
        if self.handles.import.is_some() || all_goes {
            return;
        }
        let store = self.store();
        let closed = tokio::select! {
            () = cancel.leave.cancelled() => return,
            closed = tokio::time::timeout(STOP_GRACE, store.set_public(false)) => closed,
        };
        if matches!(closed, Ok(Ok(()))) {
            self.cleanup.note(object.entry, "");
            self.journal.update(|entry| entry.public = false);
        } else {
            self.discard_object();
        }
    }

    /// `--no-wait`: the import reads the object, so that stays.
    pub(super) fn detach(&mut self, id: u64) {
        let (url, remove) = (self.job.url(), target(&self.job).remove);
        let public = if self.is_public() {
            format!(", {PUBLICLY_READABLE}")
        } else {
            String::new()
        };
        self.session.progress.note(&format!(
            "{url} is read by {id}{public}; the same command waits for the image and removes it, or remove it afterwards with: {remove}"
        ));
        self.cleanup.clear();
    }

    /// The import has read the object. That it can't be deleted is no reason to lose the image.
    pub(super) async fn remove_object(&mut self) -> Result<()> {
        let (url, store) = (self.job.url(), self.store());
        if self.job.common.skip_clean {
            let public = if self.is_public() {
                ", for everybody who knows its address"
            } else {
                ""
            };
            self.session
                .progress
                .note(&format!("{url} is kept{public}"));
        } else {
            let removed = async { Ok(store.delete().await) };
            if let Err(error) = self.session.with_stop_grace(removed).await? {
                let advice = hint(&error, &self.removal_context());
                let warning = import::upload::delete_warning(&target(&self.job), &error, advice);
                self.session.progress.warn(&warning);
            } else {
                self.outcome.object = Some(self.outcome_object(true));
            }
        }
        self.untrack_object();
        self.journal
            .update(|entry| (entry.uploaded, entry.public) = (false, false));
        Ok(())
    }

    fn outcome_object(&self, deleted: bool) -> outcome::Object {
        outcome::Object {
            bucket: self.job.space.name.clone(),
            key: self.job.key.clone(),
            deleted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn space(name: &str, endpoint: &str) -> Space {
        Space {
            name: name.to_owned(),
            region: "nyc3".to_owned(),
            endpoint: endpoint.to_owned(),
            access_key: Secret::new(""),
            secret_key: Secret::new(""),
        }
    }

    #[test]
    fn the_address_is_escaped() {
        let spaces = "https://nyc3.digitaloceanspaces.com";
        assert_eq!(
            object_url(&space("import", spaces), "a b/it's \"ü\".raw.gz"),
            "https://import.nyc3.digitaloceanspaces.com/a%20b/it%27s%20%22%C3%BC%22.raw.gz"
        );
        assert_eq!(
            object_url(&space("im.port", spaces), "k"),
            "https://nyc3.digitaloceanspaces.com/im.port/k"
        );
        assert_eq!(
            object_url(&space("import", "http://127.0.0.1:9000"), "k"),
            "http://127.0.0.1:9000/import/k"
        );
    }
}
