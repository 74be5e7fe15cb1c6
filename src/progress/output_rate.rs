//! How often progress is said where lines stay: the first state at once, then when ten
//! percent more are done, when the words change, or when half a minute has passed, but
//! never so often that a log would drown in it. And how fast the bytes go.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::event;

/// Half a minute without a line looks like a hang in a log.
pub(super) const STALL_NOTICE: Duration = Duration::from_secs(30);

/// The rate that is shown is that of the last moments: long enough that what one
/// connection has to wait does not show.
const WINDOW: Duration = Duration::from_secs(20);

/// What leaves in the first moment only fills buffers on the way: it does not count.
const MIN_SPEED_WINDOW: Duration = Duration::from_millis(750);

/// After this it counts nevertheless, when nothing else is known yet: a first value.
const FIRST_SPEED_TIME: Duration = Duration::from_millis(1500);

/// Bytes leave in lumps: so long after one, the rate is that up to it.
const MAX_GAP: Duration = Duration::from_secs(3);

/// The time left is taken as it comes for so long, while little is known of the line.
const ESTIMATE_DELAY: Duration = Duration::from_secs(10);

/// After that it rises only by so much at once, for the line has become slower: to this
/// many hundredths, and seconds more.
const SLOWER: (u64, u64) = (110, 5);

/// How much is news, and how long the next has to wait.
#[derive(Clone, Copy)]
pub(super) struct OutputRate {
    step: u8,
    gap: Duration,
}

impl OutputRate {
    /// What the log of a pipeline can bear.
    pub(super) const LINES: Self = Self {
        step: 10,
        gap: Duration::from_secs(10),
    };

    /// What a program that draws its own bar wants.
    pub(super) const JSON: Self = Self {
        step: 1,
        gap: Duration::from_secs(1),
    };
}

/// Says when the next line is due.
pub(super) struct OutputLimiter {
    rate: OutputRate,
    step: Option<u8>,
    message: String,
    since: Instant,
    first: bool,
}

impl OutputLimiter {
    /// `percent` is what goes without saying.
    pub(super) fn new(rate: OutputRate, now: Instant, percent: Option<u8>) -> Self {
        Self {
            rate,
            step: percent.map(|percent| percent / rate.step),
            message: String::new(),
            since: now,
            first: true,
        }
    }

    /// Takes a state; true if it is worth a line now.
    pub(super) fn is_due(&mut self, now: Instant, percent: Option<u8>, message: &str) -> bool {
        let step = percent.map(|percent| percent / self.rate.step);
        let waited = now.duration_since(self.since);
        let news = step != self.step || message != self.message;
        let due = news && (self.first || waited >= self.rate.gap) || waited >= STALL_NOTICE;
        if due {
            (self.step, self.since, self.first) = (step, now, false);
            message.clone_into(&mut self.message);
        }
        due
    }
}

/// Retries come in floods when a line is bad: the first are told, the rest are counted.
pub(super) struct NoteLimiter {
    since: Instant,
    shown: u32,
    suppressed: u32,
}

impl NoteLimiter {
    /// As many are told in as long.
    const MAX_NOTES: u32 = 5;
    const PERIOD: Duration = Duration::from_secs(10);

    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            shown: 0,
            suppressed: 0,
        }
    }

    /// How many were not told until now, and whether this one is to be told.
    pub(super) fn admit(&mut self, now: Instant) -> (u32, bool) {
        let mut suppressed = 0;
        if now.duration_since(self.since) >= Self::PERIOD {
            suppressed = self.take_suppressed();
            (self.since, self.shown) = (now, 0);
        }
        let is_shown = self.shown < Self::MAX_NOTES;
        self.shown += u32::from(is_shown);
        self.suppressed += u32::from(!is_shown);
        (suppressed, is_shown)
    }

    pub(super) fn take_suppressed(&mut self) -> u32 {
        std::mem::take(&mut self.suppressed)
    }
}

/// Bytes that have left, over the last moments.
#[derive(Default)]
pub(super) struct Speed {
    /// When the first byte left.
    began: Option<Instant>,
    /// Times, and what had left by then; after the first, only where something had.
    marks: VecDeque<(Instant, u64)>,
    left: u64,
}

impl Speed {
    /// This many bytes have left by now. The newest mark before the window stays, as its start.
    pub(super) fn mark(&mut self, now: Instant, left: u64) {
        if left == 0 || now < *self.began.get_or_insert(now) + MIN_SPEED_WINDOW {
            self.left = left;
            return;
        }
        if left > self.left || self.marks.is_empty() {
            self.marks.push_back((now, left));
        }
        self.left = left;
        let is_old = |&(then, _): &(Instant, u64)| now.duration_since(then) >= WINDOW;
        while self.marks.get(1).is_some_and(is_old) {
            self.marks.pop_front();
        }
    }

    /// Bytes in a second; nothing while there is too little to tell.
    pub(super) fn at(&self, now: Instant) -> Option<u64> {
        let measured = || {
            let &(since, before) = self.marks.front()?;
            let &(newest, left) = self.marks.back()?;
            let until = newest.max(now.checked_sub(MAX_GAP)?);
            event::speed(left - before, until.saturating_duration_since(since))
        };
        let guessed = || {
            let elapsed = now.saturating_duration_since(self.began?);
            let is_due = elapsed >= FIRST_SPEED_TIME && self.marks.len() < 2;
            event::speed(self.left, elapsed).filter(|_| is_due)
        };
        measured().filter(|&speed| speed > 0).or_else(guessed)
    }
}

/// The time left as it is shown: it falls as soon as less is left, and stays where it is
/// when a bit more seems to be left, until it does not or the line is clearly slower.
pub(super) struct Remaining {
    ready_at: Instant,
    seconds: Option<u64>,
}

impl Remaining {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            ready_at: now + ESTIMATE_DELAY,
            seconds: None,
        }
    }

    /// So many bytes are left at this rate.
    pub(super) fn update(&mut self, now: Instant, bytes: u64, speed: Option<u64>) {
        let Some(speed) = speed else { return };
        let seconds = bytes.div_ceil(speed.max(1)).max(1);
        let max = match self.seconds {
            Some(shown) if now >= self.ready_at => shown,
            _ => u64::MAX,
        };
        let bound = max.saturating_mul(SLOWER.0) / 100;
        let is_slower = seconds > bound.saturating_add(SLOWER.1);
        self.seconds = Some(if is_slower { seconds } else { seconds.min(max) });
    }

    /// Seconds, never none: that would be a promise.
    pub(super) fn seconds(&self) -> Option<u64> {
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown each second of a line that carries so many bytes a second, after it
    /// has swallowed some at once.
    fn remaining_times(total: u64, at_once: u64, carries: impl Fn(u64) -> u64) -> Vec<Option<u64>> {
        let start = Instant::now();
        let (mut speed, mut remaining) = (Speed::default(), Remaining::new(start));
        let (mut left, mut seconds) = (at_once, Vec::new());
        for quarter in 0.. {
            let now = start + Duration::from_millis(quarter * 250);
            speed.mark(now, left);
            remaining.update(now, total - left, speed.at(now));
            if quarter % 4 == 0 {
                seconds.push(remaining.seconds());
            }
            if left == total {
                break;
            }
            left = total.min(left + carries(quarter) / 4);
        }
        seconds
    }

    #[test]
    fn the_first_value_comes_within_two_seconds() {
        let seconds = remaining_times(24 << 20, 1 << 20, |_| 250_000);
        assert_eq!(seconds[0], None);
        let (first, truth) = (seconds[1].expect("a value"), 23 * (1 << 20) / 250_000 - 1);
        assert!(first.abs_diff(truth) < 3, "{first} of {truth}");
        let silent = remaining_times(
            24 << 20,
            1 << 20,
            |quarter| {
                if quarter < 20 { 0 } else { 250_000 }
            },
        );
        assert!(silent[2].is_some());
    }

    /// In lumps, as the kernel takes bytes for two connections in turns.
    #[test]
    fn on_a_steady_line_the_time_left_does_not_rise() {
        for lump in [1, 4, 8, 12] {
            let carries = |quarter| {
                if quarter % lump == 0 {
                    250_000 * lump
                } else {
                    0
                }
            };
            let seconds = remaining_times(24 << 20, 1 << 20, carries);
            let later: Vec<u64> = seconds.into_iter().skip(10).flatten().collect();
            assert!(
                later.is_sorted_by(|before, after| before >= after),
                "{later:?}"
            );
            assert!(later[0].abs_diff(86) < 10, "{later:?}");
        }
    }

    #[test]
    fn a_slower_line_raises_the_remaining_time() {
        let seconds = remaining_times(
            24 << 20,
            0,
            |quarter| if quarter < 80 { 500_000 } else { 100_000 },
        );
        let worst = seconds.iter().flatten().max().expect("values");
        assert!((110..=170).contains(worst), "{seconds:?}");
    }
}
