//! How fast bytes may go: `--limit-rate` over all parts together, and the window that a
//! throttling service makes smaller for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// With a rate, this much of a second goes at once: small enough to look steady.
const SLICE: f64 = 0.05;

/// Answers of one burst are one hint to slow down, not many.
const BURST: Duration = Duration::from_secs(1);

/// A rate for all parts together.
pub(super) struct Rate {
    bytes_per_second: u64,
    free_from: Mutex<Instant>,
}

impl Rate {
    /// So many bytes a second.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            free_from: Mutex::new(Instant::now()),
        }
    }

    /// Books a share of the line: how many of `bytes`, and from when on. What was not
    /// used in time is lost, so that a pause is not followed by a burst.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "a rate"
    )]
    pub(super) fn book(&self, bytes: usize) -> (usize, Instant) {
        let rate = self.bytes_per_second as f64;
        let share = bytes.min((rate * SLICE) as usize).max(1);
        let mut free_from = locked(&self.free_from);
        let from = (*free_from).max(Instant::now());
        *free_from = from + Duration::from_secs_f64(share as f64 / rate);
        (share, from)
    }
}

/// How many parts may be on the wire: all that the plan allows, fewer for a while
/// after the service asked to slow down.
pub struct Window {
    slots: Arc<Semaphore>,
    state: Mutex<Narrowed>,
}

struct Narrowed {
    most: usize,
    size: usize,
    /// Slots to be withdrawn as they come free.
    owed: usize,
    passed: usize,
    cut: Option<Instant>,
}

/// One part on the wire.
pub struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    window: Arc<Window>,
}

impl Window {
    /// At most so many at once.
    pub fn new(most: usize) -> Arc<Self> {
        let state = Narrowed {
            most,
            size: most,
            owed: 0,
            passed: 0,
            cut: None,
        };
        Arc::new(Self {
            slots: Arc::new(Semaphore::new(most)),
            state: Mutex::new(state),
        })
    }

    /// Waits for a slot.
    pub async fn enter(self: &Arc<Self>) -> Slot {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok();
        Slot {
            permit,
            window: Arc::clone(self),
        }
    }

    /// The service asked to slow down: half the window, once a burst. Returns the new size when it changed.
    pub fn narrow(&self) -> Option<usize> {
        let mut state = locked(&self.state);
        let same_burst = state.cut.is_some_and(|cut| cut.elapsed() < BURST);
        if same_burst || state.size == 1 {
            return None;
        }
        let size = state.size / 2;
        state.owed += state.size - size;
        state.owed -= self.slots.forget_permits(state.owed);
        (state.size, state.passed, state.cut) = (size, 0, Some(Instant::now()));
        Some(size)
    }

    /// From now on this many parts at once, and fewer only after a hint to slow down.
    pub fn resize(&self, most: usize) {
        let mut state = locked(&self.state);
        let throttled = state.size < state.most;
        state.most = most;
        if most < state.size {
            state.owed += state.size - most;
            state.owed -= self.slots.forget_permits(state.owed);
        } else if throttled {
            return;
        } else {
            let more = most - state.size;
            let kept = more.min(state.owed);
            state.owed -= kept;
            self.slots.add_permits(more - kept);
        }
        (state.size, state.passed) = (most, 0);
    }

    /// A part passed: after as many as the window is wide, it grows by one.
    pub fn passed(&self) {
        let mut state = locked(&self.state);
        state.passed += 1;
        if state.size >= state.most || state.passed < state.size {
            return;
        }
        (state.size, state.passed) = (state.size + 1, 0);
        if state.owed > 0 {
            state.owed -= 1;
        } else {
            self.slots.add_permits(1);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = locked(&self.window.state);
        if let (true, Some(permit)) = (state.owed > 0, self.permit.take()) {
            state.owed -= 1;
            permit.forget();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_over_all_that_draw() {
        let rate = Rate::new(1000);
        let start = Instant::now();
        let mut drawn = 0;
        let mut last = start;
        while drawn < 3000 {
            let (share, from) = rate.book(400);
            assert_eq!(share, 50);
            (drawn, last) = (drawn + share, from);
        }
        assert_eq!(last - start, Duration::from_millis(2950));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_followed_by_a_burst() {
        let rate = Rate::new(1000);
        rate.book(50);
        tokio::time::advance(Duration::from_secs(10)).await;
        rate.book(50);
        assert_eq!(rate.book(50).1 - Instant::now(), Duration::from_millis(50));
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_takes_another_size_under_way() {
        let window = Window::new(4);
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(window.enter().await);
        }
        window.resize(2);
        assert_eq!(window.slots.available_permits(), 0);
        window.resize(3);
        slots.clear();
        assert_eq!(window.slots.available_permits(), 3);
        window.resize(6);
        assert_eq!(window.slots.available_permits(), 6);
        window.narrow();
        window.resize(8);
        assert_eq!(window.slots.available_permits(), 3, "throttled still");
        for _ in 0..200 {
            window.passed();
        }
        assert_eq!(window.slots.available_permits(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_halves_once_a_burst_and_grows_again() {
        let window = Window::new(8);
        let mut slots = Vec::new();
        for _ in 0..6 {
            slots.push(window.enter().await);
        }
        assert_eq!(window.narrow(), Some(4));
        assert_eq!(window.narrow(), None, "the same burst");
        assert_eq!(window.slots.available_permits(), 0);
        slots.truncate(4);
        assert_eq!(
            window.slots.available_permits(),
            0,
            "what came free was withdrawn"
        );
        tokio::time::advance(BURST).await;
        assert_eq!(window.narrow(), Some(2));
        slots.clear();
        assert_eq!(window.slots.available_permits(), 2);
        for _ in 0..200 {
            window.passed();
        }
        assert_eq!(window.slots.available_permits(), 8);
    }
}
