//! How imports and transfers go: the states they walk through, one a poll, and their end.

use std::time::Duration;

use crate::gate::Gate;

/// The way of the custom images that are imported from now on.
#[derive(Clone, Debug)]
pub struct CustomImageScript {
    pub(super) pending: usize,
    pub(super) failure: Option<String>,
    pub(super) gate: Option<Gate>,
    pub(super) pace: Option<Duration>,
}

impl Default for CustomImageScript {
    /// `NEW`, pending at two polls, then available.
    fn default() -> Self {
        Self {
            pending: 2,
            failure: None,
            gate: None,
            pace: None,
        }
    }
}

impl CustomImageScript {
    /// Available at the second poll.
    pub fn quick() -> Self {
        Self {
            pending: 0,
            ..Self::default()
        }
    }

    /// Ends as `deleted` with this `error_message`.
    #[must_use]
    pub fn fail(mut self, message: &str) -> Self {
        self.failure = Some(message.to_owned());
        self
    }

    /// Stays pending until the gate is released; polls count as arrivals. The object is
    /// read after that.
    #[must_use]
    pub fn hold(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// A state takes at least this long, for people who watch.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = Some(pace);
        self
    }
}

/// The way of the transfers that start from now on.
#[derive(Clone, Debug)]
pub struct TransferScript {
    pub(super) polls: usize,
    pub(super) failing: Vec<String>,
    pub(super) gate: Option<Gate>,
    pub(super) side_by_side: bool,
}

impl Default for TransferScript {
    /// In progress at one poll, then completed; one at a time for each image.
    fn default() -> Self {
        Self {
            polls: 1,
            failing: Vec::new(),
            gate: None,
            side_by_side: false,
        }
    }
}

impl TransferScript {
    /// A transfer to this region ends as `errored`.
    #[must_use]
    pub fn fail(mut self, region: &str) -> Self {
        self.failing.push(region.to_owned());
        self
    }

    /// Stays in progress until the gate is released; polls count as arrivals.
    #[must_use]
    pub fn hold(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Transfers of one image to several regions run at the same time.
    #[must_use]
    pub fn concurrent(mut self) -> Self {
        self.side_by_side = true;
        self
    }
}
