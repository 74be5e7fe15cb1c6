//! The image in further regions: one transfer after another, since DigitalOcean works on
//! an image only once at a time. A region that fails is named; the others go on.

use super::Run;
use super::api::{Action, Api, Image};
use crate::error::{Error, Kind, Result};
use crate::wait::{self, Poll, Trouble};

const UPDATE: &str = "image:update";

/// The transfers that failed, and why.
type Failed = [(String, Error)];

impl Run<'_> {
    /// Transfers the image to every region that has none of it.
    pub(super) async fn transfer(&mut self, image: &Image) -> Result<()> {
        let mut failed = Vec::new();
        for region in self.job.regions.iter().skip(1).cloned().collect::<Vec<_>>() {
            if !image.regions.contains(&region)
                && let Err(error) = self.transfer_to(image.id, &region).await
            {
                if error.kind() != Kind::Failed {
                    return Err(error);
                }
                let progress = &self.session.progress;
                progress.warn(&format!(
                    "{} did not come to {region}: {}",
                    image.id,
                    error.brief()
                ));
                failed.push((region, error));
                continue;
            }
            self.outcome.images.push((region, image.id.to_string()));
            self.hold_image(image.id);
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(missed(image.id, &failed))
        }
    }

    async fn transfer_to(&mut self, image: u64, region: &str) -> Result<()> {
        self.session.check()?;
        let action = match self.earlier_action(region) {
            Some(action) => action,
            None => {
                let started = self
                    .session
                    .finish_soon(start(&self.api, image, region))
                    .await?;
                let note = format!("{region} {started}");
                self.journal.note(|entry| entry.copy = Some(note));
                started
            }
        };
        let remote = self.session.progress.import();
        let (pace, api) = (self.pace(), &self.api);
        let done = wait::until(self.session, pace, &remote, async || {
            poll(api, image, action, region).await
        });
        let done = done.await;
        if done.as_ref().is_ok()
            || done
                .as_ref()
                .is_err_and(|error| error.kind() == Kind::Failed)
        {
            self.journal.note(|entry| entry.copy = None);
        }
        done?;
        remote.finish(&format!("Transferred {image} to {region}"));
        Ok(())
    }

    /// The transfer that an earlier run has started.
    fn earlier_action(&self, region: &str) -> Option<u64> {
        let noted = self.journal.entry().copy?;
        let (to, action) = noted.split_once(' ')?;
        (to == region).then(|| action.parse().ok())?
    }
}

async fn start(api: &Api, image: u64, region: &str) -> Result<u64> {
    let started = api.transfer(image, region).await;
    let started = started.map_err(|fault| {
        fault.fails(
            format!("the transfer to {region} could not be started"),
            UPDATE,
        )
    })?;
    Ok(started.id)
}

/// One question to the action.
async fn poll(api: &Api, image: u64, id: u64, region: &str) -> Result<Poll<Action>, Trouble> {
    let action = match api.action(image, id).await {
        Ok(action) => action,
        Err(fault) => {
            let passing = fault.is_passing();
            let error = fault.fails("the transfer's state could not be asked", "image:read");
            return Err(if passing {
                Trouble::Passing(error)
            } else {
                Trouble::Final(error)
            });
        }
    };
    match action.status.to_lowercase().as_str() {
        "completed" => Ok(Poll::Done(action)),
        "errored" => Err(Trouble::Final(
            Error::failed(format!("the transfer to {region} failed"))
                .because_of(format!("DigitalOcean's action {id} ended as errored")),
        )),
        status => Ok(Poll::NotYet {
            percent: None,
            message: format!("transfer to {region}: {status}"),
        }),
    }
}

/// One error for all regions that failed, with the first advice that there is.
fn missed(image: u64, failed: &Failed) -> Error {
    let regions: Vec<_> = failed.iter().map(|(region, _)| region.as_str()).collect();
    let what = format!(
        "the image {image} could not be transferred to {}",
        regions.join(" and ")
    );
    let causes: Vec<_> = failed.iter().map(|(_, error)| error.brief()).collect();
    let error = Error::failed(what).because_of(causes.join("\n"));
    match failed.iter().find_map(|(_, error)| error.advice()) {
        Some(advice) => error.hint(advice),
        None => error,
    }
}
