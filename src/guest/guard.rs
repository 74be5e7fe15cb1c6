//! Bytes from outside go through readers that others wrote. One that panics, or never comes
//! back, makes a look that showed nothing.

use std::panic;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A look that runs in circles is left alone after this long.
const MAX_TIME: Duration = Duration::from_secs(30);
/// The name of the thread that looks.
const THREAD: &str = "guest";
/// Enough for whatever the file systems' readers do by recursion.
const STACK: usize = 16 << 20;

/// Looks on a thread of its own, and waits for it for a bounded time.
pub(super) fn catch_panic<T: Send + 'static>(
    inspect: impl FnOnce() -> T + Send + 'static,
) -> Result<T, &'static str> {
    silence_panics();
    let (sender, receiver) = mpsc::channel();
    let watched = move || {
        let _gone = sender.send(run_caught(inspect));
    };
    let thread = thread::Builder::new()
        .name(THREAD.to_owned())
        .stack_size(STACK);
    if thread.spawn(watched).is_err() {
        return Err("there is no thread to look into the disk with");
    }
    match receiver.recv_timeout(MAX_TIME) {
        Ok(guest) => guest.ok_or("its file systems are damaged"),
        Err(_) => Err("looking into the disk takes too long"),
    }
}

/// What one reader returns, None where it panics: the others are asked all the same.
pub(super) fn run_caught<T>(read: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(panic::AssertUnwindSafe(read)).ok()
}

/// A panic on the thread that looks is no news for the user.
fn silence_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(THREAD) {
                before(info);
            }
        }));
    });
}
