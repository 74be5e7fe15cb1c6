//! Copies in other regions: one after the other, because ECS runs only one copy task at a time
//! in a region. Each is recorded before it is awaited.

use uuid::Uuid;

use super::error::{self, ServiceError};
use super::image::{self, Image, Refusals};
use super::job::CopyTarget;
use super::sign::Pairs;
use super::{AlicloudImport, attributes, remove};
use crate::error::{Error, Kind, Result};
use crate::import::journal::CopyRequest;
use crate::import::poll;
use crate::import::poll::{Poll, PollError};
use crate::import::undo::{Handle, unconfirmed};
use crate::shell::Removal;

impl AlicloudImport<'_> {
    /// The image in every region that was asked for.
    pub(super) async fn copy(&mut self, image: &Image) -> Result<()> {
        for copy in self.job.copies.clone() {
            let copied = self.copy_to(&image.image_id, &copy).await?;
            let (job, clients, region) = (&self.job, &self.clients, &copy.region);
            let (journal, replace) = (&self.journal, job.replace);
            attributes::rename(clients, journal, region, &copied, &copy.name, replace).await?;
            attributes::tag(job, clients, region, &copied).await?;
            attributes::share(job, clients, region, &copied.image_id).await?;
            self.outcome
                .images
                .push((copy.region, copied.image_id.clone()));
        }
        self.warn_unwanted();
        Ok(())
    }

    /// One copy, until it is available.
    async fn copy_to(&mut self, image: &str, copy: &CopyTarget) -> Result<Image> {
        let id = match self.earlier_copy(image, copy).await? {
            Some(id) => id,
            None => self.start_copy(image, copy).await?,
        };
        let (region, progress) = (&copy.region, &self.session.progress);
        progress.stage(&format!("Copying it to {region} as {id}"));
        let entry = self.track_copy(&copy.region, &id);
        let remote = self.session.progress.import();
        let mut refusals = Refusals::default();
        let copied =
            poll::poll_until_done(self.session, self.poll_schedule(), &remote, async || {
                image::poll(&self.clients, &copy.region, &id, &mut refusals).await
            })
            .await;
        drop(remote);
        if copied
            .as_ref()
            .is_err_and(|error| error.kind() == Kind::Failed)
        {
            self.cleanup.make_disposable(entry);
        }
        copied
    }

    /// The copy that an earlier run has started, if it is still there and is the one that is
    /// asked for now; another one is removed.
    async fn earlier_copy(&self, image: &str, copy: &CopyTarget) -> Result<Option<String>> {
        let (region, entry) = (&copy.region, self.journal.entry());
        let Some(id) = entry.copies.get(region).cloned() else {
            return Ok(None);
        };
        let failed = |fault: ServiceError| {
            error::failed(
                fault,
                format!("the state of {id} could not be asked"),
                "ecs:DescribeImages",
            )
        };
        let found = async {
            let found = image::find(&self.clients, region, &id).await;
            found.map_err(failed)
        };
        let found = self.session.cancellable(found).await?;
        let request = entry.copy_requests.get(region);
        let same =
            request.is_none_or(|request| request.request_fingerprint == fingerprint(image, copy));
        match found {
            Some(found) if same && !found.has_failed() => return Ok(Some(id)),
            Some(_) => {
                let deletion = remove::copy(&self.clients, &self.journal, region, &id);
                let deletion = async {
                    deletion.await.map_err(|why| {
                        let what = format!("the copy {id} of an earlier run can't be removed");
                        Error::failed(what).with_source(why)
                    })
                };
                self.session.with_stop_grace(deletion).await?;
            }
            None => self.discard_copy(region),
        }
        Ok(None)
    }

    fn discard_copy(&self, region: &str) {
        self.journal.update(|entry| {
            entry.copies.remove(region);
            entry.copy_requests.remove(region);
        });
    }

    /// CopyImage. The journal knows token and name before ECS does. While ECS copies the image
    /// for another request it is asked again at the pace of the wait.
    async fn start_copy(&mut self, image: &str, copy: &CopyTarget) -> Result<String> {
        self.session.check()?;
        let (region, fingerprint) = (&copy.region, fingerprint(image, copy));
        let previous = self.journal.entry().copy_requests.remove(region);
        let matching = previous.filter(|previous| previous.request_fingerprint == fingerprint);
        let request = matching.unwrap_or_else(|| {
            let token = Uuid::new_v4().to_string();
            CopyRequest {
                name: Some(self.temporary_name(region, &copy.name, &token)),
                request_fingerprint: fingerprint,
                client_token: token,
                ..CopyRequest::default()
            }
        });
        self.journal
            .update(|entry| drop(entry.copy_requests.insert(region.clone(), request.clone())));
        let token = request.client_token.as_str();
        let name = request.name.as_deref().unwrap_or(&copy.name);
        let named = (name, token);
        let parameters = image::copy_parameters(&self.job, image, copy, named);
        let failed = |fault: ServiceError| {
            let what = format!("{image} could not be copied to {region}");
            error::failed(fault, what, "ecs:CopyImage")
        };
        let unanswered = self.track_unanswered_copy(region, &request, &parameters);
        let (pace, clients) = (self.poll_schedule(), self.clients.clone());
        let ask = async || image::copy(&clients, region, parameters.clone(), token).await;
        let first = self
            .session
            .with_stop_grace(async { Ok(ask().await) })
            .await?;
        let (mut first, remote) = (Some(first), self.session.progress.import());
        let started = poll::poll_until_done(self.session, pace, &remote, async || {
            let answer = match first.take() {
                Some(answer) => answer,
                None => ask().await,
            };
            match answer {
                Ok(id) => Ok(Poll::Done(id)),
                Err(fault) if error::is_conflict(&fault) => {
                    Err(PollError::Transient(failed(fault)))
                }
                Err(fault) => Err(PollError::Permanent(failed(fault))),
            }
        });
        let id = match started.await {
            Ok(id) => id,
            Err(error) => {
                if error
                    .cause::<ServiceError>()
                    .is_some_and(ServiceError::was_not_executed)
                {
                    self.cleanup.remove(unanswered);
                }
                return Err(error);
            }
        };
        drop(remote);
        self.cleanup.remove(unanswered);
        self.journal
            .update(|entry| drop(entry.copies.insert(region.clone(), id.clone())));
        Ok(id)
    }

    /// A copy whose answer is not here yet.
    fn track_unanswered_copy(
        &mut self,
        region: &str,
        request: &CopyRequest,
        parameters: &Pairs,
    ) -> Handle {
        let (clients, journal) = (self.clients.clone(), self.journal.clone());
        let (copy_region, token) = (region.to_owned(), request.client_token.clone());
        let request_parameters = parameters.clone();
        let name = request.name.as_deref().unwrap_or_default();
        self.cleanup.push_resumable(
            unconfirmed::image(name, region),
            Removal::of_listed(
                image::describe_command(&self.job.cli, region, &token),
                "CancelCopyImage or DeleteImage",
            ),
            async move || {
                // What is not shown may still be on its way; asked for again it is the same copy.
                let found = image::find_by_token(&clients, &copy_region, &token).await?;
                let id = match found {
                    Some(image) => image.image_id,
                    None => match image::copy(&clients, &copy_region, request_parameters, &token)
                        .await
                    {
                        Ok(id) => id,
                        Err(fault) if fault.was_not_executed() => return Ok(()),
                        Err(fault) => return Err(fault.into()),
                    },
                };
                remove::copy(&clients, &journal, &copy_region, &id).await
            },
        )
    }

    pub(super) fn track_copy(&mut self, region: &str, id: &str) -> Handle {
        let (clients, copy_id) = (self.clients.clone(), (region.to_owned(), id.to_owned()));
        let journal = self.journal.clone();
        let entry = self.cleanup.push_resumable(
            format!("the copy {id} in {region}"),
            image::delete_command(&self.job.cli, id, region),
            async move || remove::copy(&clients, &journal, &copy_id.0, &copy_id.1).await,
        );
        let earlier = self.handles.copies.insert(region.to_owned(), entry);
        if let Some(earlier) = earlier {
            self.cleanup.remove(earlier);
        }
        entry
    }

    /// Copies of earlier runs that nobody asks for any more stay, and are named.
    fn warn_unwanted(&self) {
        for (region, id) in self.journal.entry().copies {
            if self.job.copies.iter().all(|copy| copy.region != region) {
                let remove = image::delete_command(&self.job.cli, &id, &region);
                self.session.progress.note(&format!(
                    "{id} in {region}, the copy of an earlier run, stays; remove it with: {remove}"
                ));
            }
        }
    }
}

/// What decides a copy's content; what can be changed afterwards is not in it.
fn fingerprint(image: &str, copy: &CopyTarget) -> String {
    format!("{image} {:?}", copy.encryption)
}
