//! The steps of the recipe: each performs one operation, records it in the journal before the
//! next one, and puts what it creates on the undo list.

use std::time::Instant;

use super::client::Image;
use super::options::ObjectAccess;
use super::{DigitalOceanImport, preflight};
use crate::error::Result;
use crate::import;
use crate::import::poll::PollSchedule;
use crate::store::s3::SPACES_LIMITS;

impl DigitalOceanImport<'_> {
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
        let (space, access) = (
            &job.space,
            if job.regions.len() > 1 {
                "regions"
            } else {
                "region"
            },
        );
        let regions = job.regions.join(", ");
        progress.stage(&format!(
            "Checking the account, Space {} in {} and {access} {regions}",
            space.name, space.region
        ));
        let store = self.store();
        let checks = preflight::check(job, &self.api, &self.spaces, &store, progress);
        let caller = self.session.cancellable(checks).await?;
        if self.job.common.dry_run {
            match caller {
                Ok(caller) => self.plan.caller(caller),
                Err(reason) => {
                    let open = format!("who the caller is: {reason}");
                    self.plan.not_verified(&[&open]);
                }
            }
        }
        Ok(())
    }

    /// `--dry-run`: what would happen. No quota of DigitalOcean's can be asked for.
    pub(super) fn describe_steps(&mut self) -> Result<()> {
        let (job, plan) = (&self.job, &mut self.plan);
        plan.not_verified(&[
            "the token's image:create",
            "write access to the Space",
            "quotas",
        ]);
        plan.upload(import::upload::planned_upload(
            &job.common,
            SPACES_LIMITS,
            job.url(),
        )?);
        if job.access == ObjectAccess::PublicRead {
            plan.step(format!(
                "make {} public: everybody who knows its address can read it until the import has ended",
                job.url()
            ));
        }
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
        job.common.plan_removal(plan);
        self.outcome.plan = Some(plan.to_json());
        Ok(())
    }

    /// The image is the user's.
    pub(super) fn finish(&mut self, image: Image) {
        self.outcome.name = image.name.or_else(|| Some(self.job.name.clone()));
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
