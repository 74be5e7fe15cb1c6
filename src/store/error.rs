//! Errors of S3, Spaces and OSS: the constructors of the stores, and the one table of their
//! codes.

use crate::net::service_error::{ErrorClass, Service, ServiceError};

impl ServiceError {
    /// A response of the store that is an error.
    pub fn response(status: u16, code: Option<String>, message: impl Into<String>) -> Self {
        let class = class_of(code.as_deref(), Some(status));
        // A status without a code may be that of a gateway.
        let may_have_executed = code.is_none() || !(400..500).contains(&status);
        Self::new(Service::Storage, class, message)
            .with_response(status, code)
            .with_may_have_executed(may_have_executed)
    }

    /// No response of the store: connection, timeout, stall.
    pub fn no_response(cause: impl Into<String>) -> Self {
        Self::without_response(Service::Storage, cause)
    }

    /// A failure of this program, or a response that makes no sense: never retried.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(Service::Storage, ErrorClass::Permanent, message)
    }
}

/// The retry tables of AWS's and OSS's documentation. The status decides where no code is listed.
fn class_of(code: Option<&str>, status: Option<u16>) -> ErrorClass {
    match code.unwrap_or_default() {
        "AccessDenied" => ErrorClass::Denied,
        "NoSuchUpload" => ErrorClass::NoSuchUpload,
        // OSS says InvalidDigest for a Content-MD5 that does not match.
        "BadDigest"
        | "InvalidDigest"
        | "XAmzContentSHA256Mismatch"
        | "XAmzContentChecksumMismatch" => ErrorClass::ChecksumMismatch,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "SecurityTokenExpired"
        // A request that was signed before the machine slept; the next has a new signature.
        | "RequestTimeTooSkewed" => ErrorClass::ExpiredCredentials,
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
        | "QpsLimitExceeded" => ErrorClass::Throttled { retry_after: None },
        "InternalError"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "Unavailable"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "IncompleteBody" => ErrorClass::Transient,
        // A success that says nothing, or nothing that can be read.
        "" if matches!(status, Some(200..=299)) => ErrorClass::Transient,
        _ => class_of_status(status),
    }
}

fn class_of_status(status: Option<u16>) -> ErrorClass {
    match status {
        Some(429) => ErrorClass::Throttled { retry_after: None },
        Some(404) => ErrorClass::NotFound,
        Some(405 | 501) => ErrorClass::Unsupported,
        Some(408 | 500 | 502 | 503 | 504) => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn prints_message_code_and_request() {
        let error = ServiceError::response(
            503,
            Some("SlowDown".into()),
            "Please reduce your request rate.",
        )
        .with_request_id(Some("7F3C"));
        assert_eq!(
            error.to_string(),
            "Please reduce your request rate (SlowDown, request 7F3C)"
        );
        assert_eq!(
            ServiceError::response(502, None, "").to_string(),
            "HTTP 502"
        );
        assert_eq!(
            ServiceError::no_response("connection reset").to_string(),
            "connection reset"
        );
    }

    #[test]
    fn errors_are_classified_by_code_then_by_status() {
        let class =
            |status, code: &str| ServiceError::response(status, Some(code.into()), "").class();
        assert_eq!(class(403, "AccessDenied"), ErrorClass::Denied);
        assert_eq!(class(403, "InvalidObjectState"), ErrorClass::Permanent);
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
        assert_eq!(class(501, "NotImplemented"), ErrorClass::Unsupported);
        assert_eq!(class(404, "NoSuchKey"), ErrorClass::NotFound);
    }

    #[test]
    fn retry_after_means_throttled_except_for_a_denial() {
        let wait = Some(Duration::from_secs(3));
        let busy = ServiceError::response(503, None, "").with_retry_after(wait);
        assert_eq!(busy.class(), ErrorClass::Throttled { retry_after: wait });
        assert_eq!(
            ServiceError::response(403, None, "")
                .with_retry_after(wait)
                .class(),
            ErrorClass::Permanent
        );
    }
}
