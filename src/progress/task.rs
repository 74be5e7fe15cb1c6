//! The cloud's own work: the handle that sets percent and message. How they look is left to
//! `event` and `bar`.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use super::event::Event;
use super::state::TaskState;
use super::{BarHandle, Progress, bar, lock};
use crate::secret::mask;

/// The cloud's own work. Dropped without `finish`, its bar goes away.
pub struct TaskProgress {
    progress: Progress,
    state: Arc<Mutex<TaskState>>,
    bar: Option<BarHandle>,
    _heartbeat: Option<Sender<()>>,
}

impl TaskProgress {
    pub(super) fn new(progress: &Progress) -> Self {
        let task = TaskState::new(progress.shared.output_rate(), progress.shared.now());
        let task = Arc::new(Mutex::new(task));
        let drawn = Arc::clone(&task);
        let bar = progress.add_bar(move |now| bar::import(&lock(&drawn), now));
        let shared = (progress.clone(), Arc::clone(&task));
        let heartbeat = progress
            .shared
            .start_heartbeat(move || lock(&shared.1).emit_status(&shared.0));
        Self {
            progress: progress.clone(),
            state: task,
            bar,
            _heartbeat: heartbeat,
        }
    }

    /// What the cloud says of its work.
    pub fn set(&self, percent: Option<u8>, message: &str) {
        let mut task = lock(&self.state);
        task.percent = percent.map(|percent| percent.min(100));
        task.message = mask(message).into_owned();
        task.emit_status(&self.progress);
    }

    /// The work is done: "Imported as ami-0abc". It takes the place of the stage's line.
    pub fn finish(mut self, text: &str) {
        self.bar.take();
        let mut task = lock(&self.state);
        task.is_finished = true;
        let took = self.progress.shared.now().duration_since(task.started);
        drop(task);
        self.progress.emit(&Event::Imported {
            message: text,
            took,
        });
    }

    /// What happens every second; tests do it by hand.
    #[cfg(test)]
    pub(super) fn heartbeat(&self) {
        lock(&self.state).emit_status(&self.progress);
    }
}
