//! The temporary object in OSS and its bucket: made, sent, found again, removed.

use std::sync::Arc;

use super::job::Job;
use super::{Run, error, hints};
use crate::error::{Error, Result};
use crate::import;
use crate::import::outcome;
use crate::import::upload::Target;
use crate::net::permission;
use crate::shell::{Command, Removal};
use crate::store::oss::Oss;
use crate::store::{Error as Refusal, Store};

/// The command that deletes the temporary object.
pub(super) fn removal(job: &Job) -> Command {
    let remove = job.cli.words("oss rm").arg(job.url());
    remove.option("--region", &job.region)
}

fn target(job: &Job) -> Target {
    let abort = job.cli.words("oss rm").arg(job.url()).words("-m");
    let list = job.cli.words("oss ls").arg(job.url()).words("-m");
    let list = list.option("--region", &job.region);
    let region = job.region.clone();
    Target {
        is_steady: import::upload::is_steady(&job.key_template),
        url: job.url(),
        remove: removal(job),
        uploads: Removal::of_listed(list, "oss rm -m --upload-id"),
        abort: Box::new(move |upload| {
            let abort = abort.option("--upload-id", &upload.0);
            abort.option("--region", &region)
        }),
    }
}

/// What helps against a refusal, by OSS's own code in it.
pub(super) fn advice(job: &Job, refusal: &str) -> Option<String> {
    if refusal.contains("PublicEndpointForbidden") {
        return Some(format!(
            "this account's buckets in mainland China take no data over the public endpoint: say --oss-endpoint \
             https://oss-{}-internal.aliyuncs.com on an ECS instance of the region, --oss-endpoint \
             https://oss-accelerate.aliyuncs.com where the bucket has transfer acceleration, or --oss-cname with \
             --oss-endpoint https://<a domain bound to the bucket>",
            job.region
        ));
    }
    hints::oss(refusal).map(str::to_owned)
}

/// The permission that was missing, if that is the trouble.
fn permission(job: &Job, refusal: &Refusal, actions: &[&str]) -> Option<String> {
    allowing(&arn(&job.bucket, &job.key), refusal, actions)
}

fn arn(bucket: &str, key: &str) -> String {
    format!("acs:oss:*:*:{bucket}/{key}")
}

/// What helps whoever may not remove what a run has made: the object, its parts, and what
/// ECS has of it.
pub(super) fn undoing(
    bucket: &str,
    key: &str,
) -> impl Fn(&anyhow::Error) -> Option<String> + Send + 'static {
    let object = arn(bucket, key);
    move |error| match error.downcast_ref::<Refusal>() {
        Some(refusal) => allowing(
            &object,
            refusal,
            &["oss:AbortMultipartUpload", "oss:DeleteObject"],
        ),
        None => error::advice(error),
    }
}

fn allowing(object: &str, refusal: &Refusal, actions: &[&str]) -> Option<String> {
    let needs = permission::on(object, actions);
    let advice = || permission::allow(permission::RAM, &needs);
    refusal.is_denied().then(advice)
}

/// A refused upload, with what helps.
fn advised(job: &Job, error: Error) -> Error {
    let advice = error.cause::<Refusal>().and_then(|refusal| {
        permission(job, refusal, &["oss:PutObject", "oss:ListParts"])
            .or_else(|| advice(job, &refusal.to_string()))
    });
    match advice {
        Some(advice) => error.hint(advice),
        None => error,
    }
}

/// A bucket that could not be made: it may be there already, or somebody else can make it.
fn not_made(job: &Job, refusal: Refusal) -> Error {
    let bucket = &job.bucket;
    let hint = if refusal.is_denied() {
        let needs = format!("oss:PutBucket on acs:oss:*:*:{bucket}");
        Some(format!(
            "name a bucket that exists, or {}",
            permission::allow(permission::RAM, &needs)
        ))
    } else {
        advice(job, &refusal.to_string())
    };
    let error = Error::failed(format!("the bucket {bucket} could not be created"));
    error
        .because(refusal)
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

impl Run<'_> {
    fn store(&self) -> Arc<Oss> {
        Arc::new(self.clients.oss(&self.job.bucket, &self.job.key))
    }

    /// A private bucket for the object. It stays: the next import needs it, too.
    pub(super) async fn make_bucket(&mut self) -> Result<()> {
        let (store, bucket) = (self.store(), self.job.bucket.clone());
        self.journal.note(|entry| entry.created_bucket = true);
        self.hold_bucket();
        let made = async {
            let made = store.create_bucket().await;
            made.map_err(|refusal| not_made(&self.job, refusal))
        };
        let made = self.session.finish_soon(made).await;
        if let Err(error) = &made
            && error.cause::<Refusal>().is_some_and(Refusal::is_refusal)
        {
            self.journal.note(|entry| entry.created_bucket = false);
            self.let_go_of_bucket();
        }
        made?;
        self.session.progress.fact(&format!(
            "Created the bucket {bucket} in {}",
            self.job.region
        ));
        Ok(())
    }

    /// The bucket that this run or an earlier one has made, or is about to.
    pub(super) fn hold_bucket(&mut self) {
        let (store, bucket) = (self.store(), &self.job.bucket);
        let journal = self.journal.clone();
        let remove = self
            .job
            .cli
            .words("oss rm")
            .arg(format!("oss://{bucket}"))
            .words("-b");
        let held = self.cleanup.reusable(
            format!("the bucket {bucket}"),
            remove.option("--region", &self.job.region),
            async move || {
                remove_bucket(&store).await?;
                journal.note(|entry| entry.created_bucket = false);
                Ok(())
            },
        );
        if let Some(earlier) = self.held.bucket.replace(held) {
            self.cleanup.disarm(earlier);
        }
    }

    fn let_go_of_bucket(&mut self) {
        if let Some(held) = self.held.bucket.take() {
            self.cleanup.disarm(held);
        }
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

    /// The import has read the object. That it can't be deleted is no reason to lose the image.
    pub(super) async fn remove_object(&mut self) {
        self.outcome.object = Some(self.object(false));
        if self.job.common.skip_clean {
            self.session
                .progress
                .note(&format!("{} is kept", self.job.url()));
        } else if let Err(error) = self.store().remove().await {
            let advice = permission(&self.job, &error, &["oss:DeleteObject"]);
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
