//! Copies in other regions: one after the other, for ECS runs only one copy task at a
//! time in a region. Each is noted before it is waited for.

use uuid::Uuid;

use super::Run;
use super::image::{self, Image};
use super::job::Copied;
use crate::cleanup::Entry;
use crate::error::{Kind, Result};
use crate::wait;

impl Run<'_> {
    /// The image in every region that was asked for.
    pub(super) async fn copy(&mut self, image: &Image) -> Result<()> {
        for copy in self.job.copies.clone() {
            let made = self.copy_to(&image.image_id, &copy).await?;
            let (job, clients, region) = (&self.job, &self.clients, &copy.region);
            image::rename(clients, region, &made, &copy.name, job.replace).await?;
            image::tag(job, clients, region, &made).await?;
            image::share(job, clients, region, &made.image_id).await?;
            self.outcome
                .images
                .push((copy.region, made.image_id.clone()));
        }
        Ok(())
    }

    /// One copy, until it is available.
    async fn copy_to(&mut self, image: &str, copy: &Copied) -> Result<Image> {
        let id = match self.earlier_copy(&copy.region).await? {
            Some(id) => id,
            None => self.start_copy(image, copy).await?,
        };
        let (region, progress) = (&copy.region, &self.session.progress);
        progress.stage(&format!("Copying it to {region} as {id}"));
        let entry = self.hold_copy(&copy.region, &id);
        let remote = self.session.progress.import();
        let made = wait::until(self.session, self.pace(), &remote, async || {
            image::poll(&self.clients, &copy.region, &id).await
        })
        .await;
        drop(remote);
        if made
            .as_ref()
            .is_err_and(|error| error.kind() == Kind::Failed)
        {
            self.cleanup.spoil(entry);
            self.forget_copy(&copy.region);
        }
        made
    }

    /// The copy that an earlier run has started, if it is still there.
    async fn earlier_copy(&self, region: &str) -> Result<Option<String>> {
        let Some(id) = self.journal.entry().copies.get(region).cloned() else {
            return Ok(None);
        };
        let found = async {
            let found = image::find(&self.clients, region, &id).await;
            found.map_err(|fault| {
                let what = format!("the state of {id} could not be asked");
                fault.fails(what, "ecs:DescribeImages")
            })
        };
        if self.session.unless_stopped(found).await?.is_some() {
            return Ok(Some(id));
        }
        self.forget_copy(region);
        Ok(None)
    }

    fn forget_copy(&self, region: &str) {
        self.journal.note(|entry| {
            entry.copies.remove(region);
            entry.copy_token = None;
        });
    }

    async fn start_copy(&self, image: &str, copy: &Copied) -> Result<String> {
        self.session.check()?;
        let known = self.journal.entry().copy_token;
        let token = known.unwrap_or_else(|| Uuid::new_v4().to_string());
        self.journal
            .note(|entry| entry.copy_token = Some(token.clone()));
        let region = &copy.region;
        let name = self.name_in(region, &copy.name, &token);
        // ClientToken, "up to 64 ASCII characters", is one for each copy.
        let token: String = format!("{token}-{region}").chars().take(64).collect();
        let named = (name.as_str(), token.as_str());
        let started = image::copy(&self.job, &self.clients, image, copy, named);
        let id = self.session.finish_soon(started).await?;
        self.journal
            .note(|entry| drop(entry.copies.insert(region.clone(), id.clone())));
        Ok(id)
    }

    fn hold_copy(&mut self, region: &str, id: &str) -> Entry {
        let (clients, own) = (self.clients.clone(), (region.to_owned(), id.to_owned()));
        self.cleanup.reusable(
            format!("the copy {id} in {region}"),
            format!(
                "{} ecs DeleteImage --ImageId {id} --RegionId {region}",
                self.job.cli
            ),
            async move || image::cancel_copy(&clients, &own.0, &own.1).await,
        )
    }
}
