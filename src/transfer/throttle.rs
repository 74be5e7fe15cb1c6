//! Limits the rate: `--limit-rate` over all parts together, and the number of parts in flight,
//! which a throttling service reduces for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The seconds of the rate that are sent at once: small enough to look steady.
const SLICE: f64 = 0.05;

/// Throttling responses within this time count as one.
const BURST: Duration = Duration::from_secs(1);

/// A rate for all parts together.
pub(super) struct RateLimiter {
    bytes_per_second: u64,
    next_free: Mutex<Instant>,
}

impl RateLimiter {
    /// Creates a limiter of this many bytes per second.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            next_free: Mutex::new(Instant::now()),
        }
    }

    /// Reserves a share of the rate: how many of `bytes` may be sent, and from when on. Unused
    /// time is lost, so that no burst follows a pause.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "a rate"
    )]
    pub(super) fn reserve(&self, bytes: usize) -> (usize, Instant) {
        let rate = self.bytes_per_second as f64;
        let share = bytes.min((rate * SLICE) as usize).max(1);
        let mut free_from = lock(&self.next_free);
        // Unused time is lost, so that no burst follows a pause.
        let from = (*free_from).max(Instant::now());
        *free_from = from + Duration::from_secs_f64(share as f64 / rate);
        (share, from)
    }
}

/// The number of parts in flight: all that the plan allows, and fewer for a while after the
/// service requested a slower rate.
pub struct ConcurrencyLimit {
    permits: Arc<Semaphore>,
    state: Mutex<LimitState>,
}

struct LimitState {
    max: usize,
    size: usize,
    /// Permits to withdraw as they are released.
    excess: usize,
    sent_parts: usize,
    reduced_at: Option<Instant>,
}

/// The permit for one part in flight.
pub struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    limit: Arc<ConcurrencyLimit>,
}

impl ConcurrencyLimit {
    /// Creates a limit of at most `max` parts.
    pub fn new(max: usize) -> Arc<Self> {
        let state = LimitState {
            max,
            size: max,
            excess: 0,
            sent_parts: 0,
            reduced_at: None,
        };
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(max)),
            state: Mutex::new(state),
        })
    }

    /// Waits for a permit.
    pub async fn acquire(self: &Arc<Self>) -> Permit {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        Permit {
            permit,
            limit: Arc::clone(self),
        }
    }

    /// Halves the number of parts after a throttling response, once per burst. Returns the new
    /// number when it changed.
    pub fn reduce(&self) -> Option<usize> {
        let mut state = lock(&self.state);
        // All parts in flight receive the same response at about the same time.
        let same_burst = state.reduced_at.is_some_and(|cut| cut.elapsed() < BURST);
        if same_burst || state.size == 1 {
            return None;
        }
        let size = state.size / 2;
        state.excess += state.size - size;
        state.excess -= self.permits.forget_permits(state.excess);
        (state.size, state.sent_parts, state.reduced_at) = (size, 0, Some(Instant::now()));
        Some(size)
    }

    /// Sets the number of parts; from now on only throttling reduces it.
    pub fn resize(&self, max: usize) {
        let mut state = lock(&self.state);
        let throttled = state.size < state.max;
        state.max = max;
        if max < state.size {
            state.excess += state.size - max;
            state.excess -= self.permits.forget_permits(state.excess);
        } else if throttled {
            return;
        } else {
            let more = max - state.size;
            let kept = more.min(state.excess);
            state.excess -= kept;
            self.permits.add_permits(more - kept);
        }
        (state.size, state.sent_parts) = (max, 0);
    }

    /// Records that a part was sent: after as many parts as the limit allows, the limit grows
    /// by one.
    pub fn part_sent(&self) {
        let mut state = lock(&self.state);
        state.sent_parts += 1;
        if state.size >= state.max || state.sent_parts < state.size {
            return;
        }
        (state.size, state.sent_parts) = (state.size + 1, 0);
        if state.excess > 0 {
            state.excess -= 1;
        } else {
            self.permits.add_permits(1);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = lock(&self.limit.state);
        if let (true, Some(permit)) = (state.excess > 0, self.permit.take()) {
            state.excess -= 1;
            permit.forget();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_over_all_that_draw() {
        let rate = RateLimiter::new(1000);
        let start = Instant::now();
        let mut drawn = 0;
        let mut last = start;
        while drawn < 3000 {
            let (share, from) = rate.reserve(400);
            assert_eq!(share, 50);
            (drawn, last) = (drawn + share, from);
        }
        assert_eq!(last - start, Duration::from_millis(2950));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_followed_by_a_burst() {
        let rate = RateLimiter::new(1000);
        rate.reserve(50);
        tokio::time::advance(Duration::from_secs(10)).await;
        rate.reserve(50);
        assert_eq!(
            rate.reserve(50).1 - Instant::now(),
            Duration::from_millis(50)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_concurrency_limit_can_be_resized() {
        let limit = ConcurrencyLimit::new(4);
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(limit.acquire().await);
        }
        limit.resize(2);
        assert_eq!(limit.permits.available_permits(), 0);
        limit.resize(3);
        slots.clear();
        assert_eq!(limit.permits.available_permits(), 3);
        limit.resize(6);
        assert_eq!(limit.permits.available_permits(), 6);
        limit.reduce();
        limit.resize(8);
        assert_eq!(limit.permits.available_permits(), 3, "throttled still");
        for _ in 0..200 {
            limit.part_sent();
        }
        assert_eq!(limit.permits.available_permits(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_halves_once_a_burst_and_grows_again() {
        let limit = ConcurrencyLimit::new(8);
        let mut slots = Vec::new();
        for _ in 0..6 {
            slots.push(limit.acquire().await);
        }
        assert_eq!(limit.reduce(), Some(4));
        assert_eq!(limit.reduce(), None, "the same burst");
        assert_eq!(limit.permits.available_permits(), 0);
        slots.truncate(4);
        assert_eq!(
            limit.permits.available_permits(),
            0,
            "what came free was withdrawn"
        );
        tokio::time::advance(BURST).await;
        assert_eq!(limit.reduce(), Some(2));
        slots.clear();
        assert_eq!(limit.permits.available_permits(), 2);
        for _ in 0..200 {
            limit.part_sent();
        }
        assert_eq!(limit.permits.available_permits(), 8);
    }
}
