//! The temporary object in Spaces: where it lies, who may read it, sent and removed. It
//! is public while DigitalOcean reads it, so unlike in other clouds it never stays.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{AppName, BehaviorVersion, Builder, Credentials, Region};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::api::Patience;
use super::job::{Job, Space};
use super::options::ObjectAccess;
use super::{Run, fault, help};
use crate::connector;
use crate::endpoint::is_loopback;
use crate::error::{Error, Result};
use crate::outcome;
use crate::sending::{self, Target};
use crate::store::s3::{Flavour, Place, S3, must_sign};
use crate::store::{Error as Refusal, Store};

/// A signed address must outlive the import, which takes minutes to hours; Spaces allows a week.
const SIGNED_FOR: Duration = Duration::from_hours(24);

/// After a stop, for the question whether an object came into being.
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
pub fn client(space: &Space, patience: Patience) -> Client {
    let (access, secret) = (space.access_key.expose(), space.secret_key.expose());
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(space.region.clone()))
        .credentials_provider(Credentials::new(access, secret, None, None, "settings"))
        .http_client(connector::client())
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
    Client::from_conf(config.build())
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
    let (space, key, endpoint) = (
        job.space.name.clone(),
        shell(&job.key),
        job.space.endpoint.clone(),
    );
    Target {
        is_steady: sending::is_steady(&job.key_template),
        url: job.url(),
        remove: format!("aws s3 rm {} --endpoint-url {endpoint}", shell(&job.url())),
        uploads: format!(
            "aws s3api list-multipart-uploads --bucket {space} --prefix {key} --endpoint-url {endpoint}, and abort-multipart-upload"
        ),
        abort: Box::new(move |upload| {
            format!(
                "aws s3api abort-multipart-upload --bucket {space} --key {key} --upload-id {upload} --endpoint-url {endpoint}"
            )
        }),
    }
}

/// The text as a shell takes it.
fn shell(text: &str) -> String {
    crate::image::quoted(std::path::Path::new(text))
}

/// What helps whoever may not remove what a run has made: the object, its parts, the image.
pub(super) fn undoing(space: &str) -> impl Fn(&anyhow::Error) -> Option<String> + Send + 'static {
    let space = space.to_owned();
    move |error| match error.downcast_ref::<Refusal>() {
        Some(refusal) => access(&space, refusal),
        None => fault::advice(error),
    }
}

fn access(space: &str, refusal: &Refusal) -> Option<String> {
    let advice = || format!("give the Spaces key read and write access to {space}");
    refusal.is_denied().then(advice)
}

impl Run<'_> {
    pub(super) fn store(&self) -> Arc<S3> {
        let place = Place {
            bucket: self.job.space.name.clone(),
            key: self.job.key.clone(),
            flavour: Flavour::Spaces,
            encryption: None,
            public_read: self.job.access == ObjectAccess::PublicRead,
            owner: None,
            sign_payload: must_sign(Some(&self.job.space.endpoint)),
        };
        Arc::new(S3::new(&self.spaces, place))
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

    /// The image becomes an object; an earlier run's parts are not sent again.
    pub(super) async fn send(&mut self) -> Result<()> {
        let (store, target) = (self.store(), target(&self.job));
        let mut run = sending::Run {
            job: &self.job.common,
            session: self.session,
            journal: &self.journal,
            cleanup: &mut self.cleanup,
        };
        match sending::send(&mut run, &store, &target).await {
            Ok(sent) => {
                self.held.object = Some(sent.object);
                self.outcome.object = Some(self.object(false));
                self.outcome.uploaded_bytes = Some(sent.uploaded_bytes);
                self.outcome.source.sha256 = sent.sha256;
                self.outcome.seconds.upload = Some(sent.elapsed);
                Ok(())
            }
            Err(error) => {
                self.hold_stray_object().await;
                let code = error.cause::<Refusal>().and_then(Refusal::code);
                Err(match code.and_then(help::spaces) {
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

    /// The object of an earlier run, which an import is reading.
    pub(super) fn hold_object(&mut self) {
        let (store, target) = (self.store(), target(&self.job));
        self.held.object = Some(sending::hold(&mut self.cleanup, &store, &target));
        self.outcome.object = Some(self.object(false));
    }

    /// The import has read the object. That it can't be deleted is no reason to lose the image.
    pub(super) async fn remove_object(&mut self) {
        let url = self.job.url();
        if self.job.common.skip_clean {
            let public = match self.job.access {
                ObjectAccess::PublicRead => ", for everybody who knows its address",
                ObjectAccess::Presigned => "",
            };
            self.session
                .progress
                .note(&format!("{url} is kept{public}"));
        } else if let Err(error) = self.store().remove().await {
            let advice = access(&self.job.space.name, &error);
            let warning = sending::undeleted(&target(&self.job), &error, advice);
            self.session.progress.warn(&warning);
        } else {
            self.outcome.object = Some(self.object(true));
        }
        if let Some(entry) = self.held.object.take() {
            self.cleanup.disarm(entry);
        }
        self.journal.note(|entry| entry.sent = false);
    }

    /// The way to remove the object by hand.
    pub(super) fn removal(&self) -> String {
        target(&self.job).remove
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
