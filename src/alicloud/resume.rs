//! Handles what an earlier run of the same command left: it is listed or removed however this
//! run ends, and continued where it still matches.

use super::error::{self, ServiceError};
use super::image::Image;
use super::import_task::{Import, ImportRequest};
use super::{AlicloudImport, image, import_task, remove, task_status};
use crate::error::{Error, Result};
use crate::import;

impl AlicloudImport<'_> {
    /// Puts all of it on the undo list, before anything can fail.
    pub(super) fn track_earlier(&mut self) {
        let entry = self.journal.entry();
        if entry.created_bucket {
            self.track_bucket();
        }
        self.track_parts();
        if entry.uploaded {
            self.track_object();
        }
        if let Some(image) = entry.image {
            let task = entry.task;
            self.track_import(&Import { task, image });
        }
        for (region, id) in &entry.copies {
            self.track_copy(region, id);
        }
    }

    /// Asks ECS for what earlier runs have requested without noting the answer: the image and
    /// the copies are found by the tokens of their requests.
    pub(super) async fn find_unanswered(&mut self) -> Result<()> {
        let entry = self.journal.entry();
        let (clients, region) = (self.clients.clone(), self.job.region.clone());
        let failed = |fault: ServiceError| {
            let what = "what an earlier run has asked for can't be looked up";
            error::failed(fault, what, "ecs:DescribeImages")
        };
        if let (Some(token), None) = (entry.client_token, &entry.image) {
            let request = ImportRequest {
                token,
                name: entry.name,
                region: region.clone(),
                bucket: self.job.bucket.clone(),
                key: self.job.key.clone(),
            };
            let found = async { import_task::find(&clients, &request).await.map_err(failed) };
            if let Some(found) = self.session.cancellable(found).await? {
                let import = import_task::existing_import(&clients, &region, found.image_id);
                let import = self.session.cancellable(async { Ok(import.await) });
                let import = import.await?;
                self.note_import(&import);
                self.track_import(&import);
            }
        }
        for (region, request) in entry.copy_requests {
            if entry.copies.contains_key(&region) {
                continue;
            }
            let found = async {
                let found = image::find_by_token(&clients, &region, &request.client_token).await;
                found.map_err(failed)
            };
            if let Some(found) = self.session.cancellable(found).await? {
                let id = found.image_id;
                self.journal
                    .update(|entry| drop(entry.copies.insert(region.clone(), id.clone())));
                self.track_copy(&region, &id);
            }
        }
        Ok(())
    }

    /// Whether the journal is about the import that is asked for now.
    pub(super) fn matches_request(&self) -> bool {
        self.journal.entry().request_fingerprint.as_ref()
            == Some(&import_task::fingerprint(&self.job))
            && import::upload::is_same_source(&self.journal, &self.job.common.image)
    }

    /// The image of an earlier run, if that came so far.
    pub(super) async fn earlier_image(&mut self) -> Result<Option<Image>> {
        let entry = self.journal.entry();
        let Some(id) = entry.image else {
            return Ok(None);
        };
        let found = async {
            let found = image::find(&self.clients, &self.job.region, &id).await;
            found.map_err(|fault| {
                let what = format!("the state of {id} could not be asked");
                error::failed(fault, what, "ecs:DescribeImages")
            })
        };
        let found = self.session.cancellable(found).await?;
        let Some(done) = found.filter(|image| image.status == "Available") else {
            return Ok(None);
        };
        self.untrack_import();
        if !self.matches_request() {
            self.delete_unwanted(&done).await?;
            return Ok(None);
        }
        self.session
            .progress
            .info(&format!("An earlier run has imported {id}"));
        self.outcome.task_id = entry.task;
        self.track_image(&id);
        Ok(Some(done))
    }

    /// The image of an earlier run that was asked for differently. Under its own name it is
    /// what the check has let pass or is to be replaced; under another nobody knows it.
    async fn delete_unwanted(&mut self, image: &Image) -> Result<()> {
        if image.image_name != self.job.name {
            let id = &image.image_id;
            self.session
                .progress
                .note(&format!("Removing {id}, which an earlier run has imported"));
            let deletion = remove::image(&self.clients, &self.journal, &self.job.region, id);
            let deletion = async {
                deletion.await.map_err(|error| {
                    let remove = image::delete_command(&self.job.cli, id, &self.job.region);
                    Error::failed(format!("{id} of an earlier run can't be removed"))
                        .with_source(error)
                        .hint(format!("remove it with: {remove}"))
                })
            };
            self.session.with_stop_grace(deletion).await?;
        }
        import_task::forget_import(&self.journal);
        Ok(())
    }

    /// The task of an earlier run, if it is alive: attached to, never started twice.
    pub(super) async fn earlier_import(&mut self) -> Result<Option<Import>> {
        let entry = self.journal.entry();
        let Some(image) = entry.image else {
            return Ok(None);
        };
        let import = Import {
            task: entry.task,
            image,
        };
        let alive = import_task::image_in_progress(&self.job, &self.clients, &import);
        let alive = self.session.cancellable(alive).await?.is_some();
        if alive && !self.matches_request() {
            return Err(self.conflicting_import(&import));
        }
        if alive {
            self.session
                .progress
                .info(&format!("An earlier run has started {}", import.name()));
            return Ok(Some(import));
        }
        self.untrack_import();
        // What a failed import leaves is no image, but has the name. The journal forgets it
        // once it is gone.
        let (clients, region, id) = (&self.clients, &self.job.region, &import.image);
        if let Err(error) = remove::image(clients, &self.journal, region, id).await {
            let text = format!("the failed image {id} could not be removed: {error}");
            self.session.progress.warn(&text);
        }
        import_task::forget_import(&self.journal);
        Ok(None)
    }

    /// Another import reads the object that this one would overwrite.
    fn conflicting_import(&self, import: &Import) -> Error {
        let cancel = match &import.task {
            Some(task) => format!(
                "cancel it with: {}",
                task_status::cancel_command(&self.job, task)
            ),
            None => format!(
                "find it, for CancelTask, with: {}",
                task_status::list_command(&self.job)
            ),
        };
        Error::failed(format!(
            "{} is still read by an earlier import, {}",
            self.job.url(),
            import.name()
        ))
        .with_cause("that import was of another image, or was asked for differently")
        .hint(format!(
            "wait for it, give this one another --key, or {cancel}"
        ))
    }
}
