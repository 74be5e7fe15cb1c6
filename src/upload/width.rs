//! How many parts at once are worth it, learnt from what passes: on a slow line a few,
//! so that none takes for ever; on a fast one more, as long as more is faster.

use std::time::Duration;

use tokio::time::Instant;

/// A part that takes longer than this shows no progress and is dear to lose.
pub(super) const LONGEST: Duration = Duration::from_secs(16);

/// Shorter than this, a measurement is noise.
const ROUND: Duration = Duration::from_secs(1);

/// A step that brings less than this is taken back.
const GAIN: f64 = 1.15;

/// What was measured, and what follows from it.
pub(super) struct Width {
    part_size: u64,
    start: usize,
    size: usize,
    most: usize,
    /// Rate and size before the last step.
    before: Option<(f64, usize)>,
    settled: bool,
    round: Round,
}

/// Parts since the last decision.
struct Round {
    parts: usize,
    bytes: u64,
    since: Option<Instant>,
}

impl Round {
    const NEW: Self = Self {
        parts: 0,
        bytes: 0,
        since: None,
    };
}

impl Width {
    /// Starts with `start` parts at once and never asks for more than `most`.
    pub(super) fn new(part_size: u64, start: usize, most: usize) -> Self {
        Self {
            part_size,
            start,
            size: start,
            most,
            before: None,
            settled: start == most,
            round: Round::NEW,
        }
    }

    /// A part of so many bytes passed; the new width, when it changes.
    pub(super) fn passed(&mut self, bytes: u64) -> Option<usize> {
        let now = Instant::now();
        // The first part of a round starts the clock and is not counted.
        let since = *self.round.since.get_or_insert(now);
        if since == now {
            return None;
        }
        (self.round.parts, self.round.bytes) = (self.round.parts + 1, self.round.bytes + bytes);
        let elapsed = now - since;
        if self.round.parts < self.size || elapsed < ROUND {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = self.round.bytes as f64 / elapsed.as_secs_f64();
        self.round = Round::NEW;
        let size = self.judged(rate);
        let changed = size != self.size;
        self.size = size;
        changed.then_some(size)
    }

    fn judged(&mut self, rate: f64) -> usize {
        let bearable = at_rate(rate, self.part_size, self.start);
        if bearable < self.size.min(self.start) || self.size < self.start {
            self.before = None;
            return bearable;
        }
        match self.before.take() {
            Some((slower, size)) if rate < slower * GAIN => {
                self.settled = true;
                size
            }
            _ if self.settled => self.size,
            _ => {
                self.before = Some((rate, self.size));
                let size = (self.size + self.size.div_ceil(2)).min(self.most);
                self.settled = size == self.size;
                size
            }
        }
    }
}

/// How many parts at once a line of this rate carries without any taking too long; two
/// at least, so that one travels while another is acknowledged.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rate"
)]
pub(super) fn at_rate(bytes_per_second: f64, part_size: u64, most: usize) -> usize {
    let parts = bytes_per_second * LONGEST.as_secs_f64() / part_size as f64;
    (parts as usize).clamp(2.min(most), most)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A line that carries so many MiB a second over each connection, and so many in all.
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    async fn settles(width: &mut Width, each: f64, all: f64) -> usize {
        for _ in 0..1000 {
            let rate = (each * width.size as f64).min(all);
            advance(Duration::from_secs_f64(8.0 / rate)).await;
            width.passed(8 * MIB);
        }
        width.size
    }

    async fn on(each: f64, all: f64) -> usize {
        settles(&mut Width::new(8 * MIB, 8, 32), each, all).await
    }

    #[tokio::test(start_paused = true)]
    async fn more_connections_while_each_brings_more() {
        assert_eq!(on(40.0, 10_000.0).await, 32);
        assert_eq!(on(40.0, 450.0).await, 12, "the line is full with 12");
        assert_eq!(on(40.0, 320.0).await, 8, "and here with 8");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_has_few_parts_on_it() {
        assert_eq!(on(12.0, 12.0).await, 8, "100 Mbit/s");
        assert_eq!(on(2.0, 2.1).await, 4);
        assert_eq!(on(0.1, 0.1).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_hour_is_forgotten() {
        let mut width = Width::new(8 * MIB, 8, 8);
        assert_eq!(settles(&mut width, 0.1, 0.5).await, 2);
        assert_eq!(settles(&mut width, 10.0, 100.0).await, 8);
    }
}
