//! How many parts at once are worth it, learnt from what passes: two on a line that
//! nobody knows yet, then more while none takes too long; on a fast line more still, as
//! long as more is faster; fewer again when the line becomes slow.

use std::time::Duration;

use tokio::time::Instant;

/// Parts in flight before anything was measured: one travels while the answer to the
/// other is on its way.
const INITIAL_PARTS: usize = 2;

/// Shorter than this, a measurement of the rate is noise.
const ROUND_TIME: Duration = Duration::from_secs(1);

/// A step that brings less than this is taken back.
const MIN_GAIN: f64 = 1.15;

/// What may be in flight.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a part.
    pub part_size: u64,
    /// A part that takes longer than this shows no progress and is dear to lose.
    pub max_part_time: Duration,
    /// As many parts at once as any line bears that carries them in time.
    pub default_parts: usize,
    /// As many as are tried while more is faster.
    pub max_parts: usize,
}

/// What was measured, and what follows from it.
pub struct ConcurrencyTuner {
    bounds: Bounds,
    size: usize,
    /// When the size changed last.
    changed: Instant,
    /// Rate and size before the last step beyond `plenty`.
    previous: Option<(f64, usize)>,
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

    /// Notes that a part of so many bytes has passed, which took so long. Returns the new
    /// number of parts at once when it changes.
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

    /// The rate, when enough has passed to know it.
    fn finish_round(&mut self, bytes: u64, now: Instant) -> Option<f64> {
        // The first part of a round starts the clock and is not counted.
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

    /// Up to `plenty`, twice as many when one part has shown that none of them will take
    /// too long. A part that began before the last step tells nothing of the new size.
    fn initial_growth(&self, bytes: u64, elapsed: Duration, now: Instant) -> usize {
        let plenty = self.bounds.default_parts;
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
    /// How many parts are in flight before anything was measured.
    pub fn initial(&self) -> usize {
        INITIAL_PARTS.min(self.default_parts)
    }

    /// How many parts at once a line of this rate carries without any taking too long;
    /// two at least, so that one travels while another is acknowledged.
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

    /// A line that carries so many MiB a second over each connection, and so many in all.
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
