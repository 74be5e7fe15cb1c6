//! How many parts at once are worth it, learnt from what passes: two on a line that
//! nobody knows yet, then more while none takes too long; on a fast line more still, as
//! long as more is faster; fewer again when the line becomes slow.

use std::time::Duration;

use tokio::time::Instant;

/// Parts in flight before anything was measured: one travels while the answer to the
/// other is on its way.
const FIRST: usize = 2;

/// Shorter than this, a measurement of the rate is noise.
const ROUND: Duration = Duration::from_secs(1);

/// A step that brings less than this is taken back.
const GAIN: f64 = 1.15;

/// What may be in flight.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a part.
    pub part_size: u64,
    /// A part that takes longer than this shows no progress and is dear to lose.
    pub longest: Duration,
    /// As many parts at once as any line bears that carries them in time.
    pub plenty: usize,
    /// As many as are tried while more is faster.
    pub most: usize,
}

/// What was measured, and what follows from it.
pub struct Width {
    bounds: Bounds,
    size: usize,
    /// When the size changed last.
    changed: Instant,
    /// Rate and size before the last step beyond `plenty`.
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
    /// Starts with a few parts.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            size: bounds.first(),
            changed: Instant::now(),
            before: None,
            settled: bounds.plenty == bounds.most,
            round: Round::NEW,
        }
    }

    /// Notes that a part of so many bytes has passed, which took so long. Returns the new
    /// number of parts at once when it changes.
    pub fn passed(&mut self, bytes: u64, took: Duration) -> Option<usize> {
        let now = Instant::now();
        let size = match self.round(bytes, now) {
            Some(rate) => self.judged(rate),
            None => self.size.max(self.first_steps(bytes, took, now)),
        };
        if size == self.size {
            return None;
        }
        (self.size, self.changed, self.round) = (size, now, Round::NEW);
        Some(size)
    }

    /// The rate, when enough has passed to know it.
    fn round(&mut self, bytes: u64, now: Instant) -> Option<f64> {
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
        Some(rate)
    }

    /// Up to `plenty`, twice as many when one part has shown that none of them will take
    /// too long. A part that began before the last step tells nothing of the new size.
    fn first_steps(&self, bytes: u64, took: Duration, now: Instant) -> usize {
        let plenty = self.bounds.plenty;
        if self.size >= plenty || now - self.changed < took {
            return self.size;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = bytes as f64 * self.size as f64 / took.as_secs_f64().max(1e-9);
        self.bounds.at_rate(rate).min(self.size * 2)
    }

    fn judged(&mut self, rate: f64) -> usize {
        let bearable = self.bounds.at_rate(rate);
        let plenty = self.bounds.plenty;
        if bearable < self.size.min(plenty) || self.size < plenty {
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
                let size = (self.size + self.size.div_ceil(2)).min(self.bounds.most);
                self.settled = size == self.size;
                size
            }
        }
    }
}

impl Bounds {
    /// How many parts are in flight before anything was measured.
    pub fn first(&self) -> usize {
        FIRST.min(self.plenty)
    }

    /// How many parts at once a line of this rate carries without any taking too long;
    /// two at least, so that one travels while another is acknowledged.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate"
    )]
    fn at_rate(&self, bytes_per_second: f64) -> usize {
        let parts = bytes_per_second * self.longest.as_secs_f64() / self.part_size as f64;
        (parts as usize).clamp(self.first(), self.plenty)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn bounds(plenty: usize, most: usize) -> Bounds {
        Bounds {
            part_size: 8 * MIB,
            longest: Duration::from_secs(16),
            plenty,
            most,
        }
    }

    /// A line that carries so many MiB a second over each connection, and so many in all.
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    async fn settles(width: &mut Width, each: f64, all: f64) -> usize {
        for _ in 0..1000 {
            let rate = (each * width.size as f64).min(all);
            let took = Duration::from_secs_f64(8.0 * width.size as f64 / rate);
            advance(Duration::from_secs_f64(8.0 / rate)).await;
            width.passed(8 * MIB, took);
        }
        width.size
    }

    async fn on(each: f64, all: f64) -> usize {
        settles(&mut Width::new(bounds(8, 32)), each, all).await
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
    async fn an_unknown_line_gets_two_parts_and_then_what_it_bears() {
        let mut width = Width::new(bounds(8, 8));
        assert_eq!(width.size, 2);
        let mut passes = async |seconds: f64| {
            let took = Duration::from_secs_f64(seconds);
            advance(took).await;
            (0..width.size)
                .filter_map(|_| width.passed(8 * MIB, took))
                .last()
        };
        assert_eq!(passes(30.0).await, None, "4.5 Mbit/s");
        assert_eq!(passes(0.1).await, Some(4), "1.3 Gbit/s");
        assert_eq!(passes(0.1).await, Some(8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_hour_is_forgotten() {
        let mut width = Width::new(bounds(8, 8));
        assert_eq!(settles(&mut width, 0.1, 0.5).await, 2);
        assert_eq!(settles(&mut width, 10.0, 100.0).await, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_becomes_slow_gets_fewer() {
        let mut width = Width::new(bounds(8, 8));
        assert_eq!(settles(&mut width, 10.0, 100.0).await, 8);
        assert_eq!(settles(&mut width, 0.1, 0.5).await, 2);
    }
}
