//! What an earlier run of the same command has left: named or removed however this run
//! ends, and gone on from where it still fits.

use super::{Run, image, import};
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
        if entry.image.is_some() {
            entry.image.iter().for_each(|image| self.hold_image(image));
            if let Some(copy) = &entry.copy {
                self.hold_copy(copy);
            }
            return;
        }
        entry.task.iter().for_each(|task| self.hold_task(task));
    }

    /// Whether the journal speaks of this image and of this import.
    fn is_the_same(&self) -> bool {
        let asked = self.journal.entry().request;
        asked.as_ref() == Some(&import::request(&self.job))
            && sending::is_same_source(&self.journal, &self.job.common.image)
    }

    /// The image of an earlier run, if that came so far.
    pub(super) async fn earlier_image(&mut self) -> Result<Option<String>> {
        let Some(image) = self.journal.entry().image else {
            return Ok(None);
        };
        let exists = self
            .session
            .unless_stopped(image::exists(&self.clients, &image))
            .await?;
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

    /// Images of what is not wanted any more are not taken away: somebody may use them.
    fn forget_images(&mut self) {
        let entry = self.journal.entry();
        for image in entry.image.iter().chain(&entry.copy) {
            let text = format!(
                "{image}, which an earlier run has imported, stays: this run was asked for another one"
            );
            self.session.progress.warn(&text);
        }
        for held in [self.held.image.take(), self.held.copy.take()]
            .into_iter()
            .flatten()
        {
            self.cleanup.disarm(held);
        }
        self.journal.note(|entry| {
            (entry.image, entry.copy, entry.copy_token) = (None, None, None);
            (entry.task, entry.client_token) = (None, None);
        });
    }

    /// The task of an earlier run, if it is alive or done: attached to, never started twice.
    pub(super) async fn earlier_task(&mut self) -> Result<Option<String>> {
        let Some(task) = self.journal.entry().task else {
            return Ok(None);
        };
        let state = self
            .session
            .unless_stopped(import::state(&self.clients, &task))
            .await?;
        match state {
            import::State::Gone => {}
            _ if self.is_the_same() => {
                self.session
                    .progress
                    .fact(&format!("An earlier run has started {task}"));
                return Ok(Some(task));
            }
            import::State::Done => {}
            import::State::Running => return Err(self.in_the_way(&task)),
        }
        self.let_go_of_task();
        self.journal
            .note(|entry| (entry.task, entry.client_token) = (None, None));
        Ok(None)
    }

    /// Another import reads the object that this one would overwrite.
    fn in_the_way(&self, task: &str) -> Error {
        let cancel = format!(
            "aws ec2 cancel-import-task --import-task-id {task} --region {}",
            self.job.region
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
