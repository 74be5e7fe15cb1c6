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
use crate::wait::{self, Pace};

impl Run<'_> {
    /// What can be known before a byte leaves.
    pub(super) async fn check(&mut self) -> Result<()> {
        let (job, progress) = (&self.job, &self.session.progress);
        progress.stage(&format!(
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

    /// Whether the journal is about the import that is asked for now.
    fn is_same_import(&self) -> bool {
        self.journal.entry().request.as_ref() == Some(&import::request(&self.job))
            && sending::is_same_source(&self.journal, &self.job.common.image)
    }

    /// `--dry-run`: what would happen.
    pub(super) fn plan(&self) {
        let (job, progress) = (&self.job, &self.session.progress);
        if self.findings.no_bucket {
            progress.stage(&format!(
                "Would create the bucket {} in {}",
                job.bucket, job.region
            ));
        }
        match self.findings.role {
            role::State::Good => {}
            role::State::Missing => {
                progress.stage(&format!("Would create the role {}", job.role_name));
            }
            role::State::Wrong { .. } => {
                progress.stage(&format!("Would repair the role {}", job.role_name));
            }
        }
        let size = job
            .common
            .image
            .size
            .map_or_else(|| "standard input".to_owned(), crate::units::bytes);
        progress.stage(&format!("Would send {size} to {}", job.url()));
        let (name, region) = (&job.name, &job.region);
        let replacing = if self.findings.taken.contains(region) {
            ", in place of the one that has the name"
        } else {
            ""
        };
        progress.stage(&format!(
            "Would import it into {region} as the image \"{name}\"{replacing}"
        ));
        for copy in &job.copies {
            progress.stage(&format!(
                "Would copy it to {} as \"{}\"",
                copy.region, copy.name
            ));
        }
    }

    /// The image of an earlier run, if that came so far.
    pub(super) async fn earlier_image(&mut self) -> Result<Option<Image>> {
        let entry = self.journal.entry();
        if !self.is_same_import() {
            self.forget_import();
            return Ok(None);
        }
        let Some(id) = entry.image else {
            return Ok(None);
        };
        let found = async {
            let found = image::find(&self.clients, &self.job.region, &id).await;
            found.map_err(|fault| {
                let what = format!("the state of {id} could not be asked");
                fault.fails(what, "ecs:DescribeImages")
            })
        };
        let found = self.session.unless_stopped(found).await?;
        let done = found.filter(|image| image.status == "Available");
        if done.is_some() {
            let progress = &self.session.progress;
            progress.stage(&format!("An earlier run has imported {id}"));
            self.outcome.task_id = entry.task;
            self.hold_image(&id);
        }
        Ok(done)
    }

    /// The task of an earlier run, if it is alive: attached to, never started twice.
    pub(super) async fn earlier_task(&mut self) -> Result<Option<Started>> {
        let entry = self.journal.entry();
        let (Some(task_id), Some(image_id)) = (entry.task, entry.image) else {
            return Ok(None);
        };
        let alive = import::alive(&self.job, &self.clients, &task_id, &image_id);
        if self.session.unless_stopped(alive).await?.is_some() {
            self.session
                .progress
                .stage(&format!("An earlier run has started {task_id}"));
            let task = Started { task_id, image_id };
            self.hold_object();
            self.hold_task(&task);
            return Ok(Some(task));
        }
        self.forget_import();
        Ok(None)
    }

    /// The next import is another one, with another token.
    fn forget_import(&self) {
        self.journal
            .note(|entry| (entry.task, entry.image, entry.client_token) = (None, None, None));
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
                self.session.progress.stage(&done);
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
        let task = self
            .session
            .finish_soon(import::start(&self.job, &self.clients, &name, &token))
            .await?;
        self.journal.note(|entry| {
            (entry.task, entry.image) = (Some(task.task_id.clone()), Some(task.image_id.clone()));
        });
        self.hold_task(&task);
        self.session
            .progress
            .stage(&format!("Importing as {}", task.task_id));
        Ok(task)
    }

    /// The name to begin with: while another image has the wanted one, one of our own.
    pub(super) fn name_in(&self, region: &str, name: &str, token: &str) -> String {
        if self.findings.taken.iter().any(|taken| taken == region) {
            format!("imgimport-{token}")
        } else {
            name.to_owned()
        }
    }

    fn hold_task(&mut self, task: &Started) {
        let (clients, region) = (self.clients.clone(), self.job.region.clone());
        let (id, image) = (task.task_id.clone(), task.image_id.clone());
        let entry = self.cleanup.reusable(
            format!("the import task {id}, which goes on"),
            format!("aliyun ecs CancelTask --TaskId {id} --RegionId {region}"),
            async move || import::cancel(&clients, &region, &id, &image).await,
        );
        self.held.task = Some(entry);
        self.outcome.task_id = Some(task.task_id.clone());
        self.began = Some(Instant::now());
    }

    /// `--no-wait`: the task reads the object, so that stays.
    pub(super) fn leave_running(&mut self, task: &Started) {
        let (url, region) = (self.job.url(), &self.job.region);
        self.session.progress.note(&format!(
            "{url} is read by {}; remove it afterwards with: aliyun oss rm '{url}' --region {region}",
            task.task_id
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

    fn let_go_of_task(&mut self) {
        if let Some(entry) = self.held.task.take() {
            self.cleanup.disarm(entry);
        }
    }

    async fn task_is_gone(&self, task: &Started) -> bool {
        let alive = import::alive(&self.job, &self.clients, &task.task_id, &task.image_id).await;
        matches!(alive, Ok(None))
    }

    fn hold_image(&mut self, image: &str) -> Entry {
        let (clients, id, region) = (
            self.clients.clone(),
            image.to_owned(),
            self.job.region.clone(),
        );
        self.cleanup.reusable(
            format!("the image {image}"),
            format!("aliyun ecs DeleteImage --ImageId {image} --RegionId {region}"),
            async move || image::delete_all(&clients, &region, &id).await,
        )
    }

    /// What a failed import leaves: an image that is none, but has the name.
    fn hold_ruin(&mut self, image: &str) {
        let (clients, id, region) = (
            self.clients.clone(),
            image.to_owned(),
            self.job.region.clone(),
        );
        self.cleanup.useless(
            format!("the failed image {image}"),
            format!("aliyun ecs DeleteImage --ImageId {image} --RegionId {region}"),
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
