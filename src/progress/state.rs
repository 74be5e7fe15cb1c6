//! What is known of bytes on their way up and of the cloud's own work: counts, times, the last
//! message. How these look is left to `event` and `bar`.

use std::time::{Duration, Instant};

use super::Progress;
use super::event::{self, Event};
use super::output_rate::{NoteLimiter, OutputLimiter, OutputRate, Remaining, STALL_NOTICE, Speed};

/// Guesses the whole from what has gone so far.
pub(super) type Estimate = Box<dyn Fn() -> Option<u64> + Send>;

/// What is known of an upload.
pub(super) struct UploadState {
    pub(super) total: Option<u64>,
    pub(super) estimate: Option<Estimate>,
    /// Bytes that the service has acknowledged.
    pub(super) sent: u64,
    pub(super) resumed: u64,
    /// Bytes that have left this machine, those of repeated tries included.
    bytes_left: u64,
    /// Of these, bytes that wait for the service's answer.
    unacknowledged: u64,
    pub(super) started: Instant,
    pub(super) speed: Speed,
    pub(super) remaining: Remaining,
    /// The share of an estimate that was last shown.
    last_status: (u64, u64),
    /// When a byte moved or an answer came last.
    last_progress: Instant,
    limiter: OutputLimiter,
    pub(super) notes: NoteLimiter,
    is_finished: bool,
}

impl UploadState {
    pub(super) fn new(total: Option<u64>, rate: OutputRate, now: Instant) -> Self {
        Self {
            total,
            estimate: None,
            sent: 0,
            resumed: 0,
            bytes_left: 0,
            unacknowledged: 0,
            started: now,
            speed: Speed::default(),
            remaining: Remaining::new(now),
            last_status: (0, 0),
            last_progress: now,
            limiter: OutputLimiter::new(rate, now, total.map(|_| 0)),
            notes: NoteLimiter::new(now),
            is_finished: false,
        }
    }

    pub(super) fn acknowledge(&mut self, bytes: u64, now: Instant) {
        self.sent = self.sent.saturating_add(bytes);
        self.unacknowledged = self.unacknowledged.saturating_sub(bytes);
        self.last_progress = now;
    }

    pub(super) fn line_progress(&mut self, bytes: u64, unacknowledged: u64, now: Instant) {
        if bytes > 0 {
            self.last_progress = now;
        }
        (self.bytes_left, self.unacknowledged) =
            (self.bytes_left.saturating_add(bytes), unacknowledged);
        self.speed.mark(now, self.bytes_left);
        let under_way = self.done().saturating_add(unacknowledged);
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
    pub(super) fn update_estimate(&mut self) {
        let Some(total) = self.estimate.as_ref().and_then(|guess| guess()) else {
            return;
        };
        let done = self.done();
        let (max, of) = self.last_status;
        let bound = (u128::from(done) * u128::from(of)).checked_div(u128::from(max));
        let bound = bound.and_then(|bound| u64::try_from(bound).ok());
        let total = total.min(bound.unwrap_or(u64::MAX)).max(done);
        (self.total, self.last_status) = (Some(total), (done, total));
    }

    pub(super) fn is_estimated(&self) -> bool {
        self.estimate.is_some() && self.total.is_some()
    }

    pub(super) fn percent(&self) -> Option<u8> {
        self.total.map(|total| event::percent(self.done(), total))
    }

    /// How long no byte has moved, when that is worth a word.
    pub(super) fn stalled_for(&self, now: Instant) -> Option<Duration> {
        let waits = self.total.is_none_or(|total| self.done() < total);
        Some(now.duration_since(self.last_progress))
            .filter(|&silent| waits && silent >= STALL_NOTICE)
    }

    /// After this nothing more is told: all bytes, those of an earlier run, the time it took.
    pub(super) fn end(&mut self, now: Instant) -> Event<'static> {
        self.is_finished = true;
        Event::Uploaded {
            bytes: self.done(),
            resumed: self.resumed,
            took: now.duration_since(self.started),
        }
    }

    /// Under its lock, so that no line is late.
    pub(super) fn emit_status(&mut self, progress: &Progress) {
        let now = progress.shared.now();
        if !progress.shared.repeats_status() || self.is_finished {
            return;
        }
        self.update_estimate();
        if self.limiter.is_due(now, self.percent(), "") {
            progress.emit(&Event::Upload {
                bytes: self.done(),
                total: self.total,
                estimated: self.is_estimated(),
                resumed: self.resumed,
                silent: self.stalled_for(now),
            });
        }
    }
}

/// What is known of an import.
pub(super) struct TaskState {
    pub(super) percent: Option<u8>,
    pub(super) message: String,
    pub(super) started: Instant,
    limiter: OutputLimiter,
    pub(super) is_finished: bool,
}

impl TaskState {
    pub(super) fn new(rate: OutputRate, now: Instant) -> Self {
        Self {
            percent: None,
            message: String::new(),
            started: now,
            limiter: OutputLimiter::new(rate, now, None),
            is_finished: false,
        }
    }

    /// Under its lock, so that no line is late.
    pub(super) fn emit_status(&mut self, progress: &Progress) {
        let now = progress.shared.now();
        if progress.shared.repeats_status()
            && !self.is_finished
            && self.limiter.is_due(now, self.percent, &self.message)
        {
            progress.emit(&Event::Import {
                percent: self.percent,
                message: &self.message,
            });
        }
    }
}
