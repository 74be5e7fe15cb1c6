//! The network connection of one upload, all of its sockets together: how many bytes were
//! written to them, how many of these are still in the kernel's buffers, and how long nothing
//! has moved. This decides when a part counts as stalled, how large its frames are, and which
//! rate is displayed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::throttle::RateLimiter;
use crate::platform;
use crate::store::ByteGate;

/// The time between two samples of what has left.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// The most bytes that Linux buffers for one connection (`net.ipv4.tcp_wmem`). Other systems
/// buffer less.
const SEND_BUFFER: u64 = 4 << 20;

/// Bytes of one connection that were sent but not read yet: in the buffers of the peer or a
/// proxy, where their progress cannot be observed.
const UNREPORTED_BUFFER: u64 = 512 << 10;

/// The assumed rate before the first measurement, in bytes per second.
const MIN_RATE: u64 = 32 << 10;

/// A buffer may drain this many times slower than the measured rate.
const SLOWER: u64 = 4;

/// Buffers get at most this many times the stall timeout to drain.
const DRAIN: u32 = 4;

/// The limits of the size of one frame of a body, in bytes. hyper buffers up to 16 frames per
/// connection (`MAX_BUF_LIST_BUFFERS`): together these are a tenth of what the network sends in
/// a second, so that few bytes are counted before they move.
const FRAME: (u64, u64) = (8 << 10, 256 << 10);

/// Frames per second at the measured rate.
const FRAMES_PER_SECOND: u64 = 160;

/// A connection counts as stalled when the others have sent this many times what all of them
/// can buffer: its turn must have come by then.
const UNFAIR: u64 = 4;

/// The weight of the newest measurement.
const NEWEST_WEIGHT: f64 = 0.3;

/// The progress since the last sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LineProgress {
    /// Bytes that left since then, including those of repeated tries.
    pub bytes: u64,
    /// Bytes that have left and are not acknowledged by the service.
    pub unacknowledged: u64,
}

/// The network connection of one upload.
pub struct Line {
    rate: Option<RateLimiter>,
    stall: Duration,
    state: Mutex<LineState>,
}

struct LineState {
    /// Bytes written to the connections so far, including those of repeated tries.
    written: u64,
    /// The number of tries in progress.
    attempts: u64,
    /// Bytes written by the tries in progress.
    in_flight: u64,
    /// The bytes of these that were in the kernel's send buffers at the last sample; `None` if
    /// the system does not provide the number.
    queued: Option<u64>,
    /// Bytes that were in these buffers when their tries were cancelled: they never leave.
    lost: u64,
    /// Bytes that have left. Never decreases.
    left: u64,
    /// The time at which a byte moved last.
    last_progress: Instant,
    /// Bytes per second while bytes move; 0 before the first measurement.
    bytes_per_second: f64,
    /// The time of the last measurement, and the bytes that had left by then.
    measured: (Instant, u64),
}

impl Line {
    /// Creates the state of an upload that sends at most `bytes_per_second` over all
    /// connections, and in which a try is stalled when no byte has moved for `stall`.
    pub fn new(bytes_per_second: Option<u64>, stall: Duration) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            rate: bytes_per_second.map(RateLimiter::new),
            stall,
            state: Mutex::new(LineState {
                written: 0,
                attempts: 0,
                in_flight: 0,
                queued: None,
                lost: 0,
                left: 0,
                last_progress: now,
                bytes_per_second: 0.0,
                measured: (now, 0),
            }),
        })
    }

    /// Starts one try of a part.
    pub fn start_attempt(self: &Arc<Self>) -> Attempt {
        let mut state = self.state();
        state.attempts += 1;
        let attempt_state = AttemptState {
            written: 0,
            last_write: Instant::now(),
            left_at_write: state.left,
            attempts: state.attempts,
            has_response: false,
            is_finished: false,
        };
        drop(state);
        Attempt(Arc::new(StallTimer {
            line: Arc::clone(self),
            state: Mutex::new(attempt_state),
        }))
    }

    /// Returns the interval at which to call [`Line::sample`].
    pub fn sample_interval() -> Interval {
        let mut ticks = interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Counts the bytes that have left since the last sample.
    ///
    /// The kernel provides only the sum over all connections of the program. While it sends
    /// several images at once, each `Line` counts fewer bytes than have left.
    pub fn sample(&self) -> LineProgress {
        // The order matters: read first what was written, then what of it is still in the
        // buffers. Bytes that are written in between would otherwise count as having left.
        let (handed, under_way) = {
            let state = self.state();
            (state.written, state.in_flight > 0)
        };
        // The system's list of connections may be long: read it only if bytes can be in the
        // buffers.
        let queued = under_way.then(platform::unsent_bytes).flatten();
        self.record_sample(handed, queued)
    }

    fn record_sample(&self, written: u64, queued: Option<u64>) -> LineProgress {
        let mut state = self.state();
        let before = state.left;
        state.queued = queued;
        let kept = state.buffered() + state.lost;
        state.record_left(written.saturating_sub(kept), Instant::now());
        let finished = state.written - state.in_flight - state.lost;
        LineProgress {
            bytes: state.left - before,
            unacknowledged: state.left.saturating_sub(finished),
        }
    }

    fn state(&self) -> MutexGuard<'_, LineState> {
        lock(&self.state)
    }
}

impl LineState {
    /// Returns the bytes of the tries in progress that were in the kernel's buffers at the last
    /// sample.
    fn buffered(&self) -> u64 {
        self.queued.unwrap_or_default().min(self.in_flight)
    }

    /// Ends a try; its bytes in the kernel's buffers are lost unless there was a response.
    fn finish_attempt(&mut self, written: u64, has_response: bool) {
        if !has_response {
            // The kernel provides one number for all connections: estimate this try's share of
            // it.
            let waiting = u128::from(self.buffered()) * u128::from(written);
            let share = waiting.checked_div(u128::from(self.in_flight));
            self.lost += u64::try_from(share.unwrap_or_default()).unwrap_or_default();
        }
        self.attempts -= 1;
        self.in_flight -= written;
    }

    /// Records how many bytes have left by now.
    fn record_left(&mut self, left: u64, now: Instant) {
        if left <= self.left {
            return;
        }
        (self.left, self.last_progress) = (left, self.last_progress.max(now));
        let (then, before) = self.measured;
        let span = now.saturating_duration_since(then);
        if span >= SAMPLE_INTERVAL / 2 {
            #[expect(clippy::cast_precision_loss, reason = "a rate")]
            let rate = (left - before) as f64 / span.as_secs_f64();
            self.bytes_per_second = match self.bytes_per_second {
                0.0 => rate,
                older => older + NEWEST_WEIGHT * (rate - older),
            };
            self.measured = (now, left);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate"
    )]
    fn measured_rate(&self) -> u64 {
        self.bytes_per_second as u64
    }

    fn frame_size(&self) -> usize {
        let frame = (self.measured_rate() / FRAMES_PER_SECOND).clamp(FRAME.0, FRAME.1);
        usize::try_from(frame).unwrap_or(usize::MAX)
    }

    /// Returns the time that buffers may take to drain unobserved.
    fn drain_time(&self, stall: Duration) -> Duration {
        let each = self.queued.map_or(SEND_BUFFER, |_| UNREPORTED_BUFFER);
        let hidden = self.in_flight.min(self.attempts.saturating_mul(each));
        let rate = (self.measured_rate() / SLOWER).max(MIN_RATE);
        Duration::from_millis(hidden.saturating_mul(1000) / rate).min(stall * DRAIN)
    }
}

/// One try of one part. It ends when this is dropped.
pub struct Attempt(Arc<StallTimer>);

struct StallTimer {
    line: Arc<Line>,
    state: Mutex<AttemptState>,
}

struct AttemptState {
    /// Bytes of this try written to its connection.
    written: u64,
    /// The time at which the connection received bytes last; with a rate limit, the time from
    /// which it may send them.
    last_write: Instant,
    /// The bytes that had left over all connections at that time.
    left_at_write: u64,
    /// The largest number of tries that were in progress at the same time.
    attempts: u64,
    has_response: bool,
    is_finished: bool,
}

impl Attempt {
    /// Returns the gate that the body acquires before each frame.
    pub fn gate(&self) -> Arc<dyn ByteGate> {
        Arc::clone(&self.0) as Arc<dyn ByteGate>
    }

    /// Records that the service has responded.
    pub fn record_response(&self) {
        lock(&self.0.state).has_response = true;
        let mut state = self.0.line.state();
        state.last_progress = state.last_progress.max(Instant::now());
    }

    /// Completes when the try counts as stalled.
    pub async fn stalled(&self) {
        while let Some(until) = self.0.stall_deadline() {
            sleep_until(until).await;
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut attempt_state = lock(&self.0.state);
        // A cancelled connection may still acquire bytes.
        attempt_state.is_finished = true;
        self.0
            .line
            .state()
            .finish_attempt(attempt_state.written, attempt_state.has_response);
    }
}

impl StallTimer {
    /// Returns the time of the next check; `None` if the try is stalled.
    ///
    /// A try is not stalled while its own bytes move, nor while those of any other do: the
    /// buffers of several connections drain in turns. A try without progress is stalled
    /// although others move only when they have sent so much that its turn must have come.
    fn stall_deadline(&self) -> Option<Instant> {
        let (stall, now) = (self.line.stall, Instant::now());
        let mut attempt_state = lock(&self.state);
        let state = self.line.state();
        attempt_state.attempts = attempt_state.attempts.max(state.attempts);
        let deadline = attempt_state.last_write + stall;
        if now < deadline {
            return Some(deadline);
        }
        let turn = attempt_state
            .written
            .min(SEND_BUFFER)
            .saturating_mul(attempt_state.attempts);
        if state.left - attempt_state.left_at_write > turn.saturating_mul(UNFAIR) {
            return None;
        }
        let deadline = state.last_progress + stall + state.drain_time(stall);
        (now < deadline).then(|| deadline.min(now + stall))
    }
}

impl ByteGate for StallTimer {
    fn acquire(&self, bytes: usize) -> (usize, Instant) {
        let mut attempt_state = lock(&self.state);
        let mut moves = self.line.state();
        let bytes = bytes.min(moves.frame_size());
        let (share, from) = match &self.line.rate {
            Some(rate) => rate.reserve(bytes),
            None => (bytes, Instant::now()),
        };
        // A cancelled connection may still acquire bytes; they do not count.
        if !attempt_state.is_finished {
            moves.written += share as u64;
            moves.in_flight += share as u64;
            moves.last_progress = moves.last_progress.max(from);
            (attempt_state.written, attempt_state.last_write) =
                (attempt_state.written + share as u64, from);
            attempt_state.left_at_write = moves.left;
            attempt_state.attempts = attempt_state.attempts.max(moves.attempts);
        }
        (share, from)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MIB: usize = 1 << 20;
    const MINUTE: Duration = Duration::from_secs(60);

    fn sample(line: &Line, queued: Option<u64>) -> LineProgress {
        let handed = line.state().written;
        line.record_sample(handed, queued)
    }

    /// Acquires all of these bytes at once.
    fn give(attempt: &Attempt, bytes: usize) {
        let mut rest = bytes;
        while rest > 0 {
            rest -= attempt.0.acquire(rest).0;
        }
    }

    /// Returns the seconds until the try counts as stalled.
    async fn stalls(attempt: &Attempt) -> u64 {
        let start = Instant::now();
        attempt.stalled().await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_rate_is_no_stall_but_silence_is() {
        let line = Line::new(Some(1), Duration::from_secs(2));
        let (attempt, start) = (line.start_attempt(), Instant::now());
        for second in 0..10 {
            let due = start + Duration::from_secs(second);
            assert_eq!(attempt.0.acquire(1), (1, due));
        }
        assert_eq!(stalls(&attempt).await, 9 + 2);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_in_the_kernel_have_not_left() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start_attempt();
        give(&attempt, 8 * MIB);
        let sample_queued = |queued| {
            let moved = sample(&line, Some(queued));
            (moved.bytes, moved.unacknowledged)
        };
        assert_eq!(sample_queued(8 << 20), (0, 0));
        assert_eq!(sample_queued(5 << 20), (3 << 20, 3 << 20));
        assert_eq!(
            sample_queued(6 << 20),
            (0, 3 << 20),
            "of another image, as it seems"
        );
        assert_eq!(sample_queued(0), (5 << 20, 8 << 20));
        attempt.record_response();
        drop(attempt);
        assert_eq!(sample_queued(0), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_written_during_a_sample_have_not_left() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start_attempt();
        give(&attempt, MIB);
        let handed = line.state().written;
        give(&attempt, 4 * MIB);
        let moved = line.record_sample(handed, Some(0));
        assert_eq!((moved.bytes, moved.unacknowledged), (1 << 20, 1 << 20));
        attempt.record_response();
        let moved = sample(&line, Some(4 << 20));
        assert_eq!((moved.bytes, moved.unacknowledged), (0, 1 << 20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_buffer_that_drains_slowly_is_no_stall() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start_attempt();
        give(&attempt, 4 * MIB);
        sample(&line, Some(4 << 20));
        for second in 1..=600 {
            advance(Duration::from_secs(1)).await;
            sample(&line, Some((4 << 20) - second * 1000));
            assert!(attempt.0.stall_deadline().is_some(), "{second}");
        }
        assert!((60..=80).contains(&stalls(&attempt).await));
    }

    #[tokio::test(start_paused = true)]
    async fn while_another_part_moves_none_is_stalled_before_its_turn_must_have_come() {
        let line = Line::new(None, MINUTE);
        let (silent, other) = (line.start_attempt(), line.start_attempt());
        give(&silent, 2 * MIB);
        for _ in 0..14 {
            advance(MINUTE / 2).await;
            assert!(silent.0.stall_deadline().is_some());
            give(&other, MIB);
            sample(&line, Some(0));
        }
        advance(MINUTE).await;
        give(&other, MIB);
        sample(&line, Some(0));
        assert!(silent.0.stall_deadline().is_none());
        assert!(other.0.stall_deadline().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn without_kernel_counts_the_stall_limit_is_longer() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start_attempt();
        give(&attempt, 4 * MIB);
        sample(&line, None);
        assert_eq!(stalls(&attempt).await, 60 + 4 * 1024 / 32);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_line_stalls_all_parts_together() {
        let line = Line::new(None, MINUTE);
        let (one, other) = (line.start_attempt(), line.start_attempt());
        give(&one, MIB);
        give(&other, MIB);
        sample(&line, Some(2 << 20));
        stalls(&one).await;
        drop(one);
        assert_eq!(sample(&line, Some(1 << 20)).bytes, 0);
        assert_eq!(stalls(&other).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_grow_with_the_measured_rate() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start_attempt();
        assert_eq!(attempt.0.acquire(MIB).0, 8 << 10);
        give(&attempt, 64 * MIB);
        advance(SAMPLE_INTERVAL).await;
        sample(&line, Some(0));
        assert_eq!(attempt.0.acquire(MIB).0, 256 << 10);
    }
}
