//! The error of a request to a service, and the class that decides what is done next. Each
//! client converts a response to it with a table of its service's codes.

use std::fmt;
use std::time::Duration;

use super::http::one_line;
use super::network_error;

/// What a failure means for the next attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorClass {
    /// The same request fails again.
    Permanent,
    /// The same request may succeed: an error of the server, or a response that cannot be read.
    Transient,
    /// Too many requests: wait, at least as long as the service asks for.
    Throttled {
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Credentials or signature have expired: the client fetches new credentials, and signs
    /// again, with the next request. Worth one retry.
    ExpiredCredentials,
    /// The caller is known but has no permission.
    Denied,
    /// No credentials, or ones that the service does not know.
    NoCredentials,
    /// The service does not know this operation.
    Unsupported,
    /// What the request names does not exist.
    NotFound,
    /// The service knows no such upload.
    NoSuchUpload,
    /// The bytes that arrived do not match their digest: read and send them again.
    ChecksumMismatch,
    /// No response: connection, timeout, stall.
    NoResponse {
        /// Whether the cause stays, such as a certificate that is not trusted.
        is_permanent: bool,
    },
}

impl ErrorClass {
    /// Whether another attempt may succeed.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Transient
                | Self::Throttled { .. }
                | Self::ExpiredCredentials
                | Self::ChecksumMismatch
                | Self::NoResponse {
                    is_permanent: false
                }
        )
    }
}

/// The kind of service that a request was sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// Object storage: S3, Spaces, OSS.
    Storage,
    /// The provider's API.
    Api,
}

/// A request that failed, in the service's own words.
#[derive(Clone, Debug)]
pub struct ServiceError {
    service: Service,
    code: Option<Box<str>>,
    message: String,
    status: Option<u16>,
    request_id: Option<Box<str>>,
    class: ErrorClass,
    may_have_executed: bool,
    /// The permission that the request needs.
    requires: Option<Box<str>>,
    /// What helps, where the place that failed knows it better than the code tells.
    hint: Option<Box<str>>,
}

/// Returns the text on one line.
fn single_line(text: String) -> String {
    if text.contains(char::is_control) {
        one_line(&text)
    } else {
        text
    }
}

impl ServiceError {
    /// An error without a response, or with one that `with_status` and the others describe.
    pub fn new(service: Service, class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            service,
            code: None,
            message: message.into(),
            status: None,
            request_id: None,
            class,
            may_have_executed: true,
            requires: None,
            hint: None,
        }
    }

    /// No response came, for this cause.
    pub fn without_response(service: Service, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        let is_permanent = network_error::is_permanent(&cause);
        Self::new(service, ErrorClass::NoResponse { is_permanent }, cause)
    }

    /// Sets the HTTP status and the service's error code. A 4xx says that the request was not
    /// executed.
    #[must_use]
    pub fn with_response(mut self, status: u16, code: Option<String>) -> Self {
        self.status = Some(status);
        self.message = single_line(self.message);
        self.code = code.map(|code| single_line(code).into());
        self.may_have_executed = !(400..500).contains(&status);
        self
    }

    /// Sets whether the request may have been executed.
    #[must_use]
    pub fn with_may_have_executed(mut self, may_have_executed: bool) -> Self {
        self.may_have_executed = may_have_executed;
        self
    }

    /// Sets the request's id, which the provider's support asks for.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<impl Into<String>>) -> Self {
        self.request_id = id.map(|id| single_line(id.into()).into());
        self
    }

    /// Sets when the service accepts the next request, if the failure is of the kind that ends.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        let slower = matches!(
            self.class,
            ErrorClass::Transient | ErrorClass::Throttled { .. }
        );
        if slower && delay.is_some() {
            self.class = ErrorClass::Throttled { retry_after: delay };
        }
        self
    }

    /// Sets the class where the client knows better than the table.
    #[must_use]
    pub fn with_class(mut self, class: ErrorClass) -> Self {
        self.class = class;
        self
    }

    /// Sets the permission that the request needs.
    #[must_use]
    pub fn requiring(mut self, permission: impl Into<Box<str>>) -> Self {
        self.requires = Some(permission.into());
        self
    }

    /// Sets what helps, unless it is set.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The permission that the request needs, where it is known.
    pub fn requires(&self) -> Option<&str> {
        self.requires.as_deref()
    }

    /// What helps, where the place that failed knows it better than the code tells.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The kind of service.
    pub fn service(&self) -> Service {
        self.service
    }

    /// The service's error code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The service's sentence, or the network's.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status; `None` without a response.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The class of the failure.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// Whether the service is known not to have executed the request.
    pub fn was_not_executed(&self) -> bool {
        !self.may_have_executed
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.class, ErrorClass::Throttled { .. }) || self.is_unknown_outcome()
    }

    /// Whether the outcome is unknown and the same request may succeed: the response was lost,
    /// could not be read, or reports an error of the server.
    pub fn is_unknown_outcome(&self) -> bool {
        matches!(
            self.class,
            ErrorClass::Transient
                | ErrorClass::NoResponse {
                    is_permanent: false
                }
        )
    }

    /// Whether the service does not know the operation, or something between has answered.
    pub fn is_inconclusive(&self) -> bool {
        self.class == ErrorClass::Unsupported || (self.status.is_some() && self.code.is_none())
    }

    /// Whether the caller is known but has no permission.
    pub fn is_denied(&self) -> bool {
        self.class == ErrorClass::Denied
    }
}

/// "message (Code, request ID)"; an answer without a code shows its status.
impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self
            .code
            .as_deref()
            .map(str::to_owned)
            .or(self.status.map(|status| format!("HTTP {status}")));
        let request = self.request_id.as_ref().map(|id| format!("request {id}"));
        let facts: Vec<_> = code.into_iter().chain(request).collect();
        match (
            self.message.trim_end_matches('.'),
            facts.join(", ").as_str(),
        ) {
            (message, "") => f.write_str(message),
            ("", facts) => f.write_str(facts),
            (message, facts) => write!(f, "{message} ({facts})"),
        }
    }
}

impl std::error::Error for ServiceError {}
