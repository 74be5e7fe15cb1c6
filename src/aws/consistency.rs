//! Retries for EC2's eventual consistency: a new resource is not found everywhere at once (EC2
//! developer guide, "Eventual consistency in the Amazon EC2 API").

use std::time::Duration;

use backon::ExponentialBuilder;

use super::error::ServiceError;

/// Whether EC2 does not find the image or the snapshot, or not yet.
pub fn is_unknown(fault: &ServiceError) -> bool {
    matches!(
        fault.code(),
        "InvalidAMIID.NotFound" | "InvalidAMIID.Unavailable" | "InvalidSnapshot.NotFound"
    )
}

/// Tries for as long as a new image may take to be found, about a minute.
pub fn consistency_backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(6)
        .with_jitter()
}
