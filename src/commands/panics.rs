//! A defect of this program ends one import with an error like any other: it takes no other
//! import with it, and programs that asked for JSON get their object.

use std::any::Any;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, PoisonError};
use std::thread;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::error::{Error, Result};
use crate::secret::mask;

/// Where the last panic happened.
static PANIC_LOCATION: Mutex<Option<String>> = Mutex::new(None);

/// Keeps the place of a panic for the error. What panics in a thread that nobody waits for is
/// written to standard error here.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string);
        *PANIC_LOCATION
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = location;
        if thread::current().name() != Some("main") {
            log_panic(info);
        }
    }));
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let text = info.to_string();
    // Nobody is left to hear of a closed standard error.
    let _ = writeln!(std::io::stderr(), "{}", mask(&text));
}

/// The result of the future; a panic in it is an error.
pub async fn catch_panic<'a, T>(work: impl Future<Output = Result<T>> + 'a) -> Result<T> {
    // Boxed: the future of an import is large.
    let work: LocalBoxFuture<'a, _> = Box::pin(work);
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|payload| Err(panic_error(payload.as_ref())))
}

/// The error of a panic that was caught.
pub fn panic_error(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    let location = PANIC_LOCATION
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let location = location.map(|place| format!(" ({place})"));
    Error::failed("a defect of imgimport ended this")
        .with_cause(format!("{text}{}", location.unwrap_or_default()))
        .hint("the same command goes on from what the journal has; please report the cause")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_becomes_an_error() {
        let ended: Result<()> = catch_panic(async { panic!("index {} out of range", 7) }).await;
        let error = ended.expect_err("an error");
        assert_eq!(error.kind().exit_code(), 1);
        assert!(error.one_line().contains("index 7 out of range"));
        assert!(matches!(catch_panic(async { Ok(1) }).await, Ok(1)));
    }
}
