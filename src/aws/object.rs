//! The temporary object in S3: sent, found again, removed.

use std::sync::Arc;

use super::Run;
use super::job::Job;
use super::names::S3Encryption;
use super::policy::partition;
use crate::error::{Error, Result};
use crate::outcome;
use crate::permission;
use crate::sending::{self, Target};
use crate::shell::quote;
use crate::store::s3::{Encryption, Flavour, Place, S3, must_sign};
use crate::store::{Error as Refusal, Store, UploadId};

fn target(job: &Job) -> Target {
    let (bucket, key) = (job.bucket.clone(), quote(&job.key));
    Target {
        is_steady: sending::is_steady(&job.key_template),
        url: job.url(),
        remove: format!("aws s3 rm {}", quote(&job.url())),
        abort: Box::new(move |upload| {
            format!(
                "aws s3api abort-multipart-upload --bucket {bucket} --key {key} --upload-id {upload}"
            )
        }),
    }
}

/// A refused part or object, with the permission that was missing.
fn permitted(job: &Job, error: Error) -> Error {
    let Some(refusal) = error.cause::<Refusal>().filter(|cause| cause.is_denied()) else {
        return error;
    };
    let object = format!(
        "arn:{}:s3:::{}/{}",
        partition(&job.region),
        job.bucket,
        job.key
    );
    let needs = format!("s3:PutObject on {object} and s3:ListMultipartUploadParts on {object}");
    let missing = permission::missing(&needs, refusal.message());
    error.hint(permission::allow(permission::IAM, &missing))
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
            owner: None,
            sign_payload: must_sign(self.clients.s3_endpoint.as_deref()),
        };
        Arc::new(S3::new(&self.clients.s3, place))
    }

    /// The parts of an earlier run.
    pub(super) fn hold_parts(&mut self, upload: &str) {
        let (store, target) = (self.store(), target(&self.job));
        let what = format!("the parts of {} that an earlier run has sent", target.url);
        let upload = UploadId(upload.to_owned());
        self.held.parts = Some(sending::hold_parts(
            &mut self.cleanup,
            &store,
            &target,
            &upload,
            what,
        ));
    }

    /// The image becomes an object; an earlier run's parts are not sent again.
    pub(super) async fn send(&mut self) -> Result<()> {
        let (store, target) = (self.store(), target(&self.job));
        // Whatever becomes of them now, sending says it.
        for held in [self.held.parts.take(), self.held.object.take()]
            .into_iter()
            .flatten()
        {
            self.cleanup.disarm(held);
        }
        let mut run = sending::Run {
            job: &self.job.common,
            session: self.session,
            journal: &self.journal,
            cleanup: &mut self.cleanup,
        };
        let sent = sending::send(&mut run, &store, &target).await;
        let sent = sent.map_err(|error| permitted(&self.job, error))?;
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
        self.held.object = Some(sending::hold(&mut self.cleanup, &store, &target));
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
            let (url, remove) = (self.job.url(), target(&self.job).remove);
            self.session.progress.warn(&format!(
                "{url} could not be deleted: {error}; delete it with: {remove}"
            ));
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
