//! The pauses between two tries of a small request: exponential, each with full jitter,
//! so that many runs that were refused together don't come back together. What is worth
//! another try is for the services' own rooms to say.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Base 0.2 s, cap 20 s, as in the SDKs of AWS and OSS.
const BACKOFF_LIMITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(20));

/// A person wonders about a pause of this length.
const LOGGED_DELAY: Duration = Duration::from_secs(10);

/// The longest pause that a service can ask for; some ask for an hour, and a hostile one for
/// more than any clock holds.
const MAX_DELAY: Duration = Duration::from_mins(5);

/// Tries after the first. With full jitter they last a minute on average, which is
/// Alibaba's throttling window.
const DEFAULT_ATTEMPTS: usize = 12;

/// How often a small request is tried again.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy(usize);

impl RetryPolicy {
    /// So often as the user says, or long enough for most troubles to pass.
    pub fn with_attempts(attempts: Option<u32>) -> Self {
        Self(attempts.map_or(DEFAULT_ATTEMPTS, |attempts| {
            attempts.try_into().unwrap_or(usize::MAX)
        }))
    }

    /// The pauses of one request.
    pub fn backoff(self) -> Backoff {
        let backoff = ExponentialBuilder::new()
            .with_min_delay(BACKOFF_LIMITS.0)
            .with_max_delay(BACKOFF_LIMITS.1)
            .with_max_times(self.0);
        Backoff(backoff.build())
    }
}

/// How long to wait before the next try, until it is enough.
pub struct Backoff(ExponentialBackoff);

impl Backoff {
    /// Returns the next pause: as long as the service asked for, five minutes at most, and a
    /// random share of our own. `None` after the last try.
    pub fn next_delay(&mut self, requested: Option<Duration>) -> Option<Duration> {
        let delay = self.0.next()?.mul_f64(random_fraction());
        let requested = requested.unwrap_or_default();
        if requested >= LOGGED_DELAY {
            let wait = requested.min(MAX_DELAY).as_secs();
            tracing::warn!(
                "the service asks to wait {} s before the next request; waiting {wait} s",
                requested.as_secs()
            );
        }
        Some(requested.min(MAX_DELAY) + delay)
    }
}

/// 0 to 1 at random; the standard library's hasher keys are random numbers.
fn random_fraction() -> f64 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_end_and_are_at_least_retry_after() {
        assert!(
            RetryPolicy::with_attempts(Some(0))
                .backoff()
                .next_delay(None)
                .is_none()
        );
        let mut backoff = RetryPolicy::with_attempts(None).backoff();
        let requested = Duration::from_secs(7);
        assert!(
            backoff
                .next_delay(Some(requested))
                .is_some_and(|delay| delay >= requested)
        );
        let longest = Some(Duration::MAX);
        let delay = backoff.next_delay(longest);
        assert!(delay.is_some_and(|delay| delay <= MAX_DELAY + BACKOFF_LIMITS.1));
        let rest: Vec<_> = std::iter::from_fn(|| backoff.next_delay(None)).collect();
        assert_eq!(rest.len(), DEFAULT_ATTEMPTS - 2);
        assert!(rest.iter().all(|delay| *delay <= BACKOFF_LIMITS.1));
    }
}
