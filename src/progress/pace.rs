//! How often progress is said where lines stay: when ten percent more are done, when the
//! words change, or when half a minute has passed. And how fast the bytes go.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::event;

/// Half a minute without a line looks like a hang to whoever reads the log.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// The speed shown is that of the last moments; parts are acknowledged in bursts.
const WINDOW: Duration = Duration::from_secs(15);

/// Says when the next line is due.
pub(super) struct Pace {
    step: Option<u8>,
    words: String,
    said: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant, step: Option<u8>) -> Self {
        Self {
            step,
            words: String::new(),
            said: now,
        }
    }

    /// Takes a state; true if it is worth a line.
    pub(super) fn due(&mut self, now: Instant, percent: Option<u8>, words: &str) -> bool {
        let step = percent.map(|percent| percent / 10);
        let news =
            step != self.step || words != self.words || now.duration_since(self.said) >= SILENCE;
        if news {
            *self = Self {
                step,
                words: words.to_owned(),
                said: now,
            };
        }
        news
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
