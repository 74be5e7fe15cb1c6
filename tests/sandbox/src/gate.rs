//! A gate: the one thing tests wait on. Something in the sandbox arrives at it and
//! stays until the test lets go, so that no story needs a sleep.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Longer than any story takes; one that waits in vain fails, not the suite.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Holds requests or imports until released; clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    arrivals: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Gate {
    pub fn new() -> Self {
        Self {
            arrivals: watch::Sender::new(0),
            open: watch::Sender::new(false),
        }
    }

    /// Waits until something has arrived at the gate, for two minutes at most.
    pub async fn reached(&self) {
        self.reached_by(1).await;
    }

    /// Waits until `count` arrivals were counted.
    pub async fn reached_by(&self, count: usize) {
        let mut arrivals = self.arrivals.subscribe();
        let reached = timeout(TIMEOUT, arrivals.wait_for(|n| *n >= count)).await;
        assert!(reached.is_ok(), "nobody came to the gate");
    }

    /// How many have arrived so far.
    pub fn arrivals(&self) -> usize {
        *self.arrivals.borrow()
    }

    /// Lets everything through, now and later.
    pub fn release(&self) {
        self.open.send_replace(true);
    }

    /// Arrives at the gate and waits until it is open.
    pub async fn wait(&self) {
        self.pass().await;
    }

    pub(crate) async fn pass(&self) {
        self.arrive();
        let mut open = self.open.subscribe();
        let _closed = open.wait_for(|open| *open).await;
    }

    /// Counts an arrival without staying; true once the gate is open.
    pub(crate) fn arrive(&self) -> bool {
        self.arrivals.send_modify(|n| *n += 1);
        *self.open.borrow()
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
