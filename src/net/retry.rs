//! The pauses between two tries of a small request: exponential, each with full jitter,
//! so that many runs that were refused together don't come back together. What is worth
//! another try is for the services' own rooms to say.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Base 0.2 s, cap 20 s, as in the SDKs of AWS and OSS.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(20));

/// A person wonders about a pause of this length.
const NOTICEABLE: Duration = Duration::from_secs(10);

/// The longest pause that a service can ask for; some ask for an hour, and a hostile one for
/// more than any clock holds.
const LONGEST: Duration = Duration::from_mins(5);

/// Tries after the first. With full jitter they last a minute on average, which is
/// Alibaba's throttling window.
const TRIES: usize = 12;

/// How often a small request is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Patience(usize);

impl Patience {
    /// So often as the user says, or long enough for most troubles to pass.
    pub fn of(tries: Option<u32>) -> Self {
        Self(tries.map_or(TRIES, |tries| tries.try_into().unwrap_or(usize::MAX)))
    }

    /// The pauses of one request.
    pub fn pauses(self) -> Pauses {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(PAUSES.0)
            .with_max_delay(PAUSES.1)
            .with_max_times(self.0);
        Pauses(pauses.build())
    }
}

/// How long to wait before the next try, until it is enough.
pub struct Pauses(ExponentialBackoff);

impl Pauses {
    /// Returns the next pause: as long as the service asked for, five minutes at most, and a
    /// random share of our own. `None` after the last try.
    pub fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let pause = self.0.next()?.mul_f64(fraction());
        let asked = asked.unwrap_or_default();
        if asked >= NOTICEABLE {
            let wait = asked.min(LONGEST).as_secs();
            tracing::warn!(
                "the service asks to wait {} s before the next request; waiting {wait} s",
                asked.as_secs()
            );
        }
        Some(asked.min(LONGEST) + pause)
    }
}

/// 0 to 1 at random; the standard library's hasher keys are random numbers.
fn fraction() -> f64 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_end_and_are_never_shorter_than_asked() {
        assert!(Patience::of(Some(0)).pauses().next(None).is_none());
        let mut pauses = Patience::of(None).pauses();
        let asked = Duration::from_secs(7);
        assert!(pauses.next(Some(asked)).is_some_and(|pause| pause >= asked));
        let asked = Some(Duration::MAX);
        let pause = pauses.next(asked);
        assert!(pause.is_some_and(|pause| pause <= LONGEST + PAUSES.1));
        let rest: Vec<_> = std::iter::from_fn(|| pauses.next(None)).collect();
        assert_eq!(rest.len(), TRIES - 2);
        assert!(rest.iter().all(|pause| *pause <= PAUSES.1));
    }
}
