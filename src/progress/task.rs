//! The cloud's own work: the handle that sets percent and message. How they look is left to
//! `event` and `bar`.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use super::event::Event;
use super::state::Work;
use super::{Bar, Progress, bar, guard};
use crate::secret::masked;

/// The cloud's own work. Dropped without `finish`, its bar goes away.
pub struct Remote {
    progress: Progress,
    work: Arc<Mutex<Work>>,
    bar: Option<Bar>,
    _beat: Option<Sender<()>>,
}

impl Remote {
    pub(super) fn new(progress: &Progress) -> Self {
        let work = Work::new(progress.shared.rhythm(), progress.shared.now());
        let work = Arc::new(Mutex::new(work));
        let (drawn, paint) = (Arc::clone(&work), progress.shared.paint);
        let bar =
            progress.add_bar(move |now, width| bar::import(&guard(&drawn), now, width, paint));
        let told = (progress.clone(), Arc::clone(&work));
        let beat = progress.shared.beat(move || guard(&told.1).tell(&told.0));
        Self {
            progress: progress.clone(),
            work,
            bar,
            _beat: beat,
        }
    }

    /// What the cloud says of its work.
    pub fn set(&self, percent: Option<u8>, message: &str) {
        let mut work = guard(&self.work);
        work.percent = percent.map(|percent| percent.min(100));
        work.message = masked(message).into_owned();
        work.tell(&self.progress);
    }

    /// The work is done: "Imported as ami-0abc". It takes the place of the stage's line.
    pub fn finish(mut self, text: &str) {
        self.bar.take();
        let mut work = guard(&self.work);
        work.over = true;
        let took = self.progress.shared.now().duration_since(work.started);
        drop(work);
        self.progress.say(&Event::Imported {
            message: text,
            took,
        });
    }

    /// What happens every second; tests do it by hand.
    #[cfg(test)]
    pub(super) fn beat(&self) {
        guard(&self.work).tell(&self.progress);
    }
}
