//! Alibaba Cloud's errors in its own words, with the request's ID, and the hint.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::hints;
use crate::error::Error;
use crate::net::http::{Response, TransportError, one_line};
use crate::net::network_error;
use crate::net::permission;
use crate::net::service_error::ErrorClass;
use crate::shell::Command;

/// Codes of refusals whose documentation says "try again later" (the pages "Error codes" of
/// ECS and RAM). 429 and what begins with `Throttling` is among them, too.
const TRANSIENT_CODES: [&str; 13] = [
    "ServiceUnavailable",
    "InternalError",
    "SystemBusy",
    "SignatureNonceUsed",
    "LastTokenProcessing",
    "OperationFailed.LastTokenProcessing",
    "IdempotentProcessing",
    "OperationConflict",
    "InvalidOperation.Conflict",
    "IncorrectDiskStatus.CreatingSnapshot",
    // CopyImage and DeleteImage: the image is being copied or made.
    "OperationDenied.ImageCopying",
    "OperationDenied.ImageCopyConflict",
    "ImageIsCreating",
];

/// Those of them that last as long as another request's work on the image.
const CONFLICT_CODES: [&str; 4] = [
    "OperationDenied.ImageCopying",
    "OperationDenied.ImageCopyConflict",
    "ImageIsCreating",
    "InvalidOperation.Conflict",
];

/// Why a request brought nothing.
#[derive(Clone, Debug)]
pub struct ServiceError {
    code: Option<String>,
    message: String,
    request_id: Option<String>,
    status: u16,
    retry_after: Option<Duration>,
    origin: ErrorOrigin,
    /// The service was asked afterwards, and has nothing of what was asked for.
    not_executed: bool,
    details: Box<Details>,
}

/// What is known of the request.
#[derive(Clone, Debug, Default)]
struct Details {
    /// The permission that it needs.
    permission: Option<String>,
    /// The profile of the aliyun CLI whose key signed it.
    profile: Option<String>,
    /// What helps, where the place that failed knows it better than the code tells.
    hint: Option<String>,
}

/// What sort of trouble it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ErrorOrigin {
    /// Alibaba Cloud answered with an error.
    Service,
    /// An answer that is none of Alibaba Cloud's: what was asked for may be done.
    Unreadable,
    /// The request did not get through, or no answer came back.
    Network,
    /// There was no key to sign with.
    Credentials,
}

/// The body of a refusal.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

impl ServiceError {
    /// The service refused.
    pub fn from_response(answer: &Response) -> Self {
        let refusal: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = refusal.message.as_deref().map(redact_signature);
        let request = refusal.request_id.as_deref().or(answer.request_id());
        Self {
            message: message.map_or_else(
                || format!("HTTP status {}", answer.status),
                |message| one_line(&message),
            ),
            code: refusal.code.as_deref().map(one_line),
            request_id: request.map(one_line),
            status: answer.status,
            retry_after: answer.retry_after(),
            ..Self::new("", ErrorOrigin::Service)
        }
    }

    /// An answer that makes no sense.
    pub fn invalid_response(message: impl Into<String>, request: Option<&str>) -> Self {
        Self {
            request_id: request.map(str::to_owned),
            ..Self::new(message, ErrorOrigin::Unreadable)
        }
    }

    /// No key, and why.
    pub fn no_credentials(message: impl Into<String>) -> Self {
        Self::new(message, ErrorOrigin::Credentials)
    }

    fn new(message: impl Into<String>, nature: ErrorOrigin) -> Self {
        Self {
            code: None,
            message: message.into(),
            request_id: None,
            status: 0,
            retry_after: None,
            origin: nature,
            not_executed: false,
            details: Box::default(),
        }
    }

    /// Alibaba Cloud's code, such as `InvalidImageName.Duplicated`.
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// What the failure means for the next attempt.
    pub fn class(&self) -> ErrorClass {
        match self.retry_after {
            _ if self.is_expired() => ErrorClass::ExpiredCredentials,
            _ if !self.is_transient() => ErrorClass::Permanent,
            None => ErrorClass::Transient,
            retry_after => ErrorClass::Throttled { retry_after },
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        self.origin == ErrorOrigin::Unreadable
            || (self.origin == ErrorOrigin::Network && !network_error::is_permanent(&self.message))
            || self.status == 429
            || (self.status >= 500 && self.status != 501)
            || self.code().starts_with("Throttling")
            || TRANSIENT_CODES.contains(&self.code())
    }

    /// Whether the service is known not to have done what was asked for. After any other
    /// fault it may have.
    pub fn was_not_executed(&self) -> bool {
        self.origin == ErrorOrigin::Credentials
            || (self.origin == ErrorOrigin::Service && self.code.is_some() && self.status < 500)
            || (self.origin == ErrorOrigin::Service && self.not_executed)
    }

    /// Of a request after which the service has nothing of what was asked for.
    #[must_use]
    pub fn not_executed(self) -> Self {
        Self {
            not_executed: true,
            ..self
        }
    }

    /// Whether ECS works on the same image for another request, and takes this one later.
    pub fn is_conflict(&self) -> bool {
        CONFLICT_CODES.contains(&self.code())
    }

    /// The temporary key is over.
    pub fn is_expired(&self) -> bool {
        matches!(
            self.code(),
            "InvalidSecurityToken.Expired" | "SecurityTokenExpired"
        )
    }

    /// Somebody has disabled the access key.
    fn is_disabled(&self) -> bool {
        matches!(
            self.code(),
            "InvalidAccessKeyId.Inactive" | "Forbidden.AccessKeyDisabled"
        )
    }

    /// The caller is known but may not do this.
    pub fn is_denied(&self) -> bool {
        // CopyImage spells it so.
        let forbidden = ["Forbidden", "Forbbiden"]
            .iter()
            .any(|prefix| self.code().starts_with(prefix));
        (forbidden && !self.is_disabled()) || matches!(self.code(), "NoPermission" | "AccessDenied")
    }

    /// Whether nobody was there to judge: a gateway or a local cloud without that action. A
    /// question that can be done without is then open, which is no refusal.
    pub fn is_inconclusive(&self) -> bool {
        let unknown = |code: &str| code.starts_with("InvalidAction") || code == "NotImplemented";
        let status = matches!(self.status, 404 | 405 | 501);
        self.origin == ErrorOrigin::Service
            && (unknown(self.code()) || self.code.is_none() && status)
    }

    /// Of a request that needs this permission.
    #[must_use]
    pub fn requiring(mut self, permission: String) -> Self {
        self.details.permission = Some(permission);
        self
    }

    /// Of a request that this profile's key has signed.
    #[must_use]
    pub fn with_profile(mut self, profile: Option<&str>) -> Self {
        self.details.profile = profile.map(str::to_owned);
        self
    }

    /// Adds a hint from code with more context than the error's code; an existing hint stays.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.details.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// What could not be done, with Alibaba Cloud's words and the hint for this sort of
    /// trouble. `action` is the permission that the request needs.
    pub fn into_error(self, what: impl Into<String>, action: &str) -> Error {
        let hint = self.hint(action);
        let error = Error::failed(what).with_source(self);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn hint(&self, action: &str) -> Option<String> {
        if self.details.hint.is_some() {
            return self.details.hint.clone();
        }
        if self.is_denied() {
            return Some(permission::allow(permission::RAM, action));
        }
        let over = "get a new temporary key; this one is over";
        match &self.details.profile {
            Some(profile) if self.is_expired() => {
                let configure = Command::new("aliyun configure --mode StsToken");
                return Some(format!(
                    "{over}: {}",
                    configure.option("--profile", profile)
                ));
            }
            None if self.is_expired() => return Some(over.to_owned()),
            _ => {}
        }
        if self.is_disabled() {
            return Some("enable the access key in the RAM console, or use another one".to_owned());
        }
        if self.origin == ErrorOrigin::Credentials {
            return Some(
                "set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY, or name a profile with --profile"
                    .to_owned(),
            );
        }
        if self.origin == ErrorOrigin::Network {
            let usually = "check the network, the region's name and the endpoint";
            return Some(network_error::hint(&self.message, usually).to_owned());
        }
        hints::error_hint(self.code()).map(str::to_owned)
    }
}

/// What helps where a request was refused for want of a permission.
pub fn missing_permission_hint(error: &anyhow::Error) -> Option<String> {
    let fault = error.downcast_ref::<ServiceError>()?;
    let needs = fault
        .details
        .permission
        .as_ref()
        .filter(|_| fault.is_denied())?;
    Some(permission::allow(permission::RAM, needs))
}

/// The message of a wrong signature repeats the request, the token in it included.
fn redact_signature(message: &str) -> String {
    let end = [
        "server string to sign",
        "server StringToSign",
        "server source string",
        "\n",
    ]
    .iter()
    .filter_map(|mark| message.find(mark))
    .min();
    let message = &message[..end.unwrap_or(message.len())];
    message.trim_end_matches([' ', ':', ',', '.']).to_owned()
}

impl From<TransportError> for ServiceError {
    fn from(silence: TransportError) -> Self {
        Self::new(silence.to_string(), ErrorOrigin::Network)
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (&self.code, &self.request_id) {
            (Some(code), Some(request)) => write!(f, " ({code}, request {request})"),
            (Some(code), None) => write!(f, " ({code})"),
            (None, Some(request)) => write!(f, " (request {request})"),
            (None, None) => Ok(()),
        }
    }
}

impl std::error::Error for ServiceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_error_redacts_the_request() {
        let message = "Specified signature is not matched with our calculation. server string to sign is:POST\nx-acs-security-token:secret";
        assert_eq!(
            redact_signature(message),
            "Specified signature is not matched with our calculation"
        );
        assert_eq!(redact_signature("The name is taken."), "The name is taken");
    }
}
