//! How imports and copies go: the progress they show, one step a poll, and their end.

use std::time::Duration;

use crate::gate::Gate;

/// The way of the imports that start from now on.
#[derive(Clone, Debug)]
pub struct ImportScript {
    pub(super) steps: Vec<Step>,
    /// Code and message, as the task tells them
    pub(super) failure: Option<(String, String)>,
    pub(super) pace: Option<Duration>,
    pub(super) pending_polls: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) progress: u8,
    pub(super) gate: Option<Gate>,
}

impl Default for ImportScript {
    fn default() -> Self {
        Self::with_progress(&[0, 8, 31, 57, 84])
    }
}

impl ImportScript {
    /// These percentages, then the end.
    pub fn with_progress(progress: &[u8]) -> Self {
        let step = |progress: &u8| Step {
            progress: *progress,
            gate: None,
        };
        Self {
            steps: progress.iter().map(step).collect(),
            failure: None,
            pace: None,
            pending_polls: 1,
        }
    }

    /// Finished at the second poll, and available at once.
    pub fn quick() -> Self {
        Self::with_progress(&[0]).with_pending_polls(0)
    }

    /// Ends as `Failed` and `CreateFailed`, with this reason.
    #[must_use]
    pub fn fail(self, reason: &str) -> Self {
        self.fail_with("ImportImageFailed", reason)
    }

    #[must_use]
    pub fn fail_with(mut self, code: &str, reason: &str) -> Self {
        self.failure = Some((code.to_owned(), reason.to_owned()));
        self
    }

    /// Stays at its last step until the gate is released; polls count as arrivals.
    #[must_use]
    pub fn hold(mut self, gate: &Gate) -> Self {
        if let Some(last) = self.steps.last_mut() {
            last.gate = Some(gate.clone());
        }
        self
    }

    /// Stays at this percentage until the gate is released.
    #[must_use]
    pub fn hold_at(mut self, progress: u8, gate: &Gate) -> Self {
        let here = |step: &&mut Step| step.progress == progress;
        if let Some(step) = self.steps.iter_mut().find(here) {
            step.gate = Some(gate.clone());
        }
        self
    }

    /// A step takes at least this long, for people who watch.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = Some(pace);
        self
    }

    /// So many polls show the image as `Creating` after its task has finished (1 by default).
    #[must_use]
    pub fn with_pending_polls(mut self, polls: usize) -> Self {
        self.pending_polls = polls;
        self
    }
}

/// The way of the copies that start from now on.
#[derive(Clone, Debug)]
pub struct CopyScript {
    pub(super) polls: usize,
    pub(super) done: usize,
    pub(super) fails: bool,
    gate: Option<Gate>,
}

impl Default for CopyScript {
    /// Creating at two polls, then available.
    fn default() -> Self {
        Self::creating(2)
    }
}

impl CopyScript {
    /// Creating at this many polls, at least one.
    pub fn creating(polls: usize) -> Self {
        Self {
            polls: polls.max(1),
            done: 0,
            fails: false,
            gate: None,
        }
    }

    /// Ends as `CreateFailed`; the service gives no reason.
    #[must_use]
    pub fn fail(mut self) -> Self {
        self.fails = true;
        self
    }

    /// Stays creating until the gate is released; polls count as arrivals.
    #[must_use]
    pub fn hold(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// One poll; true when it was the last.
    pub(super) fn poll(&mut self) -> bool {
        if self.gate.as_ref().is_some_and(|gate| !gate.arrive()) {
            return false;
        }
        self.done += 1;
        self.done >= self.polls
    }

    pub(super) fn progress(&self) -> u8 {
        u8::try_from(self.done * 100 / self.polls)
            .unwrap_or(100)
            .min(99)
    }
}
