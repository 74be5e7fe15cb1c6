//! The temporary object in OSS and its bucket: creates, uploads, finds and removes them.

use std::sync::Arc;

use super::job::Job;
use super::{AlicloudImport, hints};
use crate::error::{Error, Result};
use crate::import;
use crate::import::outcome;
use crate::import::upload::UploadTarget;
use crate::net::permission;
use crate::net::service_error::{Service, ServiceError};
use crate::shell::{Command, Removal};
use crate::store::Store;
use crate::store::oss::Oss;

/// The command that deletes the temporary object.
pub(super) fn delete_command(job: &Job) -> Command {
    let remove = job.cli.words("oss rm").arg(job.url());
    remove.option("--region", &job.region)
}

fn target(job: &Job) -> UploadTarget {
    let abort = job.cli.words("oss rm").arg(job.url()).words("-m");
    let list = job.cli.words("oss ls").arg(job.url()).words("-m");
    let list = list.option("--region", &job.region);
    let region = job.region.clone();
    UploadTarget {
        is_deterministic_key: import::upload::is_deterministic_key(&job.key_template),
        url: job.url(),
        remove: delete_command(job),
        uploads: Removal::of_listed(list, "oss rm -m --upload-id"),
        abort: Box::new(move |upload| {
            let abort = abort.option("--upload-id", &upload.0);
            abort.option("--region", &region)
        }),
    }
}

/// What helps against a refusal, by OSS's own code in it.
pub(super) fn upload_hint(job: &Job, refusal: &str) -> Option<String> {
    if refusal.contains("PublicEndpointForbidden") {
        return Some(format!(
            "this account's buckets in mainland China take no data over the public endpoint: say --oss-endpoint \
             https://oss-{}-internal.aliyuncs.com on an ECS instance of the region, --oss-endpoint \
             https://oss-accelerate.aliyuncs.com where the bucket has transfer acceleration, or --oss-cname with \
             --oss-endpoint https://<a domain bound to the bucket>",
            job.region
        ));
    }
    hints::oss_hint(refusal).map(str::to_owned)
}

/// The permission that was missing, if that is the trouble.
fn object_permission_hint(job: &Job, refusal: &ServiceError, actions: &[&str]) -> Option<String> {
    permission_hint(&object_arn(&job.bucket, &job.key), refusal, actions)
}

fn object_arn(bucket: &str, key: &str) -> String {
    format!("acs:oss:*:*:{bucket}/{key}")
}

/// Returns the hint if the caller may not remove what a run has created: the object, its parts,
/// and what it created in ECS.
pub(super) fn removal_hint(
    bucket: &str,
    key: &str,
) -> impl Fn(&anyhow::Error) -> Option<String> + Send + 'static {
    let object = object_arn(bucket, key);
    move |error| {
        let error: &ServiceError = error.downcast_ref()?;
        match error.service() {
            Service::Storage => permission_hint(
                &object,
                error,
                &["oss:AbortMultipartUpload", "oss:DeleteObject"],
            ),
            Service::Api => hints::missing_permission_hint(error),
        }
    }
}

fn permission_hint(object: &str, refusal: &ServiceError, actions: &[&str]) -> Option<String> {
    let needs = permission::actions_on(object, actions);
    let advice = || permission::allow(permission::RAM, &needs);
    refusal.is_denied().then(advice)
}

/// A refused upload, with what helps.
fn with_upload_hint(job: &Job, error: Error) -> Error {
    let advice = error.cause::<ServiceError>().and_then(|refusal| {
        object_permission_hint(job, refusal, &["oss:PutObject", "oss:ListParts"])
            .or_else(|| upload_hint(job, &refusal.to_string()))
    });
    match advice {
        Some(advice) => error.hint(advice),
        None => error,
    }
}

/// A bucket that could not be made: it may be there already, or somebody else can make it.
fn create_bucket_error(job: &Job, refusal: ServiceError) -> Error {
    let bucket = &job.bucket;
    let hint = if refusal.is_denied() {
        let needs = format!("oss:PutBucket on acs:oss:*:*:{bucket}");
        Some(format!(
            "name a bucket that exists, or {}",
            permission::allow(permission::RAM, &needs)
        ))
    } else {
        upload_hint(job, &refusal.to_string())
    };
    let error = Error::failed(format!("the bucket {bucket} could not be created"));
    error
        .with_source(refusal)
        .hint(hint.unwrap_or_else(|| "name a bucket that exists with --bucket".to_owned()))
}

/// Removes a bucket that an import has made. One that holds objects of others is theirs by
/// now, and stays.
pub(super) async fn remove_bucket(store: &Oss) -> anyhow::Result<()> {
    match store.remove_bucket().await {
        Err(error) if error.code() != Some("BucketNotEmpty") => Err(error.into()),
        _ => Ok(()),
    }
}

impl AlicloudImport<'_> {
    fn store(&self) -> Arc<Oss> {
        Arc::new(self.clients.oss(&self.job.bucket, &self.job.key))
    }

    /// A private bucket for the object. It stays: the next import needs it, too.
    pub(super) async fn create_bucket(&mut self) -> Result<()> {
        let (store, bucket) = (self.store(), self.job.bucket.clone());
        self.journal.update(|entry| entry.created_bucket = true);
        self.track_bucket();
        let creation = async {
            let created = store.create_bucket().await;
            created.map_err(|refusal| create_bucket_error(&self.job, refusal))
        };
        let created = self.session.with_stop_grace(creation).await;
        if let Err(error) = &created
            && error
                .cause::<ServiceError>()
                .is_some_and(ServiceError::was_not_executed)
        {
            self.journal.update(|entry| entry.created_bucket = false);
            self.untrack_bucket();
        }
        created?;
        self.session.progress.info(&format!(
            "Created the bucket {bucket} in {}",
            self.job.region
        ));
        Ok(())
    }

    /// The bucket that this run or an earlier one has made, or is about to.
    pub(super) fn track_bucket(&mut self) {
        let (store, bucket) = (self.store(), &self.job.bucket);
        let journal = self.journal.clone();
        let remove = self
            .job
            .cli
            .words("oss rm")
            .arg(format!("oss://{bucket}"))
            .words("-b");
        let handle = self.cleanup.push_resumable(
            format!("the bucket {bucket}"),
            remove.option("--region", &self.job.region),
            async move || {
                remove_bucket(&store).await?;
                journal.update(|entry| entry.created_bucket = false);
                Ok(())
            },
        );
        if let Some(earlier) = self.handles.bucket.replace(handle) {
            self.cleanup.remove(earlier);
        }
    }

    fn untrack_bucket(&mut self) {
        if let Some(handle) = self.handles.bucket.take() {
            self.cleanup.remove(handle);
        }
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

    /// The import has read the object. That it can't be deleted is no reason to lose the image.
    pub(super) async fn remove_object(&mut self) {
        self.outcome.object = Some(self.outcome_object(false));
        if self.job.common.skip_clean {
            self.session
                .progress
                .note(&format!("{} is kept", self.job.url()));
        } else if let Err(error) = self.store().delete().await {
            let advice = object_permission_hint(&self.job, &error, &["oss:DeleteObject"]);
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
