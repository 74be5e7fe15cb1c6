//! The steps of the recipe: each does one thing, notes it in the journal before the next
//! is taken, and puts what it makes on the undo list.

use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::error::Fault;
use super::image::{Image, Refusals};
use super::import_task::Import;
use super::{Run, attributes, image, import_task, preflight, remove, role, task_status, upload};
use crate::error::{Error, Kind, Result};
use crate::import;
use crate::import::journal;
use crate::import::poll;
use crate::import::poll::Pace;
use crate::import::undo::{Entry, unconfirmed};
use crate::shell::Removal;
use crate::store::oss::LIMITS;
use crate::units::listed;

/// What can't be asked without doing it: ImportImage's DryRun looks for the object.
const UNASKED: [&str; 5] = [
    "oss:PutObject",
    "oss:DeleteObject",
    "ecs:ImportImage",
    "ram:PassRole",
    "quotas",
];

/// Whether ECS is known not to have started what it was asked for.
fn is_refusal(error: &Error) -> bool {
    error.kind() == Kind::Failed && error.cause::<Fault>().is_none_or(Fault::is_refusal)
}

impl Run<'_> {
    /// What can be known before a byte leaves.
    pub(super) async fn check(&mut self) -> Result<()> {
        let (job, progress) = (&self.job, &self.session.progress);
        progress.fact(&format!(
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
        let entry = if self.is_same_import() {
            self.journal.entry()
        } else {
            journal::Entry::default()
        };
        self.findings = self
            .session
            .unless_stopped(preflight::check(job, &self.clients, &entry))
            .await?;
        Ok(())
    }

    /// `--dry-run`: who asks. STS tells everybody; one who does not is no reason to stop.
    pub(super) async fn introduce(&mut self) -> Result<()> {
        let caller = async { Ok(self.clients.caller().await) };
        match self.session.unless_stopped(caller).await? {
            Ok(caller) => self.plan.caller(caller),
            Err(fault) => {
                let open = format!("who the caller is: {fault}");
                self.plan.not_verified(&[&open]);
            }
        }
        Ok(())
    }

    /// `--dry-run`: what would happen. ECS's own DryRun of ImportImage wants the object.
    pub(super) fn outline(&mut self) -> Result<()> {
        let (job, findings, plan) = (&self.job, &self.findings, &mut self.plan);
        plan.not_verified(&UNASKED);
        if findings.no_bucket {
            let (bucket, region) = (&job.bucket, &job.region);
            plan.step(format!("create the bucket {bucket} in {region}"));
        }
        match findings.role {
            role::State::Good => {}
            role::State::Missing => plan.step(format!("create the role {}", job.role_name)),
            role::State::Wrong { .. } => plan.step(format!("repair the role {}", job.role_name)),
        }
        plan.upload(import::upload::outline(&job.common, LIMITS, job.url())?);
        let (name, region) = (&job.name, &job.region);
        let replacing = if findings.taken.contains(region) {
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
            plan.step(format!("share it with {}", listed(&accounts)));
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
        if self.findings.no_bucket {
            self.session.check()?;
            self.make_bucket().await?;
        }
        if self.findings.role != role::State::Good {
            self.session.check()?;
            let made = role::prepare(&self.job, &self.clients, &self.journal);
            if let Some(done) = self.session.finish_soon(made).await? {
                self.session.progress.fact(&done);
            }
        }
        Ok(())
    }

    /// ImportImage. The journal knows token and name before ECS does.
    pub(super) async fn start(&mut self) -> Result<Import> {
        self.session.check()?;
        let request = import_task::request(&self.job);
        let entry = self.journal.entry();
        let same = entry.request.as_ref() == Some(&request);
        let token = entry.client_token.filter(|_| same);
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        let name = entry.name.filter(|_| same);
        let name = name.unwrap_or_else(|| self.name_in(&self.job.region, &self.job.name, &token));
        self.journal.note(|entry| {
            (entry.request, entry.client_token) = (Some(request), Some(token.clone()));
            entry.name = Some(name.clone());
        });
        let unanswered = self.hold_unanswered(&name, &token);
        let start = import_task::start(&self.job, &self.clients, &self.journal, (&name, &token));
        let import = match self.session.finish_soon(start).await {
            Ok(import) => import,
            Err(error) => {
                if is_refusal(&error) {
                    self.cleanup.disarm(unanswered);
                }
                return Err(error);
            }
        };
        self.cleanup.disarm(unanswered);
        self.note_import(&import);
        self.hold_import(&import);
        self.session
            .progress
            .stage(&format!("Importing as {}", import.name()));
        Ok(import)
    }

    pub(super) fn note_import(&self, import: &Import) {
        self.journal.note(|entry| {
            (entry.task, entry.image) = (import.task.clone(), Some(import.image.clone()));
        });
    }

    fn hold_unanswered(&mut self, name: &str, token: &str) -> Entry {
        let clients = self.clients.clone();
        let (list, journal) = (task_status::list(&self.job), self.journal.clone());
        let request = import_task::request_of(&self.job, name, token);
        let again = import_task::parameters(&self.job, name, token);
        self.cleanup.reusable(
            unconfirmed::import(&self.job.url()),
            Removal::of_listed(list, "CancelTask"),
            async move || import_task::cancel_unanswered(&clients, &journal, &request, again).await,
        )
    }

    /// The name to begin with: one of our own while another image has the wanted one, or where
    /// only the name can tell whose the image is.
    pub(super) fn name_in(&self, region: &str, name: &str, token: &str) -> String {
        let is_taken = self.findings.taken.iter().any(|taken| taken == region);
        if is_taken || !image::has_room(&self.job) {
            image::own_name(token)
        } else {
            name.to_owned()
        }
    }

    pub(super) fn hold_import(&mut self, import: &Import) {
        let (clients, region) = (self.clients.clone(), self.job.region.clone());
        let (journal, held) = (self.journal.clone(), import.clone());
        let (what, remove) = match &import.task {
            Some(task) => (
                format!("the import task {task}"),
                task_status::cancellation(&self.job, task),
            ),
            None => (
                format!("the image {}, which is being made", import.image),
                image::removal(&self.job.cli, &import.image, &region),
            ),
        };
        let entry = self.cleanup.reusable(what, remove, async move || {
            import_task::cancel(&clients, &journal, &region, &held).await
        });
        if let Some(earlier) = self.held.import.replace(entry) {
            self.cleanup.disarm(earlier);
        }
        self.outcome.task_id.clone_from(&import.task);
        self.began = Some(Instant::now());
    }

    /// `--no-wait`: the task reads the object, so that stays.
    pub(super) fn leave_running(&mut self, import: &Import) {
        let (url, name) = (self.job.url(), import.name());
        self.session.progress.note(&format!(
            "{url} is read by {name}; remove it afterwards with: {}",
            upload::removal(&self.job)
        ));
        self.cleanup.release();
    }

    /// Waits until the task has made an image.
    pub(super) async fn wait(&mut self, import: &Import) -> Result<Image> {
        let remote = self.session.progress.import();
        let mut refusals = Refusals::default();
        let result = poll::until(self.session, self.pace(), &remote, async || {
            import_task::poll(&self.job, &self.clients, import, &mut refusals).await
        })
        .await;
        match result {
            Ok(image) => {
                remote.finish(&format!("Imported as {}", image.image_id));
                self.let_go_of_import();
                self.hold_image(&import.image);
                Ok(image)
            }
            Err(error) => {
                if error.kind() == Kind::Failed && self.has_ended(import).await {
                    self.let_go_of_import();
                    self.hold_failed(&import.image);
                }
                Err(error)
            }
        }
    }

    pub(super) fn let_go_of_import(&mut self) {
        if let Some(entry) = self.held.import.take() {
            self.cleanup.disarm(entry);
        }
    }

    async fn has_ended(&self, import: &Import) -> bool {
        let alive = import_task::alive(&self.job, &self.clients, import).await;
        matches!(alive, Ok(None))
    }

    pub(super) fn hold_image(&mut self, image: &str) {
        let command = image::removal(&self.job.cli, image, &self.job.region);
        let undo = self.removal(image);
        self.cleanup
            .reusable(format!("the image {image}"), command, undo);
    }

    /// What a failed import leaves: an image that is none, but has the name.
    fn hold_failed(&mut self, image: &str) {
        let command = image::removal(&self.job.cli, image, &self.job.region);
        let undo = self.removal(image);
        self.cleanup
            .useless(format!("the failed image {image}"), command, undo);
    }

    /// Removes the import's image. The journal forgets it afterwards, not before.
    fn removal(
        &self,
        image: &str,
    ) -> impl FnOnce() -> BoxFuture<'static, anyhow::Result<()>> + Send + 'static {
        let (clients, id) = (self.clients.clone(), image.to_owned());
        let (journal, region) = (self.journal.clone(), self.job.region.clone());
        move || {
            async move {
                remove::image(&clients, &journal, &region, &id).await?;
                import_task::forget(&journal);
                Ok(())
            }
            .boxed()
        }
    }

    /// Name, description, tags, shares.
    pub(super) async fn describe(&mut self, image: &Image) -> Result<()> {
        let (job, clients, region) = (&self.job, &self.clients, &self.job.region);
        if image.image_name != job.name {
            let (id, name) = (&image.image_id, &job.name);
            let progress = &self.session.progress;
            progress.stage(&format!("Naming {id} \"{name}\""));
        }
        let replace = job.replace;
        attributes::rename(clients, &self.journal, region, image, &job.name, replace).await?;
        attributes::describe(job, clients, image).await?;
        attributes::tag(job, clients, region, image).await?;
        attributes::share(job, clients, region, &image.image_id).await?;
        if !job.accounts.is_empty() {
            let accounts: Vec<_> = job.accounts.iter().map(String::as_str).collect();
            let text = format!("Shared {} with {}", image.image_id, listed(&accounts));
            self.session.progress.fact(&text);
        }
        self.outcome.images = vec![(region.clone(), image.image_id.clone())];
        self.outcome.snapshot_ids = Some(image.snapshots());
        self.outcome.image_id = Some(image.image_id.clone());
        self.outcome.seconds.import = self.began.map(|began| began.elapsed());
        Ok(())
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
