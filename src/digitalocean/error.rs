//! Errors of DigitalOcean's API: how a response becomes a [`ServiceError`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::hints::{HintContext, hint};
use crate::error::Error;
use crate::net::http::{Response, TransportError};
use crate::net::service_error::{ErrorClass, Service};
use crate::secret::mask;

pub use crate::net::service_error::ServiceError;

/// The body of an error.
#[derive(Default, Deserialize)]
struct ErrorBody {
    id: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

/// No response came.
pub fn no_response(error: TransportError) -> ServiceError {
    ServiceError::without_response(Service::Api, error.cause).with_may_have_executed(error.arrived)
}

/// A response that is an error.
pub fn from_response(response: &Response) -> ServiceError {
    let body: ErrorBody = serde_json::from_slice(&response.body).unwrap_or_default();
    let request = body
        .request_id
        .or_else(|| response.header("x-request-id").map(str::to_owned));
    let message = mask(&body.message.unwrap_or_default()).into_owned();
    ServiceError::new(Service::Api, class_of(response.status), message)
        .with_response(response.status, body.id)
        .with_request_id(request)
        .with_retry_after(parse_retry_after(response, SystemTime::now()))
}

fn class_of(status: u16) -> ErrorClass {
    match status {
        401 => ErrorClass::NoCredentials,
        403 => ErrorClass::Denied,
        404 => ErrorClass::NotFound,
        429 => ErrorClass::Throttled { retry_after: None },
        501 => ErrorClass::Unsupported,
        500.. => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    }
}

/// A success whose body cannot be read: a gateway's, or one that was cut.
pub fn invalid_response(status: u16, cause: &serde_json::Error) -> ServiceError {
    let message = format!("the answer can't be read: {cause}");
    ServiceError::new(Service::Api, ErrorClass::Transient, message).with_response(status, None)
}

/// A success that is the response to another request.
pub fn unexpected_response(message: String) -> ServiceError {
    ServiceError::new(Service::Api, ErrorClass::Transient, message).with_response(200, None)
}

/// Adds what could not be done, and the hint for this class of failure. `scope` is the
/// permission that the token needs.
pub fn failed(error: ServiceError, what: impl Into<String>, scope: &str) -> Error {
    let hint = hint(&error, &HintContext::Call { scope });
    let error = Error::failed(what).with_source(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Returns `Retry-After`, else for a throttled request the time until the limit is reset.
fn parse_retry_after(answer: &Response, now: SystemTime) -> Option<Duration> {
    let number = |name: &str| answer.header(name)?.trim().parse::<u64>().ok();
    let until = || {
        let reset = UNIX_EPOCH + Duration::from_secs(number("ratelimit-reset")?);
        let exhausted = answer.status == 429 && number("ratelimit-remaining") == Some(0);
        exhausted.then(|| reset.duration_since(now).unwrap_or_default())
    };
    let from_header = number("retry-after").map(Duration::from_secs);
    from_header.or_else(until)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Response {
        Response::for_test(status, headers, body)
    }

    #[test]
    fn display_shows_message_and_id() {
        let body = r#"{"id":"unauthorized","message":"Unable to authenticate you."}"#;
        let fault = from_response(&answer(401, &[("x-request-id", "r-1")], body));
        assert_eq!(
            fault.to_string(),
            "Unable to authenticate you (unauthorized, request r-1)"
        );
        let fault = from_response(&answer(502, &[], "<html>"));
        assert_eq!(fault.to_string(), "HTTP 502");
    }

    #[test]
    fn errors_are_classified_by_status() {
        let error = |status| from_response(&answer(status, &[], "{}"));
        for status in [401, 403, 404, 422, 501] {
            assert!(!error(status).class().is_retryable(), "{status}");
        }
        for status in [429, 500, 502, 503, 504, 520] {
            assert!(error(status).class().is_retryable(), "{status}");
        }
        assert!(error(422).was_not_executed() && error(429).was_not_executed());
        assert!(!error(500).was_not_executed());
    }

    #[test]
    fn retry_after_from_headers() {
        let seconds = |status, headers: &[(&'static str, &str)]| {
            let now = UNIX_EPOCH + Duration::from_secs(1000);
            parse_retry_after(&answer(status, headers, ""), now).map(|wait| wait.as_secs())
        };
        assert_eq!(
            seconds(429, &[("retry-after", "7"), ("ratelimit-reset", "1009")]),
            Some(7)
        );
        let exhausted = [("ratelimit-remaining", "0"), ("ratelimit-reset", "1009")];
        assert_eq!(seconds(429, &exhausted), Some(9));
        assert_eq!(seconds(500, &exhausted), None);
        assert_eq!(seconds(429, &[("ratelimit-reset", "1009")]), None);
    }
}
