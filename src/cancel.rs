//! Signals as tokens. The first Ctrl-C or SIGTERM stops and keeps what a re-run can
//! use; the second undoes everything; one more leaves at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

use crate::error::Kind;

/// What the user wants of a run that is under way.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    /// Stop; keep what a re-run can use.
    pub stop: CancellationToken,
    /// Remove everything that this run made.
    pub undo: CancellationToken,
    /// Leave at once, whatever stays.
    pub leave: CancellationToken,
    first: Arc<AtomicU8>,
}

/// The two signals that ask a program to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Cancel {
    /// One more signal has come. The exit code tells of the first.
    pub fn signal(&self, signal: Signal) {
        if !self.stop.is_cancelled() {
            self.first.store(
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
        if self.first.load(Ordering::SeqCst) == 15 {
            Kind::Terminated
        } else {
            Kind::Interrupted
        }
    }
}

/// Listens for Ctrl-C and SIGTERM from here on.
pub fn listen(cancel: &Cancel) {
    use tokio::signal::unix::{SignalKind, signal};

    let wanted = [
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
    ];
    for (kind, meaning) in wanted {
        let cancel = cancel.clone();
        // Where signals can't be caught they keep their usual meaning.
        let Ok(mut signals) = signal(kind) else {
            continue;
        };
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                cancel.signal(meaning);
            }
        });
    }
}
