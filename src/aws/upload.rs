//! The temporary object in S3: sent, found again, removed.

use std::sync::Arc;

use super::job::Job;
use super::values::S3Encryption;
use super::{AwsImport, error, hints, partition};
use crate::error::{Error, Result};
use crate::import;
use crate::import::outcome;
use crate::import::upload::UploadTarget;
use crate::net::permission;
use crate::shell::{Command, Removal};
use crate::store::s3::{Dialect, Encryption, S3, S3Object, must_sign_payload};
use crate::store::{Error as Refusal, Store};

/// The command that deletes the temporary object.
pub(super) fn delete_command(job: &Job) -> Command {
    job.cli.words("s3 rm").arg(job.url())
}

fn target(job: &Job) -> UploadTarget {
    let abort = job.cli.words("s3api abort-multipart-upload");
    let abort = abort
        .option("--bucket", &job.bucket)
        .option("--key", &job.key);
    let list = job.cli.words("s3api list-multipart-uploads");
    let list = list
        .option("--bucket", &job.bucket)
        .option("--prefix", &job.key);
    UploadTarget {
        // How another run's upload is encrypted is shown nowhere.
        is_deterministic_key: import::upload::is_deterministic_key(&job.key_template)
            && job.s3_encryption.is_none(),
        url: job.url(),
        remove: delete_command(job),
        uploads: Removal::of_listed(list, "abort-multipart-upload"),
        abort: Box::new(move |upload| abort.option("--upload-id", &upload.0)),
    }
}

/// A refused upload, with what helps.
fn with_upload_hint(job: &Job, error: Error) -> Error {
    let advice = error.cause::<Refusal>().and_then(|refusal| {
        let hint = hints::error_hint(refusal.code().unwrap_or_default(), refusal.message());
        object_permission_hint(
            job,
            refusal,
            &["s3:PutObject", "s3:ListMultipartUploadParts"],
        )
        .or_else(|| hint.map(str::to_owned))
    });
    match advice {
        Some(advice) => error.hint(advice),
        None => error,
    }
}

/// The permission that was missing, if that is the trouble.
fn object_permission_hint(job: &Job, refusal: &Refusal, actions: &[&str]) -> Option<String> {
    let object = object_arn(&job.region, &job.bucket, &job.key);
    permission_hint(&object, refusal, actions)
}

fn object_arn(region: &str, bucket: &str, key: &str) -> String {
    format!("arn:{}:s3:::{bucket}/{key}", partition::for_region(region))
}

/// Returns the hint if the caller may not remove what a run has created: the object, its parts,
/// and what it created in EC2, IAM and Systems Manager.
pub(super) fn removal_hint(
    region: &str,
    bucket: &str,
    key: &str,
) -> impl Fn(&anyhow::Error) -> Option<String> + Send + 'static {
    let object = object_arn(region, bucket, key);
    move |error| match error.downcast_ref::<Refusal>() {
        Some(refusal) => permission_hint(
            &object,
            refusal,
            &["s3:AbortMultipartUpload", "s3:DeleteObject"],
        ),
        None => error::missing_permission_hint(error),
    }
}

fn permission_hint(object: &str, refusal: &Refusal, actions: &[&str]) -> Option<String> {
    if !refusal.is_denied() {
        return None;
    }
    let needs = permission::actions_on(object, actions);
    let missing = permission::missing(&needs, refusal.message());
    Some(permission::allow(permission::IAM, &missing))
}

impl AwsImport<'_> {
    fn store(&self) -> Arc<S3> {
        let encryption = self
            .job
            .s3_encryption
            .as_ref()
            .map(|(kind, key)| match kind {
                S3Encryption::Aes256 => Encryption::Aes256,
                S3Encryption::AwsKms => Encryption::Kms(key.clone()),
            });
        let object = S3Object {
            bucket: self.job.bucket.clone(),
            key: self.job.key.clone(),
            dialect: Dialect::Aws,
            encryption,
            public_read: false,
            owner: self.bucket_owner.clone(),
            sign_payload: must_sign_payload(self.clients.s3_endpoint.as_deref()),
        };
        Arc::new(S3::new(&self.clients.s3, object))
    }

    /// What an earlier run has left of an upload.
    pub(super) fn track_parts(&mut self) {
        let (store, target) = (self.store(), target(&self.job));
        let (journal, cleanup) = (&self.journal, &mut self.cleanup);
        self.handles.parts = import::upload::track_previous(journal, cleanup, &store, &target);
    }

    /// The image becomes an object; an earlier run's parts are not sent again.
    pub(super) async fn send(&mut self) -> Result<()> {
        let (store, target) = (self.store(), target(&self.job));
        // Whatever becomes of them now, sending says it.
        let parts = std::mem::take(&mut self.handles.parts);
        for handle in parts.into_iter().chain(self.handles.object.take()) {
            self.cleanup.remove(handle);
        }
        let mut run = import::upload::UploadContext {
            job: &self.job.common,
            session: self.session,
            journal: &self.journal,
            cleanup: &mut self.cleanup,
        };
        let upload = import::upload::send_shared(&mut run, &store, &target).await;
        let upload = upload.map_err(|error| with_upload_hint(&self.job, error))?;
        self.handles.object = Some(upload.object);
        self.outcome.object = Some(self.outcome_object(false));
        self.outcome.uploaded_bytes = Some(upload.uploaded_bytes);
        self.outcome.source.size.get_or_insert(upload.size);
        self.outcome.source.sha256 = upload.sha256;
        self.outcome.seconds.upload = Some(upload.elapsed);
        Ok(())
    }

    /// The object of an earlier run, which a task is reading.
    pub(super) fn track_object(&mut self) {
        let (store, target) = (self.store(), target(&self.job));
        self.handles.object = Some(import::upload::track_object(
            &mut self.cleanup,
            &store,
            &target,
        ));
        self.outcome.object = Some(self.outcome_object(false));
    }

    /// The object of a run that came as far as the import's end.
    pub(super) async fn remove_earlier_object(&mut self) {
        if self.journal.entry().uploaded {
            self.remove_object().await;
        }
    }

    /// The import has read the object. That it can't be deleted is no reason to lose the image.
    pub(super) async fn remove_object(&mut self) {
        if self.job.common.skip_clean {
            self.session
                .progress
                .note(&format!("{} is kept", self.job.url()));
        } else if let Err(error) = self.store().delete().await {
            let advice = object_permission_hint(&self.job, &error, &["s3:DeleteObject"]);
            let warning = import::upload::delete_warning(&target(&self.job), &error, advice);
            self.session.progress.warn(&warning);
        } else {
            self.outcome.object = Some(self.outcome_object(true));
            self.journal.update(|entry| entry.uploaded = false);
        }
        if let Some(entry) = self.handles.object.take() {
            self.cleanup.remove(entry);
        }
    }

    fn outcome_object(&self, deleted: bool) -> outcome::Object {
        outcome::Object {
            bucket: self.job.bucket.clone(),
            key: self.job.key.clone(),
            deleted,
        }
    }
}
