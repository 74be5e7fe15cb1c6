//! The desk every request passes, whatever its service: it writes the journal and
//! says which faults strike. It knows operation names and nothing of any cloud.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use crate::fault::{Action, Fault, Standing};

/// What a request said: query and form parameters, and its telling headers in lower case.
pub type Detail = BTreeMap<String, String>;

/// A request in the journal, in order of arrival.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `s3:UploadPart`, `ec2:ImportImage`
    pub operation: String,
    pub detail: Detail,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not answered yet
    Open,
    Answered(u16),
    /// The connection ended without an answer, by a fault or by the client
    Cut,
}

impl Entry {
    pub fn status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Answered(status) => Some(status),
            Outcome::Open | Outcome::Cut => None,
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
pub(crate) struct Desk {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    journal: Vec<Entry>,
    faults: Vec<Standing>,
}

impl Desk {
    pub(crate) fn journal(&self) -> Vec<Entry> {
        self.state().journal.clone()
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.state().faults.push(Standing::new(fault));
    }

    pub(crate) fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Waits until the journal satisfies `enough`.
    pub(crate) async fn until(&self, enough: impl Fn(&[Entry]) -> bool) {
        let mut changed = self.changed.subscribe();
        while !enough(&self.state().journal) {
            let _closed = changed.changed().await;
        }
    }

    pub(crate) fn enter(
        self: &Arc<Self>,
        operation: String,
        detail: Detail,
    ) -> (Visit, Vec<Action>) {
        let mut state = self.state();
        let struck = |fault: &mut Standing| fault.strike(&operation, &detail);
        let actions = state.faults.iter_mut().filter_map(struck).collect();
        let index = state.journal.len();
        state.journal.push(Entry {
            operation,
            detail,
            outcome: Outcome::Open,
        });
        drop(state);
        self.changed.send_replace(());
        let desk = Arc::clone(self);
        (Visit { desk, index }, actions)
    }

    fn close(&self, index: usize, outcome: Outcome) {
        let entry = &mut self.state().journal[index];
        if entry.outcome == Outcome::Open {
            entry.outcome = outcome;
            self.changed.send_replace(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics at the desk")
    }
}

/// One request at the desk. Dropped without an answer, it is journalled as cut.
pub(crate) struct Visit {
    desk: Arc<Desk>,
    index: usize,
}

impl Visit {
    pub(crate) fn answered(self, status: u16) {
        self.desk.close(self.index, Outcome::Answered(status));
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.desk.close(self.index, Outcome::Cut);
    }
}
