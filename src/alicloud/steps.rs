//! The steps of the recipe: each does one thing, notes it in the journal before the next
//! is taken, and puts what it makes on the undo list.

use std::time::Instant;

use uuid::Uuid;

use super::image::Image;
use super::import::Started;
use super::{Run, image, import, preflight, role};
use crate::cleanup::Entry;
use crate::error::{Kind, Result};
use crate::journal;
use crate::sending;
use crate::shell::quote;
use crate::store::oss::LIMITS;
use crate::wait::{self, Pace};

/// What can't be asked without doing it: ImportImage's DryRun looks for the object.
const UNASKED: [&str; 5] = [
    "oss:PutObject",
    "oss:DeleteObject",
    "ecs:ImportImage",
    "ram:PassRole",
    "quotas",
];

impl Run<'_> {
    /// What can be known before a byte leaves.
    pub(super) async fn check(&mut self) -> Result<()> {
        let (job, progress) = (&self.job, &self.session.progress);
        progress.fact(&format!(
            "{}: {}",
            job.common.path(),
            job.common.image.describe()
        ));
        if let Some(warning) = &job.warning {
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
        plan.upload(sending::outline(&job.common, LIMITS, job.url())?);
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
        if !job.common.skip_clean {
            plan.step(format!("remove {} afterwards", job.url()));
        }
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
            let made = role::prepare(&self.job, &self.clients);
            if let Some(done) = self.session.finish_soon(made).await? {
                self.session.progress.fact(&done);
            }
        }
        Ok(())
    }

    /// ImportImage. The journal knows the token before ECS does.
    pub(super) async fn start(&mut self) -> Result<Started> {
        self.session.check()?;
        let request = import::request(&self.job);
        let entry = self.journal.entry();
        let same = entry.request.as_ref() == Some(&request);
        let token = entry
            .client_token
            .filter(|_| same)
            .unwrap_or_else(|| Uuid::new_v4().to_string());
        self.journal.note(|entry| {
            (entry.request, entry.client_token) = (Some(request), Some(token.clone()));
        });
        let name = self.name_in(&self.job.region, &self.job.name, &token);
        let unheard = self.hold_unheard(&name, &token);
        let start = import::start(&self.job, &self.clients, &name, &token);
        let task = match self.session.finish_soon(start).await {
            Ok(task) => task,
            Err(error) => {
                // Refused is not started; unheard may be.
                if error.kind() == Kind::Failed {
                    self.cleanup.disarm(unheard);
                }
                return Err(error);
            }
        };
        self.cleanup.disarm(unheard);
        self.journal.note(|entry| {
            (entry.task, entry.image) = (Some(task.task_id.clone()), Some(task.image_id.clone()));
        });
        self.hold_task(&task);
        self.session
            .progress
            .stage(&format!("Importing as {}", task.task_id));
        Ok(task)
    }

    fn hold_unheard(&mut self, name: &str, token: &str) -> Entry {
        let (clients, region) = (self.clients.clone(), self.job.region.clone());
        let cli = &self.job.cli;
        let again = import::parameters(&self.job, name, token);
        self.cleanup.reusable(
            "an import task that may have started unheard",
            format!("{cli} ecs DescribeTasks --TaskAction ImportImage --RegionId {region}, and CancelTask"),
            async move || import::cancel_unheard(&clients, &region, again).await,
        )
    }

    /// The name to begin with: while another image has the wanted one, one of our own.
    pub(super) fn name_in(&self, region: &str, name: &str, token: &str) -> String {
        if self.findings.taken.iter().any(|taken| taken == region) {
            format!("imgimport-{token}")
        } else {
            name.to_owned()
        }
    }

    pub(super) fn hold_task(&mut self, task: &Started) {
        let (clients, region) = (self.clients.clone(), self.job.region.clone());
        let (id, image) = (task.task_id.clone(), task.image_id.clone());
        let entry = self.cleanup.reusable(
            format!("the import task {id}"),
            format!(
                "{} ecs CancelTask --TaskId {id} --RegionId {region}",
                self.job.cli
            ),
            async move || import::cancel(&clients, &region, &id, &image).await,
        );
        if let Some(earlier) = self.held.task.replace(entry) {
            self.cleanup.disarm(earlier);
        }
        self.outcome.task_id = Some(task.task_id.clone());
        self.began = Some(Instant::now());
    }

    /// `--no-wait`: the task reads the object, so that stays.
    pub(super) fn leave_running(&mut self, task: &Started) {
        let (cli, url, region) = (&self.job.cli, self.job.url(), &self.job.region);
        let (task, quoted) = (&task.task_id, quote(&url));
        self.session.progress.note(&format!(
            "{url} is read by {task}; remove it afterwards with: {cli} oss rm {quoted} --region {region}"
        ));
        self.cleanup.release();
    }

    /// Waits until the task has made an image.
    pub(super) async fn wait(&mut self, task: &Started) -> Result<Image> {
        let remote = self.session.progress.import();
        let result = wait::until(self.session, self.pace(), &remote, async || {
            import::poll(&self.job, &self.clients, &task.task_id, &task.image_id).await
        })
        .await;
        match result {
            Ok(image) => {
                remote.finish(&format!("Imported as {}", image.image_id));
                self.let_go_of_task();
                self.hold_image(&task.image_id);
                Ok(image)
            }
            Err(error) => {
                if error.kind() == Kind::Failed && self.task_is_gone(task).await {
                    self.let_go_of_task();
                    self.forget_import();
                    self.hold_ruin(&task.image_id);
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

    async fn task_is_gone(&self, task: &Started) -> bool {
        let alive = import::alive(&self.job, &self.clients, &task.task_id, &task.image_id).await;
        matches!(alive, Ok(None))
    }

    pub(super) fn hold_image(&mut self, image: &str) -> Entry {
        let (clients, id, region) = (
            self.clients.clone(),
            image.to_owned(),
            self.job.region.clone(),
        );
        self.cleanup.reusable(
            format!("the image {image}"),
            format!(
                "{} ecs DeleteImage --ImageId {image} --RegionId {region}",
                self.job.cli
            ),
            async move || image::delete_all(&clients, &region, &id).await,
        )
    }

    /// What a failed import leaves: an image that is none, but has the name.
    pub(super) fn hold_ruin(&mut self, image: &str) {
        let (clients, id, region) = (
            self.clients.clone(),
            image.to_owned(),
            self.job.region.clone(),
        );
        self.cleanup.useless(
            format!("the failed image {image}"),
            format!(
                "{} ecs DeleteImage --ImageId {image} --RegionId {region}",
                self.job.cli
            ),
            async move || Ok(image::delete(&clients, &region, &id).await?),
        );
    }

    /// Name, description, tags, shares.
    pub(super) async fn describe(&mut self, image: &Image) -> Result<()> {
        let (job, clients, region) = (&self.job, &self.clients, &self.job.region);
        if image.image_name != job.name {
            let (id, name) = (&image.image_id, &job.name);
            let progress = &self.session.progress;
            progress.stage(&format!("Naming {id} \"{name}\""));
        }
        image::rename(clients, region, image, &job.name, job.replace).await?;
        image::describe_as_asked(job, clients, image).await?;
        image::tag(job, clients, region, image).await?;
        image::share(job, clients, region, &image.image_id).await?;
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
