//! The import: the image that an earlier run has asked for, or a new one. What is needed to
//! find it again is in the journal before it is asked for.

use std::time::{Duration, Instant};

use super::client::Image;
use super::error::Fault;
use super::image::NotStarted;
use super::image_marker;
use super::image_marker::Mark;
use super::{Run, image};
use crate::error::{Error, Kind, Result};
use crate::import;
use crate::import::poll;
use crate::import::undo::{Entry, unconfirmed};
use crate::shell::{Command, Removal};
use crate::store::Store;

/// After a stop, for the question whether an image came into being.
const MOMENT: Duration = Duration::from_secs(3);

/// What an image was asked for, or why it was not.
type Asked = Result<Image, NotStarted>;

impl Run<'_> {
    /// The image of an earlier run, if it is on its way or done: attached to, never started twice.
    pub(super) async fn earlier_image(&mut self) -> Result<Option<u64>> {
        let entry = self.journal.entry();
        let known = entry.task.as_deref().and_then(|task| task.parse().ok());
        let mark = entry.client_token.as_deref().and_then(Mark::read);
        if known.is_none() && mark.is_none() {
            return Ok(None);
        }
        let same = entry.request.as_ref() == Some(&self.job.fingerprint())
            && import::upload::is_same_source(&self.journal, &self.job.common.image);
        if !same {
            self.part_with(known, mark).await;
            return Ok(None);
        }
        // On the list before anybody is asked, so that it is named whatever the answer is.
        self.mark = mark;
        if entry.sent {
            self.hold_object();
        }
        self.hold_import(known);
        let asked = async { Ok(self.find_earlier(known).await) };
        if let Some(id) = self.session.unless_stopped(asked).await?? {
            let text = format!("An earlier run has started {id}");
            self.session.progress.fact(&text);
            self.attach(id);
            return Ok(Some(id));
        }
        self.forget_import();
        self.let_go_of_object();
        Ok(None)
    }

    async fn find_earlier(&self, known: Option<u64>) -> Result<Option<u64>> {
        if let Some(id) = known
            && image::find(&self.api, id).await?.is_some()
        {
            return Ok(Some(id));
        }
        let Some(mark) = &self.mark else {
            return Ok(None);
        };
        // Asking for another image without an answer here could make a second one.
        let found = mark.find(&self.api).await.map_err(unlisted)?;
        Ok(found.first().map(|image| image.id))
    }

    /// The image of another source, or of other words, is not this job's any more, and may
    /// be in use: it is named and left.
    async fn part_with(&mut self, known: Option<u64>, mark: Option<Mark>) {
        let api = self.api.clone();
        let marked = async {
            let found = match &mark {
                Some(mark) => mark.find(&api).await.unwrap_or_default(),
                None => Vec::new(),
            };
            if let Some(mark) = &mark {
                let _ = mark.delete_tag(&api).await;
            }
            Ok(found)
        };
        let found = self.session.unless_stopped(marked).await;
        let found = found.unwrap_or_default().into_iter().map(|image| image.id);
        let mut ids: Vec<_> = known.into_iter().chain(found).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let delete = image::removal(id);
            self.session.progress.warn(&format!(
                "the image {id} of an earlier run stays: it has other contents or settings; delete it with: {delete}"
            ));
        }
        self.forget_import();
    }

    /// `POST /v2/images`, unless another run has asked for the same.
    pub(super) async fn start(&mut self) -> Result<u64> {
        self.session.check()?;
        let store = self.store();
        let head = async { Ok(store.head().await) };
        let head = self.session.unless_stopped(head).await?;
        let etag = head.ok().flatten().and_then(|head| head.etag);
        let mark = Mark::of(&self.job, etag.as_deref());
        if let Some(id) = self.made_elsewhere(&mark).await? {
            return Ok(id);
        }
        self.give_access().await?;
        let url = self.source_url().await?;
        let asked = match self.ask_for_image(&url, mark.clone()).await? {
            Err(NotStarted::Forbidden(error)) => self.ask_without_tag(&url, mark, error).await?,
            asked => asked,
        };
        match asked {
            Ok(image) => {
                self.attach(image.id);
                let id = self.the_oldest(image.id).await;
                self.session.progress.stage(&format!("Importing as {id}"));
                Ok(id)
            }
            Err(NotStarted::Unknown(error)) => {
                self.hold_import(None);
                Err(error)
            }
            Err(NotStarted::Refused(error) | NotStarted::Forbidden(error)) => {
                self.forget_import();
                // It may have read and removed the object.
                self.is_there_another().await?;
                Err(error)
            }
        }
    }

    /// The image that another run, on another machine perhaps, has made of the same bytes.
    async fn made_elsewhere(&mut self, mark: &Mark) -> Result<Option<u64>> {
        let (api, session) = (self.api.clone(), self.session);
        let found = async { Ok(mark.find(&api).await) };
        let found = match session.unless_stopped(found).await? {
            Ok(found) => found,
            Err(fault) if fault.is_unauthorized() => return Err(unlisted(fault)),
            // Then an image whose answer is lost can't be found either.
            Err(fault) => {
                let text = format!("the account's images could not be listed: {fault}");
                session.progress.note(&text);
                Vec::new()
            }
        };
        let Some(image) = found.first() else {
            return Ok(None);
        };
        let text = format!("Another run has started {}", image.id);
        session.progress.fact(&text);
        self.intend(mark.clone());
        self.attach(image.id);
        Ok(Some(image.id))
    }

    /// The journal has the image's mark before DigitalOcean is asked for it.
    fn intend(&mut self, mark: Mark) {
        let (request, noted) = (self.job.fingerprint(), mark.noted());
        self.journal.note(|entry| {
            (entry.request, entry.client_token) = (Some(request), Some(noted));
        });
        self.mark = Some(mark);
    }

    /// Asks for the image. An error means that the user stopped, and that there may be one.
    async fn ask_for_image(&mut self, url: &str, mark: Mark) -> Result<Asked> {
        self.intend(mark.clone());
        let (job, api) = (&self.job, &self.api);
        let asked = async { Ok(image::start(job, api, url, &mark).await) };
        let stopped = match self.session.finish_soon(asked).await {
            Ok(asked) => return Ok(asked),
            Err(stopped) => stopped,
        };
        let found = tokio::select! {
            () = self.session.cancel.leave.cancelled() => None,
            found = tokio::time::timeout(MOMENT, mark.find(api)) => found.ok(),
        };
        let found = found.and_then(Result::ok).unwrap_or_default();
        match found.first() {
            Some(image) => self.attach(image.id),
            None => self.hold_import(None),
        }
        Err(stopped)
    }

    /// A token that may create images may lack `tag:create`: then the name must do.
    async fn ask_without_tag(&mut self, url: &str, mark: Mark, why: Error) -> Result<Asked> {
        let (job, api) = (&self.job, &self.api);
        let others = async { Ok(image::namesakes(job, api).await) };
        let Ok(others) = self.session.unless_stopped(others).await? else {
            return Ok(Err(NotStarted::Forbidden(why)));
        };
        let mark = Mark {
            tag: None,
            others,
            ..mark
        };
        self.ask_for_image(url, mark).await
    }

    /// The image may have been made twice: by a request that was taken for lost, or by another
    /// run at the same moment. The oldest counts, for every run that looks.
    async fn the_oldest(&mut self, id: u64) -> u64 {
        let (api, session) = (self.api.clone(), self.session);
        let Some(mark) = self.mark.clone().filter(|mark| mark.tag.is_some()) else {
            return id;
        };
        let found = async { Ok(mark.find(&api).await.unwrap_or_default()) };
        let found = session.unless_stopped(found).await.unwrap_or_default();
        let oldest = found.iter().map(|image| image.id).min().unwrap_or(id);
        if oldest < id {
            let text = format!("Another run has started {oldest}");
            session.progress.fact(&text);
            self.attach(oldest);
            if let Err(fault) = api.delete_image(id).await {
                let delete = image::removal(id);
                session.progress.warn(&format!(
                    "the second image {id} could not be deleted: {fault}; delete it with: {delete}"
                ));
            }
        }
        oldest.min(id)
    }

    /// The image is this job's from here on.
    fn attach(&mut self, id: u64) {
        self.journal.note(|entry| entry.task = Some(id.to_string()));
        self.hold_import(Some(id));
        self.outcome.task_id = Some(id.to_string());
    }

    /// On the undo list, with all that has its mark.
    fn hold_import(&mut self, id: Option<u64>) {
        let (what, remove) = match (id, &self.mark) {
            (Some(id), _) => (
                format!("the import {id}, which goes on"),
                image::removal(id).into(),
            ),
            (None, Some(_)) => (
                unconfirmed::import(&self.job.url()),
                Removal::of_listed(
                    Command::new("doctl compute image list-user"),
                    "doctl compute image delete",
                ),
            ),
            (None, None) => return,
        };
        self.let_go_of_import();
        self.held.import = Some(self.hold_marked(what, remove, id));
        self.began.get_or_insert_with(Instant::now);
    }

    /// Its removal takes all that has the mark, and then the journal has no import any more.
    fn hold_marked(&mut self, what: String, remove: Removal, id: Option<u64>) -> Entry {
        let (api, mark, journal) = (self.api.clone(), self.mark.clone(), self.journal.clone());
        self.cleanup.reusable(what, remove, async move || {
            image_marker::delete(&api, mark.as_ref(), id).await?;
            journal.note(|entry| (entry.task, entry.client_token) = (None, None));
            Ok(())
        })
    }

    fn let_go_of_import(&mut self) {
        if let Some(entry) = self.held.import.take() {
            self.cleanup.disarm(entry);
        }
    }

    /// Nothing of the import is left to attach to.
    fn forget_import(&mut self) {
        self.let_go_of_import();
        self.mark = None;
        self.journal.note(|entry| {
            (entry.task, entry.client_token, entry.request) = (None, None, None);
        });
    }

    /// Waits until the import has made an image.
    pub(super) async fn wait(&mut self, id: u64) -> Result<Image> {
        let remote = self.session.progress.import();
        let pace = self.pace();
        let (job, api) = (&self.job, &self.api);
        let result = poll::until(self.session, pace, &remote, async || {
            image::poll(job, api, id).await
        });
        let image = match result.await {
            Ok(image) => image,
            Err(error) => {
                if error.kind() == Kind::Failed {
                    self.is_it_over(id).await;
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

    /// After a failure: an image that failed leaves nothing to go on from, and one that
    /// somebody deleted leaves the object. What DigitalOcean does not say goes on.
    async fn is_it_over(&mut self, id: u64) {
        let has_failed = match self.api.image(id).await {
            Ok(image) if image.is_gone() => true,
            Err(fault) if fault.status() == Some(404) => false,
            _ => return,
        };
        if let Some(mark) = &self.mark {
            let _ = mark.delete_tag(&self.api).await;
        }
        self.forget_import();
        if has_failed {
            self.spoil_object();
        }
    }

    /// The image, with the regions that have it by now.
    pub(super) fn hold_image(&mut self, id: u64) {
        let regions: Vec<_> = self
            .outcome
            .images
            .iter()
            .map(|(region, _)| region.as_str())
            .collect();
        let what = format!("the image {id} in {}", regions.join(", "));
        let entry = self.hold_marked(what, image::removal(id).into(), Some(id));
        if let Some(before) = self.held.image.replace(entry) {
            self.cleanup.disarm(before);
        }
    }

    /// The import is done: a second image goes, and the tag with it.
    pub(super) async fn remove_mark(&mut self, id: u64) -> Result<()> {
        let Some(mark) = self.mark.clone().filter(|mark| mark.tag.is_some()) else {
            return Ok(());
        };
        // Another run with this key finds the image by its tag, and removes that at its own end.
        if self.is_shared().await? {
            return Ok(());
        }
        let api = self.api.clone();
        let removed = async {
            let others = mark.delete_others(&api, id).await;
            Ok((others, mark.delete_tag(&api).await))
        };
        let (others, tag) = self.session.finish_soon(removed).await?;
        let progress = &self.session.progress;
        if let Err(fault) = others {
            let text = format!("whether there is a second image could not be asked: {fault}");
            progress.note(&text);
        }
        if let Err(fault) = tag {
            let tag = mark.tag.unwrap_or_default();
            progress.note(&format!(
                "the tag {tag} stays on the image: {fault}; with the scope tag:delete it is removed"
            ));
        }
        Ok(())
    }
}

fn unlisted(fault: Fault) -> Error {
    fault.fails("the account's images could not be listed", "image:read")
}
