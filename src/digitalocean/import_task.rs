//! The import: uses the image that an earlier run requested, or a new one. What is needed to
//! find it again is in the journal before the request.

use std::time::{Duration, Instant};

use super::client::Image;
use super::error::{ServiceError, failed};
use super::image::NotStarted;
use super::image_marker;
use super::image_marker::ImageMarker;
use super::{DigitalOceanImport, image};
use crate::error::{Error, Kind, Result};
use crate::import;
use crate::import::poll;
use crate::import::undo::{Handle, unconfirmed};
use crate::net::service_error::ErrorClass;
use crate::shell::{Command, Removal};
use crate::store::Store;

/// After a stop, for the question whether an image came into being.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// What an image was asked for, or why it was not.
type CreateResult = Result<Image, NotStarted>;

impl DigitalOceanImport<'_> {
    /// The image of an earlier run, if it is on its way or done: attached to, never started twice.
    pub(super) async fn earlier_image(&mut self) -> Result<Option<u64>> {
        let entry = self.journal.entry();
        let known_id = entry.task.as_deref().and_then(|task| task.parse().ok());
        let mark = entry.client_token.as_deref().and_then(ImageMarker::parse);
        if known_id.is_none() && mark.is_none() {
            return Ok(None);
        }
        let same = entry.request_fingerprint.as_ref() == Some(&self.job.fingerprint())
            && import::upload::is_same_source(&self.journal, &self.job.common.image);
        if !same {
            self.discard_earlier(known_id, mark).await;
            return Ok(None);
        }
        // On the list before anybody is asked, so that it is named whatever the answer is.
        self.marker = mark;
        if entry.uploaded {
            self.track_object();
        }
        self.track_import(known_id);
        let search = async { Ok(self.find_earlier(known_id).await) };
        if let Some(id) = self.session.cancellable(search).await?? {
            let text = format!("An earlier run has started {id}");
            self.session.progress.info(&text);
            self.attach(id);
            return Ok(Some(id));
        }
        self.discard_import();
        self.untrack_object();
        Ok(None)
    }

    async fn find_earlier(&self, known_id: Option<u64>) -> Result<Option<u64>> {
        if let Some(id) = known_id
            && image::find(&self.api, id).await?.is_some()
        {
            return Ok(Some(id));
        }
        let Some(mark) = &self.marker else {
            return Ok(None);
        };
        // Asking for another image without an answer here could make a second one.
        let found = mark.find(&self.api).await.map_err(list_error)?;
        Ok(found.first().map(|image| image.id))
    }

    /// The image of another source, or of other words, is not this job's any more, and may
    /// be in use: it is named and left.
    async fn discard_earlier(&mut self, known_id: Option<u64>, marker: Option<ImageMarker>) {
        let api = self.api.clone();
        let candidates = async {
            let found = match &marker {
                Some(mark) => mark.find(&api).await.unwrap_or_default(),
                None => Vec::new(),
            };
            if let Some(mark) = &marker {
                let _ = mark.delete_tag(&api).await;
            }
            Ok(found)
        };
        let found = self.session.cancellable(candidates).await;
        let found = found.unwrap_or_default().into_iter().map(|image| image.id);
        let mut ids: Vec<_> = known_id.into_iter().chain(found).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let delete = image::delete_command(id);
            self.session.progress.warn(&format!(
                "the image {id} of an earlier run stays: it has other contents or settings; delete it with: {delete}"
            ));
        }
        self.discard_import();
    }

    /// `POST /v2/images`, unless another run has asked for the same.
    pub(super) async fn start(&mut self) -> Result<u64> {
        self.session.check()?;
        let store = self.store();
        let head = async { Ok(store.object_info().await) };
        let head = self.session.cancellable(head).await?;
        let etag = head.ok().flatten().and_then(|head| head.etag);
        let mark = ImageMarker::for_job(&self.job, etag.as_deref());
        if let Some(id) = self.find_from_other_run(&mark).await? {
            return Ok(id);
        }
        self.make_readable().await?;
        let url = self.source_url().await?;
        let result = match self.create_image(&url, mark.clone()).await? {
            Err(NotStarted::Forbidden(error)) => self.create_without_tag(&url, mark, error).await?,
            result => result,
        };
        match result {
            Ok(image) => {
                self.attach(image.id);
                let id = self.keep_oldest(image.id).await;
                self.session.progress.stage(&format!("Importing as {id}"));
                Ok(id)
            }
            Err(NotStarted::Unknown(error)) => {
                self.track_import(None);
                Err(error)
            }
            Err(NotStarted::Refused(error) | NotStarted::Forbidden(error)) => {
                self.discard_import();
                // It may have read and removed the object.
                self.check_no_other_image().await?;
                Err(error)
            }
        }
    }

    /// The image that another run, on another machine perhaps, has made of the same bytes.
    async fn find_from_other_run(&mut self, marker: &ImageMarker) -> Result<Option<u64>> {
        let (api, session) = (self.api.clone(), self.session);
        let found = async { Ok(marker.find(&api).await) };
        let found = match session.cancellable(found).await? {
            Ok(found) => found,
            Err(fault) if fault.class() == ErrorClass::NoCredentials => {
                return Err(list_error(fault));
            }
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
        session.progress.info(&text);
        self.record_marker(marker.clone());
        self.attach(image.id);
        Ok(Some(image.id))
    }

    /// The journal has the image's mark before DigitalOcean is asked for it.
    fn record_marker(&mut self, marker: ImageMarker) {
        let (request, noted) = (self.job.fingerprint(), marker.to_text());
        self.journal.update(|entry| {
            (entry.request_fingerprint, entry.client_token) = (Some(request), Some(noted));
        });
        self.marker = Some(marker);
    }

    /// Asks for the image. An error means that the user stopped, and that there may be one.
    async fn create_image(&mut self, url: &str, marker: ImageMarker) -> Result<CreateResult> {
        self.record_marker(marker.clone());
        let (job, api) = (&self.job, &self.api);
        let creation = async { Ok(image::start(job, api, url, &marker).await) };
        let stopped = match self.session.with_stop_grace(creation).await {
            Ok(result) => return Ok(result),
            Err(stopped) => stopped,
        };
        let found = tokio::select! {
            () = self.session.cancel.leave.cancelled() => None,
            found = tokio::time::timeout(STOP_GRACE, marker.find(api)) => found.ok(),
        };
        let found = found.and_then(Result::ok).unwrap_or_default();
        match found.first() {
            Some(image) => self.attach(image.id),
            None => self.track_import(None),
        }
        Err(stopped)
    }

    /// A token that may create images may lack `tag:create`: then the name must do.
    async fn create_without_tag(
        &mut self,
        url: &str,
        marker: ImageMarker,
        cause: Error,
    ) -> Result<CreateResult> {
        let (job, api) = (&self.job, &self.api);
        let others = async { Ok(image::images_named(job, api).await) };
        let Ok(others) = self.session.cancellable(others).await? else {
            return Ok(Err(NotStarted::Forbidden(cause)));
        };
        let mark = ImageMarker {
            tag: None,
            others,
            ..marker
        };
        self.create_image(url, mark).await
    }

    /// The image may have been made twice: by a request that was taken for lost, or by another
    /// run at the same moment. The oldest counts, for every run that looks.
    async fn keep_oldest(&mut self, id: u64) -> u64 {
        let (api, session) = (self.api.clone(), self.session);
        let Some(mark) = self.marker.clone().filter(|mark| mark.tag.is_some()) else {
            return id;
        };
        let found = async { Ok(mark.find(&api).await.unwrap_or_default()) };
        let found = session.cancellable(found).await.unwrap_or_default();
        let oldest = found.iter().map(|image| image.id).min().unwrap_or(id);
        if oldest < id {
            let text = format!("Another run has started {oldest}");
            session.progress.info(&text);
            self.attach(oldest);
            if let Err(fault) = api.delete_image(id).await {
                let delete = image::delete_command(id);
                session.progress.warn(&format!(
                    "the second image {id} could not be deleted: {fault}; delete it with: {delete}"
                ));
            }
        }
        oldest.min(id)
    }

    /// The image is this job's from here on.
    fn attach(&mut self, id: u64) {
        self.journal
            .update(|entry| entry.task = Some(id.to_string()));
        self.track_import(Some(id));
        self.outcome.task_id = Some(id.to_string());
    }

    /// On the undo list, with all that has its mark.
    fn track_import(&mut self, id: Option<u64>) {
        let (label, remove) = match (id, &self.marker) {
            (Some(id), _) => (
                format!("the import {id}, which goes on"),
                image::delete_command(id).into(),
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
        self.untrack_import();
        self.handles.import = Some(self.track_marked(label, remove, id));
        self.import_started.get_or_insert_with(Instant::now);
    }

    /// Its removal takes all that has the mark, and then the journal has no import any more.
    fn track_marked(&mut self, label: String, command: Removal, id: Option<u64>) -> Handle {
        let (api, mark, journal) = (self.api.clone(), self.marker.clone(), self.journal.clone());
        self.cleanup.push_resumable(label, command, async move || {
            image_marker::delete(&api, mark.as_ref(), id).await?;
            journal.update(|entry| (entry.task, entry.client_token) = (None, None));
            Ok(())
        })
    }

    fn untrack_import(&mut self) {
        if let Some(entry) = self.handles.import.take() {
            self.cleanup.remove(entry);
        }
    }

    /// Nothing of the import is left to attach to.
    fn discard_import(&mut self) {
        self.untrack_import();
        self.marker = None;
        self.journal.update(|entry| {
            (entry.task, entry.client_token, entry.request_fingerprint) = (None, None, None);
        });
    }

    /// Waits until the import has made an image.
    pub(super) async fn wait(&mut self, id: u64) -> Result<Image> {
        let remote = self.session.progress.import();
        let pace = self.poll_schedule();
        let (job, api) = (&self.job, &self.api);
        let result = poll::poll_until_done(self.session, pace, &remote, async || {
            image::poll(job, api, id).await
        });
        let image = match result.await {
            Ok(image) => image,
            Err(error) => {
                if error.kind() == Kind::Failed {
                    self.check_if_failed(id).await;
                }
                return Err(error);
            }
        };
        remote.finish(&format!("Imported as {id}"));
        self.untrack_import();
        self.outcome.image_id = Some(id.to_string());
        self.outcome.images = vec![(self.job.region().to_owned(), id.to_string())];
        self.track_image(id);
        Ok(image)
    }

    /// After a failure: an image that failed leaves nothing to go on from, and one that
    /// somebody deleted leaves the object. What DigitalOcean does not say goes on.
    async fn check_if_failed(&mut self, id: u64) {
        let has_failed = match self.api.image(id).await {
            Ok(image) if image.is_unusable() => true,
            Err(fault) if fault.status() == Some(404) => false,
            _ => return,
        };
        if let Some(mark) = &self.marker {
            let _ = mark.delete_tag(&self.api).await;
        }
        self.discard_import();
        if has_failed {
            self.discard_object();
        }
    }

    /// The image, with the regions that have it by now.
    pub(super) fn track_image(&mut self, id: u64) {
        let regions: Vec<_> = self
            .outcome
            .images
            .iter()
            .map(|(region, _)| region.as_str())
            .collect();
        let label = format!("the image {id} in {}", regions.join(", "));
        let entry = self.track_marked(label, image::delete_command(id).into(), Some(id));
        if let Some(before) = self.handles.image.replace(entry) {
            self.cleanup.remove(before);
        }
    }

    /// The import is done: a second image goes, and the tag with it.
    pub(super) async fn remove_marker(&mut self, id: u64) -> Result<()> {
        let Some(mark) = self.marker.clone().filter(|mark| mark.tag.is_some()) else {
            return Ok(());
        };
        // Another run with this key finds the image by its tag, and removes that at its own end.
        if self.has_shared_objects().await? {
            return Ok(());
        }
        let api = self.api.clone();
        let removed = async {
            let others = mark.delete_others(&api, id).await;
            Ok((others, mark.delete_tag(&api).await))
        };
        let (others, tag) = self.session.with_stop_grace(removed).await?;
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

fn list_error(fault: ServiceError) -> Error {
    failed(
        fault,
        "the account's images could not be listed",
        "image:read",
    )
}
