//! The steps of the recipe: each does one thing, notes it in the journal before the next
//! is taken, and puts what it makes on the undo list.

use std::time::Instant;

use aws_sdk_ec2::types::Image;
use uuid::Uuid;

use super::method::Road;
use super::preflight::Ours;
use super::unconfirmed;
use super::unconfirmed::Readers;
use super::{OWNER, Run, ami, error, import_task, preflight, share, task_status, upload, validate};
use crate::error::{Kind, Result};
use crate::import;
use crate::import::poll;
use crate::import::poll::Pace;
use crate::import::undo;
use crate::import::undo::Entry;
use crate::shell::Removal;
use crate::units::listed;

impl Run<'_> {
    /// What can be known before a byte leaves.
    pub(super) async fn check(&mut self) -> Result<()> {
        let (job, progress) = (&self.job, &self.session.progress);
        progress.fact(&format!(
            "{}: {}",
            job.common.path(),
            job.common.image.describe()
        ));
        progress.stage(&match job.road {
            Road::EbsDirect => format!("Checking the account in {}", job.region),
            _ => format!(
                "Checking the account, bucket {} and role {} in {}",
                job.bucket, job.role_name, job.region
            ),
        });
        if let Some(why) = &job.why {
            progress.fact(&format!("Taking the road {}: {why}", job.road.word()));
        }
        if job.road != Road::EbsDirect && validate::is_old_bucket(&job.bucket) {
            progress.warn(&format!(
                "no new bucket can be named {}: only buckets that were created in us-east-1 before March 2018 have such names",
                job.bucket
            ));
        }
        let ours = Ours::of(&self.journal.entry(), &job.region);
        let found = self
            .session
            .unless_stopped(preflight::check(job, &self.clients, &ours))
            .await?;
        self.bucket_owner = found.bucket_owner;
        let owner = self.bucket_owner.clone();
        let owner = owner.map(|owner| (OWNER.to_owned(), owner));
        self.journal.note(|entry| entry.account.extend(owner));
        if let Some(fault) = &found.unknown {
            progress.note(&format!("AWS did not say who the caller is: {fault}"));
        }
        if let Some(caller) = found.caller.filter(|_| job.common.dry_run) {
            self.plan.caller(caller);
        }
        self.settle_role(found.role).await
    }

    /// ImportImage or ImportSnapshot. The journal knows the token before AWS does, and which
    /// tasks were there before.
    pub(super) async fn start(&mut self) -> Result<String> {
        self.session.check()?;
        let request = import_task::request(&self.job);
        let entry = self.journal.entry();
        let same = entry.request.as_ref() == Some(&request);
        let known = entry.client_token.filter(|_| same);
        let token = known.clone();
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        if known.is_none() {
            let earlier = self.session.unless_stopped(self.earlier_readers()).await?;
            self.journal.note(|entry| entry.earlier_tasks = earlier);
        }
        self.journal.note(|entry| {
            (entry.request, entry.client_token) = (Some(request), Some(token.clone()));
        });
        self.hold_possible_import();
        let started = self.session.finish_soon(import_task::start(
            &self.job,
            &self.clients,
            &self.session.progress,
            &token,
        ));
        let task = match started.await {
            Ok(task) => task,
            Err(error) => {
                // Refused is not started, unless an earlier run has asked.
                if known.is_none() && !error::may_be_done(&error) {
                    self.let_go_of_task();
                    self.journal.note(|entry| entry.client_token = None);
                }
                return Err(error);
            }
        };
        self.journal.note(|entry| entry.task = Some(task.clone()));
        self.hold_task(&task);
        self.session.progress.stage(&format!("Importing as {task}"));
        Ok(task)
    }

    /// The tasks that have read an object of this name before; none where nobody may ask. A
    /// name that no other run gives has had no other object.
    async fn earlier_readers(&self) -> Result<Option<Vec<String>>> {
        let job = &self.job;
        if !import::upload::is_steady(&job.key_template) {
            return Ok(Some(Vec::new()));
        }
        let found = unconfirmed::readers(&self.clients, &job.bucket, &job.key).await;
        Ok(found.ok().map(Readers::all))
    }

    /// An import whose answer is not known yet, on the undo list in the task's place.
    pub(super) fn hold_possible_import(&mut self) {
        let (clients, job) = (self.clients.clone(), &self.job);
        let (bucket, key) = (job.bucket.clone(), job.key.clone());
        let earlier = self.journal.entry().earlier_tasks;
        let describe = job.cli.words(task_status::describing(job.road.task()));
        let describe = describe.option("--region", &job.region);
        let entry = self.cleanup.reusable(
            undo::unconfirmed::import(&job.url()),
            Removal::of_listed(describe, "cancel-import-task"),
            async move || {
                unconfirmed::cancel_imports(&clients, &bucket, &key, earlier.as_deref()).await
            },
        );
        if let Some(earlier) = self.held.task.replace(entry) {
            self.cleanup.disarm(earlier);
        }
    }

    pub(super) fn hold_task(&mut self, task: &str) {
        let (clients, id) = (self.clients.clone(), task.to_owned());
        let journal = self.journal.clone();
        let entry = self.cleanup.reusable(
            format!("the import task {task}"),
            task_status::cancellation(&self.job, task),
            async move || {
                journal
                    .forgetting(&id, task_status::cancel(&clients, &id))
                    .await
            },
        );
        if let Some(earlier) = self.held.task.replace(entry) {
            self.cleanup.disarm(earlier);
        }
        self.outcome.task_id = Some(task.to_owned());
        self.began = Some(Instant::now());
    }

    /// `--no-wait`: the task reads the object, so that stays.
    pub(super) fn leave_running(&mut self, task: &str) {
        let url = self.job.url();
        self.session.progress.note(&if self.job.road.registers() {
            format!("{url} is read by {task}; the same command without --no-wait registers the image and removes it")
        } else {
            format!(
                "{url} is read by {task}; remove it afterwards with: {}",
                upload::removal(&self.job)
            )
        });
        if !self.job.copies.is_empty() || self.job.ssm_parameter.is_some() {
            let text =
                "the same command, without --no-wait, goes on with the copies and the parameter";
            self.session.progress.note(text);
        }
        self.cleanup.release();
    }

    /// Waits until the task has made an image, or a snapshot.
    pub(super) async fn wait(&mut self, task: &str) -> Result<String> {
        let remote = self.session.progress.import();
        let result = poll::until(self.session, self.pace(), &remote, async || {
            task_status::poll(&self.job, &self.clients, task).await
        })
        .await;
        match result {
            Ok(made) => {
                remote.finish(&format!("Imported as {made}"));
                let registers = self.job.road.registers();
                self.journal.note(|entry| {
                    let place = if registers {
                        &mut entry.snapshot
                    } else {
                        &mut entry.image
                    };
                    *place = Some(made.clone());
                });
                self.let_go_of_task();
                if registers {
                    self.hold_snapshot(&made);
                } else {
                    self.hold_image(&made);
                }
                Ok(made)
            }
            Err(error) => {
                if error.kind() == Kind::Failed && self.task_is_gone(task).await {
                    self.let_go_of_task();
                    self.journal
                        .note(|entry| (entry.task, entry.client_token) = (None, None));
                }
                Err(error)
            }
        }
    }

    pub(super) fn let_go_of_task(&mut self) {
        if let Some(entry) = self.held.task.take() {
            self.cleanup.disarm(entry);
        }
    }

    async fn task_is_gone(&self, task: &str) -> bool {
        matches!(
            task_status::state(&self.clients, task).await,
            Ok(task_status::State::Gone)
        )
    }

    pub(super) fn hold_image(&mut self, image: &str) {
        let entry = self.keep_in_mind(image);
        if let Some(earlier) = self.held.image.replace(entry) {
            self.cleanup.disarm(earlier);
        }
    }

    pub(super) fn hold_copy(&mut self, image: &str) -> Entry {
        let entry = self.keep_in_mind(image);
        if let Some(earlier) = self.held.copy.replace(entry) {
            self.cleanup.disarm(earlier);
        }
        entry
    }

    fn keep_in_mind(&mut self, image: &str) -> Entry {
        let (clients, id) = (self.clients.clone(), image.to_owned());
        let (cli, region) = (&self.job.cli, &self.job.region);
        let journal = self.journal.clone();
        self.cleanup.reusable(
            format!("the image {image}"),
            ami::removal(cli, image, region),
            async move || {
                journal
                    .forgetting(&id, ami::deregister(&clients, &id))
                    .await
            },
        )
    }

    /// The image under the name that was asked for; the first one goes once that is there.
    pub(super) async fn name(&mut self, first: String) -> Result<Image> {
        let Some(name) = self.job.name.clone() else {
            return self.available(&first, "copying").await;
        };
        let copy = match self.journal.entry().copy {
            Some(copy) => copy,
            None => self.start_naming(&first, &name).await?,
        };
        self.session
            .progress
            .stage(&format!("Naming it \"{name}\" as {copy}"));
        let entry = self.hold_copy(&copy);
        let image = match self.available(&copy, "copying").await {
            Ok(image) => image,
            Err(error) => {
                // A question that failed is not a copy that failed.
                let failed = error.kind() == Kind::Failed;
                if failed && ami::is_lost(&self.clients, &copy).await {
                    self.cleanup.spoil(entry);
                }
                return Err(error);
            }
        };
        if let Err(error) = ami::deregister(&self.clients, &first).await {
            let remove = ami::removal(&self.job.cli, &first, &self.job.region);
            let advice = error::permission(&error, "ec2:DeregisterImage and ec2:DeleteSnapshot");
            let advice = advice.map_or_else(String::new, |advice| format!("; next time, {advice}"));
            self.session.progress.warn(&format!(
                "{first}, the image before it had its name, could not be removed: {error:#}{advice}; remove it with: {remove}"
            ));
        }
        if let Some(first) = self.held.image.take() {
            self.cleanup.disarm(first);
        }
        Ok(image)
    }

    /// CopyImage. The journal knows the token before AWS does.
    async fn start_naming(&mut self, first: &str, name: &str) -> Result<String> {
        self.session.check()?;
        let known = self.journal.entry().copy_token;
        let token = known.clone();
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        self.journal.note(|entry| {
            (entry.copy_token, entry.name) = (Some(token.clone()), Some(name.to_owned()));
        });
        self.hold_possible_copy(first, name);
        let copy = ami::copy(&self.job, &self.clients, first, name, &token);
        match self.session.finish_soon(copy).await {
            Ok(copy) => {
                self.journal.note(|entry| entry.copy = Some(copy.clone()));
                Ok(copy)
            }
            Err(error) => {
                // Refused is not copied, unless an earlier run has asked.
                if known.is_none() && !error::may_be_done(&error) {
                    if let Some(entry) = self.held.copy.take() {
                        self.cleanup.disarm(entry);
                    }
                    self.journal.note(|entry| entry.copy_token = None);
                }
                Err(error)
            }
        }
    }

    /// A copy whose answer is not known yet, on the undo list in the copy's place.
    pub(super) fn hold_possible_copy(&mut self, first: &str, name: &str) {
        let (clients, source, named) = (self.clients.clone(), first.to_owned(), name.to_owned());
        let (cli, region) = (&self.job.cli, &self.job.region);
        let entry = self.cleanup.reusable(
            undo::unconfirmed::image(name, region),
            unconfirmed::removal(cli, name, region),
            async move || unconfirmed::remove_copy(&clients, &named, &source).await,
        );
        if let Some(earlier) = self.held.copy.replace(entry) {
            self.cleanup.disarm(earlier);
        }
    }

    pub(super) async fn available(&mut self, image: &str, doing: &str) -> Result<Image> {
        let remote = self.session.progress.import();
        let began = Instant::now();
        let image = poll::until(self.session, self.pace(), &remote, async || {
            ami::poll(&self.clients, image, doing, began).await
        })
        .await?;
        drop(remote);
        Ok(image)
    }

    /// Tags, description, permissions.
    pub(super) async fn describe(&mut self, image: &Image) -> Result<()> {
        let id = image.image_id().unwrap_or_default().to_owned();
        let snapshots = ami::snapshots(image);
        let (job, clients) = (&self.job, &self.clients);
        let carried = self.registered;
        let changes = async {
            let both = [vec![id.clone()], snapshots.clone()].concat();
            ami::tag(job, clients, if carried { &snapshots } else { &both }).await?;
            ami::describe_as_asked(job, clients, &id, carried).await?;
            share::share(job, clients, &id, &snapshots).await?;
            ami::deprecate(clients, &id, job.deprecate_at).await
        };
        self.session.unless_stopped(changes).await?;
        let progress = &self.session.progress;
        if job.share.is_public() {
            progress.fact(&format!(
                "Made {id} public: every AWS account can launch it"
            ));
        }
        if !job.share.audience().is_empty() {
            progress.fact(&format!(
                "Shared {id} with {}",
                listed(&job.share.audience())
            ));
        }
        self.outcome.name = image.name().map(str::to_owned);
        self.outcome.images = vec![(job.region.clone(), id.clone())];
        self.outcome.snapshot_ids = Some(snapshots);
        self.outcome.image_id = Some(id);
        Ok(())
    }

    /// All of it is the user's now.
    pub(super) fn hand_over(&mut self) {
        self.outcome.seconds.import = self.began.map(|began| began.elapsed());
        self.cleanup.release();
    }

    pub(super) fn pace(&mut self) -> Pace {
        let wait = self.job.common.wait;
        let began = *self.began.get_or_insert_with(Instant::now);
        Pace {
            interval: wait.interval,
            deadline: wait.timeout.map(|timeout| (began + timeout).into()),
        }
    }
}
