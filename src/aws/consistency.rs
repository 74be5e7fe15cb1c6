//! Retries for EC2's eventual consistency: a new resource is not found everywhere at once (EC2
//! developer guide, "Eventual consistency in the Amazon EC2 API").

use std::time::Duration;

use super::error::ServiceError;
use crate::net::retry::RetryPolicy;

/// Retries for as long as a new image may take to be found, about a minute.
pub const CONSISTENCY: RetryPolicy =
    RetryPolicy::new(8, Duration::from_secs(1), Duration::from_secs(10));

/// Whether EC2 does not find the image or the snapshot, or not yet.
pub fn is_unknown(fault: &ServiceError) -> bool {
    matches!(
        fault.code(),
        "InvalidAMIID.NotFound" | "InvalidAMIID.Unavailable" | "InvalidSnapshot.NotFound"
    )
}
