//! Chooses the number of parts in flight by measurement: it starts with two and adds more while
//! no part takes too long; on a fast network it adds more as long as that is faster; it reduces
//! the number when the network becomes slow.

use std::time::Duration;

use tokio::time::Instant;

/// Parts in flight before the first measurement: one is sent while the response to the other is
/// awaited.
const INITIAL_PARTS: usize = 2;

/// The shortest measurement of the rate that is more than noise.
const ROUND_TIME: Duration = Duration::from_secs(1);

/// A step that gains less than this is reverted.
const MIN_GAIN: f64 = 1.15;

/// The limits of the number of parts in flight.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Part size in bytes.
    pub part_size: u64,
    /// The longest time that a part should take: a slower one shows no progress and is
    /// expensive to repeat.
    pub max_part_time: Duration,
    /// The number for any network that sends the parts in time.
    pub default_parts: usize,
    /// The largest number that is tried while more is faster.
    pub max_parts: usize,
}

/// The measurements, and the number that follows from them.
pub struct ConcurrencyTuner {
    bounds: Bounds,
    size: usize,
    /// The time at which the number changed last.
    changed: Instant,
    /// Rate and number before the last step beyond `default_parts`.
    previous: Option<(f64, usize)>,
    settled: bool,
    round: Round,
}

/// The parts since the last decision.
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

impl ConcurrencyTuner {
    /// Starts with a few parts.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            size: bounds.initial(),
            changed: Instant::now(),
            previous: None,
            settled: bounds.default_parts == bounds.max_parts,
            round: Round::NEW,
        }
    }

    /// Records that a part of this many bytes was sent in this time. Returns the new number of
    /// parts in flight when it changes.
    pub fn part_sent(&mut self, bytes: u64, elapsed: Duration) -> Option<usize> {
        let now = Instant::now();
        let size = match self.finish_round(bytes, now) {
            Some(rate) => self.next_size(rate),
            None => self.size.max(self.initial_growth(bytes, elapsed, now)),
        };
        if size == self.size {
            return None;
        }
        (self.size, self.changed, self.round) = (size, now, Round::NEW);
        Some(size)
    }

    /// Returns the rate, once the round is long enough to measure it.
    fn finish_round(&mut self, bytes: u64, now: Instant) -> Option<f64> {
        // The first part of a round only starts the clock: it began at an unknown time before
        // the round.
        let since = *self.round.since.get_or_insert(now);
        if since == now {
            return None;
        }
        (self.round.parts, self.round.bytes) = (self.round.parts + 1, self.round.bytes + bytes);
        let elapsed = now - since;
        if self.round.parts < self.size || elapsed < ROUND_TIME {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = self.round.bytes as f64 / elapsed.as_secs_f64();
        self.round = Round::NEW;
        Some(rate)
    }

    /// Returns the number below `default_parts`: twice as many once one part has shown that
    /// none of them will take too long. A part that began before the last step is not evidence
    /// for the new number.
    fn initial_growth(&self, bytes: u64, elapsed: Duration, now: Instant) -> usize {
        let plenty = self.bounds.default_parts;
        // A part that began before the last step is no evidence for the new number.
        if self.size >= plenty || now - self.changed < elapsed {
            return self.size;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = bytes as f64 * self.size as f64 / elapsed.as_secs_f64().max(1e-9);
        self.bounds.for_rate(rate).min(self.size * 2)
    }

    fn next_size(&mut self, rate: f64) -> usize {
        let bearable = self.bounds.for_rate(rate);
        let plenty = self.bounds.default_parts;
        if bearable < self.size.min(plenty) || self.size < plenty {
            self.previous = None;
            return bearable;
        }
        match self.previous.take() {
            // The step gained too little.
            Some((slower, size)) if rate < slower * MIN_GAIN => {
                self.settled = true;
                size
            }
            _ if self.settled => self.size,
            _ => {
                self.previous = Some((rate, self.size));
                let size = (self.size + self.size.div_ceil(2)).min(self.bounds.max_parts);
                self.settled = size == self.size;
                size
            }
        }
    }
}

impl Bounds {
    /// Returns the number of parts in flight before the first measurement.
    pub fn initial(&self) -> usize {
        INITIAL_PARTS.min(self.default_parts)
    }

    /// Returns how many parts in flight a network of this rate sends without any taking too
    /// long; at least two, so that one is sent while another is acknowledged.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate"
    )]
    fn for_rate(&self, bytes_per_second: f64) -> usize {
        let parts = bytes_per_second * self.max_part_time.as_secs_f64() / self.part_size as f64;
        (parts as usize).clamp(self.initial(), self.default_parts)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn bounds(plenty: usize, max: usize) -> Bounds {
        Bounds {
            part_size: 8 * MIB,
            max_part_time: Duration::from_secs(16),
            default_parts: plenty,
            max_parts: max,
        }
    }

    /// A network that carries this many MiB per second over each connection, and this many in
    /// all.
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    async fn run_until_settled(width: &mut ConcurrencyTuner, each: f64, all: f64) -> usize {
        for _ in 0..1000 {
            let rate = (each * width.size as f64).min(all);
            let took = Duration::from_secs_f64(8.0 * width.size as f64 / rate);
            advance(Duration::from_secs_f64(8.0 / rate)).await;
            width.part_sent(8 * MIB, took);
        }
        width.size
    }

    async fn settled_size(each: f64, all: f64) -> usize {
        run_until_settled(&mut ConcurrencyTuner::new(bounds(8, 32)), each, all).await
    }

    #[tokio::test(start_paused = true)]
    async fn more_connections_while_each_brings_more() {
        assert_eq!(settled_size(40.0, 10_000.0).await, 32);
        assert_eq!(
            settled_size(40.0, 450.0).await,
            12,
            "the line is full with 12"
        );
        assert_eq!(settled_size(40.0, 320.0).await, 8, "and here with 8");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_has_few_parts_on_it() {
        assert_eq!(settled_size(12.0, 12.0).await, 8, "100 Mbit/s");
        assert_eq!(settled_size(2.0, 2.1).await, 4);
        assert_eq!(settled_size(0.1, 0.1).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unmeasured_line_starts_with_two_parts() {
        let mut width = ConcurrencyTuner::new(bounds(8, 8));
        assert_eq!(width.size, 2);
        let mut passes = async |seconds: f64| {
            let took = Duration::from_secs_f64(seconds);
            advance(took).await;
            (0..width.size)
                .filter_map(|_| width.part_sent(8 * MIB, took))
                .last()
        };
        assert_eq!(passes(30.0).await, None, "4.5 Mbit/s");
        assert_eq!(passes(0.1).await, Some(4), "1.3 Gbit/s");
        assert_eq!(passes(0.1).await, Some(8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_hour_is_forgotten() {
        let mut width = ConcurrencyTuner::new(bounds(8, 8));
        assert_eq!(run_until_settled(&mut width, 0.1, 0.5).await, 2);
        assert_eq!(run_until_settled(&mut width, 10.0, 100.0).await, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_becomes_slow_gets_fewer() {
        let mut width = ConcurrencyTuner::new(bounds(8, 8));
        assert_eq!(run_until_settled(&mut width, 10.0, 100.0).await, 8);
        assert_eq!(run_until_settled(&mut width, 0.1, 0.5).await, 2);
    }
}
