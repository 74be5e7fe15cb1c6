//! Errors of Alibaba Cloud's API: how a response becomes a [`ServiceError`].

use serde::Deserialize;

use super::hints;
use crate::error::Error;
use crate::net::http::{Response, TransportError, one_line};
use crate::net::service_error::{ErrorClass, Service};

pub use crate::net::service_error::ServiceError;

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

/// The body of a refusal.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

/// A response that is an error.
pub fn from_response(response: &Response) -> ServiceError {
    let body: ErrorBody = serde_json::from_slice(&response.body).unwrap_or_default();
    let status = response.status;
    let message = body.message.as_deref().map(redact_signature);
    let message = message.map_or_else(
        || format!("HTTP status {status}"),
        |message| one_line(&message),
    );
    let class = class_of(body.code.as_deref(), status);
    let error = ServiceError::new(Service::Api, class, message)
        .with_request_id(body.request_id.as_deref().or(response.request_id()))
        .with_retry_after(response.retry_after());
    match body.code {
        Some(code) => error
            .with_response(status, Some(code))
            .with_may_have_executed(status >= 500),
        // Something between may have answered: the request may have been executed.
        None => error,
    }
}

fn class_of(code: Option<&str>, status: u16) -> ErrorClass {
    let (has_code, code) = (code.is_some(), code.unwrap_or_default());
    if matches!(
        code,
        "InvalidSecurityToken.Expired" | "SecurityTokenExpired"
    ) {
        ErrorClass::ExpiredCredentials
    } else if status == 429 || code.starts_with("Throttling") {
        ErrorClass::Throttled { retry_after: None }
    } else if (status >= 500 && status != 501) || TRANSIENT_CODES.contains(&code) {
        ErrorClass::Transient
    } else if is_denial(code) {
        ErrorClass::Denied
    } else if code.starts_with("InvalidAction")
        || code == "NotImplemented"
        || (!has_code && matches!(status, 404 | 405 | 501))
    {
        ErrorClass::Unsupported
    } else {
        ErrorClass::Permanent
    }
}

fn is_denial(code: &str) -> bool {
    // CopyImage spells it so.
    let forbidden = code.starts_with("Forbidden") || code.starts_with("Forbbiden");
    (forbidden && !hints::is_disabled(code)) || matches!(code, "NoPermission" | "AccessDenied")
}

/// No response came.
pub fn no_response(error: TransportError) -> ServiceError {
    ServiceError::without_response(Service::Api, error.cause)
}

/// A response that makes no sense: the request may have been executed.
pub fn invalid_response(message: impl Into<String>, request: Option<&str>) -> ServiceError {
    ServiceError::new(Service::Api, ErrorClass::Transient, message).with_request_id(request)
}

/// No credentials, for this reason.
pub fn no_credentials(reason: impl Into<String>) -> ServiceError {
    ServiceError::new(Service::Api, ErrorClass::NoCredentials, reason).with_may_have_executed(false)
}

/// Whether ECS works on the same image for another request, and accepts this one later.
pub fn is_conflict(error: &ServiceError) -> bool {
    CONFLICT_CODES.contains(&error.code().unwrap_or_default())
}

/// Adds what could not be done, and the hint for this class of failure. `action` is the
/// permission that the request needs.
pub fn failed(error: ServiceError, what: impl Into<String>, action: &str) -> Error {
    let hint = hints::hint(&error, action);
    let error = Error::failed(what).with_source(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_classified_by_code_then_by_status() {
        for (status, code, class, executed) in [
            (403, "Forbidden.RAM", ErrorClass::Denied, false),
            (
                403,
                "Forbidden.AccessKeyDisabled",
                ErrorClass::Permanent,
                false,
            ),
            (
                400,
                "InvalidSecurityToken.Expired",
                ErrorClass::ExpiredCredentials,
                false,
            ),
            (
                400,
                "Throttling.User",
                ErrorClass::Throttled { retry_after: None },
                false,
            ),
            (
                403,
                "IncorrectDiskStatus.CreatingSnapshot",
                ErrorClass::Transient,
                false,
            ),
            (500, "Whatever", ErrorClass::Transient, true),
            (501, "NotImplemented", ErrorClass::Unsupported, true),
            (404, "InvalidImageId.NotFound", ErrorClass::Permanent, false),
        ] {
            let body = format!(r#"{{"Code":"{code}","Message":"No","RequestId":"R"}}"#);
            let error = from_response(&Response::for_test(status, &[], &body));
            assert_eq!(
                (error.class(), !error.was_not_executed()),
                (class, executed),
                "{code}"
            );
            assert_eq!(error.to_string(), format!("No ({code}, request R)"));
        }
        let gateway = from_response(&Response::for_test(404, &[], "<html>"));
        assert_eq!(gateway.to_string(), "HTTP status 404");
        assert_eq!(gateway.class(), ErrorClass::Unsupported);
        assert!(!gateway.was_not_executed());
    }

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
