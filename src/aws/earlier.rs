//! What an earlier run of the same command has left: named or removed however this run
//! ends, and gone on from where it still fits.

use super::{Run, image, import, task};
use crate::error::{Error, Result};
use crate::sending;

impl Run<'_> {
    /// Puts all of it on the undo list, before anything can fail.
    pub(super) fn hold_earlier(&mut self) {
        let entry = self.journal.entry();
        if let Some(upload) = &entry.upload {
            self.hold_parts(upload);
        }
        if entry.sent {
            self.hold_object();
        }
        if let Some(snapshot) = &entry.filling {
            self.hold_earlier_filling(snapshot);
        }
        if let Some(snapshot) = &entry.snapshot {
            self.hold_snapshot(snapshot);
            if let Some(image) = &entry.image {
                self.hold_registered(image);
            }
        } else if let Some(image) = &entry.image {
            self.hold_image(image);
            if let Some(copy) = &entry.copy {
                self.hold_copy(copy);
            }
        } else {
            entry.task.iter().for_each(|task| self.hold_task(task));
        }
        for (region, copy) in &entry.copies {
            self.hold_copy_in(region, copy);
        }
    }

    /// Whether the journal speaks of this image and of this import.
    pub(super) fn is_the_same(&self) -> bool {
        let asked = self.journal.entry().request;
        asked.as_ref() == Some(&import::request(&self.job))
            && sending::is_same_source(&self.journal, &self.job.common.image)
    }

    /// The image of an earlier run, if that came so far.
    pub(super) async fn earlier_image(&mut self) -> Result<Option<String>> {
        let entry = self.journal.entry();
        let Some(image) = entry.image.filter(|_| entry.snapshot.is_none()) else {
            // Another road's image is of no use on this one.
            if entry.snapshot.is_some() {
                self.forget_images();
            }
            return Ok(None);
        };
        let mut exists = self.exists(&image).await?;
        if let (false, Some(copy)) = (exists, &entry.copy) {
            // The first image goes once the one with the name is there.
            exists = self.exists(copy).await?;
            if let (true, Some(first)) = (exists, self.held.image) {
                self.cleanup.disarm(first);
            }
        }
        if exists && self.is_the_same() {
            self.session
                .progress
                .fact(&format!("An earlier run has imported {image}"));
            self.outcome.task_id = self.journal.entry().task;
            return Ok(Some(image));
        }
        self.forget_images();
        Ok(None)
    }

    async fn exists(&self, image: &str) -> Result<bool> {
        let exists = image::exists(&self.clients, image);
        self.session.unless_stopped(exists).await
    }

    /// The snapshot of an earlier run, if that came so far; its image, too, if it is there.
    pub(super) async fn earlier_snapshot(&mut self) -> Result<Option<String>> {
        let entry = self.journal.entry();
        let Some(snapshot) = entry.snapshot else {
            // Another road's image is of no use on this one.
            if entry.image.is_some() {
                self.forget_images();
            }
            return Ok(None);
        };
        let looks = async {
            let image = match &entry.image {
                Some(image) => image::exists(&self.clients, image).await?,
                None => false,
            };
            Ok((
                image::snapshot_exists(&self.clients, &snapshot).await?,
                image,
            ))
        };
        let (there, image) = self.session.unless_stopped(looks).await?;
        if !(there && self.is_the_same()) {
            self.forget_images();
            return Ok(None);
        }
        if !image {
            self.forget_registered();
        }
        self.session
            .progress
            .fact(&format!("An earlier run has imported {snapshot}"));
        self.outcome.task_id = entry.task;
        Ok(Some(snapshot))
    }

    /// The image is gone; its snapshot can be registered once more.
    fn forget_registered(&mut self) {
        if let Some(held) = self.held.image.take() {
            self.cleanup.disarm(held);
        }
        self.journal.note(|entry| entry.image = None);
    }

    /// Images of what is not wanted any more are not taken away: somebody may use them.
    fn forget_images(&mut self) {
        let entry = self.journal.entry();
        let things = [entry.snapshot, entry.image, entry.copy];
        for thing in things.iter().flatten().chain(entry.copies.values()) {
            self.says_it_stays(thing);
        }
        let held = &mut self.held;
        let copies = std::mem::take(&mut held.copies);
        let held = [held.snapshot.take(), held.image.take(), held.copy.take()];
        for held in held.into_iter().flatten().chain(copies.into_values()) {
            self.cleanup.disarm(held);
        }
        self.journal.note(|entry| {
            (entry.snapshot, entry.image) = (None, None);
            (entry.copy, entry.copy_token) = (None, None);
            (entry.copies, entry.copy_requests) = Default::default();
            (entry.task, entry.client_token) = (None, None);
        });
    }

    fn says_it_stays(&self, thing: &str) {
        let text = format!(
            "{thing}, which an earlier run has imported, stays: this run was asked for another one"
        );
        self.session.progress.warn(&text);
    }

    /// The task of an earlier run, if it is alive or done: attached to, never started twice.
    pub(super) async fn earlier_task(&mut self) -> Result<Option<String>> {
        let Some(task) = self.journal.entry().task else {
            return Ok(None);
        };
        let state = self
            .session
            .unless_stopped(task::state(&self.clients, &task))
            .await?;
        match state {
            task::State::Gone => {}
            _ if self.is_the_same() => {
                self.session
                    .progress
                    .fact(&format!("An earlier run has started {task}"));
                return Ok(Some(task));
            }
            task::State::Done(made) => made.iter().for_each(|made| self.says_it_stays(made)),
            task::State::Running => return Err(self.in_the_way(&task)),
        }
        self.let_go_of_task();
        self.journal
            .note(|entry| (entry.task, entry.client_token) = (None, None));
        Ok(None)
    }

    /// Another import reads the object that this one would overwrite.
    fn in_the_way(&self, task: &str) -> Error {
        let cancel = format!(
            "{} ec2 cancel-import-task --import-task-id {task} --region {}",
            self.job.cli, self.job.region
        );
        Error::failed(format!(
            "{} is still read by an earlier import, {task}",
            self.job.url()
        ))
        .because_of("that import was of another image, or was asked for differently")
        .hint(format!(
            "wait for it, cancel it with: {cancel}; or give this one another --key"
        ))
    }
}
