//! DigitalOcean's errors in its own words, with the request's ID, and the hint.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::hints;
use crate::error::Error;
use crate::net::http::{Response, TransportError};
use crate::net::network_error;
use crate::net::service_error::ErrorClass;
use crate::secret::mask;

/// Why a request brought nothing.
#[derive(Clone, Debug)]
pub struct ServiceError {
    status: Option<u16>,
    id: Option<String>,
    message: String,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    got_response: bool,
}

/// The body of an error.
#[derive(Default, Deserialize)]
struct ErrorBody {
    id: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

impl From<TransportError> for ServiceError {
    fn from(error: TransportError) -> Self {
        Self {
            status: None,
            id: None,
            message: error.cause,
            request_id: None,
            retry_after: None,
            got_response: error.arrived,
        }
    }
}

impl ServiceError {
    /// An answer that is no success.
    pub fn from_response(answer: &Response) -> Self {
        let body: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
        let request = body
            .request_id
            .or_else(|| answer.header("x-request-id").map(str::to_owned));
        Self {
            status: Some(answer.status),
            id: body.id,
            message: mask(&body.message.unwrap_or_default()).into_owned(),
            request_id: request,
            retry_after: parse_retry_after(answer, SystemTime::now()),
            got_response: true,
        }
    }

    /// A success whose body can't be read: a gateway's, or one that was cut.
    pub fn invalid_response(status: u16, why: &serde_json::Error) -> Self {
        Self {
            status: Some(status),
            id: None,
            message: format!("the answer can't be read: {why}"),
            request_id: None,
            retry_after: None,
            got_response: true,
        }
    }

    /// A success that answers another question.
    pub fn unexpected_response(why: String) -> Self {
        Self {
            status: Some(200),
            id: None,
            message: why,
            request_id: None,
            retry_after: None,
            got_response: true,
        }
    }

    /// The HTTP status; none when no answer came.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// What the failure means for the next attempt.
    pub fn class(&self) -> ErrorClass {
        match self.retry_after {
            _ if !self.is_transient() => ErrorClass::Permanent,
            None => ErrorClass::Transient,
            retry_after => ErrorClass::Throttled { retry_after },
        }
    }

    /// Whether the next try may get through.
    pub fn is_transient(&self) -> bool {
        match self.status {
            None => !network_error::is_permanent(&self.message),
            // A success that can't be read comes from in between, as a 502 does.
            Some(status) => matches!(status, 200..300 | 429 | 500 | 502..),
        }
    }

    /// Whether it is sure that nothing was done.
    pub fn was_not_executed(&self) -> bool {
        self.status
            .map_or(!self.got_response, |status| (400..500).contains(&status))
    }

    /// Whether DigitalOcean has judged the caller; anything else leaves a question open that
    /// can be done without.
    pub fn is_unauthorized(&self) -> bool {
        self.status == Some(401)
    }

    /// What could not be done, with DigitalOcean's words and the hint for this sort of
    /// trouble. `scope` is what the token must be allowed.
    pub fn into_error(self, what: impl Into<String>, scope: &str) -> Error {
        let hint = self.hint(scope);
        let error = Error::failed(what).with_source(self);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn hint(&self, scope: &str) -> Option<String> {
        match self.status {
            None => Some(network_error::hint(&self.message, "check the network and --api-url").to_owned()),
            Some(401) => Some(
                "check the token: DIGITALOCEAN_TOKEN, api_token in [digitalocean], or doctl auth init"
                    .to_owned(),
            ),
            Some(403) => Some(format!("give the token the scope {scope}")),
            Some(429) => Some("wait some minutes, and run the same command again: the account has used up its requests".to_owned()),
            Some(500..) => Some(hints::RETRY_LATER.to_owned()),
            _ => None,
        }
    }
}

/// What helps where an image could not be deleted for want of the token's scope.
pub fn missing_scope_hint(error: &anyhow::Error) -> Option<String> {
    let fault = error.downcast_ref::<ServiceError>()?;
    fault
        .hint("image:delete")
        .filter(|_| fault.status == Some(403))
}

/// `Retry-After`, else for who was too fast the time at which the limit ends.
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

/// "message (id, request ID)".
impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.clone();
        let id = id.or_else(|| self.status.map(|status| format!("HTTP {status}")));
        let request = self.request_id.as_ref().map(|id| format!("request {id}"));
        let facts: Vec<_> = id.into_iter().chain(request).collect();
        match (self.message.trim_end_matches('.'), facts.is_empty()) {
            ("", _) => f.write_str(&facts.join(", ")),
            (message, true) => f.write_str(message),
            (message, false) => write!(f, "{message} ({})", facts.join(", ")),
        }
    }
}

impl std::error::Error for ServiceError {}

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
        let fault = ServiceError::from_response(&answer(401, &[("x-request-id", "r-1")], body));
        assert_eq!(
            fault.to_string(),
            "Unable to authenticate you (unauthorized, request r-1)"
        );
        let fault = ServiceError::from_response(&answer(502, &[], "<html>"));
        assert_eq!(fault.to_string(), "HTTP 502");
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
