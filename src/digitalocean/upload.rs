//! The temporary object in Spaces: where it lies, who may read it, sent and removed. It is
//! public while DigitalOcean reads it; where no import reads it, it is private or gone.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{AppName, BehaviorVersion, Builder, Credentials, Region};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::client::Patience;
use super::job::{Job, Space};
use super::options::ObjectAccess;
use super::{Object, Run, error, hints};
use crate::error::{Error, Result};
use crate::import;
use crate::import::outcome;
use crate::import::undo::Entry;
use crate::import::undo::unconfirmed::READABLE;
use crate::import::upload::Target;
use crate::net::endpoint::is_loopback;
use crate::net::sdk_http;
use crate::shell::{Command, Removal};
use crate::store::s3::{Flavour, Place, S3, must_sign};
use crate::store::{Error as Refusal, Store};

/// A signed address must outlive the import, which takes minutes to hours; Spaces allows a week.
const SIGNED_FOR: Duration = Duration::from_hours(24);

/// After a stop, for a small request on the object.
const MOMENT: Duration = Duration::from_secs(5);

/// What stands in a path as it is (RFC 3986, 2.3).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// The S3 client of the Space. Small requests are tried again with patience; parts are the
/// engine's business.
pub fn client(space: &Space, patience: Patience) -> Result<Client> {
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
                .with_max_attempts(patience.tries.saturating_add(1))
                .with_initial_backoff(patience.least)
                .with_max_backoff(patience.most),
        );
    if let Ok(name) = AppName::new("imgimport") {
        config = config.app_name(name);
    }
    Ok(Client::from_conf(config.build()))
}

/// The object's own address, as anybody may ask for it.
pub fn address(space: &Space, key: &str) -> String {
    let key = utf8_percent_encode(key, PLAIN);
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

fn target(job: &Job) -> Target {
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
    Target {
        is_steady: import::upload::is_steady(&job.key_template),
        url: job.url(),
        remove: remove.option("--endpoint-url", endpoint),
        uploads: Removal::of_listed(list, "abort-multipart-upload"),
        abort: Box::new(move |upload| abort.option("--upload-id", &upload.0)),
    }
}

/// What helps whoever may not remove what a run has made: the object, its parts, the image.
pub(super) fn undoing(space: &str) -> impl Fn(&anyhow::Error) -> Option<String> + Send + 'static {
    let space = space.to_owned();
    move |error| match error.downcast_ref::<Refusal>() {
        Some(refusal) => access(&space, refusal),
        None => error::advice(error),
    }
}

fn access(space: &str, refusal: &Refusal) -> Option<String> {
    let advice = || format!("give the Spaces key read and write access to {space}");
    refusal.is_denied().then(advice)
}

impl Run<'_> {
    pub(super) fn store(&self) -> Arc<S3> {
        self.store_of(self.job.key.clone())
    }

    /// The same for another name.
    pub(super) fn store_of(&self, key: String) -> Arc<S3> {
        let place = Place {
            bucket: self.job.space.name.clone(),
            key,
            flavour: Flavour::Spaces,
            encryption: None,
            public_read: self.is_public(),
            owner: None,
            sign_payload: must_sign(Some(&self.job.space.endpoint)),
        };
        Arc::new(S3::new(&self.spaces, place))
    }

    /// Whether everybody who knows its address may read the object.
    fn is_public(&self) -> bool {
        self.job.access == ObjectAccess::PublicRead
    }

    /// The address that DigitalOcean reads.
    pub(super) async fn source_url(&self) -> Result<String> {
        match self.job.access {
            ObjectAccess::PublicRead => Ok(address(&self.job.space, &self.job.key)),
            ObjectAccess::Presigned => self.store().presigned(SIGNED_FOR).await.map_err(|error| {
                Error::failed(format!(
                    "no signed address of {} can be made",
                    self.job.url()
                ))
                .because(error)
            }),
        }
    }

    /// The image becomes an object; what another run has sent is not sent again.
    pub(super) async fn send(&mut self) -> Result<()> {
        if self.adopt().await? {
            return Ok(());
        }
        let Err(error) = self.send_once().await else {
            return Ok(());
        };
        // A run on another machine has completed the upload that this one went on with.
        if !import::upload::is_gone(&error) || self.shared_key().is_none() {
            return Err(error);
        }
        if self.adopt_completed().await? {
            return Ok(());
        }
        self.is_there_another().await?;
        self.send_once().await
    }

    async fn send_once(&mut self) -> Result<()> {
        let is_public = self.is_public();
        self.journal.note(|entry| entry.public = is_public);
        let (store, target) = (self.store(), target(&self.job));
        let mut run = import::upload::Run {
            job: &self.job.common,
            session: self.session,
            journal: &self.journal,
            cleanup: &mut self.cleanup,
        };
        match import::upload::send(&mut run, &store, &target).await {
            Ok(sent) => {
                self.hold(sent.object, sent.uploaded_bytes == 0);
                self.outcome.uploaded_bytes = Some(sent.uploaded_bytes);
                self.outcome.source.sha256 = sent.sha256;
                self.outcome.seconds.upload = Some(sent.elapsed);
                Ok(())
            }
            Err(error) => {
                self.hold_stray_object().await;
                let code = error.cause::<Refusal>().and_then(Refusal::code);
                Err(match code.and_then(hints::spaces) {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }

    /// An upload whose end was not heard may have made its object, which is public.
    async fn hold_stray_object(&mut self) {
        let found = tokio::time::timeout(MOMENT, self.store().head()).await;
        if matches!(found, Ok(Ok(Some(_)))) {
            self.hold_object();
        }
    }

    /// The object of an earlier run.
    pub(super) fn hold_object(&mut self) {
        let (store, target) = (self.store(), target(&self.job));
        let entry = import::upload::hold(&mut self.cleanup, &store, &target);
        self.hold(entry, true);
    }

    fn hold(&mut self, entry: Entry, is_earlier: bool) {
        self.let_go_of_object();
        if self.is_public() {
            self.cleanup.note(entry, READABLE);
        }
        self.held.object = Some(Object { entry, is_earlier });
        self.outcome.object = Some(self.object(false));
    }

    pub(super) fn let_go_of_object(&mut self) {
        if let Some(object) = self.held.object.take() {
            self.cleanup.disarm(object.entry);
        }
    }

    /// No import can be made of the object.
    pub(super) fn spoil_object(&mut self) {
        if let Some(object) = self.held.object.take() {
            self.cleanup.spoil(object.entry);
            self.journal.note(|entry| entry.sent = false);
        }
    }

    /// Lets DigitalOcean read an object that an earlier run may have made private.
    pub(super) async fn give_access(&mut self) -> Result<()> {
        let is_earlier = self.held.object.is_some_and(|object| object.is_earlier);
        if !is_earlier {
            return Ok(());
        }
        let (store, public, url) = (self.store(), self.is_public(), self.job.url());
        self.journal.note(|entry| entry.public |= public);
        let set = async { Ok(store.set_public(public).await) };
        let set = self.session.unless_stopped(set).await?;
        set.map_err(|error| {
            let hint = access(&self.job.space.name, &error);
            let failed = Error::failed(format!("the access to {url} could not be set"));
            let failed = failed.because(error);
            match hint {
                Some(hint) => failed.hint(hint),
                None => failed,
            }
        })
    }

    /// At the end of a run without an image: an object that nobody reads is private, for the
    /// next run; one that can't be made private goes.
    pub(super) async fn close_object(&mut self) {
        let Some(object) = self.held.object.filter(|_| self.is_public()) else {
            return;
        };
        let cancel = &self.session.cancel;
        let all_goes = !self.job.common.resumes() || cancel.undo.is_cancelled();
        if self.held.import.is_some() || all_goes {
            return;
        }
        let store = self.store();
        let closed = tokio::select! {
            () = cancel.leave.cancelled() => return,
            closed = tokio::time::timeout(MOMENT, store.set_public(false)) => closed,
        };
        if matches!(closed, Ok(Ok(()))) {
            self.cleanup.note(object.entry, "");
            self.journal.note(|entry| entry.public = false);
        } else {
            self.spoil_object();
        }
    }

    /// `--no-wait`: the import reads the object, so that stays.
    pub(super) fn leave_running(&mut self, id: u64) {
        let (url, remove) = (self.job.url(), target(&self.job).remove);
        let public = if self.is_public() {
            format!(", {READABLE}")
        } else {
            String::new()
        };
        self.session.progress.note(&format!(
            "{url} is read by {id}{public}; the same command waits for the image and removes it, or remove it afterwards with: {remove}"
        ));
        self.cleanup.release();
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
            let removed = async { Ok(store.remove().await) };
            if let Err(error) = self.session.finish_soon(removed).await? {
                let advice = access(&self.job.space.name, &error);
                let warning = import::upload::undeleted(&target(&self.job), &error, advice);
                self.session.progress.warn(&warning);
            } else {
                self.outcome.object = Some(self.object(true));
            }
        }
        self.let_go_of_object();
        self.journal
            .note(|entry| (entry.sent, entry.public) = (false, false));
        Ok(())
    }

    fn object(&self, deleted: bool) -> outcome::Object {
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
            address(&space("import", spaces), "a b/it's \"ü\".raw.gz"),
            "https://import.nyc3.digitaloceanspaces.com/a%20b/it%27s%20%22%C3%BC%22.raw.gz"
        );
        assert_eq!(
            address(&space("im.port", spaces), "k"),
            "https://nyc3.digitaloceanspaces.com/im.port/k"
        );
        assert_eq!(
            address(&space("import", "http://127.0.0.1:9000"), "k"),
            "http://127.0.0.1:9000/import/k"
        );
    }
}
