//! What is known of bytes on their way up and of the cloud's own work: counts, times, the last
//! message. How these look is left to `event` and `bar`.

use std::time::{Duration, Instant};

use super::Progress;
use super::event::{self, Event};
use super::output_rate::{Notes, Pace, Remaining, Rhythm, SILENCE, Speed};

/// Guesses the whole from what has gone so far.
pub(super) type Guess = Box<dyn Fn() -> Option<u64> + Send>;

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
    pub(super) notes: Notes,
    over: bool,
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
    pub(super) fn guess(&mut self) {
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
    pub(super) fn end(&mut self, now: Instant) -> Event<'static> {
        self.over = true;
        Event::Uploaded {
            bytes: self.done(),
            resumed: self.resumed,
            took: now.duration_since(self.started),
        }
    }

    /// Under its lock, so that no line is late.
    pub(super) fn tell(&mut self, progress: &Progress) {
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

/// What is known of an import.
pub(super) struct Work {
    pub(super) percent: Option<u8>,
    pub(super) message: String,
    pub(super) started: Instant,
    pace: Pace,
    pub(super) over: bool,
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
    pub(super) fn tell(&mut self, progress: &Progress) {
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
