//! AWS's errors in AWS's words, with the request's ID, and the hint.

use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::credential_error;
use super::credential_error::Unsigned;
use super::ids::Foreign;
use super::{credentials, hints};
use crate::error::{Error, Kind};
use crate::net::network_error;
use crate::net::permission;

/// Why a request brought nothing.
#[derive(Clone, Debug)]
pub struct ServiceError {
    code: Option<String>,
    message: String,
    request_id: Option<String>,
    status: Option<u16>,
    origin: ErrorOrigin,
    /// The permission that was missing, where it is another one than the request's own.
    action: Option<&'static str>,
    /// The permission that the request needs, where later code cannot determine it.
    permission: Option<&'static str>,
    /// What helps, where that follows from where the credentials should have come from.
    advice: Option<Box<Advice>>,
}

/// A hint; boxed, it keeps the error small.
#[derive(Clone, Debug)]
struct Advice(String);

/// What sort of trouble it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorOrigin {
    /// AWS answered with an error.
    Service,
    /// The request did not get through, or no answer came back.
    Network,
    /// There were no credentials to sign with.
    Credentials,
}

impl<E> From<SdkError<E, HttpResponse>> for ServiceError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    SdkError<E, HttpResponse>: RequestId,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let request = error.request_id().map(str::to_owned);
        if let SdkError::ServiceError(answer) = &error {
            let (status, answer) = (answer.raw().status().as_u16(), answer.err());
            let (code, message) = (answer.code(), answer.message());
            return Self {
                code: code.map(str::to_owned),
                message: message_or_status(message, code, status),
                request_id: request,
                status: Some(status),
                origin: ErrorOrigin::Service,
                action: None,
                permission: None,
                advice: None,
            };
        }
        let unsigned = credential_error::find::<Unsigned>(&error);
        let advice = unsigned.map(|unsigned| Box::new(Advice(unsigned.hint.clone())));
        if let Some(fault) = assume_role_error(&error) {
            return Self { advice, ..fault };
        }
        let why = unsigned.and_then(|unsigned| unsigned.why.clone());
        let text = DisplayErrorContext(&error).to_string();
        let no_credentials = || {
            let words = [
                "CredentialsNotLoaded",
                "ProviderError",
                "InvalidConfiguration",
            ];
            // A request without credentials is a ConnectorError, too: the one within counts.
            let inner = credential_error::find::<CredentialsError>(&error);
            let silent = inner
                .is_some_and(|inner| credential_error::find::<ConnectorError>(inner).is_some());
            !silent && words.iter().any(|part| text.contains(part))
        };
        let unsigned = unsigned.is_some() || no_credentials();
        let nature = if unsigned {
            ErrorOrigin::Credentials
        } else {
            ErrorOrigin::Network
        };
        let message = if let Some(why) = why {
            why
        } else if let Some(foreign) = credential_error::find::<Foreign>(&error) {
            foreign.to_string()
        } else if text.contains("no credentials found in chain") {
            NO_CREDENTIALS.to_owned()
        } else if let Some(fault) = invalid_credentials_reason(&error) {
            fault
        } else {
            network_error::describe(&error)
        };
        Self {
            code: None,
            message,
            request_id: request,
            status: error.raw_response().map(|raw| raw.status().as_u16()),
            origin: nature,
            action: None,
            permission: None,
            advice,
        }
    }
}

/// What AWS said, or at least how it answered: a gateway in between may say nothing.
fn message_or_status(message: Option<&str>, code: Option<&str>, status: u16) -> String {
    let text = message.or(code).filter(|text| !text.is_empty());
    text.map_or_else(
        || format!("AWS answered with HTTP status {status} and gave no reason"),
        str::to_owned,
    )
}

/// Credentials were found, and can't be sent.
fn invalid_credentials_reason(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let text = error.to_string();
    if text.starts_with(credentials::INVALID_CREDENTIALS) {
        return Some(text);
    }
    invalid_credentials_reason(error.source()?)
}

/// The SDK's own sentence lists every place where it looked, a line each.
const NO_CREDENTIALS: &str = "no credentials were found";

/// The role could not be assumed: STS's answer lies deep in the other request's error.
fn assume_role_error(error: &(dyn std::error::Error + 'static)) -> Option<ServiceError> {
    if let Some(refusal) = credential_error::find::<SdkError<AssumeRoleError>>(error) {
        return refused(refusal, "sts:AssumeRole");
    }
    let refusal = credential_error::find::<SdkError<AssumeRoleWithWebIdentityError>>(error)?;
    refused(refusal, "sts:AssumeRoleWithWebIdentity")
}

fn refused<E>(error: &SdkError<E>, action: &'static str) -> Option<ServiceError>
where
    E: ProvideErrorMetadata + RequestId,
{
    let SdkError::ServiceError(answer) = error else {
        return None;
    };
    let (status, answer) = (answer.raw().status().as_u16(), answer.err());
    let (code, message) = (answer.code(), answer.message());
    Some(ServiceError {
        code: code.map(str::to_owned),
        message: format!(
            "the role was not assumed: {}",
            message_or_status(message, code, status)
        ),
        request_id: answer.request_id().map(str::to_owned),
        status: Some(status),
        origin: ErrorOrigin::Service,
        action: Some(action),
        permission: None,
        advice: None,
    })
}

impl ServiceError {
    /// Nobody was asked, or waited for, and why.
    pub fn no_response(why: impl Into<String>) -> Self {
        Self {
            code: None,
            message: why.into(),
            request_id: None,
            status: None,
            origin: ErrorOrigin::Network,
            action: None,
            permission: None,
            advice: None,
        }
    }

    /// AWS's code, such as `UnauthorizedOperation`.
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// Of a request that needs this permission.
    #[must_use]
    pub fn requiring(self, permission: &'static str) -> Self {
        Self {
            permission: Some(permission),
            ..self
        }
    }

    /// AWS's sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the next try may get through.
    pub fn is_transient(&self) -> bool {
        const THROTTLING_CODES: [&str; 5] = [
            "RequestLimitExceeded",
            "Throttling",
            "ThrottlingException",
            "ServiceUnavailable",
            "InternalError",
        ];
        (self.may_have_executed() && !network_error::is_permanent(&self.message))
            || THROTTLING_CODES.contains(&self.code())
    }

    /// A success without what it should say: whether the request was done is not known.
    pub fn invalid_response(why: impl Into<String>) -> Self {
        Self {
            status: Some(200),
            origin: ErrorOrigin::Service,
            ..Self::no_response(why)
        }
    }

    /// Whether the answer was a success that could not be read.
    pub fn is_invalid_response(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }

    /// Whether the request may have done what it asks for all the same: its answer was lost,
    /// could not be read, or tells of a trouble within the service.
    pub fn may_have_executed(&self) -> bool {
        match self.origin {
            ErrorOrigin::Network => true,
            ErrorOrigin::Credentials => false,
            ErrorOrigin::Service => matches!(self.status, None | Some(200..=299 | 500..)),
        }
    }

    /// The caller is known but may not do this.
    pub fn is_denied(&self) -> bool {
        matches!(
            self.code(),
            "UnauthorizedOperation"
                | "AccessDenied"
                | "AccessDeniedException"
                | "Forbidden"
                | "403"
        )
    }

    /// Whether nobody was there to judge: no network to that service, a gateway or a local
    /// cloud without it, or a caller who may not ask. A question that can be done without
    /// is then open, which is no refusal.
    pub fn is_inconclusive(&self) -> bool {
        const UNKNOWN_ACTION_CODES: [&str; 4] = [
            "InvalidAction",
            "UnknownOperationException",
            "UnsupportedOperation",
            "NotImplemented",
        ];
        let unanswered = self.code.is_none() || UNKNOWN_ACTION_CODES.contains(&self.code());
        match (self.origin, self.status) {
            _ if self.action.is_some() => false,
            (ErrorOrigin::Credentials, _) => false,
            (ErrorOrigin::Network, _) | (ErrorOrigin::Service, Some(404 | 405 | 500..)) => true,
            (ErrorOrigin::Service, _) => unanswered || self.is_denied(),
        }
    }

    /// What could not be done, with AWS's words and the hint for this sort of trouble.
    /// `action` is the permission that the request needs.
    pub fn into_error(self, what: impl Into<String>, action: &str) -> Error {
        let hint = self.hint(action);
        let is_setting = self.message.starts_with(credentials::INVALID_CREDENTIALS);
        let error = if is_setting {
            Error::usage(what)
        } else {
            Error::failed(what)
        };
        let error = error.with_source(self);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn hint(&self, needs: &str) -> Option<String> {
        if let Some(advice) = &self.advice {
            return Some(advice.0.clone());
        }
        if self.is_denied() {
            return Some(self.permission_hint(needs));
        }
        if self.message.starts_with(credentials::INVALID_CREDENTIALS) {
            return Some(
                "correct them in the profile or the program that they come from".to_owned(),
            );
        }
        let hint = hints::error_hint(self.code(), &self.message);
        let nature = || match self.origin {
            ErrorOrigin::Credentials => Some(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile",
            ),
            ErrorOrigin::Network => Some(network_error::hint(
                &self.message,
                "check the network, the region's name and the endpoint",
            )),
            ErrorOrigin::Service => None,
        };
        hint.or_else(nature).map(str::to_owned)
    }

    fn permission_hint(&self, needs: &str) -> String {
        let missing = permission::missing(self.action.unwrap_or(needs), &self.message);
        let allow = permission::allow(permission::IAM, &missing);
        if self.message.contains("explicit deny") {
            let action = missing.split(" on ").next().unwrap_or_default();
            return format!("a policy denies {action} explicitly: no other one helps, change it");
        }
        if self.action.is_some() {
            return format!("name the caller in the role's trust policy, and {allow}");
        }
        allow
    }
}

/// Whether a request that ended in this error may have done what it asks for: the user
/// stopped the run before the answer came, or the answer says nothing of it.
pub fn may_have_been_executed(error: &Error) -> bool {
    error.kind() != Kind::Failed
        || error
            .cause::<ServiceError>()
            .is_some_and(ServiceError::may_have_executed)
}

/// What helps where a request that says what it needs was refused for want of that.
pub fn missing_permission_hint(error: &anyhow::Error) -> Option<String> {
    permission_hint_for(error, error.downcast_ref::<ServiceError>()?.permission?)
}

/// What helps where a refusal in this error is one for want of permission.
pub fn permission_hint_for(error: &anyhow::Error, needs: &str) -> Option<String> {
    let fault = error.downcast_ref::<ServiceError>()?;
    fault.is_denied().then(|| fault.permission_hint(needs))
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.trim_end_matches('.'))?;
        match (&self.code, &self.request_id) {
            (Some(code), Some(request)) => write!(f, " ({code}, request {request})"),
            (Some(code), None) => write!(f, " ({code})"),
            (None, Some(request)) => write!(f, " (request {request})"),
            (None, None) => Ok(()),
        }
    }
}

impl std::error::Error for ServiceError {}
