//! The steps of the recipe: each does one thing, notes it in the journal before the next
//! is taken, and puts what it makes on the undo list.

use std::time::Instant;

use super::api::Image;
use super::options::ObjectAccess;
use super::{Run, image, preflight};
use crate::error::{Kind, Result};
use crate::sending;
use crate::store::s3::SPACES_LIMITS;
use crate::wait::{self, Pace};

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
        let (space, word) = (
            &job.space,
            if job.regions.len() > 1 {
                "regions"
            } else {
                "region"
            },
        );
        let regions = job.regions.join(", ");
        progress.stage(&format!(
            "Checking the account, Space {} in {} and {word} {regions}",
            space.name, space.region
        ));
        let store = self.store();
        let checks = preflight::check(job, &self.api, &self.spaces, &store, progress);
        let caller = self.session.unless_stopped(checks).await?;
        if self.job.common.dry_run {
            match caller {
                Ok(caller) => self.plan.caller(caller),
                Err(why) => {
                    let open = format!("who the caller is: {why}");
                    self.plan.not_verified(&[&open]);
                }
            }
        }
        Ok(())
    }

    /// `--dry-run`: what would happen. No quota of DigitalOcean's can be asked for.
    pub(super) fn outline(&mut self) -> Result<()> {
        let (job, plan) = (&self.job, &mut self.plan);
        plan.not_verified(&[
            "the token's image:create",
            "write access to the Space",
            "quotas",
        ]);
        plan.upload(sending::outline(&job.common, SPACES_LIMITS, job.url())?);
        let (name, region) = (&job.name, job.region());
        plan.step(format!("import it into {region} as the image \"{name}\""));
        if let [_, others @ ..] = job.regions.as_slice()
            && !others.is_empty()
        {
            plan.step(format!("transfer it to {}", others.join(", ")));
        }
        if !job.common.skip_clean {
            plan.step(format!("remove {} afterwards", job.url()));
        }
        self.outcome.plan = Some(plan.to_json());
        Ok(())
    }

    /// The image of an earlier run, if it is on its way or done: attached to, never started twice.
    pub(super) async fn earlier_image(&mut self) -> Result<Option<u64>> {
        let entry = self.journal.entry();
        let same = entry.request.as_ref() == Some(&image::request(&self.job))
            && sending::is_same_source(&self.journal, &self.job.common.image);
        if !same {
            return Ok(None);
        }
        let (api, session) = (self.api.clone(), self.session);
        let id = match (entry.task, entry.client_token) {
            (Some(task), _) => task.parse().ok(),
            (None, Some(before)) => {
                let before = ids(&before);
                session
                    .unless_stopped(image::newcomer(&self.job, &api, &before))
                    .await?
            }
            (None, None) => None,
        };
        let Some(id) = id else { return Ok(None) };
        if session
            .unless_stopped(image::find(&api, id))
            .await?
            .is_some()
        {
            session
                .progress
                .fact(&format!("An earlier run has started {id}"));
            if entry.sent {
                self.hold_object();
            }
            self.hold_import(id);
            return Ok(Some(id));
        }
        self.journal
            .note(|entry| (entry.task, entry.client_token) = (None, None));
        Ok(None)
    }

    /// `POST /v2/images`. The journal knows the image's namesakes before DigitalOcean is asked.
    pub(super) async fn start(&mut self) -> Result<u64> {
        self.session.check()?;
        let (job, api) = (&self.job, &self.api);
        let list = async { Ok(image::namesakes(job, api).await) };
        let before = match self.session.unless_stopped(list).await? {
            Ok(before) => Some(before),
            Err(fault) if fault.is_unauthorized() => {
                return Err(fault.fails("the account's images could not be listed", "image:read"));
            }
            // Then an image whose id is not heard can't be told from others of its name.
            Err(fault) => {
                let progress = &self.session.progress;
                progress.note(&format!(
                    "the account's images could not be listed: {fault}"
                ));
                None
            }
        };
        let known = before.as_ref().map(|before| {
            let ids: Vec<_> = before.iter().map(u64::to_string).collect();
            ids.join(" ")
        });
        let (request, url) = (image::request(job), self.source_url().await?);
        self.journal
            .note(|entry| (entry.request, entry.client_token) = (Some(request), known));
        let started = self
            .session
            .finish_soon(image::start(job, api, &url, before.as_deref()))
            .await;
        if started
            .as_ref()
            .is_err_and(|error| error.kind() == Kind::Failed)
        {
            self.journal.note(|entry| entry.client_token = None);
        }
        let id = started?;
        self.journal.note(|entry| entry.task = Some(id.to_string()));
        self.hold_import(id);
        self.session.progress.stage(&format!("Importing as {id}"));
        Ok(id)
    }

    fn hold_import(&mut self, id: u64) {
        let api = self.api.clone();
        let entry = self.cleanup.reusable(
            format!("the import {id}, which goes on"),
            format!("doctl compute image delete {id} --force"),
            async move || Ok(api.delete_image(id).await?),
        );
        self.held.import = Some(entry);
        self.outcome.task_id = Some(id.to_string());
        self.began = Some(Instant::now());
    }

    /// `--no-wait`: the import reads the object, so that stays.
    pub(super) fn leave_running(&mut self, id: u64) {
        let (url, remove) = (self.job.url(), self.removal());
        let public = match self.job.access {
            ObjectAccess::PublicRead => " and public",
            ObjectAccess::Presigned => "",
        };
        self.session.progress.note(&format!(
            "{url} is read by {id}{public}; the same command waits for the image and removes it, or remove it afterwards with: {remove}"
        ));
        self.cleanup.release();
    }

    /// Waits until the import has made an image.
    pub(super) async fn wait(&mut self, id: u64) -> Result<Image> {
        let remote = self.session.progress.import();
        let pace = self.pace();
        let (job, api) = (&self.job, &self.api);
        let result = wait::until(self.session, pace, &remote, async || {
            image::poll(job, api, id).await
        });
        let image = match result.await {
            Ok(image) => image,
            Err(error) => {
                if error.kind() == Kind::Failed
                    && matches!(image::find(&self.api, id).await, Ok(None))
                {
                    self.let_go_of_import();
                    self.forget_import();
                }
                return Err(error);
            }
        };
        remote.finish(&format!("Imported as {id}"));
        self.let_go_of_import();
        self.outcome.image_id = Some(id.to_string());
        self.outcome.images = vec![(self.job.region().to_owned(), id.to_string())];
        self.hold_image(id);
        Ok(image)
    }

    fn let_go_of_import(&mut self) {
        if let Some(entry) = self.held.import.take() {
            self.cleanup.disarm(entry);
        }
    }

    /// Nothing of the import is left to attach to.
    pub(super) fn forget_import(&self) {
        self.journal
            .note(|entry| (entry.task, entry.client_token, entry.sent) = (None, None, false));
    }

    /// The image, with the regions that have it by now.
    pub(super) fn hold_image(&mut self, id: u64) {
        let regions: Vec<_> = self
            .outcome
            .images
            .iter()
            .map(|(region, _)| region.as_str())
            .collect();
        let api = self.api.clone();
        let entry = self.cleanup.reusable(
            format!("the image {id} in {}", regions.join(", ")),
            format!("doctl compute image delete {id} --force"),
            async move || Ok(api.delete_image(id).await?),
        );
        if let Some(before) = self.held.image.replace(entry) {
            self.cleanup.disarm(before);
        }
    }

    /// The image is the user's.
    pub(super) fn finish(&mut self, image: Image) {
        self.outcome.name = image.name.or_else(|| Some(self.job.name.clone()));
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

/// The ids as the journal has them.
fn ids(text: &str) -> Vec<u64> {
    text.split(' ').filter_map(|id| id.parse().ok()).collect()
}
