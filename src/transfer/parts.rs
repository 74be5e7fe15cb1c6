//! The size of a part and the number of parts in flight, from the service's limits, the memory
//! and the user's options.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::store::Limits;
use crate::units::{Size, bytes};

const MIB: u64 = 1 << 20;

/// The part size for a file of ordinary size: large enough that the overhead of a request does
/// not matter, small enough that a lost part is soon sent again.
const DEFAULT_PART: u64 = 8 * MIB;

/// The part size for a stream, whose size is unknown: 10,000 of these are 312 GiB.
const STREAM_PART: u64 = 32 * MIB;

/// Parts in flight on a network that sends each of them within [`MAX_PART_TIME`].
const DEFAULT_CONCURRENCY: usize = 8;

/// The longest time that a part should take: a slower one shows no progress and is expensive to
/// repeat.
pub(super) const MAX_PART_TIME: Duration = Duration::from_secs(16);

/// Memory for all part buffers, unless the user set another number of parts: larger parts,
/// fewer in flight.
const MAX_MEMORY: u64 = 512 * MIB;

/// The most parts in flight: a larger number is certainly a typing error.
pub const MAX_CONCURRENCY: usize = 256;

/// The sizes, limits and timeouts of an upload.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Size of each part in bytes; the last one may be smaller.
    pub part_size: u64,
    /// Parts in flight. If the user set the number, it is used from the start; otherwise the
    /// upload grows to it once measurement shows that no part takes too long. Memory is `(parts
    /// in flight + 1) * part_size`.
    pub concurrency: usize,
    /// The most parts in flight, reached only where measurement shows that more is faster;
    /// `None` when the user set the number.
    pub max_concurrency: Option<usize>,
    /// The most bytes per second, over all parts together.
    pub limit_rate: Option<u64>,
    /// Retries of a part after its first try; with the delays of `sender`, ten take about a
    /// minute.
    pub retries: u32,
    /// The time without a byte sent after which a part is sent again on a new connection.
    pub stall: Duration,
    /// The time that parts in flight get to finish after a stop.
    pub grace: Duration,
    /// Also computes the SHA-256 of all bytes.
    pub sha256: bool,
}

/// Returns the plan for `size` bytes (`None`: a stream). What the user did not set follows from
/// the size.
pub fn plan(
    size: Option<u64>,
    limits: Limits,
    explicit_part_size: Option<u64>,
    explicit_concurrency: Option<usize>,
) -> Result<Plan> {
    let size_or_none = size.unwrap_or_default();
    if size_or_none > limits.max_object {
        let message = format!(
            "the image has {}, more than an object can hold",
            bytes(size_or_none)
        );
        return Err(Error::refused(message).with_cause(format!(
            "the service takes up to {}",
            bytes(limits.max_object)
        )));
    }
    let part_size = match explicit_part_size {
        Some(explicit) => check_part_size(explicit, size_or_none, limits)?,
        None if size.is_none() => STREAM_PART,
        None => default_part_size(size_or_none, limits),
    };
    let concurrency = match explicit_concurrency {
        Some(explicit) if (1..=MAX_CONCURRENCY).contains(&explicit) => explicit,
        Some(explicit) => {
            return Err(
                Error::usage(format!("{explicit} parts cannot be in flight"))
                    .hint(format!("--concurrency takes 1 to {MAX_CONCURRENCY}")),
            );
        }
        None => in_flight(part_size, MAX_MEMORY, DEFAULT_CONCURRENCY),
    };
    let widest = explicit_concurrency
        .is_none()
        .then(|| in_flight(part_size, MAX_MEMORY, limits.max_concurrency));
    Ok(Plan {
        part_size,
        concurrency,
        max_concurrency: widest,
        limit_rate: None,
        retries: 10,
        stall: Duration::from_mins(1),
        grace: Duration::from_secs(5),
        sha256: false,
    })
}

/// Returns the number of parts for `size` bytes; an empty object has one part.
pub fn count(size: u64, part_size: u64) -> u64 {
    size.div_ceil(part_size).max(1)
}

/// Returns the number of parts in flight when buffers may use `memory` bytes. If two fit, one
/// of them is read while the other is sent.
pub(super) fn in_flight(part_size: u64, memory: u64, max: usize) -> usize {
    let buffers = usize::try_from(memory / part_size).unwrap_or(usize::MAX);
    buffers.saturating_sub(1).clamp(2.min(max), max)
}

fn default_part_size(size: u64, limits: Limits) -> u64 {
    let least = size
        .div_ceil(u64::from(limits.max_parts))
        .next_multiple_of(MIB);
    DEFAULT_PART
        .max(least)
        .max(limits.min_part)
        .min(limits.max_part)
}

fn check_part_size(explicit: u64, size: u64, limits: Limits) -> Result<u64> {
    let message = || format!("the part size {} does not fit", Size(explicit));
    if explicit < limits.min_part || explicit > limits.max_part {
        let allowed = format!(
            "the service takes parts of {} to {}",
            Size(limits.min_part),
            Size(limits.max_part)
        );
        return Err(Error::usage(message()).with_cause(allowed));
    }
    let parts = count(size, explicit);
    if parts > u64::from(limits.max_parts) {
        let least = default_part_size(size, limits) / MIB;
        return Err(Error::usage(message())
            .with_cause(format!(
                "the image would be {parts} parts; the service takes {}",
                limits.max_parts
            ))
            .hint(format!(
                "give --part-size {least}MiB or more, or leave the choice to imgimport"
            )));
    }
    Ok(explicit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Kind;
    use crate::store::s3::{AWS_LIMITS, SPACES_LIMITS};

    const GIB: u64 = 1 << 30;

    fn part_size(size: u64) -> u64 {
        plan(Some(size), AWS_LIMITS, None, None)
            .expect("a plan")
            .part_size
    }

    #[test]
    fn grows_with_the_image() {
        assert_eq!(part_size(0), 8 * MIB);
        assert_eq!(part_size(10_000 * 8 * MIB), 8 * MIB);
        assert_eq!(part_size(10_000 * 8 * MIB + 1), 9 * MIB);
        assert_eq!(part_size(48 << 40), 5034 * MIB);
        assert_eq!(part_size(AWS_LIMITS.max_object), 5 * GIB);
        assert_eq!(count(AWS_LIMITS.max_object, 5 * GIB), 10_000);
    }

    #[test]
    fn one_byte_too_many_is_refused() {
        let error =
            plan(Some(AWS_LIMITS.max_object + 1), AWS_LIMITS, None, None).expect_err("too large");
        assert_eq!(error.kind(), Kind::Refused);
    }

    #[test]
    fn a_stream_has_larger_parts() {
        assert_eq!(
            plan(None, AWS_LIMITS, None, None)
                .expect("a plan")
                .part_size,
            32 * MIB
        );
    }

    #[test]
    fn an_explicit_part_size_is_used_or_rejected() {
        let plan_with = |part, n| plan(Some(100 * GIB), AWS_LIMITS, part, n);
        assert_eq!(
            plan_with(Some(64 * MIB), Some(3))
                .map(|p| (p.part_size, p.concurrency))
                .ok(),
            Some((64 * MIB, 3))
        );
        for (part, n) in [
            (Some(5 * MIB - 1), None),
            (Some(5 * GIB + 1), None),
            (None, Some(0)),
            (None, Some(257)),
        ] {
            assert_eq!(
                plan_with(part, n).expect_err("no plan").kind(),
                Kind::Usage,
                "{part:?} {n:?}"
            );
        }
        let error = plan_with(Some(10 * MIB), None).expect_err("10,240 parts");
        assert_eq!(
            error.to_string(),
            "error: the part size 10MiB does not fit\n  \
             cause: the image would be 10240 parts; the service takes 10000\n  \
             hint: give --part-size 11MiB or more, or leave the choice to imgimport"
        );
    }

    #[test]
    fn larger_parts_are_fewer_at_once() {
        assert_eq!(in_flight(8 * MIB, MAX_MEMORY, 8), 8);
        assert_eq!(in_flight(100 * MIB, MAX_MEMORY, 8), 4);
        assert_eq!(in_flight(5 * GIB, MAX_MEMORY, 8), 2);
        assert_eq!(in_flight(5 * GIB, MAX_MEMORY, 1), 1);
    }

    proptest! {
        #[test]
        fn every_plan_fits_the_service(size in 0..=SPACES_LIMITS.max_object, aws: bool) {
            let limits = if aws { AWS_LIMITS } else { SPACES_LIMITS };
            let plan = plan(Some(size), limits, None, None).expect("a plan");
            prop_assert!(count(size, plan.part_size) <= u64::from(limits.max_parts));
            prop_assert!((limits.min_part..=limits.max_part).contains(&plan.part_size));
            prop_assert!(check_part_size(plan.part_size, size, limits).is_ok());
            prop_assert!((1..=DEFAULT_CONCURRENCY).contains(&plan.concurrency));
        }
    }
}
