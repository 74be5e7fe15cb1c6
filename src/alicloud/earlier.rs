//! What an earlier run of the same command has left: named or removed however this run
//! ends, and gone on from where it still fits.

use super::image::Image;
use super::import::Started;
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
        if let (Some(task_id), Some(image_id)) = (entry.task, entry.image) {
            self.hold_task(&Started { task_id, image_id });
        }
    }

    /// Whether the journal is about the import that is asked for now.
    pub(super) fn is_same_import(&self) -> bool {
        self.journal.entry().request.as_ref() == Some(&import::request(&self.job))
            && sending::is_same_source(&self.journal, &self.job.common.image)
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
                fault.fails(what, "ecs:DescribeImages")
            })
        };
        let found = self.session.unless_stopped(found).await?;
        let Some(done) = found.filter(|image| image.status == "Available") else {
            return Ok(None);
        };
        self.let_go_of_task();
        if !self.is_same_import() {
            self.forget_import();
            return Ok(None);
        }
        self.session
            .progress
            .fact(&format!("An earlier run has imported {id}"));
        self.outcome.task_id = entry.task;
        self.hold_image(&id);
        Ok(Some(done))
    }

    /// The task of an earlier run, if it is alive: attached to, never started twice.
    pub(super) async fn earlier_task(&mut self) -> Result<Option<Started>> {
        let entry = self.journal.entry();
        let (Some(task_id), Some(image_id)) = (entry.task, entry.image) else {
            return Ok(None);
        };
        let alive = import::alive(&self.job, &self.clients, &task_id, &image_id);
        let alive = self.session.unless_stopped(alive).await?.is_some();
        if alive && !self.is_same_import() {
            return Err(self.in_the_way(&task_id));
        }
        if alive {
            self.session
                .progress
                .fact(&format!("An earlier run has started {task_id}"));
            return Ok(Some(Started { task_id, image_id }));
        }
        self.let_go_of_task();
        self.forget_import();
        // What a failed import leaves is no image, but has the name.
        if let Err(fault) = image::delete(&self.clients, &self.job.region, &image_id).await {
            let text = format!("the failed image {image_id} could not be removed: {fault}");
            self.session.progress.warn(&text);
        }
        Ok(None)
    }

    /// The next import is another one, with another token.
    pub(super) fn forget_import(&self) {
        self.journal.note(|entry| {
            (entry.task, entry.image, entry.client_token) = (None, None, None);
        });
    }

    /// Another import reads the object that this one would overwrite.
    fn in_the_way(&self, task: &str) -> Error {
        let cancel = format!(
            "{} ecs CancelTask --TaskId {task} --RegionId {}",
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
