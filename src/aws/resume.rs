//! Handles what an earlier run of the same command left: it is listed or removed however this
//! run ends, and continued where it still matches.

use super::method::ImportMethod;
use super::{AwsImport, ami, import_task, task_status, unconfirmed};
use crate::error::{Error, Result};
use crate::import;

impl AwsImport<'_> {
    /// Puts all of it on the undo list, before anything can fail.
    pub(super) fn track_earlier(&mut self) {
        let entry = self.journal.entry();
        self.track_parts();
        if entry.uploaded {
            self.track_object();
        }
        if let Some(snapshot) = &entry.pending_snapshot {
            self.track_earlier_pending_snapshot(snapshot);
        } else if entry.has_unconfirmed_request() {
            match self.job.method {
                ImportMethod::EbsDirect => self.track_possible_snapshot(),
                _ => self.track_possible_import(),
            }
        }
        if let Some(snapshot) = &entry.snapshot {
            self.track_snapshot(snapshot);
            match (&entry.image, &entry.name) {
                (Some(image), _) => drop(self.track_registered(image)),
                (None, Some(name)) if entry.registering => {
                    self.track_possible_image(snapshot, name);
                }
                _ => {}
            }
        } else if let Some(image) = &entry.image {
            self.track_image(image);
            match (&entry.named_image, &entry.name) {
                (Some(copy), _) => drop(self.track_copy(copy)),
                (None, Some(name)) if entry.is_naming() => self.track_possible_copy(image, name),
                _ => {}
            }
        } else {
            entry.task.iter().for_each(|task| self.track_task(task));
        }
        for (region, copy) in &entry.copies {
            self.track_copy_in(region, copy);
        }
        self.track_possible_copies();
    }

    /// Whether the journal speaks of this image and of this import.
    pub(super) fn matches_request(&self) -> bool {
        let previous = self.journal.entry().request_fingerprint;
        previous.as_ref() == Some(&import_task::fingerprint(&self.job))
            && import::upload::is_same_source(&self.journal, &self.job.common.image)
    }

    /// The image of an earlier run, if that came so far.
    pub(super) async fn earlier_image(&mut self) -> Result<Option<String>> {
        let entry = self.journal.entry();
        let Some(image) = entry.image.filter(|_| entry.snapshot.is_none()) else {
            // Another road's image is of no use on this one.
            if entry.snapshot.is_some() {
                self.discard_images();
            }
            return Ok(None);
        };
        let mut exists = self.exists(&image).await?;
        if let (false, Some(copy)) = (exists, &entry.named_image) {
            // The first image goes once the one with the name is there.
            exists = self.exists(copy).await?;
            if let (true, Some(first)) = (exists, self.handles.image) {
                self.cleanup.remove(first);
            }
        }
        if exists && self.matches_request() {
            self.session
                .progress
                .info(&format!("An earlier run has imported {image}"));
            self.outcome.task_id = self.journal.entry().task;
            return Ok(Some(image));
        }
        self.discard_images();
        Ok(None)
    }

    async fn exists(&self, image: &str) -> Result<bool> {
        let exists = ami::exists(&self.clients, image);
        self.session.cancellable(exists).await
    }

    /// The snapshot of an earlier run, if that came so far; its image, too, if it is there.
    pub(super) async fn earlier_snapshot(&mut self) -> Result<Option<String>> {
        let entry = self.journal.entry();
        let Some(snapshot) = entry.snapshot else {
            // Another road's image is of no use on this one.
            if entry.image.is_some() {
                self.discard_images();
            }
            return Ok(None);
        };
        let lookups = async {
            let image = match &entry.image {
                Some(image) => ami::exists(&self.clients, image).await?,
                None => false,
            };
            Ok((ami::snapshot_exists(&self.clients, &snapshot).await?, image))
        };
        let (exists, image) = self.session.cancellable(lookups).await?;
        if !(exists && self.matches_request()) {
            self.discard_images();
            return Ok(None);
        }
        if !image {
            self.discard_registered();
        }
        self.session
            .progress
            .info(&format!("An earlier run has imported {snapshot}"));
        self.outcome.task_id = entry.task;
        Ok(Some(snapshot))
    }

    /// The image is gone; its snapshot can be registered once more.
    fn discard_registered(&mut self) {
        if let Some(handle) = self.handles.image.take() {
            self.cleanup.remove(handle);
        }
        self.journal.update(|entry| entry.image = None);
    }

    /// Images of what is not wanted any more are not taken away: somebody may use them.
    fn discard_images(&mut self) {
        let entry = self.journal.entry();
        let kept = [entry.snapshot, entry.image, entry.named_image];
        for id in kept.iter().flatten().chain(entry.copies.values()) {
            self.warn_kept(id);
        }
        let handles = &mut self.handles;
        let copies = std::mem::take(&mut handles.copies);
        let tracked = [
            handles.snapshot.take(),
            handles.image.take(),
            handles.copy.take(),
        ];
        for handle in tracked.into_iter().flatten().chain(copies.into_values()) {
            self.cleanup.remove(handle);
        }
        self.journal.update(|entry| {
            (entry.snapshot, entry.image) = (None, None);
            (entry.named_image, entry.copy_token) = (None, None);
            (entry.copies, entry.copy_requests) = Default::default();
            (entry.task, entry.client_token) = (None, None);
        });
    }

    fn warn_kept(&self, id: &str) {
        let text = format!(
            "{id}, which an earlier run has imported, stays: this run was asked for another one"
        );
        self.session.progress.warn(&text);
    }

    /// The task of an earlier run, if it is alive or done: attached to, never started twice.
    pub(super) async fn earlier_task(&mut self) -> Result<Option<String>> {
        let Some(task) = self.find_task().await? else {
            return Ok(None);
        };
        let state = self
            .session
            .cancellable(task_status::state(&self.clients, &task))
            .await?;
        match state {
            task_status::State::NotFound => {}
            _ if self.matches_request() => {
                self.session
                    .progress
                    .info(&format!("An earlier run has started {task}"));
                return Ok(Some(task));
            }
            task_status::State::Done(made) => made.iter().for_each(|id| self.warn_kept(id)),
            task_status::State::Running => return Err(self.conflicting_import(&task)),
        }
        self.untrack_task();
        self.journal
            .update(|entry| (entry.task, entry.client_token) = (None, None));
        Ok(None)
    }

    /// The task of the journal. One that was asked for differently and whose answer was not
    /// written down is looked for; the same request answers with it by its token.
    async fn find_task(&mut self) -> Result<Option<String>> {
        let entry = self.journal.entry();
        if entry.task.is_some() || !entry.has_unconfirmed_request() || self.matches_request() {
            return Ok(entry.task);
        }
        let (bucket, key) = (&self.job.bucket, &self.job.key);
        let readers = async {
            let found = unconfirmed::readers(&self.clients, bucket, key).await;
            found.map_err(|fault| {
                let what = format!("who reads {} could not be asked", self.job.url());
                fault.into_error(what, unconfirmed::DESCRIBE_TASKS)
            })
        };
        let found = self.session.cancellable(readers).await?;
        let task = found.since(entry.earlier_tasks.as_deref()).pop();
        if let Some(task) = &task {
            self.journal.update(|entry| entry.task = Some(task.clone()));
            self.track_task(task);
        }
        Ok(task)
    }

    /// Another import reads the object that this one would overwrite.
    fn conflicting_import(&self, task: &str) -> Error {
        let cancel = task_status::cancel_command(&self.job, task);
        Error::failed(format!(
            "{} is still read by an earlier import, {task}",
            self.job.url()
        ))
        .with_cause("that import was of another image, or was asked for differently")
        .hint(format!(
            "wait for it, give this one another --key, or cancel it with: {cancel}"
        ))
    }
}
