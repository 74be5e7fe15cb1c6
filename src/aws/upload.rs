//! The temporary object in S3: sent, found again, removed.

use std::sync::Arc;

use super::job::Job;
use super::values::S3Encryption;
use super::{Run, error, hints, partition};
use crate::error::{Error, Result};
use crate::import;
use crate::import::outcome;
use crate::import::upload::Target;
use crate::net::permission;
use crate::shell::{Command, Removal};
use crate::store::s3::{Encryption, Flavour, Place, S3, must_sign};
use crate::store::{Error as Refusal, Store};

/// The command that deletes the temporary object.
pub(super) fn removal(job: &Job) -> Command {
    job.cli.words("s3 rm").arg(job.url())
}

fn target(job: &Job) -> Target {
    let abort = job.cli.words("s3api abort-multipart-upload");
    let abort = abort
        .option("--bucket", &job.bucket)
        .option("--key", &job.key);
    let list = job.cli.words("s3api list-multipart-uploads");
    let list = list
        .option("--bucket", &job.bucket)
        .option("--prefix", &job.key);
    Target {
        // How another run's upload is encrypted is shown nowhere.
        is_steady: import::upload::is_steady(&job.key_template) && job.s3_encryption.is_none(),
        url: job.url(),
        remove: removal(job),
        uploads: Removal::of_listed(list, "abort-multipart-upload"),
        abort: Box::new(move |upload| abort.option("--upload-id", &upload.0)),
    }
}

/// A refused upload, with what helps.
fn advised(job: &Job, error: Error) -> Error {
    let advice = error.cause::<Refusal>().and_then(|refusal| {
        let known = hints::refusal(refusal.code().unwrap_or_default(), refusal.message());
        permission(
            job,
            refusal,
            &["s3:PutObject", "s3:ListMultipartUploadParts"],
        )
        .or_else(|| known.map(str::to_owned))
    });
    match advice {
        Some(advice) => error.hint(advice),
        None => error,
    }
}

/// The permission that was missing, if that is the trouble.
fn permission(job: &Job, refusal: &Refusal, actions: &[&str]) -> Option<String> {
    let object = arn(&job.region, &job.bucket, &job.key);
    allowing(&object, refusal, actions)
}

fn arn(region: &str, bucket: &str, key: &str) -> String {
    format!("arn:{}:s3:::{bucket}/{key}", partition::of(region))
}

/// What helps whoever may not remove what a run has made: the object, its parts, and what
/// EC2, IAM and Systems Manager have of it.
pub(super) fn undoing(
    region: &str,
    bucket: &str,
    key: &str,
) -> impl Fn(&anyhow::Error) -> Option<String> + Send + 'static {
    let object = arn(region, bucket, key);
    move |error| match error.downcast_ref::<Refusal>() {
        Some(refusal) => allowing(
            &object,
            refusal,
            &["s3:AbortMultipartUpload", "s3:DeleteObject"],
        ),
        None => error::advice(error),
    }
}

fn allowing(object: &str, refusal: &Refusal, actions: &[&str]) -> Option<String> {
    if !refusal.is_denied() {
        return None;
    }
    let needs = permission::on(object, actions);
    let missing = permission::missing(&needs, refusal.message());
    Some(permission::allow(permission::IAM, &missing))
}

impl Run<'_> {
    fn store(&self) -> Arc<S3> {
        let encryption = self
            .job
            .s3_encryption
            .as_ref()
            .map(|(kind, key)| match kind {
                S3Encryption::Aes256 => Encryption::Aes256,
                S3Encryption::AwsKms => Encryption::Kms(key.clone()),
            });
        let place = Place {
            bucket: self.job.bucket.clone(),
            key: self.job.key.clone(),
            flavour: Flavour::Aws,
            encryption,
            public_read: false,
            owner: self.bucket_owner.clone(),
            sign_payload: must_sign(self.clients.s3_endpoint.as_deref()),
        };
        Arc::new(S3::new(&self.clients.s3, place))
    }

    /// What an earlier run has left of an upload.
    pub(super) fn hold_parts(&mut self) {
        let (store, target) = (self.store(), target(&self.job));
        let (journal, cleanup) = (&self.journal, &mut self.cleanup);
        self.held.parts = import::upload::hold_earlier(journal, cleanup, &store, &target);
    }

    /// The image becomes an object; an earlier run's parts are not sent again.
    pub(super) async fn send(&mut self) -> Result<()> {
        let (store, target) = (self.store(), target(&self.job));
        // Whatever becomes of them now, sending says it.
        let parts = std::mem::take(&mut self.held.parts);
        for held in parts.into_iter().chain(self.held.object.take()) {
            self.cleanup.disarm(held);
        }
        let mut run = import::upload::Run {
            job: &self.job.common,
            session: self.session,
            journal: &self.journal,
            cleanup: &mut self.cleanup,
        };
        let sent = import::upload::send_shared(&mut run, &store, &target).await;
        let sent = sent.map_err(|error| advised(&self.job, error))?;
        self.held.object = Some(sent.object);
        self.outcome.object = Some(self.object(false));
        self.outcome.uploaded_bytes = Some(sent.uploaded_bytes);
        self.outcome.source.size.get_or_insert(sent.size);
        self.outcome.source.sha256 = sent.sha256;
        self.outcome.seconds.upload = Some(sent.elapsed);
        Ok(())
    }

    /// The object of an earlier run, which a task is reading.
    pub(super) fn hold_object(&mut self) {
        let (store, target) = (self.store(), target(&self.job));
        self.held.object = Some(import::upload::hold(&mut self.cleanup, &store, &target));
        self.outcome.object = Some(self.object(false));
    }

    /// The object of a run that came as far as the import's end.
    pub(super) async fn remove_earlier_object(&mut self) {
        if self.journal.entry().sent {
            self.remove_object().await;
        }
    }

    /// The import has read the object. That it can't be deleted is no reason to lose the image.
    pub(super) async fn remove_object(&mut self) {
        if self.job.common.skip_clean {
            self.session
                .progress
                .note(&format!("{} is kept", self.job.url()));
        } else if let Err(error) = self.store().remove().await {
            let advice = permission(&self.job, &error, &["s3:DeleteObject"]);
            let warning = import::upload::undeleted(&target(&self.job), &error, advice);
            self.session.progress.warn(&warning);
        } else {
            self.outcome.object = Some(self.object(true));
            self.journal.note(|entry| entry.sent = false);
        }
        if let Some(entry) = self.held.object.take() {
            self.cleanup.disarm(entry);
        }
    }

    fn object(&self, deleted: bool) -> outcome::Object {
        outcome::Object {
            bucket: self.job.bucket.clone(),
            key: self.job.key.clone(),
            deleted,
        }
    }
}
