//! How imports and copies go: the states they walk through, one a poll, and their end.

use std::time::Duration;

use crate::gate::Gate;

/// The way of the imports that start from now on.
#[derive(Clone, Debug)]
pub struct ImportScript {
    pub(super) steps: Vec<Step>,
    pub(super) failure: Option<String>,
    pub(super) pace: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) message: Option<String>,
    pub(super) progress: Option<u8>,
    pub(super) gate: Option<Gate>,
}

impl Default for ImportScript {
    /// What AWS is seen to do: `Status` stays `active`, the phase is in `StatusMessage`.
    fn default() -> Self {
        Self::with_phases(&[
            ("pending", 2),
            ("validating", 10),
            ("validated", 19),
            ("converting", 27),
            ("updating", 50),
            ("booting", 75),
            ("preparing ami", 85),
        ])
    }
}

impl ImportScript {
    /// These phases, then `completed`.
    pub fn with_phases(phases: &[(&str, u8)]) -> Self {
        let step = |(message, progress): &(&str, u8)| Step {
            message: Some((*message).to_owned()),
            progress: Some(*progress),
            gate: None,
        };
        Self {
            steps: phases.iter().map(step).collect(),
            failure: None,
            pace: None,
        }
    }

    /// Completed at the second poll.
    pub fn quick() -> Self {
        Self::with_phases(&[("pending", 2)])
    }

    pub(super) fn snapshot() -> Self {
        Self::with_phases(&[
            ("pending", 2),
            ("validating", 10),
            ("validated", 19),
            ("downloading/converting", 48),
            ("preparing snapshot", 90),
        ])
    }

    /// Adds a poll at which AWS leaves out both message and progress.
    #[must_use]
    pub fn without_messages(mut self) -> Self {
        self.steps.push(Step {
            message: None,
            progress: None,
            gate: None,
        });
        self
    }

    /// Ends in `deleting`, then `deleted`, with this StatusMessage.
    #[must_use]
    pub fn fail(mut self, message: &str) -> Self {
        self.failure = Some(message.to_owned());
        self
    }

    /// Stays active at its last phase until the gate is released; polls count as arrivals.
    #[must_use]
    pub fn hold(mut self, gate: &Gate) -> Self {
        if let Some(last) = self.steps.last_mut() {
            last.gate = Some(gate.clone());
        }
        self
    }

    /// Stays at this phase until the gate is released.
    #[must_use]
    pub fn hold_at(mut self, phase: &str, gate: &Gate) -> Self {
        let here = |step: &&mut Step| step.message.as_deref() == Some(phase);
        if let Some(step) = self.steps.iter_mut().find(here) {
            step.gate = Some(gate.clone());
        }
        self
    }

    /// A phase takes at least this long, for people who watch.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = Some(pace);
        self
    }
}

/// The way of the copies (and registrations) that start from now on.
#[derive(Clone, Debug)]
pub struct CopyScript {
    pub(super) polls: usize,
    pub(super) failure: Option<String>,
    pub(super) gate: Option<Gate>,
}

impl Default for CopyScript {
    /// Pending at two polls, then available.
    fn default() -> Self {
        Self {
            polls: 2,
            failure: None,
            gate: None,
        }
    }
}

impl CopyScript {
    /// Pending at this many polls, at least one.
    pub fn pending(polls: usize) -> Self {
        Self {
            polls,
            ..Self::default()
        }
    }

    /// Ends as `failed` with this reason.
    #[must_use]
    pub fn fail(mut self, reason: &str) -> Self {
        self.failure = Some(reason.to_owned());
        self
    }

    /// Stays pending until the gate is released; polls count as arrivals.
    #[must_use]
    pub fn hold(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// One poll; true when it was the last pending one.
    pub(super) fn poll(&mut self) -> bool {
        if self.gate.as_ref().is_some_and(|gate| !gate.arrive()) {
            return false;
        }
        self.polls = self.polls.saturating_sub(1);
        self.polls == 0
    }
}
