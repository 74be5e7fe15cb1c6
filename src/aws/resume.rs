//! What an earlier run of the same command has left: named or removed however this run
//! ends, and gone on from where it still fits.

use super::method::Road;
use super::{Run, ami, import_task, task_status, unconfirmed};
use crate::error::{Error, Result};
use crate::import;

impl Run<'_> {
    /// Puts all of it on the undo list, before anything can fail.
    pub(super) fn hold_earlier(&mut self) {
        let entry = self.journal.entry();
        self.hold_parts();
        if entry.sent {
            self.hold_object();
        }
        if let Some(snapshot) = &entry.filling {
            self.hold_earlier_filling(snapshot);
        } else if entry.is_unheard() {
            match self.job.road {
                Road::EbsDirect => self.hold_possible_snapshot(),
                _ => self.hold_possible_import(),
            }
        }
        if let Some(snapshot) = &entry.snapshot {
            self.hold_snapshot(snapshot);
            match (&entry.image, &entry.name) {
                (Some(image), _) => drop(self.hold_registered(image)),
                (None, Some(name)) if entry.registering => {
                    self.hold_possible_image(snapshot, name);
                }
                _ => {}
            }
        } else if let Some(image) = &entry.image {
            self.hold_image(image);
            match (&entry.copy, &entry.name) {
                (Some(copy), _) => drop(self.hold_copy(copy)),
                (None, Some(name)) if entry.is_naming() => self.hold_possible_copy(image, name),
                _ => {}
            }
        } else {
            entry.task.iter().for_each(|task| self.hold_task(task));
        }
        for (region, copy) in &entry.copies {
            self.hold_copy_in(region, copy);
        }
        self.hold_possible_copies();
    }

    /// Whether the journal speaks of this image and of this import.
    pub(super) fn is_the_same(&self) -> bool {
        let asked = self.journal.entry().request;
        asked.as_ref() == Some(&import_task::request(&self.job))
            && import::upload::is_same_source(&self.journal, &self.job.common.image)
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
        let exists = ami::exists(&self.clients, image);
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
                Some(image) => ami::exists(&self.clients, image).await?,
                None => false,
            };
            Ok((ami::snapshot_exists(&self.clients, &snapshot).await?, image))
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
        let Some(task) = self.known_task().await? else {
            return Ok(None);
        };
        let state = self
            .session
            .unless_stopped(task_status::state(&self.clients, &task))
            .await?;
        match state {
            task_status::State::Gone => {}
            _ if self.is_the_same() => {
                self.session
                    .progress
                    .fact(&format!("An earlier run has started {task}"));
                return Ok(Some(task));
            }
            task_status::State::Done(made) => made.iter().for_each(|made| self.says_it_stays(made)),
            task_status::State::Running => return Err(self.in_the_way(&task)),
        }
        self.let_go_of_task();
        self.journal
            .note(|entry| (entry.task, entry.client_token) = (None, None));
        Ok(None)
    }

    /// The task of the journal. One that was asked for differently and whose answer was not
    /// written down is looked for; the same request answers with it by its token.
    async fn known_task(&mut self) -> Result<Option<String>> {
        let entry = self.journal.entry();
        if entry.task.is_some() || !entry.is_unheard() || self.is_the_same() {
            return Ok(entry.task);
        }
        let (bucket, key) = (&self.job.bucket, &self.job.key);
        let readers = async {
            let found = unconfirmed::readers(&self.clients, bucket, key).await;
            found.map_err(|fault| {
                let what = format!("who reads {} could not be asked", self.job.url());
                fault.fails(what, unconfirmed::DESCRIBE_TASKS)
            })
        };
        let found = self.session.unless_stopped(readers).await?;
        let task = found.since(entry.earlier_tasks.as_deref()).pop();
        if let Some(task) = &task {
            self.journal.note(|entry| entry.task = Some(task.clone()));
            self.hold_task(task);
        }
        Ok(task)
    }

    /// Another import reads the object that this one would overwrite.
    fn in_the_way(&self, task: &str) -> Error {
        let cancel = task_status::cancellation(&self.job, task);
        Error::failed(format!(
            "{} is still read by an earlier import, {task}",
            self.job.url()
        ))
        .because_of("that import was of another image, or was asked for differently")
        .hint(format!(
            "wait for it, give this one another --key, or cancel it with: {cancel}"
        ))
    }
}
