//! The errors of a service, and their classes. S3 and OSS share one table.

use std::fmt;
use std::time::Duration;

use super::http::one_line;
use super::network_error;

/// What a failure means for the next step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorClass {
    /// The answer will be the same again: refused, not found, not understood.
    Permanent,
    /// The next try may pass: a server's fault, a reset, a timeout.
    Transient,
    /// Too fast; wait, at least as long as the service says.
    Throttled {
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Credentials or signature have expired: the store fetches new credentials, and signs the
    /// next request with them. Worth one more try.
    ExpiredCredentials,
    /// The service knows no such upload.
    NoSuchUpload,
    /// The bytes that arrived were not those of the digest: read and send them again.
    ChecksumMismatch,
}

/// The retry tables of AWS's and OSS's documentation. The status decides where no code is listed.
impl ErrorClass {
    fn from_response(code: Option<&str>, status: Option<u16>) -> Self {
        match code.unwrap_or_default() {
            "NoSuchUpload" => Self::NoSuchUpload,
            // OSS says InvalidDigest for a Content-MD5 that does not match.
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch" => Self::ChecksumMismatch,
            "ExpiredToken"
            | "ExpiredTokenException"
            | "TokenRefreshRequired"
            | "SecurityTokenExpired"
            // A request that was signed before the machine slept; the next one gets a new
            // signature.
            | "RequestTimeTooSkewed" => Self::ExpiredCredentials,
            "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequests"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "DownloadTrafficRateLimitExceeded"
            | "UploadTrafficRateLimitExceeded"
            | "QpsLimitExceeded" => Self::Throttled { retry_after: None },
            "InternalError"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "Unavailable"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "IncompleteBody" => Self::Transient,
            // A success that says nothing, or nothing that can be read.
            "" if matches!(status, Some(200..=299)) => Self::Transient,
            _ => Self::from_status(status),
        }
    }

    fn from_status(status: Option<u16>) -> Self {
        match status {
            Some(429) => Self::Throttled { retry_after: None },
            Some(408 | 500 | 502 | 503 | 504) => Self::Transient,
            _ => Self::Permanent,
        }
    }

    /// Whether another try can pass at all.
    pub fn is_retryable(self) -> bool {
        !matches!(self, Self::Permanent | Self::NoSuchUpload)
    }
}

/// A call that failed, in the service's own words.
#[derive(Debug)]
pub struct ServiceError {
    code: Option<String>,
    message: String,
    status: Option<u16>,
    request_id: Option<String>,
    class: ErrorClass,
}

/// What a service says, on one line.
fn single_line(text: String) -> String {
    if text.contains(char::is_control) {
        one_line(&text)
    } else {
        text
    }
}

impl ServiceError {
    /// The service answered, and not with success.
    pub fn service(status: u16, code: Option<String>, message: impl Into<String>) -> Self {
        let class = ErrorClass::from_response(code.as_deref(), Some(status));
        Self {
            code: code.map(single_line),
            message: single_line(message.into()),
            status: Some(status),
            request_id: None,
            class,
        }
    }

    /// No answer came: connection, timeout, stall.
    pub fn no_response(message: impl Into<String>) -> Self {
        let message = message.into();
        let class = if network_error::is_permanent(&message) {
            ErrorClass::Permanent
        } else {
            ErrorClass::Transient
        };
        Self {
            code: None,
            message,
            status: None,
            request_id: None,
            class,
        }
    }

    /// Something on this side, or an answer that makes no sense: never tried again.
    pub fn other(message: impl Into<String>) -> Self {
        Self {
            code: None,
            message: message.into(),
            status: None,
            request_id: None,
            class: ErrorClass::Permanent,
        }
    }

    /// Names the request, for the provider's support.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<impl Into<String>>) -> Self {
        self.request_id = id.map(|id| single_line(id.into()));
        self
    }

    /// The service said when to come back: a refusal for being too fast.
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

    /// The store knows better than the table.
    #[must_use]
    pub fn with_class(mut self, class: ErrorClass) -> Self {
        self.class = class;
        self
    }

    /// The service's error code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The service's sentence, or the network's.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Whether the request may have done what it asks for all the same: its answer was lost,
    /// could not be read, or tells of a trouble on the way.
    pub fn is_unknown_outcome(&self) -> bool {
        self.class == ErrorClass::Transient
    }

    /// Whether the service is known not to have done what was asked for. After any other
    /// failure it may have.
    pub fn is_rejection(&self) -> bool {
        self.code.is_some()
            && self
                .status
                .is_some_and(|status| (400..500).contains(&status))
    }

    /// The service does not know the question, or somebody else has answered in its place.
    pub fn is_inconclusive(&self) -> bool {
        self.status
            .is_some_and(|status| self.code.is_none() || matches!(status, 405 | 501))
    }

    /// The caller is known but may not do this.
    pub fn is_denied(&self) -> bool {
        self.code() == Some("AccessDenied")
    }

    /// What sort of failure this is.
    pub fn class(&self) -> ErrorClass {
        self.class
    }
}

/// "message (Code, request ID)"; an answer without a code shows its status.
impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self
            .code
            .clone()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_message_code_and_request() {
        let error = ServiceError::service(
            503,
            Some("SlowDown".into()),
            "Please reduce your request rate.",
        )
        .with_request_id(Some("7F3C"));
        assert_eq!(
            error.to_string(),
            "Please reduce your request rate (SlowDown, request 7F3C)"
        );
        assert_eq!(ServiceError::service(502, None, "").to_string(), "HTTP 502");
        assert_eq!(
            ServiceError::no_response("connection reset").to_string(),
            "connection reset"
        );
    }

    #[test]
    fn errors_are_classified_by_code_then_by_status() {
        let class =
            |status, code: &str| ServiceError::service(status, Some(code.into()), "").class();
        assert_eq!(class(403, "AccessDenied"), ErrorClass::Permanent);
        assert_eq!(class(404, "NoSuchUpload"), ErrorClass::NoSuchUpload);
        assert_eq!(class(400, "RequestTimeout"), ErrorClass::Transient);
        assert_eq!(class(400, "BadDigest"), ErrorClass::ChecksumMismatch);
        assert_eq!(class(400, "ExpiredToken"), ErrorClass::ExpiredCredentials);
        assert_eq!(
            class(403, "RequestTimeTooSkewed"),
            ErrorClass::ExpiredCredentials
        );
        assert_eq!(
            class(503, "SlowDown"),
            ErrorClass::Throttled { retry_after: None }
        );
        assert_eq!(class(503, "Whatever"), ErrorClass::Transient);
        assert_eq!(class(501, "NotImplemented"), ErrorClass::Permanent);
    }

    #[test]
    fn retry_after_means_throttled_except_for_a_denial() {
        let wait = Some(Duration::from_secs(3));
        let busy = ServiceError::service(503, None, "").with_retry_after(wait);
        assert_eq!(busy.class(), ErrorClass::Throttled { retry_after: wait });
        assert_eq!(
            ServiceError::service(403, None, "")
                .with_retry_after(wait)
                .class(),
            ErrorClass::Permanent
        );
    }
}
