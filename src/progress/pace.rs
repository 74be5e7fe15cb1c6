//! How often progress is said where lines stay: the first state at once, then when ten
//! percent more are done, when the words change, or when half a minute has passed, but
//! never so often that a log would drown in it. And how fast the bytes go.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::event;

/// Half a minute without a line looks like a hang to whoever reads the log.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// The speed shown is that of the last moments; parts are acknowledged in bursts.
const WINDOW: Duration = Duration::from_secs(15);

/// How much is news, and how long the next has to wait.
#[derive(Clone, Copy)]
pub(super) struct Rhythm {
    step: u8,
    gap: Duration,
}

impl Rhythm {
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
pub(super) struct Pace {
    rhythm: Rhythm,
    step: Option<u8>,
    words: String,
    since: Instant,
    first: bool,
}

impl Pace {
    /// `percent` is what goes without saying.
    pub(super) fn new(rhythm: Rhythm, now: Instant, percent: Option<u8>) -> Self {
        Self {
            rhythm,
            step: percent.map(|percent| percent / rhythm.step),
            words: String::new(),
            since: now,
            first: true,
        }
    }

    /// Takes a state; true if it is worth a line now.
    pub(super) fn due(&mut self, now: Instant, percent: Option<u8>, words: &str) -> bool {
        let step = percent.map(|percent| percent / self.rhythm.step);
        let waited = now.duration_since(self.since);
        let news = step != self.step || words != self.words;
        let due = news && (self.first || waited >= self.rhythm.gap) || waited >= SILENCE;
        if due {
            (self.step, self.since, self.first) = (step, now, false);
            words.clone_into(&mut self.words);
        }
        due
    }
}

/// Retries come in floods when a line is bad: the first are told, the rest are counted.
pub(super) struct Notes {
    since: Instant,
    told: u32,
    more: u32,
}

impl Notes {
    /// As many are told in as long.
    const MANY: u32 = 5;
    const WHILE: Duration = Duration::from_secs(10);

    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            told: 0,
            more: 0,
        }
    }

    /// How many were not told until now, and whether this one is to be told.
    pub(super) fn admit(&mut self, now: Instant) -> (u32, bool) {
        let mut untold = 0;
        if now.duration_since(self.since) >= Self::WHILE {
            untold = self.untold();
            (self.since, self.told) = (now, 0);
        }
        let tell = self.told < Self::MANY;
        self.told += u32::from(tell);
        self.more += u32::from(!tell);
        (untold, tell)
    }

    pub(super) fn untold(&mut self) -> u32 {
        std::mem::take(&mut self.more)
    }
}

/// Bytes over the last moments.
pub(super) struct Speed(VecDeque<(Instant, u64)>);

impl Speed {
    pub(super) fn new(now: Instant) -> Self {
        Self(VecDeque::from([(now, 0)]))
    }

    /// This many bytes have been sent by now. The newest mark before the window stays, as its start.
    pub(super) fn mark(&mut self, now: Instant, sent: u64) {
        self.0.push_back((now, sent));
        while self
            .0
            .get(1)
            .is_some_and(|&(then, _)| now.duration_since(then) >= WINDOW)
        {
            self.0.pop_front();
        }
    }

    /// Bytes in a second; nothing while there is too little to tell.
    pub(super) fn at(&self, now: Instant) -> Option<u64> {
        let &(since, before) = self.0.front()?;
        let &(_, sent) = self.0.back()?;
        event::speed(sent.saturating_sub(before), now.duration_since(since))
            .filter(|&speed| speed > 0)
    }
}
