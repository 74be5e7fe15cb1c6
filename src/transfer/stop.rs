//! The grace period after a stop.

use std::future::Future;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Returns the result of `work`; `None` if a stop came and the grace period is over.
pub(super) async fn within_grace<T>(
    stop: &CancellationToken,
    leave: &CancellationToken,
    grace: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let too_late = async {
        stop.cancelled().await;
        leave.run_until_cancelled(sleep(grace)).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = too_late => None,
    }
}
