//! The steps of the recipe: each performs one operation, records it in the journal before the
//! next one, and puts what it creates on the undo list.

use std::time::Instant;

use aws_sdk_ec2::types::Image;
use uuid::Uuid;

use super::method::ImportMethod;
use super::preflight::PriorRun;
use super::unconfirmed;
use super::unconfirmed::Readers;
use super::{
    AwsImport, OWNER, ami, error, import_task, preflight, share, task_status, upload, validate,
};
use crate::error::{Kind, Result};
use crate::import;
use crate::import::poll;
use crate::import::poll::PollSchedule;
use crate::import::undo;
use crate::import::undo::Handle;
use crate::shell::Removal;
use crate::units::join_with_and;

impl AwsImport<'_> {
    /// What can be known before a byte leaves.
    pub(super) async fn check(&mut self) -> Result<()> {
        let (job, progress) = (&self.job, &self.session.progress);
        progress.info(&format!(
            "{}: {}",
            job.common.path(),
            job.common.image.describe()
        ));
        progress.stage(&match job.method {
            ImportMethod::EbsDirect => format!("Checking the account in {}", job.region),
            _ => format!(
                "Checking the account, bucket {} and role {} in {}",
                job.bucket, job.role_name, job.region
            ),
        });
        if let Some(reason) = &job.method_reason {
            progress.info(&format!(
                "Taking the road {}: {reason}",
                job.method.flag_value()
            ));
        }
        if job.method != ImportMethod::EbsDirect && validate::is_old_bucket(&job.bucket) {
            progress.warn(&format!(
                "no new bucket can be named {}: only buckets that were created in us-east-1 before March 2018 have such names",
                job.bucket
            ));
        }
        let prior_run = PriorRun::from_entry(&self.journal.entry(), &job.region);
        let report = self
            .session
            .cancellable(preflight::check(job, &self.clients, &prior_run))
            .await?;
        self.bucket_owner = report.bucket_owner;
        let owner = self.bucket_owner.clone();
        let owner = owner.map(|owner| (OWNER.to_owned(), owner));
        self.journal.update(|entry| entry.account.extend(owner));
        if let Some(fault) = &report.caller_error {
            progress.note(&format!("AWS did not say who the caller is: {fault}"));
        }
        if let Some(caller) = report.caller.filter(|_| job.common.dry_run) {
            self.plan.caller(caller);
        }
        self.ensure_role(report.role).await
    }

    /// ImportImage or ImportSnapshot. The journal knows the token before AWS does, and which
    /// tasks were there before.
    pub(super) async fn start(&mut self) -> Result<String> {
        self.session.check()?;
        let request = import_task::fingerprint(&self.job);
        let entry = self.journal.entry();
        let same = entry.request_fingerprint.as_ref() == Some(&request);
        let earlier_token = entry.client_token.filter(|_| same);
        let token = earlier_token.clone();
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        if earlier_token.is_none() {
            let earlier = self.session.cancellable(self.earlier_readers()).await?;
            self.journal.update(|entry| entry.earlier_tasks = earlier);
        }
        self.journal.update(|entry| {
            (entry.request_fingerprint, entry.client_token) = (Some(request), Some(token.clone()));
        });
        self.track_possible_import();
        let started = self.session.with_stop_grace(import_task::start(
            &self.job,
            &self.clients,
            &self.session.progress,
            &token,
        ));
        let task = match started.await {
            Ok(task) => task,
            Err(error) => {
                // Refused is not started, unless an earlier run has asked.
                if earlier_token.is_none() && !error::may_have_been_executed(&error) {
                    self.untrack_task();
                    self.journal.update(|entry| entry.client_token = None);
                }
                return Err(error);
            }
        };
        self.journal.update(|entry| entry.task = Some(task.clone()));
        self.track_task(&task);
        self.session.progress.stage(&format!("Importing as {task}"));
        Ok(task)
    }

    /// The tasks that have read an object of this name before; none where nobody may ask. A
    /// name that no other run gives has had no other object.
    async fn earlier_readers(&self) -> Result<Option<Vec<String>>> {
        let job = &self.job;
        if !import::upload::is_deterministic_key(&job.key_template) {
            return Ok(Some(Vec::new()));
        }
        let found = unconfirmed::readers(&self.clients, &job.bucket, &job.key).await;
        Ok(found.ok().map(Readers::all))
    }

    /// An import whose answer is not known yet, on the undo list in the task's place.
    pub(super) fn track_possible_import(&mut self) {
        let (clients, job) = (self.clients.clone(), &self.job);
        let (bucket, key) = (job.bucket.clone(), job.key.clone());
        let earlier = self.journal.entry().earlier_tasks;
        let describe = job
            .cli
            .words(task_status::describe_operation(job.method.task_prefix()));
        let describe = describe.option("--region", &job.region);
        let entry = self.cleanup.push_resumable(
            undo::unconfirmed::import(&job.url()),
            Removal::of_listed(describe, "cancel-import-task"),
            async move || {
                unconfirmed::cancel_imports(&clients, &bucket, &key, earlier.as_deref()).await
            },
        );
        if let Some(earlier) = self.handles.task.replace(entry) {
            self.cleanup.remove(earlier);
        }
    }

    pub(super) fn track_task(&mut self, task: &str) {
        let (clients, id) = (self.clients.clone(), task.to_owned());
        let journal = self.journal.clone();
        let entry = self.cleanup.push_resumable(
            format!("the import task {task}"),
            task_status::cancel_command(&self.job, task),
            async move || {
                journal
                    .removing(&id, task_status::cancel(&clients, &id))
                    .await
            },
        );
        if let Some(earlier) = self.handles.task.replace(entry) {
            self.cleanup.remove(earlier);
        }
        self.outcome.task_id = Some(task.to_owned());
        self.import_started = Some(Instant::now());
    }

    /// `--no-wait`: the task reads the object, so that stays.
    pub(super) fn detach(&mut self, task: &str) {
        let url = self.job.url();
        self.session.progress.note(&if self.job.method.registers() {
            format!("{url} is read by {task}; the same command without --no-wait registers the image and removes it")
        } else {
            format!(
                "{url} is read by {task}; remove it afterwards with: {}",
                upload::delete_command(&self.job)
            )
        });
        if !self.job.copies.is_empty() || self.job.ssm_parameter.is_some() {
            let text =
                "the same command, without --no-wait, goes on with the copies and the parameter";
            self.session.progress.note(text);
        }
        self.cleanup.clear();
    }

    /// Waits until the task has made an image, or a snapshot.
    pub(super) async fn wait_for_task(&mut self, task: &str) -> Result<String> {
        let remote = self.session.progress.import();
        let result =
            poll::poll_until_done(self.session, self.poll_schedule(), &remote, async || {
                task_status::poll(&self.job, &self.clients, task).await
            })
            .await;
        match result {
            Ok(result_id) => {
                remote.finish(&format!("Imported as {result_id}"));
                let registers = self.job.method.registers();
                self.journal.update(|entry| {
                    let journal_field = if registers {
                        &mut entry.snapshot
                    } else {
                        &mut entry.image
                    };
                    *journal_field = Some(result_id.clone());
                });
                self.untrack_task();
                if registers {
                    self.track_snapshot(&result_id);
                } else {
                    self.track_image(&result_id);
                }
                Ok(result_id)
            }
            Err(error) => {
                if error.kind() == Kind::Failed && self.has_task_ended(task).await {
                    self.untrack_task();
                    self.journal
                        .update(|entry| (entry.task, entry.client_token) = (None, None));
                }
                Err(error)
            }
        }
    }

    pub(super) fn untrack_task(&mut self) {
        if let Some(entry) = self.handles.task.take() {
            self.cleanup.remove(entry);
        }
    }

    async fn has_task_ended(&self, task: &str) -> bool {
        matches!(
            task_status::state(&self.clients, task).await,
            Ok(task_status::State::NotFound)
        )
    }

    pub(super) fn track_image(&mut self, image: &str) {
        let entry = self.track_with_snapshots(image);
        if let Some(earlier) = self.handles.image.replace(entry) {
            self.cleanup.remove(earlier);
        }
    }

    pub(super) fn track_copy(&mut self, image: &str) -> Handle {
        let entry = self.track_with_snapshots(image);
        if let Some(earlier) = self.handles.copy.replace(entry) {
            self.cleanup.remove(earlier);
        }
        entry
    }

    fn track_with_snapshots(&mut self, image: &str) -> Handle {
        let (clients, id) = (self.clients.clone(), image.to_owned());
        let (cli, region) = (&self.job.cli, &self.job.region);
        let journal = self.journal.clone();
        self.cleanup.push_resumable(
            format!("the image {image}"),
            ami::deregister_command(cli, image, region),
            async move || journal.removing(&id, ami::deregister(&clients, &id)).await,
        )
    }

    /// The image under the name that was asked for; the first one goes once that is there.
    pub(super) async fn rename_by_copy(&mut self, first: String) -> Result<Image> {
        let Some(name) = self.job.name.clone() else {
            return self.wait_available(&first, "copying").await;
        };
        let copy = match self.journal.entry().named_image {
            Some(copy) => copy,
            None => self.start_rename(&first, &name).await?,
        };
        self.session
            .progress
            .stage(&format!("Naming it \"{name}\" as {copy}"));
        let entry = self.track_copy(&copy);
        let image = match self.wait_available(&copy, "copying").await {
            Ok(image) => image,
            Err(error) => {
                // A question that failed is not a copy that failed.
                let failed = error.kind() == Kind::Failed;
                if failed && ami::has_failed(&self.clients, &copy).await {
                    self.cleanup.make_disposable(entry);
                }
                return Err(error);
            }
        };
        if let Err(error) = ami::deregister(&self.clients, &first).await {
            let remove = ami::deregister_command(&self.job.cli, &first, &self.job.region);
            let advice =
                error::permission_hint_for(&error, "ec2:DeregisterImage and ec2:DeleteSnapshot");
            let advice = advice.map_or_else(String::new, |advice| format!("; next time, {advice}"));
            self.session.progress.warn(&format!(
                "{first}, the image before it had its name, could not be removed: {error:#}{advice}; remove it with: {remove}"
            ));
        }
        if let Some(first) = self.handles.image.take() {
            self.cleanup.remove(first);
        }
        Ok(image)
    }

    /// CopyImage. The journal knows the token before AWS does.
    async fn start_rename(&mut self, first: &str, name: &str) -> Result<String> {
        self.session.check()?;
        let earlier_token = self.journal.entry().copy_token;
        let token = earlier_token.clone();
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        self.journal.update(|entry| {
            (entry.copy_token, entry.name) = (Some(token.clone()), Some(name.to_owned()));
        });
        self.track_possible_copy(first, name);
        let copy = ami::copy(&self.job, &self.clients, first, name, &token);
        match self.session.with_stop_grace(copy).await {
            Ok(copy) => {
                self.journal
                    .update(|entry| entry.named_image = Some(copy.clone()));
                Ok(copy)
            }
            Err(error) => {
                // Refused is not copied, unless an earlier run has asked.
                if earlier_token.is_none() && !error::may_have_been_executed(&error) {
                    if let Some(entry) = self.handles.copy.take() {
                        self.cleanup.remove(entry);
                    }
                    self.journal.update(|entry| entry.copy_token = None);
                }
                Err(error)
            }
        }
    }

    /// A copy whose answer is not known yet, on the undo list in the copy's place.
    pub(super) fn track_possible_copy(&mut self, first: &str, name: &str) {
        let (clients, source, named) = (self.clients.clone(), first.to_owned(), name.to_owned());
        let (cli, region) = (&self.job.cli, &self.job.region);
        let entry = self.cleanup.push_resumable(
            undo::unconfirmed::image(name, region),
            unconfirmed::find_and_remove_commands(cli, name, region),
            async move || unconfirmed::remove_copy(&clients, &named, &source).await,
        );
        if let Some(earlier) = self.handles.copy.replace(entry) {
            self.cleanup.remove(earlier);
        }
    }

    pub(super) async fn wait_available(&mut self, image: &str, action: &str) -> Result<Image> {
        let remote = self.session.progress.import();
        let started = Instant::now();
        let image =
            poll::poll_until_done(self.session, self.poll_schedule(), &remote, async || {
                ami::poll(&self.clients, image, action, started).await
            })
            .await?;
        drop(remote);
        Ok(image)
    }

    /// Tags, description, permissions.
    pub(super) async fn set_attributes(&mut self, image: &Image) -> Result<()> {
        let id = image.image_id().unwrap_or_default().to_owned();
        let snapshots = ami::snapshots(image);
        let (job, clients) = (&self.job, &self.clients);
        let carried = self.registered;
        let changes = async {
            let both = [vec![id.clone()], snapshots.clone()].concat();
            ami::tag(job, clients, if carried { &snapshots } else { &both }).await?;
            ami::set_attributes(job, clients, &id, carried).await?;
            share::share(job, clients, &id, &snapshots).await?;
            ami::deprecate(clients, &id, job.deprecate_at).await
        };
        self.session.cancellable(changes).await?;
        let progress = &self.session.progress;
        if job.share.is_public() {
            progress.info(&format!(
                "Made {id} public: every AWS account can launch it"
            ));
        }
        if !job.share.audience().is_empty() {
            progress.info(&format!(
                "Shared {id} with {}",
                join_with_and(&job.share.audience())
            ));
        }
        self.outcome.name = image.name().map(str::to_owned);
        self.outcome.images = vec![(job.region.clone(), id.clone())];
        self.outcome.snapshot_ids = Some(snapshots);
        self.outcome.image_id = Some(id);
        Ok(())
    }

    /// All of it is the user's now.
    pub(super) fn finish(&mut self) {
        self.outcome.seconds.import = self.import_started.map(|started| started.elapsed());
        self.cleanup.clear();
    }

    pub(super) fn poll_schedule(&mut self) -> PollSchedule {
        let wait = self.job.common.wait;
        let started = *self.import_started.get_or_insert_with(Instant::now);
        PollSchedule {
            interval: wait.interval,
            deadline: wait.timeout.map(|timeout| (started + timeout).into()),
        }
    }
}
