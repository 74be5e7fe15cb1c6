//! Runs the libraries that read hostile bytes. One that panics or never returns makes an
//! inspection without facts.

use std::panic;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The longest time to wait for an inspection.
const MAX_TIME: Duration = Duration::from_secs(30);
/// The name of the thread.
const THREAD: &str = "guest";
/// Enough for the recursion of the file system libraries.
const STACK: usize = 16 << 20;

/// Inspects on a separate thread, and waits for it for a limited time.
pub(super) fn catch_panic<T: Send + 'static>(
    inspect: impl FnOnce() -> T + Send + 'static,
) -> Result<T, &'static str> {
    silence_panics();
    let (sender, receiver) = mpsc::channel();
    let watched = move || {
        // The receiver is gone when the inspection took too long.
        let _gone = sender.send(run_caught(inspect));
    };
    let thread = thread::Builder::new()
        .name(THREAD.to_owned())
        .stack_size(STACK);
    if thread.spawn(watched).is_err() {
        return Err("there is no thread to look into the disk with");
    }
    // A thread cannot be ended from outside: one that never returns is left behind.
    match receiver.recv_timeout(MAX_TIME) {
        Ok(guest) => guest.ok_or("its file systems are damaged"),
        Err(_) => Err("looking into the disk takes too long"),
    }
}

/// Returns the result of one library; `None` where it panics, so that the others still run.
pub(super) fn run_caught<T>(read: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(panic::AssertUnwindSafe(read)).ok()
}

/// Silences panics of the inspection thread: they are expected, and their messages would
/// confuse the user.
fn silence_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Panics of all other threads are real errors.
            if thread::current().name() != Some(THREAD) {
                before(info);
            }
        }));
    });
}
