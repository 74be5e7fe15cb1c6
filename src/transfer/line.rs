//! What moves over the line of one upload, all of its connections together: how many
//! bytes were handed to them, how many of these still wait in the kernel, and how long
//! nothing has moved. From that follow when a part counts as stalled, how large its
//! frames are, and the rate that is shown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::throttle::Rate;
use crate::platform;
use crate::store::Tap;

/// Time between two looks at what has left.
const LOOK: Duration = Duration::from_millis(250);

/// Bytes that Linux keeps for one connection at most (`net.ipv4.tcp_wmem`). Other
/// systems keep less.
const SEND_BUFFER: u64 = 4 << 20;

/// Bytes of one connection that were sent and not read yet: in the peer's or a proxy's
/// buffers, where nobody sees them move.
const OUT_OF_SIGHT: u64 = 512 << 10;

/// A line is taken to carry this many bytes a second before it was measured.
const SLOWEST: u64 = 32 << 10;

/// A buffer may drain this many times slower than the line was measured.
const SLOWER: u64 = 4;

/// Buffers get this many times the stall timeout to drain, at most.
const DRAIN: u32 = 4;

/// One frame of a body, in bytes. hyper keeps up to 16 frames of each connection
/// (`MAX_BUF_LIST_BUFFERS`): together these are a tenth of what the line carries in a
/// second, so that little is counted before it moves.
const FRAME: (u64, u64) = (8 << 10, 256 << 10);

/// Frames that the line carries in a second.
const FRAMES_PER_SECOND: u64 = 160;

/// A connection gets its turn before so many times what all of them hold has left.
const UNFAIR: u64 = 4;

/// Weight of the newest measurement.
const NEWEST: f64 = 0.3;

/// What has left since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moved {
    /// Bytes that left since then, those of repeated tries included.
    pub bytes: u64,
    /// Bytes that have left and wait for the service's answer.
    pub unanswered: u64,
}

/// The line of one upload.
pub struct Line {
    rate: Option<Rate>,
    stall: Duration,
    moves: Mutex<Moves>,
}

struct Moves {
    /// Bytes handed to the connections so far, those of repeated tries included.
    handed: u64,
    /// The tries under way.
    tries: u64,
    /// Bytes handed over of the tries under way.
    in_flight: u64,
    /// Of these, bytes in the kernel's send buffers when it was last asked; `None`: the
    /// system does not tell.
    queued: Option<u64>,
    /// Bytes that were in these buffers when their tries were given up: they never leave.
    lost: u64,
    /// Bytes that have left. Never becomes less.
    left: u64,
    /// When a byte moved last.
    moved: Instant,
    /// Bytes a second while bytes move; 0 before it was measured.
    pace: f64,
    /// When, and with how many bytes left, it was measured last.
    measured: (Instant, u64),
}

impl Line {
    /// Limits the bytes of all connections to `bytes_per_second`; calls a try stalled
    /// when no byte has moved for `stall`.
    pub fn new(bytes_per_second: Option<u64>, stall: Duration) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            rate: bytes_per_second.map(Rate::new),
            stall,
            moves: Mutex::new(Moves {
                handed: 0,
                tries: 0,
                in_flight: 0,
                queued: None,
                lost: 0,
                left: 0,
                moved: now,
                pace: 0.0,
                measured: (now, 0),
            }),
        })
    }

    /// Starts one try of a part.
    pub fn start(self: &Arc<Self>) -> Try {
        let mut moves = self.moves();
        moves.tries += 1;
        let own = Own {
            handed: 0,
            at: Instant::now(),
            mark: moves.left,
            tries: moves.tries,
            answered: false,
            over: false,
        };
        drop(moves);
        Try(Arc::new(Watch {
            line: Arc::clone(self),
            own: Mutex::new(own),
        }))
    }

    /// Returns the times to call [`Line::look`] at.
    pub fn looks() -> Interval {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Counts what has left since the last look.
    ///
    /// The kernel tells only what waits for all connections of the program. Where it
    /// sends several images at once, each line counts less than has left.
    pub fn look(&self) -> Moved {
        // First what was handed over, then what of it still waits: bytes that are handed
        // over in between have not left.
        let (handed, under_way) = {
            let moves = self.moves();
            (moves.handed, moves.in_flight > 0)
        };
        // The system's list of connections may be long: it is read only for bytes that can
        // be waiting.
        let queued = under_way.then(platform::unsent_bytes).flatten();
        self.see(handed, queued)
    }

    fn see(&self, handed: u64, queued: Option<u64>) -> Moved {
        let mut moves = self.moves();
        let before = moves.left;
        moves.queued = queued;
        let kept = moves.waiting() + moves.lost;
        moves.count(handed.saturating_sub(kept), Instant::now());
        let finished = moves.handed - moves.in_flight - moves.lost;
        Moved {
            bytes: moves.left - before,
            unanswered: moves.left.saturating_sub(finished),
        }
    }

    fn moves(&self) -> MutexGuard<'_, Moves> {
        locked(&self.moves)
    }
}

impl Moves {
    /// Bytes of the tries under way that were in the kernel's buffers at the last look.
    fn waiting(&self) -> u64 {
        self.queued.unwrap_or_default().min(self.in_flight)
    }

    /// Ends a try; what it has in the kernel's buffers is lost without an answer.
    fn end(&mut self, handed: u64, answered: bool) {
        if !answered {
            // The kernel tells one number for all connections: its share of it.
            let waiting = u128::from(self.waiting()) * u128::from(handed);
            let share = waiting.checked_div(u128::from(self.in_flight));
            self.lost += u64::try_from(share.unwrap_or_default()).unwrap_or_default();
        }
        self.tries -= 1;
        self.in_flight -= handed;
    }

    /// Notes how many bytes have left by now.
    fn count(&mut self, left: u64, now: Instant) {
        if left <= self.left {
            return;
        }
        (self.left, self.moved) = (left, self.moved.max(now));
        let (then, before) = self.measured;
        let span = now.saturating_duration_since(then);
        if span >= LOOK / 2 {
            #[expect(clippy::cast_precision_loss, reason = "a rate")]
            let pace = (left - before) as f64 / span.as_secs_f64();
            self.pace = match self.pace {
                0.0 => pace,
                older => older + NEWEST * (pace - older),
            };
            self.measured = (now, left);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate"
    )]
    fn pace(&self) -> u64 {
        self.pace as u64
    }

    fn frame(&self) -> usize {
        let frame = (self.pace() / FRAMES_PER_SECOND).clamp(FRAME.0, FRAME.1);
        usize::try_from(frame).unwrap_or(usize::MAX)
    }

    /// The time that buffers may take to drain out of sight.
    fn drain(&self, stall: Duration) -> Duration {
        let each = self.queued.map_or(SEND_BUFFER, |_| OUT_OF_SIGHT);
        let hidden = self.in_flight.min(self.tries.saturating_mul(each));
        let pace = (self.pace() / SLOWER).max(SLOWEST);
        Duration::from_millis(hidden.saturating_mul(1000) / pace).min(stall * DRAIN)
    }
}

/// One try of one part. It is over when this is dropped.
pub struct Try(Arc<Watch>);

struct Watch {
    line: Arc<Line>,
    own: Mutex<Own>,
}

struct Own {
    /// Bytes of this try handed to its connection.
    handed: u64,
    /// When the connection was given bytes last; with a rate, from when on it may send them.
    at: Instant,
    /// What had left over all connections then.
    mark: u64,
    /// Tries under way beside it, the most that were seen.
    tries: u64,
    answered: bool,
    over: bool,
}

impl Try {
    /// Returns what the body asks before each frame.
    pub fn tap(&self) -> Arc<dyn Tap> {
        Arc::clone(&self.0) as Arc<dyn Tap>
    }

    /// Notes that the service has answered.
    pub fn answered(&self) {
        locked(&self.0.own).answered = true;
        let mut moves = self.0.line.moves();
        moves.moved = moves.moved.max(Instant::now());
    }

    /// Ends when the try counts as stalled.
    pub async fn stalled(&self) {
        while let Some(until) = self.0.patience() {
            sleep_until(until).await;
        }
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        let mut own = locked(&self.0.own);
        // A connection that was given up may still ask for bytes.
        own.over = true;
        self.0.line.moves().end(own.handed, own.answered);
    }
}

impl Watch {
    /// When to ask again; `None`: the try is stalled.
    ///
    /// A try is not stalled while its own bytes move, nor while those of any other do:
    /// buffers of several connections drain in turns. Only when so much has left over the
    /// others that its turn must have come is a silent try stalled although they move.
    fn patience(&self) -> Option<Instant> {
        let (stall, now) = (self.line.stall, Instant::now());
        let mut own = locked(&self.own);
        let moves = self.line.moves();
        own.tries = own.tries.max(moves.tries);
        let deadline = own.at + stall;
        if now < deadline {
            return Some(deadline);
        }
        let turn = own.handed.min(SEND_BUFFER).saturating_mul(own.tries);
        if moves.left - own.mark > turn.saturating_mul(UNFAIR) {
            return None;
        }
        let deadline = moves.moved + stall + moves.drain(stall);
        (now < deadline).then(|| deadline.min(now + stall))
    }
}

impl Tap for Watch {
    fn draw(&self, bytes: usize) -> (usize, Instant) {
        let mut own = locked(&self.own);
        let mut moves = self.line.moves();
        let bytes = bytes.min(moves.frame());
        let (share, from) = match &self.line.rate {
            Some(rate) => rate.book(bytes),
            None => (bytes, Instant::now()),
        };
        if !own.over {
            moves.handed += share as u64;
            moves.in_flight += share as u64;
            moves.moved = moves.moved.max(from);
            (own.handed, own.at) = (own.handed + share as u64, from);
            own.mark = moves.left;
            own.tries = own.tries.max(moves.tries);
        }
        (share, from)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MIB: usize = 1 << 20;
    const MINUTE: Duration = Duration::from_secs(60);

    fn see(line: &Line, queued: Option<u64>) -> Moved {
        let handed = line.moves().handed;
        line.see(handed, queued)
    }

    /// Hands over all of these bytes at once.
    fn give(attempt: &Try, bytes: usize) {
        let mut rest = bytes;
        while rest > 0 {
            rest -= attempt.0.draw(rest).0;
        }
    }

    /// Seconds until the try counts as stalled.
    async fn stalls(attempt: &Try) -> u64 {
        let start = Instant::now();
        attempt.stalled().await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_rate_is_no_stall_but_silence_is() {
        let line = Line::new(Some(1), Duration::from_secs(2));
        let (attempt, start) = (line.start(), Instant::now());
        for second in 0..10 {
            let due = start + Duration::from_secs(second);
            assert_eq!(attempt.0.draw(1), (1, due));
        }
        assert_eq!(stalls(&attempt).await, 9 + 2);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_in_the_kernel_have_not_left() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start();
        give(&attempt, 8 * MIB);
        let seen = |queued| {
            let moved = see(&line, Some(queued));
            (moved.bytes, moved.unanswered)
        };
        assert_eq!(seen(8 << 20), (0, 0));
        assert_eq!(seen(5 << 20), (3 << 20, 3 << 20));
        assert_eq!(seen(6 << 20), (0, 3 << 20), "of another image, as it seems");
        assert_eq!(seen(0), (5 << 20, 8 << 20));
        attempt.answered();
        drop(attempt);
        assert_eq!(seen(0), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_handed_over_while_the_kernel_is_asked_have_not_left() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start();
        give(&attempt, MIB);
        let handed = line.moves().handed;
        give(&attempt, 4 * MIB);
        let moved = line.see(handed, Some(0));
        assert_eq!((moved.bytes, moved.unanswered), (1 << 20, 1 << 20));
        attempt.answered();
        let moved = see(&line, Some(4 << 20));
        assert_eq!((moved.bytes, moved.unanswered), (0, 1 << 20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_buffer_that_drains_slowly_is_no_stall() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start();
        give(&attempt, 4 * MIB);
        see(&line, Some(4 << 20));
        for second in 1..=600 {
            advance(Duration::from_secs(1)).await;
            see(&line, Some((4 << 20) - second * 1000));
            assert!(attempt.0.patience().is_some(), "{second}");
        }
        assert!((60..=80).contains(&stalls(&attempt).await));
    }

    #[tokio::test(start_paused = true)]
    async fn while_another_part_moves_none_is_stalled_before_its_turn_must_have_come() {
        let line = Line::new(None, MINUTE);
        let (silent, other) = (line.start(), line.start());
        give(&silent, 2 * MIB);
        for _ in 0..14 {
            advance(MINUTE / 2).await;
            assert!(silent.0.patience().is_some());
            give(&other, MIB);
            see(&line, Some(0));
        }
        advance(MINUTE).await;
        give(&other, MIB);
        see(&line, Some(0));
        assert!(silent.0.patience().is_none());
        assert!(other.0.patience().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_system_does_not_show_may_take_longer() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start();
        give(&attempt, 4 * MIB);
        see(&line, None);
        assert_eq!(stalls(&attempt).await, 60 + 4 * 1024 / 32);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_line_stalls_all_parts_together() {
        let line = Line::new(None, MINUTE);
        let (one, other) = (line.start(), line.start());
        give(&one, MIB);
        give(&other, MIB);
        see(&line, Some(2 << 20));
        stalls(&one).await;
        drop(one);
        assert_eq!(see(&line, Some(1 << 20)).bytes, 0);
        assert_eq!(stalls(&other).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_small_until_the_line_has_shown_that_it_is_fast() {
        let line = Line::new(None, MINUTE);
        let attempt = line.start();
        assert_eq!(attempt.0.draw(MIB).0, 8 << 10);
        give(&attempt, 64 * MIB);
        advance(LOOK).await;
        see(&line, Some(0));
        assert_eq!(attempt.0.draw(MIB).0, 256 << 10);
    }
}
