//! The two things that take long, as handles: bytes on their way up, and the cloud's
//! own work. They hold the counts; how these look is left to `event` and `bar`.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::event::{self, Event};
use super::pace::{Pace, SILENCE, Speed};
use super::{Shared, bar, guard};

/// Bytes on their way. Dropped without `finish`, its bar goes away.
pub struct Transfer {
    shared: Arc<Shared>,
    flow: Arc<Mutex<Flow>>,
    bar: Option<ProgressBar>,
    _beat: Option<Sender<()>>,
}

/// The cloud's own work. Dropped without `finish`, its bar goes away.
pub struct Remote {
    shared: Arc<Shared>,
    work: Arc<Mutex<Work>>,
    bar: Option<ProgressBar>,
    _beat: Option<Sender<()>>,
}

/// What is known of an upload.
pub(super) struct Flow {
    pub(super) total: Option<u64>,
    pub(super) sent: u64,
    pub(super) resumed: u64,
    pub(super) started: Instant,
    pub(super) speed: Speed,
    heard: Instant,
    pace: Pace,
    over: bool,
}

/// What is known of an import.
pub(super) struct Work {
    pub(super) percent: Option<u8>,
    pub(super) message: String,
    pub(super) started: Instant,
    pace: Pace,
    over: bool,
}

impl Transfer {
    pub(super) fn new(shared: &Arc<Shared>, total: Option<u64>) -> Self {
        let flow = Arc::new(Mutex::new(Flow::new(total, shared.now())));
        let drawn = (Arc::clone(shared), Arc::clone(&flow));
        let bar = shared.add_bar(move |width| bar::upload(&guard(&drawn.1), drawn.0.now(), width));
        let told = (Arc::clone(shared), Arc::clone(&flow));
        let beat = shared.beat(move || guard(&told.1).tell(&told.0));
        Self {
            shared: Arc::clone(shared),
            flow,
            bar,
            _beat: beat,
        }
    }

    /// The service has acknowledged so many more bytes.
    pub fn acknowledged(&self, bytes: u64) {
        let mut flow = guard(&self.flow);
        flow.acknowledge(bytes, self.shared.now());
        flow.tell(&self.shared);
    }

    /// So many bytes were there already and are not sent again; they do not count for the speed.
    pub fn resumed(&self, bytes: u64) {
        let mut flow = guard(&self.flow);
        flow.resumed = flow.resumed.saturating_add(bytes);
    }

    /// So many bytes need not travel at all.
    pub fn skipped(&self, bytes: u64) {
        let mut flow = guard(&self.flow);
        flow.total = flow.total.map(|total| total.saturating_sub(bytes));
    }

    /// What happens every second; tests do it by hand.
    #[cfg(test)]
    pub(super) fn beat(&self) {
        guard(&self.flow).tell(&self.shared);
    }

    /// A retry or a stall: a line above the bar.
    pub fn note(&self, text: &str) {
        self.shared.say(&Event::Note { message: text });
    }

    /// All of it is there.
    pub fn finish(mut self) {
        self.shared.remove_bar(self.bar.take());
        let (bytes, resumed, took) = guard(&self.flow).end(self.shared.now());
        self.shared.say(&Event::Uploaded {
            bytes,
            resumed,
            took,
        });
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.shared.remove_bar(self.bar.take());
    }
}

impl Flow {
    pub(super) fn new(total: Option<u64>, now: Instant) -> Self {
        let pace = Pace::new(now, total.map(|_| 0));
        Self {
            total,
            sent: 0,
            resumed: 0,
            started: now,
            speed: Speed::new(now),
            heard: now,
            pace,
            over: false,
        }
    }

    pub(super) fn acknowledge(&mut self, bytes: u64, now: Instant) {
        self.sent = self.sent.saturating_add(bytes);
        self.speed.mark(now, self.sent);
        self.heard = now;
    }

    /// All that the service has.
    pub(super) fn done(&self) -> u64 {
        self.sent.saturating_add(self.resumed)
    }

    pub(super) fn percent(&self) -> Option<u8> {
        self.total.map(|total| event::percent(self.done(), total))
    }

    /// How long nothing has come back, when that is worth a word.
    pub(super) fn silent(&self, now: Instant) -> Option<Duration> {
        let waits = self.total.is_none_or(|total| self.done() < total);
        Some(now.duration_since(self.heard)).filter(|&silent| waits && silent >= SILENCE)
    }

    /// After this nothing more is told: all bytes, those of an earlier run, the time it took.
    fn end(&mut self, now: Instant) -> (u64, u64, Duration) {
        self.over = true;
        (self.done(), self.resumed, now.duration_since(self.started))
    }

    /// Under its lock, so that no line is late.
    fn tell(&mut self, shared: &Shared) {
        let now = shared.now();
        if shared.repeats() && !self.over && self.pace.due(now, self.percent(), "") {
            let (bytes, total, resumed) = (self.done(), self.total, self.resumed);
            shared.say(&Event::Upload {
                bytes,
                total,
                resumed,
                silent: self.silent(now),
            });
        }
    }
}

impl Remote {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let work = Arc::new(Mutex::new(Work::new(shared.now())));
        let drawn = (Arc::clone(shared), Arc::clone(&work));
        let bar = shared.add_bar(move |width| bar::import(&guard(&drawn.1), drawn.0.now(), width));
        let told = (Arc::clone(shared), Arc::clone(&work));
        let beat = shared.beat(move || guard(&told.1).tell(&told.0));
        Self {
            shared: Arc::clone(shared),
            work,
            bar,
            _beat: beat,
        }
    }

    /// What the cloud says of its work.
    pub fn set(&self, percent: Option<u8>, message: &str) {
        let mut work = guard(&self.work);
        work.percent = percent.map(|percent| percent.min(100));
        message.clone_into(&mut work.message);
        work.tell(&self.shared);
    }

    /// The work is done: "Imported as ami-0abc".
    pub fn finish(mut self, text: &str) {
        self.shared.remove_bar(self.bar.take());
        guard(&self.work).over = true;
        self.shared.say(&Event::Imported { message: text });
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.shared.remove_bar(self.bar.take());
    }
}

impl Work {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            percent: None,
            message: String::new(),
            started: now,
            pace: Pace::new(now, None),
            over: false,
        }
    }

    fn tell(&mut self, shared: &Shared) {
        if shared.repeats()
            && !self.over
            && self.pace.due(shared.now(), self.percent, &self.message)
        {
            shared.say(&Event::Import {
                percent: self.percent,
                message: &self.message,
            });
        }
    }
}
