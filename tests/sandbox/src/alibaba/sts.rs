//! STS: who is calling, and temporary keys of an assumed role, which then work for all
//! services of the sandbox until [`Sandbox::expire_alibaba_sessions`](crate::Sandbox).

use serde_json::{Value, json};
use time::Duration;

use super::keys::{ACCOUNT, Key, Keyring};
use super::moment;
use super::roles::{Ram, Role};
use super::rpc::{Answer, Call, Product};
use crate::fault::ApiError;

pub(super) struct StsProduct {
    pub(super) ram: Ram,
    pub(super) keys: Keyring,
}

impl Product for StsProduct {
    const NAME: &'static str = "sts";
    const VERSION: &'static str = "2015-04-01";

    fn parameters_of(action: &str) -> Option<&'static [&'static str]> {
        Some(match action {
            "GetCallerIdentity" => &[],
            "AssumeRole" => &[
                "DurationSeconds",
                "ExternalId",
                "Policy",
                "RoleArn",
                "RoleSessionName",
                "SourceIdentity",
            ],
            "AssumeRoleWithOIDC" => &[
                "DurationSeconds",
                "OIDCProviderArn",
                "OIDCToken",
                "Policy",
                "RoleArn",
                "RoleSessionName",
            ],
            _ => return None,
        })
    }

    fn is_unsigned(action: &str) -> bool {
        action == "AssumeRoleWithOIDC"
    }

    fn perform(&self, call: &Call<'_>) -> Answer {
        match (call.action, &call.caller) {
            ("GetCallerIdentity", Some(caller)) => Ok(caller_identity(caller)),
            ("AssumeRole", Some(caller)) => self.assume(call, caller),
            _ => self.assume_with_oidc(call),
        }
    }
}

impl StsProduct {
    fn assume(&self, call: &Call<'_>, caller: &Key) -> Answer {
        let arn = call.require("RoleArn")?;
        let root = format!("acs:ram::{ACCOUNT}:root");
        let callers = [caller.arn.as_str(), &root, "*"];
        let role = self
            .ram
            .assume(arn, "RAM", &callers, call.get("ExternalId"));
        self.session(call, &role.ok_or_else(|| access_denied(arn))?)
    }

    /// Any token will do; the role must trust the provider.
    fn assume_with_oidc(&self, call: &Call<'_>) -> Answer {
        let (arn, provider) = (call.require("RoleArn")?, call.require("OIDCProviderArn")?);
        call.require("OIDCToken")?;
        let role = self.ram.assume(arn, "Federated", &[provider, "*"], None);
        let mut answer = self.session(call, &role.ok_or_else(|| access_denied(arn))?)?;
        answer["OIDCTokenInfo"] = json!({"Subject": "sandbox", "VerificationInfo": "Success"});
        Ok(answer)
    }

    fn session(&self, call: &Call<'_>, role: &Role) -> Answer {
        let name = call.require("RoleSessionName")?;
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || ".@-_".contains(letter);
        if !(2..=64).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(invalid("RoleSessionName"));
        }
        let seconds = duration(call.get("DurationSeconds"), role)?;
        let key = self.keys.issue_session(&role.name, &role.id, name);
        Ok(json!({
            "AssumedRoleUser": {"Arn": key.arn, "AssumedRoleId": key.principal_id},
            "Credentials": credentials(&key, seconds),
        }))
    }
}

pub(super) fn credentials(key: &Key, seconds: i64) -> Value {
    json!({
        "AccessKeyId": key.access_key,
        "AccessKeySecret": key.secret_key,
        "SecurityToken": key.security_token,
        "Expiration": moment::extended(moment::now() + Duration::seconds(seconds)),
    })
}

fn caller_identity(caller: &Key) -> Value {
    json!({
        "AccountId": ACCOUNT,
        "Arn": caller.arn,
        "IdentityType": caller.identity,
        "PrincipalId": caller.principal_id,
        "UserId": caller.principal_id,
    })
}

fn duration(seconds: Option<&str>, role: &Role) -> Result<i64, ApiError> {
    let longest = i64::try_from(role.max_session).unwrap_or(3600);
    let seconds = seconds.unwrap_or("3600").parse().ok();
    let seconds = seconds.filter(|seconds| (900..=longest).contains(seconds));
    seconds.ok_or_else(|| invalid("DurationSeconds"))
}

fn invalid(name: &str) -> ApiError {
    let text = format!("The parameter {name} is invalid.");
    ApiError::new(400, &format!("InvalidParameter.{name}"), text)
}

/// Alibaba does not tell a missing role from a forbidden one.
fn access_denied(arn: &str) -> ApiError {
    let text = format!(
        "You are not authorized to do this action. You should be authorized by RAM. Role: {arn}"
    );
    ApiError::new(403, "NoPermission", text)
}
