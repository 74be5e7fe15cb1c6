//! The shell's control of its jobs. Ctrl-Z takes the bars away before the program stops,
//! and `fg` brings them back; in the background, where the terminal is somebody else's,
//! none are drawn.

use std::io::stderr;
use std::thread;
use std::time::Duration;

// Not rustix: its numbers of processes can't be 0, and 0 is what the kernel answers in a
// container whose session or group of processes began outside it.
use nix::sys::signal::{Signal, raise};
use nix::unistd::{getpgrp, getsid, tcgetpgrp};
use tokio::signal::unix::{SignalKind, signal};

use super::{Face, Progress};

impl Progress {
    /// From here on Ctrl-Z does not leave a bar behind.
    pub fn minds_the_shell(&self) {
        let Face::Bars(_) = &self.shared.face else {
            return;
        };
        if !can_be_continued() {
            return;
        }
        // Where the signal can't be caught it keeps its usual meaning.
        let Ok(mut signals) = signal(SignalKind::from_raw(Signal::SIGTSTP as i32)) else {
            return;
        };
        let progress = self.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if let Face::Bars(screen) = &progress.shared.face {
                    screen.rest(stop);
                }
            }
        });
    }
}

/// Until all threads of a program that is told to stop stand still.
const MOMENT: Duration = Duration::from_millis(100);

/// As the signal would have done it, had nobody caught it.
fn stop() {
    if raise(Signal::SIGSTOP).is_ok() {
        thread::sleep(MOMENT);
    }
}

/// A shell that can say `fg` gives each job a group of its own. Without one the signal
/// means nothing: whoever stopped would stand still for ever.
fn can_be_continued() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}

/// Whether another job has the terminal.
pub(super) fn is_elsewhere() -> bool {
    tcgetpgrp(stderr()).is_ok_and(|front| front != getpgrp())
}
