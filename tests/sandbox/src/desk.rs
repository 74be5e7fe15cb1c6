//! The desk every request passes, whatever its service: it writes the journal and
//! says which faults strike. It knows operation names and nothing of any cloud.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use crate::fault::{Action, ActiveFault, Fault};

/// What a request said: query and form parameters, and its telling headers in lower case.
pub type Detail = BTreeMap<String, String>;

/// A request in the journal, in order of arrival.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// `s3:UploadPart`, `ec2:ImportImage`
    pub operation: String,
    pub detail: Detail,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not answered yet
    Pending,
    Responded(u16),
    /// The connection ended without an answer, by a fault or by the client
    Cut,
}

impl LoggedRequest {
    pub fn status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Responded(status) => Some(status),
            Outcome::Pending | Outcome::Cut => None,
        }
    }

    /// A detail by name, or the empty string.
    pub fn get(&self, name: &str) -> &str {
        self.detail.get(name).map_or("", String::as_str)
    }

    pub fn succeeded(&self) -> bool {
        self.status()
            .is_some_and(|status| (200..300).contains(&status))
    }
}

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<LoggedRequest>,
    faults: Vec<ActiveFault>,
}

impl RequestLog {
    pub(crate) fn requests(&self) -> Vec<LoggedRequest> {
        self.state().requests.clone()
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.state().faults.push(ActiveFault::new(fault));
    }

    pub(crate) fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Waits until the journal satisfies `enough`.
    pub(crate) async fn wait_until(&self, condition: impl Fn(&[LoggedRequest]) -> bool) {
        let mut changed = self.changed.subscribe();
        while !condition(&self.state().requests) {
            let _closed = changed.changed().await;
        }
    }

    pub(crate) fn record(
        self: &Arc<Self>,
        operation: String,
        detail: Detail,
    ) -> (RequestGuard, Vec<Action>) {
        let mut state = self.state();
        let action_of = |fault: &mut ActiveFault| fault.action_for(&operation, &detail);
        let actions = state.faults.iter_mut().filter_map(action_of).collect();
        let index = state.requests.len();
        state.requests.push(LoggedRequest {
            operation,
            detail,
            outcome: Outcome::Pending,
        });
        drop(state);
        self.changed.send_replace(());
        let log = Arc::clone(self);
        (RequestGuard { log, index }, actions)
    }

    fn finish(&self, index: usize, outcome: Outcome) {
        let entry = &mut self.state().requests[index];
        if entry.outcome == Outcome::Pending {
            entry.outcome = outcome;
            self.changed.send_replace(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics at the desk")
    }
}

/// One request at the desk. Dropped without an answer, it is journalled as cut.
pub(crate) struct RequestGuard {
    log: Arc<RequestLog>,
    index: usize,
}

impl RequestGuard {
    pub(crate) fn responded(self, status: u16) {
        self.log.finish(self.index, Outcome::Responded(status));
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.log.finish(self.index, Outcome::Cut);
    }
}
