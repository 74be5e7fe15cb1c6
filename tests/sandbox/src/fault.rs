//! Faults on demand, for any service: which request is meant (`Fault::on(..)`), and what
//! happens to it (the last word of the sentence).

use crate::desk::Detail;
use crate::gate::Gate;

/// Something that goes wrong with certain requests.
#[derive(Clone, Debug)]
pub struct Fault {
    when: When,
    action: Action,
}

/// Which requests a fault meets; made by [`Fault::on`].
#[derive(Clone, Debug)]
pub struct When {
    operation: String,
    detail: Vec<(String, String)>,
    first: usize,
    times: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Answer(ApiError),
    CutAfter(u64),
    CutAnswer,
    Replace(u16, String),
    Stall,
    Hold(Gate),
    HoldAnswer(Gate),
}

/// An error as a service words it; each service has its own body for it.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            retry_after: None,
        }
    }
}

impl Fault {
    /// Requests of this operation (`s3:UploadPart`); `s3:*` means any of the service.
    pub fn on(operation: &str) -> When {
        When {
            operation: operation.to_owned(),
            detail: Vec::new(),
            first: 1,
            times: 1,
        }
    }

    /// Adds a `Retry-After` header to an [`When::answer`].
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let Action::Answer(refusal) = &mut self.action {
            refusal.retry_after = Some(seconds);
        }
        self
    }
}

impl When {
    /// Only requests whose journal detail has this value (`"partNumber", "3"`).
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.detail.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Begins with the n-th such request after the fault was set (1 is the next).
    #[must_use]
    pub fn nth(mut self, n: usize) -> Self {
        self.first = n;
        self
    }

    /// Strikes this many in a row (default once).
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Strikes every one from there on.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Answers with the service's own error body instead of doing the work.
    pub fn answer(self, status: u16, code: &str, message: &str) -> Fault {
        self.with_action(Action::Answer(ApiError::new(status, code, message)))
    }

    /// Answers with a status and no word, as a gateway in between may.
    pub fn answer_bare(self, status: u16) -> Fault {
        self.answer(status, "", "")
    }

    /// Answers 200 with an error document, as S3's Complete may.
    pub fn error_inside_200(self, code: &str, message: &str) -> Fault {
        self.answer(200, code, message)
    }

    /// Closes the connection once this many bytes of the request body have come.
    pub fn cut_after(self, bytes: u64) -> Fault {
        self.with_action(Action::CutAfter(bytes))
    }

    /// Does the work, then closes the connection: the lost answer.
    pub fn cut_answer(self) -> Fault {
        self.with_action(Action::CutAnswer)
    }

    /// Does the work, then answers with this status and body in place of the service's own:
    /// a gateway's page, a body that was cut, or nothing at all. The journal has it as cut.
    pub fn replace_answer(self, status: u16, body: &str) -> Fault {
        self.with_action(Action::Replace(status, body.to_owned()))
    }

    /// Takes the request and never answers.
    pub fn stall(self) -> Fault {
        self.with_action(Action::Stall)
    }

    /// Holds the request before any work is done.
    pub fn hold(self, gate: &Gate) -> Fault {
        self.with_action(Action::Hold(gate.clone()))
    }

    /// Does the work and holds the answer.
    pub fn hold_answer(self, gate: &Gate) -> Fault {
        self.with_action(Action::HoldAnswer(gate.clone()))
    }

    fn with_action(self, action: Action) -> Fault {
        Fault { when: self, action }
    }

    fn matches(&self, operation: &str, detail: &Detail) -> bool {
        let is_operation = match self.operation.strip_suffix('*') {
            Some(prefix) => operation.starts_with(prefix),
            None => operation == self.operation,
        };
        is_operation
            && self
                .detail
                .iter()
                .all(|(name, value)| detail.get(name) == Some(value))
    }
}

/// A fault on the desk, with the requests it has met so far.
#[derive(Debug)]
pub(crate) struct ActiveFault {
    fault: Fault,
    matched: usize,
}

impl ActiveFault {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, matched: 0 }
    }

    pub(crate) fn action_for(&mut self, operation: &str, detail: &Detail) -> Option<Action> {
        let when = &self.fault.when;
        if !when.matches(operation, detail) {
            return None;
        }
        self.matched += 1;
        let is_active = self.matched >= when.first && self.matched - when.first < when.times;
        is_active.then(|| self.fault.action.clone())
    }
}
