//! Signals as tokens. The first Ctrl-C or SIGTERM stops and keeps what a re-run can
//! use; the second undoes everything; one more leaves at once. A terminal that is closed
//! asks like SIGTERM.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
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
    /// When the user was told what a second one would do.
    pub told: Arc<OnceLock<Instant>>,
}

/// What asks a program to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, or SIGHUP.
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

/// Listens for Ctrl-C, SIGTERM and SIGHUP from here on.
pub fn listen(cancel: &Cancel) {
    let hangup = SignalKind::hangup();
    let wanted = [
        Some((SignalKind::interrupt(), Signal::Interrupt)),
        Some((SignalKind::terminate(), Signal::Terminate)),
        may_hear(hangup).then_some((hangup, Signal::Terminate)),
    ];
    for (kind, meaning) in wanted.into_iter().flatten() {
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

/// Under `nohup` the signal is ignored, and has to stay so. Where that can't be seen, a
/// terminal that is closed ends the program as it ends any other: the journal knows the rest.
fn may_hear(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 0)
}
