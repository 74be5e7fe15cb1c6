//! Bytes on their way up. Holds the counts; how these look is left to `event` and `bar`.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::event::{self, Event};
use super::pace::{Notes, Pace, Remaining, Rhythm, SILENCE, Speed};
use super::{Bar, Progress, bar, guard};

/// Guesses the whole from what has gone so far.
type Guess = Box<dyn Fn() -> Option<u64> + Send>;

/// Bytes on their way. Dropped without `finish`, its bar goes away.
pub struct Transfer {
    progress: Progress,
    flow: Arc<Mutex<Flow>>,
    bar: Option<Bar>,
    _beat: Option<Sender<()>>,
}

/// What is known of an upload.
pub(super) struct Flow {
    pub(super) total: Option<u64>,
    pub(super) guess: Option<Guess>,
    /// Bytes that the service has acknowledged.
    pub(super) sent: u64,
    pub(super) resumed: u64,
    /// Bytes that have left this machine, those of repeated tries included.
    left: u64,
    /// Of these, bytes that wait for the service's answer.
    unanswered: u64,
    pub(super) started: Instant,
    pub(super) speed: Speed,
    pub(super) remaining: Remaining,
    /// The share of an estimate that was last shown.
    shown: (u64, u64),
    /// When a byte moved or an answer came last.
    heard: Instant,
    pace: Pace,
    notes: Notes,
    over: bool,
}

impl Transfer {
    pub(super) fn new(progress: &Progress, total: Option<u64>, guess: Option<Guess>) -> Self {
        let now = progress.shared.now();
        // That nothing has gone yet goes without saying.
        let begun = total.or(guess.as_ref().map(|_| u64::MAX));
        let mut flow = Flow::new(begun, progress.shared.rhythm(), now);
        (flow.total, flow.guess) = (total, guess);
        let flow = Arc::new(Mutex::new(flow));
        let drawn = Arc::clone(&flow);
        let paint = progress.shared.paint;
        let bar = progress.add_bar(move |now, width| {
            let mut flow = guard(&drawn);
            flow.guess();
            bar::upload(&flow, now, width, paint)
        });
        let told = (progress.clone(), Arc::clone(&flow));
        let beat = progress.shared.beat(move || guard(&told.1).tell(&told.0));
        Self {
            progress: progress.clone(),
            flow,
            bar,
            _beat: beat,
        }
    }

    /// The service has acknowledged so many more bytes.
    pub fn acknowledged(&self, bytes: u64) {
        let mut flow = guard(&self.flow);
        flow.acknowledge(bytes, self.progress.shared.now());
        flow.tell(&self.progress);
    }

    /// So many bytes have left since the last call, and so many wait for their answer.
    pub fn moved(&self, bytes: u64, unanswered: u64) {
        let mut flow = guard(&self.flow);
        flow.moved(bytes, unanswered, self.progress.shared.now());
    }

    /// So many bytes were there already and are not sent again; they do not count for the rate.
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
        guard(&self.flow).tell(&self.progress);
    }

    /// A retry or a stall: a line above the bar.
    pub fn note(&self, text: &str) {
        if self.progress.is_for_programs() {
            return self.progress.note(text);
        }
        let now = self.progress.shared.now();
        let (untold, tell) = guard(&self.flow).notes.admit(now);
        self.count(untold);
        if tell {
            self.progress.note(text);
        }
    }

    fn count(&self, untold: u32) {
        if untold > 0 {
            self.progress.note(&format!("and {untold} more like that"));
        }
    }

    /// All of it is there.
    pub fn finish(mut self) {
        self.bar.take();
        let untold = guard(&self.flow).notes.untold();
        self.count(untold);
        let end = guard(&self.flow).end(self.progress.shared.now());
        self.progress.say(&end);
    }
}

impl Flow {
    pub(super) fn new(total: Option<u64>, rhythm: Rhythm, now: Instant) -> Self {
        Self {
            total,
            guess: None,
            sent: 0,
            resumed: 0,
            left: 0,
            unanswered: 0,
            started: now,
            speed: Speed::default(),
            remaining: Remaining::new(now),
            shown: (0, 0),
            heard: now,
            pace: Pace::new(rhythm, now, total.map(|_| 0)),
            notes: Notes::new(now),
            over: false,
        }
    }

    pub(super) fn acknowledge(&mut self, bytes: u64, now: Instant) {
        self.sent = self.sent.saturating_add(bytes);
        self.unanswered = self.unanswered.saturating_sub(bytes);
        self.heard = now;
    }

    pub(super) fn moved(&mut self, bytes: u64, unanswered: u64, now: Instant) {
        if bytes > 0 {
            self.heard = now;
        }
        (self.left, self.unanswered) = (self.left.saturating_add(bytes), unanswered);
        self.speed.mark(now, self.left);
        let under_way = self.done().saturating_add(unanswered);
        if let Some(total) = self.total {
            let rest = total.saturating_sub(under_way);
            self.remaining.update(now, rest, self.speed.at(now));
        }
    }

    /// All that the service has.
    pub(super) fn done(&self) -> u64 {
        self.sent.saturating_add(self.resumed)
    }

    /// An estimate is never less than what is there, and never takes back a percent.
    fn guess(&mut self) {
        let Some(total) = self.guess.as_ref().and_then(|guess| guess()) else {
            return;
        };
        let done = self.done();
        let (most, of) = self.shown;
        let bound = (u128::from(done) * u128::from(of)).checked_div(u128::from(most));
        let bound = bound.and_then(|bound| u64::try_from(bound).ok());
        let total = total.min(bound.unwrap_or(u64::MAX)).max(done);
        (self.total, self.shown) = (Some(total), (done, total));
    }

    pub(super) fn estimated(&self) -> bool {
        self.guess.is_some() && self.total.is_some()
    }

    pub(super) fn percent(&self) -> Option<u8> {
        self.total.map(|total| event::percent(self.done(), total))
    }

    /// How long no byte has moved, when that is worth a word.
    pub(super) fn silent(&self, now: Instant) -> Option<Duration> {
        let waits = self.total.is_none_or(|total| self.done() < total);
        Some(now.duration_since(self.heard)).filter(|&silent| waits && silent >= SILENCE)
    }

    /// After this nothing more is told: all bytes, those of an earlier run, the time it took.
    fn end(&mut self, now: Instant) -> Event<'static> {
        self.over = true;
        Event::Uploaded {
            bytes: self.done(),
            resumed: self.resumed,
            took: now.duration_since(self.started),
        }
    }

    /// Under its lock, so that no line is late.
    fn tell(&mut self, progress: &Progress) {
        let now = progress.shared.now();
        if !progress.shared.repeats() || self.over {
            return;
        }
        self.guess();
        if self.pace.due(now, self.percent(), "") {
            progress.say(&Event::Upload {
                bytes: self.done(),
                total: self.total,
                estimated: self.estimated(),
                resumed: self.resumed,
                silent: self.silent(now),
            });
        }
    }
}
