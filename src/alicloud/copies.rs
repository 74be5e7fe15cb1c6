//! Copies in other regions: one after the other, for ECS runs only one copy task at a
//! time in a region. Each is noted before it is waited for.

use uuid::Uuid;

use super::error::Fault;
use super::image::{self, Image, Refusals};
use super::job::Copied;
use super::sign::Pairs;
use super::{Run, attributes, remove};
use crate::error::{Error, Kind, Result};
use crate::import::journal::CopyRequest;
use crate::import::poll;
use crate::import::poll::{Poll, Trouble};
use crate::import::undo::{Entry, unconfirmed};
use crate::shell::Removal;

impl Run<'_> {
    /// The image in every region that was asked for.
    pub(super) async fn copy(&mut self, image: &Image) -> Result<()> {
        for copy in self.job.copies.clone() {
            let made = self.copy_to(&image.image_id, &copy).await?;
            let (job, clients, region) = (&self.job, &self.clients, &copy.region);
            let (journal, replace) = (&self.journal, job.replace);
            attributes::rename(clients, journal, region, &made, &copy.name, replace).await?;
            attributes::tag(job, clients, region, &made).await?;
            attributes::share(job, clients, region, &made.image_id).await?;
            self.outcome
                .images
                .push((copy.region, made.image_id.clone()));
        }
        self.name_unwanted();
        Ok(())
    }

    /// One copy, until it is available.
    async fn copy_to(&mut self, image: &str, copy: &Copied) -> Result<Image> {
        let id = match self.earlier_copy(image, copy).await? {
            Some(id) => id,
            None => self.start_copy(image, copy).await?,
        };
        let (region, progress) = (&copy.region, &self.session.progress);
        progress.stage(&format!("Copying it to {region} as {id}"));
        let entry = self.hold_copy(&copy.region, &id);
        let remote = self.session.progress.import();
        let mut refusals = Refusals::default();
        let made = poll::until(self.session, self.pace(), &remote, async || {
            image::poll(&self.clients, &copy.region, &id, &mut refusals).await
        })
        .await;
        drop(remote);
        if made
            .as_ref()
            .is_err_and(|error| error.kind() == Kind::Failed)
        {
            self.cleanup.spoil(entry);
        }
        made
    }

    /// The copy that an earlier run has started, if it is still there and is the one that is
    /// asked for now; another one is removed.
    async fn earlier_copy(&self, image: &str, copy: &Copied) -> Result<Option<String>> {
        let (region, entry) = (&copy.region, self.journal.entry());
        let Some(id) = entry.copies.get(region).cloned() else {
            return Ok(None);
        };
        let failed = |fault: Fault| {
            fault.fails(
                format!("the state of {id} could not be asked"),
                "ecs:DescribeImages",
            )
        };
        let found = async {
            let found = image::find(&self.clients, region, &id).await;
            found.map_err(failed)
        };
        let found = self.session.unless_stopped(found).await?;
        let asked = entry.copy_requests.get(region);
        let same = asked.is_none_or(|asked| asked.request == question(image, copy));
        match found {
            Some(found) if same && !found.has_failed() => return Ok(Some(id)),
            Some(_) => {
                let gone = remove::copy(&self.clients, &self.journal, region, &id);
                let gone = async {
                    gone.await.map_err(|why| {
                        let what = format!("the copy {id} of an earlier run can't be removed");
                        Error::failed(what).because(why)
                    })
                };
                self.session.finish_soon(gone).await?;
            }
            None => self.forget_copy(region),
        }
        Ok(None)
    }

    fn forget_copy(&self, region: &str) {
        self.journal.note(|entry| {
            entry.copies.remove(region);
            entry.copy_requests.remove(region);
        });
    }

    /// CopyImage. The journal knows token and name before ECS does. While ECS copies the image
    /// for another request it is asked again at the pace of the wait.
    async fn start_copy(&mut self, image: &str, copy: &Copied) -> Result<String> {
        self.session.check()?;
        let (region, words) = (&copy.region, question(image, copy));
        let known = self.journal.entry().copy_requests.remove(region);
        let asked = known.filter(|known| known.request == words);
        let asked = asked.unwrap_or_else(|| {
            let token = Uuid::new_v4().to_string();
            CopyRequest {
                name: Some(self.name_in(region, &copy.name, &token)),
                request: words,
                client_token: token,
                ..CopyRequest::default()
            }
        });
        self.journal
            .note(|entry| drop(entry.copy_requests.insert(region.clone(), asked.clone())));
        let token = asked.client_token.as_str();
        let name = asked.name.as_deref().unwrap_or(&copy.name);
        let named = (name, token);
        let parameters = image::copy_parameters(&self.job, image, copy, named);
        let failed = |fault: Fault| {
            let what = format!("{image} could not be copied to {region}");
            fault.fails(what, "ecs:CopyImage")
        };
        let unanswered = self.hold_unanswered_copy(region, &asked, &parameters);
        let (pace, clients) = (self.pace(), self.clients.clone());
        let ask = async || image::copy(&clients, region, parameters.clone(), token).await;
        let first = self.session.finish_soon(async { Ok(ask().await) }).await?;
        let (mut first, remote) = (Some(first), self.session.progress.import());
        let started = poll::until(self.session, pace, &remote, async || {
            let answer = match first.take() {
                Some(answer) => answer,
                None => ask().await,
            };
            match answer {
                Ok(id) => Ok(Poll::Done(id)),
                Err(fault) if fault.is_conflict() => Err(Trouble::Passing(failed(fault))),
                Err(fault) => Err(Trouble::Final(failed(fault))),
            }
        });
        let id = match started.await {
            Ok(id) => id,
            Err(error) => {
                if error.cause::<Fault>().is_some_and(Fault::is_refusal) {
                    self.cleanup.disarm(unanswered);
                }
                return Err(error);
            }
        };
        drop(remote);
        self.cleanup.disarm(unanswered);
        self.journal
            .note(|entry| drop(entry.copies.insert(region.clone(), id.clone())));
        Ok(id)
    }

    /// A copy whose answer is not here yet.
    fn hold_unanswered_copy(
        &mut self,
        region: &str,
        asked: &CopyRequest,
        parameters: &Pairs,
    ) -> Entry {
        let (clients, journal) = (self.clients.clone(), self.journal.clone());
        let (own, token) = (region.to_owned(), asked.client_token.clone());
        let again = parameters.clone();
        let name = asked.name.as_deref().unwrap_or_default();
        self.cleanup.reusable(
            unconfirmed::image(name, region),
            Removal::of_listed(
                image::filter(&self.job.cli, region, &token),
                "CancelCopyImage or DeleteImage",
            ),
            async move || {
                // What is not shown may still be on its way; asked for again it is the same copy.
                let found = image::requested(&clients, &own, &token).await?;
                let id = match found {
                    Some(image) => image.image_id,
                    None => match image::copy(&clients, &own, again, &token).await {
                        Ok(id) => id,
                        Err(fault) if fault.is_refusal() => return Ok(()),
                        Err(fault) => return Err(fault.into()),
                    },
                };
                remove::copy(&clients, &journal, &own, &id).await
            },
        )
    }

    pub(super) fn hold_copy(&mut self, region: &str, id: &str) -> Entry {
        let (clients, own) = (self.clients.clone(), (region.to_owned(), id.to_owned()));
        let journal = self.journal.clone();
        let entry = self.cleanup.reusable(
            format!("the copy {id} in {region}"),
            image::removal(&self.job.cli, id, region),
            async move || remove::copy(&clients, &journal, &own.0, &own.1).await,
        );
        let earlier = self.held.copies.insert(region.to_owned(), entry);
        if let Some(earlier) = earlier {
            self.cleanup.disarm(earlier);
        }
        entry
    }

    /// Copies of earlier runs that nobody asks for any more stay, and are named.
    fn name_unwanted(&self) {
        for (region, id) in self.journal.entry().copies {
            if self.job.copies.iter().all(|copy| copy.region != region) {
                let remove = image::removal(&self.job.cli, &id, &region);
                self.session.progress.note(&format!(
                    "{id} in {region}, the copy of an earlier run, stays; remove it with: {remove}"
                ));
            }
        }
    }
}

/// What decides a copy's content; what can be changed afterwards is not in it.
fn question(image: &str, copy: &Copied) -> String {
    format!("{image} {:?}", copy.encryption)
}
