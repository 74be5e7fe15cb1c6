//! Signals as tokens. The first Ctrl-C or SIGTERM stops and keeps what a re-run can
//! use; the second undoes everything; one more leaves at once. A terminal that is closed
//! asks like SIGTERM.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::Kind;
use crate::platform;
use crate::platform::Signal;

/// What the user wants of a run that is under way.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    /// Stop; keep what a re-run can use.
    pub stop: CancellationToken,
    /// Remove everything that this run made.
    pub undo: CancellationToken,
    /// Leave at once, whatever stays.
    pub leave: CancellationToken,
    first_signal: Arc<AtomicU8>,
    /// When the user was told what a second one would do.
    pub stop_announced: Arc<OnceLock<Instant>>,
}

impl Cancel {
    /// One more signal has come. The exit code tells of the first.
    pub fn signal(&self, signal: Signal) {
        if !self.stop.is_cancelled() {
            self.first_signal.store(
                if signal == Signal::Interrupt { 2 } else { 15 },
                Ordering::SeqCst,
            );
            self.stop.cancel();
        } else if !self.undo.is_cancelled() {
            self.undo.cancel();
        } else {
            self.leave.cancel();
        }
    }

    /// How the run ends once it was stopped.
    pub fn kind(&self) -> Kind {
        if self.first_signal.load(Ordering::SeqCst) == 15 {
            Kind::Terminated
        } else {
            Kind::Interrupted
        }
    }
}

/// Listens for Ctrl-C, SIGTERM and SIGHUP from here on.
pub fn listen(cancel: &Cancel) {
    let cancel = cancel.clone();
    platform::listen(move |signal| cancel.signal(signal));
}
