//! Retries: how often a request is sent again, after which delays, and the loop for a small
//! request. What class a failure has, the client of each service decides.

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};
use tokio::time::sleep;

use super::service_error::ErrorClass;

/// Retries of a small request. With the default delays they last a minute on average, which
/// is Alibaba Cloud's throttling window.
const DEFAULT_RETRIES: u32 = 12;

/// The first delay is 0.2 s at most, the longest 20 s, as in the SDKs of AWS and OSS.
const DEFAULT_DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(20));

/// The longest `Retry-After` that is obeyed; some services ask for an hour, and a hostile
/// one for more than any clock holds.
const DEFAULT_MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// A user notices a delay of this length.
const LOGGED_DELAY: Duration = Duration::from_secs(10);

/// How often a request is sent again, and after which delays.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub retries: u32,
    /// The shortest delay.
    pub min: Duration,
    /// The longest delay, without what the service asks for.
    pub max: Duration,
    /// The longest `Retry-After` that is obeyed.
    pub max_retry_after: Duration,
}

impl RetryPolicy {
    /// This many retries after delays from `min` to `max`.
    pub const fn new(retries: u32, min: Duration, max: Duration) -> Self {
        Self {
            retries,
            min,
            max,
            max_retry_after: DEFAULT_MAX_RETRY_AFTER,
        }
    }

    /// This many retries, or the default number, after the default delays.
    pub fn with_retries(retries: Option<u32>) -> Self {
        let (min, max) = DEFAULT_DELAYS;
        Self::new(retries.unwrap_or(DEFAULT_RETRIES), min, max)
    }

    /// The delays of one request.
    pub fn backoff(self) -> Backoff {
        let limits = ExponentialBuilder::new()
            .with_min_delay(self.min.saturating_mul(2))
            .with_max_delay(self.max)
            .with_max_times(times(self.retries));
        Backoff {
            policy: self,
            limits: limits.build(),
            is_renewed: false,
        }
    }
}

/// The delays between the attempts of one request: random between the policy's minimum and a
/// limit that doubles each time, so that requests that failed together are not sent again
/// together.
pub struct Backoff {
    policy: RetryPolicy,
    limits: ExponentialBackoff,
    /// Whether an attempt has failed for expired credentials.
    is_renewed: bool,
}

impl Backoff {
    /// Returns the delay after a failure of this class: what the service asks for and a random
    /// delay. `None` where the failure is final, or the retries are used up.
    pub fn delay_after(&mut self, class: ErrorClass) -> Option<Duration> {
        let requested = match class {
            ErrorClass::Throttled { retry_after } => retry_after.unwrap_or_default(),
            // New credentials are fetched once; if those have expired too, others will not help.
            ErrorClass::ExpiredCredentials if std::mem::replace(&mut self.is_renewed, true) => {
                return None;
            }
            class if class.is_retryable() => Duration::ZERO,
            _ => return None,
        };
        let (min, limit) = (self.policy.min, self.limits.next()?.min(self.policy.max));
        let random = limit.saturating_sub(min).mul_f64(random_fraction());
        Some(requested.min(self.policy.max_retry_after) + min + random)
    }
}

/// Sends a small request until it succeeds, its failure is final or the retries are used up.
/// `class` judges a failure, `on_retry` reports it with the delay before the next attempt.
///
/// # Errors
///
/// The last failure.
pub async fn call<T, E, F: Future<Output = Result<T, E>>>(
    policy: RetryPolicy,
    mut send_once: impl FnMut() -> F,
    mut class: impl FnMut(&E) -> ErrorClass,
    mut on_retry: impl FnMut(&E, ErrorClass, Duration),
) -> Result<T, E> {
    let mut backoff = policy.backoff();
    loop {
        let error = match send_once().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let class = class(&error);
        let Some(delay) = backoff.delay_after(class) else {
            return Err(error);
        };
        on_retry(&error, class, delay);
        sleep(delay).await;
    }
}

/// Logs a retry, and warns where the service asks for a long delay.
pub fn log(service: &str, error: &impl Display, class: ErrorClass, delay: Duration) {
    tracing::debug!("{service}: {error}; again in {delay:?}");
    if let ErrorClass::Throttled {
        retry_after: Some(requested),
    } = class
        && requested >= LOGGED_DELAY
    {
        tracing::warn!(
            "the service asks to wait {} s before the next request; waiting {} s",
            requested.as_secs(),
            requested.min(delay).as_secs()
        );
    }
}

/// Repeats a request while `is_retryable` says that its failure may end soon, as for a resource
/// that was created a moment ago and is not visible everywhere yet. The delays double from the
/// policy's minimum to its maximum, without a random share: each run waits for its own resource.
///
/// # Errors
///
/// The last failure.
pub async fn wait_while<T, E, F: Future<Output = Result<T, E>>>(
    policy: RetryPolicy,
    request: impl FnMut() -> F,
    is_retryable: impl FnMut(&E) -> bool,
) -> Result<T, E> {
    let delays = ExponentialBuilder::new()
        .with_min_delay(policy.min)
        .with_max_delay(policy.max)
        .with_max_times(times(policy.retries));
    request.retry(delays).when(is_retryable).await
}

fn times(retries: u32) -> usize {
    usize::try_from(retries).unwrap_or(usize::MAX)
}

/// Returns a random number from 0 to 1; the standard library's hasher keys are random numbers.
pub fn random_fraction() -> f64 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSIENT: ErrorClass = ErrorClass::Transient;

    fn throttled(retry_after: Duration) -> ErrorClass {
        ErrorClass::Throttled {
            retry_after: Some(retry_after),
        }
    }

    #[test]
    fn delays_end_and_are_at_least_retry_after() {
        let none = RetryPolicy::with_retries(Some(0))
            .backoff()
            .delay_after(TRANSIENT);
        assert_eq!(none, None);
        let mut backoff = RetryPolicy::with_retries(None).backoff();
        let requested = Duration::from_secs(7);
        let delay = backoff.delay_after(throttled(requested));
        assert!(delay.is_some_and(|delay| delay >= requested));
        let delay = backoff.delay_after(throttled(Duration::MAX));
        assert!(delay.is_some_and(|delay| delay <= DEFAULT_MAX_RETRY_AFTER + DEFAULT_DELAYS.1));
        let rest: Vec<_> = std::iter::from_fn(|| backoff.delay_after(TRANSIENT)).collect();
        assert_eq!(rest.len(), 10);
        assert!(rest.iter().all(|delay| *delay <= DEFAULT_DELAYS.1));
    }

    #[test]
    fn delays_keep_the_limits_of_the_policy() {
        let seconds = Duration::from_secs;
        let mut backoff = RetryPolicy::new(100, seconds(2), seconds(3)).backoff();
        let delays: Vec<_> = std::iter::from_fn(|| backoff.delay_after(TRANSIENT)).collect();
        assert_eq!(delays.len(), 100);
        assert!(
            delays
                .iter()
                .all(|delay| (seconds(2)..=seconds(3)).contains(delay))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_sent_again_by_the_class_of_its_failure() {
        const EXPIRED: ErrorClass = ErrorClass::ExpiredCredentials;
        for (failures, sent) in [
            (vec![TRANSIENT, throttled(Duration::from_secs(1))], 3),
            (vec![ErrorClass::Permanent], 1),
            (vec![EXPIRED, TRANSIENT], 3),
            (vec![EXPIRED, EXPIRED, TRANSIENT], 2),
            (vec![TRANSIENT; 9], 6),
        ] {
            let (mut attempts, mut retries) = (0, 0);
            let policy = RetryPolicy::with_retries(Some(5));
            let answer = call(
                policy,
                || {
                    let failure = failures.get(attempts).copied();
                    attempts += 1;
                    async move { failure.map_or(Ok(()), Err) }
                },
                |class| *class,
                |_, _, _| retries += 1,
            )
            .await;
            assert_eq!((attempts, retries), (sent, sent - 1), "{failures:?}");
            assert_eq!(answer.is_ok(), attempts > failures.len(), "{failures:?}");
        }
    }
}
