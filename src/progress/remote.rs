//! The cloud's own work. Holds what it says; how that looks is left to `event` and `bar`.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::event::Event;
use super::pace::{Pace, Rhythm};
use super::{Bar, Progress, bar, guard};
use crate::secret::masked;

/// The cloud's own work. Dropped without `finish`, its bar goes away.
pub struct Remote {
    progress: Progress,
    work: Arc<Mutex<Work>>,
    bar: Option<Bar>,
    _beat: Option<Sender<()>>,
}

/// What is known of an import.
pub(super) struct Work {
    pub(super) percent: Option<u8>,
    pub(super) message: String,
    pub(super) started: Instant,
    pace: Pace,
    over: bool,
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

impl Work {
    pub(super) fn new(rhythm: Rhythm, now: Instant) -> Self {
        Self {
            percent: None,
            message: String::new(),
            started: now,
            pace: Pace::new(rhythm, now, None),
            over: false,
        }
    }

    /// Under its lock, so that no line is late.
    fn tell(&mut self, progress: &Progress) {
        let now = progress.shared.now();
        if progress.shared.repeats()
            && !self.over
            && self.pace.due(now, self.percent, &self.message)
        {
            progress.say(&Event::Import {
                percent: self.percent,
                message: &self.message,
            });
        }
    }
}
