//! The reason that there are no credentials, and the hint: by the source that they should have
//! come from ([`super::profile`]), not only by the SDK's messages.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::profile::{Origin, Way};
use crate::net::http::one_line;

/// The variables of the credentials service of a container.
const CONTAINER: [&str; 2] = [
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// The variable of the web identity token.
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// No credentials came.
#[derive(Debug)]
pub struct Unsigned {
    /// Why; none where a service's answer, deeper in the chain, says it.
    pub why: Option<String>,
    /// What helps.
    pub hint: String,
    source: CredentialsError,
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why.as_deref().unwrap_or("there are no credentials"))
    }
}

impl Error for Unsigned {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The first error of this type in the chain.
pub fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The innermost cause's words.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    one_line(&last.to_string())
}

/// The error with the reason and the remedy that follow from the way on which the credentials
/// were looked for. Others pass as they are: a service's refusal, and a network that fails.
pub fn explain(way: &Way, error: CredentialsError) -> CredentialsError {
    if find::<Unsigned>(&error).is_some() {
        return error;
    }
    match reason(way, &error) {
        Some((why, hint)) => CredentialsError::provider_error(Unsigned {
            why,
            hint,
            source: error,
        }),
        None => error,
    }
}

fn reason(way: &Way, error: &CredentialsError) -> Option<(Option<String>, String)> {
    if let Some(SdkError::ServiceError(_)) = find::<SdkError<AssumeRoleError>>(error) {
        let profile = one_line(way.mfa.as_ref()?);
        let export = way.export();
        let hint = format!(
            "the profile \"{profile}\" wants MFA (mfa_serial), which is not supported: {export}"
        );
        return Some((None, hint));
    }
    let silent = find::<ConnectorError>(error).is_some();
    let (base, cause) = (one_line(&way.base), innermost(error));
    let (why, hint) = match origin(way) {
        Origin::Ec2 => (
            format!("the instance metadata service gives no credentials: {cause}"),
            "run this on an EC2 instance that has a role, or name another --profile".to_owned(),
        ),
        Origin::Container => (
            format!("the credentials service of the container gives none: {cause}"),
            format!(
                "correct {} or {}, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                CONTAINER[0], CONTAINER[1]
            ),
        ),
        _ if silent => return None,
        Origin::Sso if cause.contains("ForbiddenException") || cause.contains("No access") => (
            format!("IAM Identity Center refuses the role of the profile \"{base}\": {cause}"),
            "correct sso_account_id and sso_role_name of the profile".to_owned(),
        ),
        Origin::Sso => (
            format!("the sign-in of the profile \"{base}\" can't be used: {cause}"),
            format!("sign in: {}", way.sign_in()),
        ),
        Origin::Process(program) => (
            format!(
                "the credential_process of the profile \"{base}\" gives no credentials: {}",
                process(&program, &cause)
            ),
            "run the profile's credential_process by hand: it must print JSON with Version 1, AccessKeyId and SecretAccessKey".to_owned(),
        ),
        Origin::WebIdentity(file) => {
            let error = find::<std::io::Error>(error)?;
            (
                format!("the web identity token in {} can't be read: {error}", one_line(&file)),
                format!("name the file with the token in {TOKEN_FILE}, or in web_identity_token_file of the profile"),
            )
        }
        Origin::Environment => (
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set".to_owned(),
            format!("set them: the profile \"{base}\" takes them from the environment"),
        ),
        Origin::Nothing if way.is_named => (
            format!("the profile \"{base}\" has no credentials"),
            format!("add an access key to it: {}", way.cli("aws configure")),
        ),
        Origin::Keys | Origin::Nothing => return None,
    };
    Some((Some(why), hint))
}

/// Where the SDK looks on, once the profile has nothing.
fn origin(way: &Way) -> Origin {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if way.origin != Origin::Nothing || way.is_named {
        return way.origin.clone();
    }
    if let Some(file) = set(TOKEN_FILE) {
        return Origin::WebIdentity(file);
    }
    if CONTAINER.into_iter().any(|name| set(name).is_some()) {
        return Origin::Container;
    }
    Origin::Nothing
}

/// What is wrong with a program, without what it has written: that may be secret.
fn process(program: &str, cause: &str) -> String {
    if let Some((_, rest)) = cause.split_once("exited with code ") {
        let status = rest.split(". Stderr").next().unwrap_or(rest);
        return match status {
            "exit status: 127" => format!("{program} was not found"),
            status => format!("{program} ended with {}", status.replace(": ", " ")),
        };
    }
    let what = ["could not parse response", "could not decode output"];
    if what.iter().any(|words| cause.contains(words)) {
        // The other sentences quote what was printed.
        let why = cause.split_once("could not parse response: ");
        let why = why
            .map(|(_, why)| why)
            .filter(|why| why.starts_with("Expected field"));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        return format!("{program} prints something else{why}");
    }
    format!("{program} could not be run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_has_written_is_not_repeated() {
        for (cause, said) in [
            (
                "Error retrieving credentials: external process exited with code exit status: 3. Stderr: hush",
                "get ended with exit status 3",
            ),
            (
                "Error retrieving credentials: external process exited with code exit status: 127. Stderr: sh: 1: get: not found",
                "get was not found",
            ),
            (
                "Error retrieving credentials: external process exited with code signal: 9 (SIGKILL). Stderr: hush",
                "get ended with signal 9 (SIGKILL)",
            ),
            (
                "Error retrieving credentials from external process, could not parse response: Expected field `Version` in response but it was missing",
                "get prints something else: Expected field `Version` in response but it was missing",
            ),
            (
                "Error retrieving credentials from external process, could not parse response: JSON parse error in response: hush",
                "get prints something else",
            ),
        ] {
            assert_eq!(process("get", cause), said);
        }
    }
}
