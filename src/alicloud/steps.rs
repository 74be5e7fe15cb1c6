//! The steps of the recipe: each performs one operation, records it in the journal before the
//! next one, and puts what it creates on the undo list.

use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::error::ServiceError;
use super::image::{Image, Refusals};
use super::import_task::Import;
use super::{
    AlicloudImport, attributes, image, import_task, preflight, remove, role, task_status, upload,
};
use crate::error::{Error, Kind, Result};
use crate::import;
use crate::import::journal;
use crate::import::poll;
use crate::import::poll::PollSchedule;
use crate::import::undo::{Handle, unconfirmed};
use crate::shell::Removal;
use crate::store::oss::LIMITS;
use crate::units::join_with_and;

/// What can't be asked without doing it: ImportImage's DryRun looks for the object.
const UNVERIFIABLE: [&str; 5] = [
    "oss:PutObject",
    "oss:DeleteObject",
    "ecs:ImportImage",
    "ram:PassRole",
    "quotas",
];

/// Whether ECS is known not to have started what it was asked for.
fn was_not_executed(error: &Error) -> bool {
    error.kind() == Kind::Failed
        && error
            .cause::<ServiceError>()
            .is_none_or(ServiceError::was_not_executed)
}

impl AlicloudImport<'_> {
    /// What can be known before a byte leaves.
    pub(super) async fn check(&mut self) -> Result<()> {
        let (job, progress) = (&self.job, &self.session.progress);
        progress.info(&format!(
            "{}: {}",
            job.common.path(),
            job.common.image.describe()
        ));
        for warning in &job.warnings {
            progress.warn(warning);
        }
        progress.stage(&format!(
            "Checking the name, bucket {} and role {} in {}",
            job.bucket, job.role_name, job.region
        ));
        let entry = if self.matches_request() {
            self.journal.entry()
        } else {
            journal::JournalEntry::default()
        };
        self.report = self
            .session
            .cancellable(preflight::check(job, &self.clients, &entry))
            .await?;
        Ok(())
    }

    /// `--dry-run`: who asks. STS tells everybody; one who does not is no reason to stop.
    pub(super) async fn identify_caller(&mut self) -> Result<()> {
        let caller = async { Ok(self.clients.caller_identity().await) };
        match self.session.cancellable(caller).await? {
            Ok(caller) => self.plan.caller(caller),
            Err(fault) => {
                let open = format!("who the caller is: {fault}");
                self.plan.not_verified(&[&open]);
            }
        }
        Ok(())
    }

    /// `--dry-run`: what would happen. ECS's own DryRun of ImportImage wants the object.
    pub(super) fn describe_steps(&mut self) -> Result<()> {
        let (job, findings, plan) = (&self.job, &self.report, &mut self.plan);
        plan.not_verified(&UNVERIFIABLE);
        if findings.no_bucket {
            let (bucket, region) = (&job.bucket, &job.region);
            plan.step(format!("create the bucket {bucket} in {region}"));
        }
        match findings.role {
            role::RoleStatus::Valid => {}
            role::RoleStatus::Missing => plan.step(format!("create the role {}", job.role_name)),
            role::RoleStatus::Invalid { .. } => {
                plan.step(format!("repair the role {}", job.role_name));
            }
        }
        plan.upload(import::upload::planned_upload(
            &job.common,
            LIMITS,
            job.url(),
        )?);
        let (name, region) = (&job.name, &job.region);
        let replacing = if findings.taken_in.contains(region) {
            ", in place of the one that has the name"
        } else {
            ""
        };
        plan.step(format!(
            "import it into {region} as the image \"{name}\"{replacing}"
        ));
        for copy in &job.copies {
            plan.step(format!("copy it to {} as \"{}\"", copy.region, copy.name));
        }
        if !job.accounts.is_empty() {
            let accounts: Vec<_> = job.accounts.iter().map(String::as_str).collect();
            plan.step(format!("share it with {}", join_with_and(&accounts)));
        }
        if !job.common.skip_clean {
            plan.step(format!("remove {} afterwards", job.url()));
        }
        job.common.plan_removal(plan);
        self.outcome.plan = Some(plan.to_json());
        Ok(())
    }

    /// Bucket and role, where they are missing.
    pub(super) async fn prepare(&mut self) -> Result<()> {
        if self.report.no_bucket {
            self.session.check()?;
            self.create_bucket().await?;
        }
        if self.report.role != role::RoleStatus::Valid {
            self.session.check()?;
            let prepared = role::prepare(&self.job, &self.clients, &self.journal);
            if let Some(done) = self.session.with_stop_grace(prepared).await? {
                self.session.progress.info(&done);
            }
        }
        Ok(())
    }

    /// ImportImage. The journal knows token and name before ECS does.
    pub(super) async fn start(&mut self) -> Result<Import> {
        self.session.check()?;
        let request = import_task::fingerprint(&self.job);
        let entry = self.journal.entry();
        let same = entry.request_fingerprint.as_ref() == Some(&request);
        let token = entry.client_token.filter(|_| same);
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        let name = entry.name.filter(|_| same);
        let name =
            name.unwrap_or_else(|| self.temporary_name(&self.job.region, &self.job.name, &token));
        self.journal.update(|entry| {
            (entry.request_fingerprint, entry.client_token) = (Some(request), Some(token.clone()));
            entry.name = Some(name.clone());
        });
        let unanswered = self.track_unanswered(&name, &token);
        let start = import_task::start(&self.job, &self.clients, &self.journal, (&name, &token));
        let import = match self.session.with_stop_grace(start).await {
            Ok(import) => import,
            Err(error) => {
                if was_not_executed(&error) {
                    self.cleanup.remove(unanswered);
                }
                return Err(error);
            }
        };
        self.cleanup.remove(unanswered);
        self.note_import(&import);
        self.track_import(&import);
        self.session
            .progress
            .stage(&format!("Importing as {}", import.name()));
        Ok(import)
    }

    pub(super) fn note_import(&self, import: &Import) {
        self.journal.update(|entry| {
            (entry.task, entry.image) = (import.task.clone(), Some(import.image.clone()));
        });
    }

    fn track_unanswered(&mut self, name: &str, token: &str) -> Handle {
        let clients = self.clients.clone();
        let (list, journal) = (task_status::list_command(&self.job), self.journal.clone());
        let request = import_task::journal_request(&self.job, name, token);
        let parameters = import_task::parameters(&self.job, name, token);
        self.cleanup.push_resumable(
            unconfirmed::import(&self.job.url()),
            Removal::of_listed(list, "CancelTask"),
            async move || {
                import_task::cancel_unanswered(&clients, &journal, &request, parameters).await
            },
        )
    }

    /// The name to begin with: one of our own while another image has the wanted one, or where
    /// only the name can tell whose the image is.
    pub(super) fn temporary_name(&self, region: &str, name: &str, token: &str) -> String {
        let is_taken = self
            .report
            .taken_in
            .iter()
            .any(|region_taken| region_taken == region);
        if is_taken || !image::has_room_for_tag(&self.job) {
            image::token_name(token)
        } else {
            name.to_owned()
        }
    }

    pub(super) fn track_import(&mut self, import: &Import) {
        let (clients, region) = (self.clients.clone(), self.job.region.clone());
        let (journal, tracked) = (self.journal.clone(), import.clone());
        let (label, remove) = match &import.task {
            Some(task) => (
                format!("the import task {task}"),
                task_status::cancel_command(&self.job, task),
            ),
            None => (
                format!("the image {}, which is being made", import.image),
                image::delete_command(&self.job.cli, &import.image, &region),
            ),
        };
        let entry = self.cleanup.push_resumable(label, remove, async move || {
            import_task::cancel(&clients, &journal, &region, &tracked).await
        });
        if let Some(earlier) = self.handles.import.replace(entry) {
            self.cleanup.remove(earlier);
        }
        self.outcome.task_id.clone_from(&import.task);
        self.import_started = Some(Instant::now());
    }

    /// `--no-wait`: the task reads the object, so that stays.
    pub(super) fn detach(&mut self, import: &Import) {
        let (url, name) = (self.job.url(), import.name());
        self.session.progress.note(&format!(
            "{url} is read by {name}; remove it afterwards with: {}",
            upload::delete_command(&self.job)
        ));
        self.cleanup.clear();
    }

    /// Waits until the task has made an image.
    pub(super) async fn wait(&mut self, import: &Import) -> Result<Image> {
        let remote = self.session.progress.import();
        let mut refusals = Refusals::default();
        let result =
            poll::poll_until_done(self.session, self.poll_schedule(), &remote, async || {
                import_task::poll(&self.job, &self.clients, import, &mut refusals).await
            })
            .await;
        match result {
            Ok(image) => {
                remote.finish(&format!("Imported as {}", image.image_id));
                self.untrack_import();
                self.track_image(&import.image);
                Ok(image)
            }
            Err(error) => {
                if error.kind() == Kind::Failed && self.has_ended(import).await {
                    self.untrack_import();
                    self.track_failed_image(&import.image);
                }
                Err(error)
            }
        }
    }

    pub(super) fn untrack_import(&mut self) {
        if let Some(entry) = self.handles.import.take() {
            self.cleanup.remove(entry);
        }
    }

    async fn has_ended(&self, import: &Import) -> bool {
        let alive = import_task::image_in_progress(&self.job, &self.clients, import).await;
        matches!(alive, Ok(None))
    }

    pub(super) fn track_image(&mut self, image: &str) {
        let command = image::delete_command(&self.job.cli, image, &self.job.region);
        let undo = self.delete_image(image);
        self.cleanup
            .push_resumable(format!("the image {image}"), command, undo);
    }

    /// What a failed import leaves: an image that is none, but has the name.
    fn track_failed_image(&mut self, image: &str) {
        let command = image::delete_command(&self.job.cli, image, &self.job.region);
        let undo = self.delete_image(image);
        self.cleanup
            .push_disposable(format!("the failed image {image}"), command, undo);
    }

    /// Removes the import's image. The journal forgets it afterwards, not before.
    fn delete_image(
        &self,
        image: &str,
    ) -> impl FnOnce() -> BoxFuture<'static, anyhow::Result<()>> + Send + 'static {
        let (clients, id) = (self.clients.clone(), image.to_owned());
        let (journal, region) = (self.journal.clone(), self.job.region.clone());
        move || {
            async move {
                remove::image(&clients, &journal, &region, &id).await?;
                import_task::forget_import(&journal);
                Ok(())
            }
            .boxed()
        }
    }

    /// Name, description, tags, shares.
    pub(super) async fn set_attributes(&mut self, image: &Image) -> Result<()> {
        let (job, clients, region) = (&self.job, &self.clients, &self.job.region);
        if image.image_name != job.name {
            let (id, name) = (&image.image_id, &job.name);
            let progress = &self.session.progress;
            progress.stage(&format!("Naming {id} \"{name}\""));
        }
        let replace = job.replace;
        attributes::rename(clients, &self.journal, region, image, &job.name, replace).await?;
        attributes::set_description(job, clients, image).await?;
        attributes::tag(job, clients, region, image).await?;
        attributes::share(job, clients, region, &image.image_id).await?;
        if !job.accounts.is_empty() {
            let accounts: Vec<_> = job.accounts.iter().map(String::as_str).collect();
            let text = format!(
                "Shared {} with {}",
                image.image_id,
                join_with_and(&accounts)
            );
            self.session.progress.info(&text);
        }
        self.outcome.images = vec![(region.clone(), image.image_id.clone())];
        self.outcome.snapshot_ids = Some(image.snapshots());
        self.outcome.image_id = Some(image.image_id.clone());
        self.outcome.seconds.import = self.import_started.map(|started| started.elapsed());
        Ok(())
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
