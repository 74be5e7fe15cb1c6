//! The RAM role that lets ECS read the bucket: reads, creates and repairs it. Without the
//! permission, it returns the steps for an administrator.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{EmptyResponse, params};
use super::client::Clients;
use super::error::ServiceError;
use super::job::Job;
use crate::error::{Error, Result};
use crate::import::journal::Journal;
use crate::net::retry::RetryPolicy;
use crate::shell::Command;

/// Alibaba Cloud's own policy for it: reads objects of every bucket.
pub(super) const SYSTEM_POLICY: &str = "AliyunECSImageImportRolePolicy";
/// Retries until ECS knows a new role, which RAM makes visible within a minute or so: two
/// minutes.
pub const VISIBLE: RetryPolicy =
    RetryPolicy::new(24, Duration::from_secs(5), Duration::from_secs(5));
/// A question that can be done without is not waited for longer.
const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(10);
/// The trust policy of ECS's guide, "Import custom images".
const TRUST_POLICY: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;

/// What the role lacks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum RoleStatus {
    /// Nothing, or this caller may not look: ImportImage will say.
    #[default]
    Valid,
    /// There is none.
    Missing,
    /// It is there and can't be used as it is.
    Invalid {
        /// The trust policy that it needs instead.
        trust: Option<String>,
        /// It has no policy that lets it read.
        policy: bool,
    },
}

/// Answers without these members are none of RAM's.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRoleResponse {
    role: Role,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Role {
    assume_role_policy_document: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListPoliciesResponse {
    policies: Policies,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Policies {
    policy: Vec<Policy>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Policy {
    policy_name: String,
    policy_type: String,
}

/// Looks at the role.
pub async fn inspect(job: &Job, clients: &Clients) -> RoleStatus {
    if !clients.has_ram() {
        return RoleStatus::Valid;
    }
    let looked = tokio::time::timeout(PREFLIGHT_TIMEOUT, examine(job, clients)).await;
    looked.unwrap_or(RoleStatus::Valid)
}

async fn examine(job: &Job, clients: &Clients) -> RoleStatus {
    let name = params([("RoleName", &job.role_name)]);
    let role: GetRoleResponse = match clients.ram("GetRole", name.clone()).await {
        Ok(role) => role,
        Err(fault)
            if fault
                .code()
                .unwrap_or_default()
                .starts_with("EntityNotExist") =>
        {
            return RoleStatus::Missing;
        }
        Err(fault) => return not_readable(job, &fault),
    };
    // What is not shown can't be judged.
    let trust = Some(&role.role.assume_role_policy_document).filter(|text| !text.is_empty());
    let trust = trust.and_then(|document| with_ecs_trust(document));
    let policies: Result<ListPoliciesResponse, ServiceError> =
        clients.ram("ListPoliciesForRole", name).await;
    let policy = match policies {
        Ok(listed) => !listed.policies.policy.iter().any(allows_read),
        Err(fault) => not_readable(job, &fault) != RoleStatus::Valid,
    };
    match (&trust, policy) {
        (None, false) => RoleStatus::Valid,
        _ => RoleStatus::Invalid { trust, policy },
    }
}

/// Alibaba Cloud's own policy, or one that somebody has written for the purpose.
fn allows_read(policy: &Policy) -> bool {
    policy.policy_name == SYSTEM_POLICY || policy.policy_type == "Custom"
}

fn not_readable(job: &Job, fault: &ServiceError) -> RoleStatus {
    tracing::debug!("the role {} can't be looked at: {fault}", job.role_name);
    RoleStatus::Valid
}

/// Makes or repairs the role; what was done, in a sentence. The journal knows of a role that
/// is made before RAM does. It stays whatever becomes of the import: others use it, too.
pub async fn prepare(job: &Job, clients: &Clients, journal: &Journal) -> Result<Option<String>> {
    let (name, state) = (&job.role_name, inspect(job, clients).await);
    let done = match &state {
        RoleStatus::Valid => return Ok(None),
        RoleStatus::Missing => {
            journal.update(|entry| entry.created_role = Some(name.clone()));
            let created = create(job, clients).await;
            if created.as_ref().is_err_and(ServiceError::was_not_executed) {
                journal.update(|entry| entry.created_role = None);
            }
            created.map(|()| format!("Created the role {name}"))
        }
        RoleStatus::Invalid { trust, policy } => repair(job, clients, trust.as_deref(), *policy)
            .await
            .map(|()| format!("Repaired the role {name}")),
    };
    done.map(Some).map_err(|fault| {
        let (what, needs) = match state {
            RoleStatus::Missing => (
                format!("the role {name} does not exist and could not be created"),
                "ram:CreateRole and ram:AttachPolicyToRole",
            ),
            _ => (
                format!("the role {name} can't be used and could not be repaired"),
                "ram:UpdateRole and ram:AttachPolicyToRole",
            ),
        };
        let mut hint = admin_commands(job);
        if fault.is_denied() {
            hint = format!("allow the caller {needs}, or {hint}");
        }
        Error::failed(what).with_source(fault).hint(hint)
    })
}

async fn create(job: &Job, clients: &Clients) -> Result<(), ServiceError> {
    let parameters = params([
        ("RoleName", &job.role_name),
        ("AssumeRolePolicyDocument", TRUST_POLICY),
        ("Description", "Lets ECS import images from OSS"),
    ]);
    ignore_existing(clients.ram("CreateRole", parameters).await)?;
    attach(job, clients).await
}

async fn repair(
    job: &Job,
    clients: &Clients,
    trust: Option<&str>,
    policy: bool,
) -> Result<(), ServiceError> {
    if let Some(trust) = trust {
        let parameters = params([
            ("RoleName", job.role_name.as_str()),
            ("NewAssumeRolePolicyDocument", trust),
        ]);
        let _: EmptyResponse = clients.ram("UpdateRole", parameters).await?;
    }
    if policy {
        attach(job, clients).await?;
    }
    Ok(())
}

async fn attach(job: &Job, clients: &Clients) -> Result<(), ServiceError> {
    let parameters = params([
        ("PolicyType", "System"),
        ("PolicyName", SYSTEM_POLICY),
        ("RoleName", &job.role_name),
    ]);
    ignore_existing(clients.ram("AttachPolicyToRole", parameters).await)
}

/// Somebody was quicker, or an answer was lost.
fn ignore_existing(answer: Result<EmptyResponse, ServiceError>) -> Result<(), ServiceError> {
    match answer {
        Err(fault)
            if !fault
                .code()
                .unwrap_or_default()
                .starts_with("EntityAlreadyExist") =>
        {
            Err(fault)
        }
        _ => Ok(()),
    }
}

/// ECS still does not see the role.
pub fn not_visible_yet(job: &Job) -> Error {
    let (name, seconds) = (&job.role_name, (VISIBLE.min * VISIBLE.retries).as_secs());
    Error::failed(format!(
        "ECS does not see the role {name} after {seconds} s"
    ))
    .hint(admin_commands(job))
}

/// The command that lets the role read the bucket.
pub(super) fn attach_command(job: &Job) -> Command {
    let attach = job.cli.words("ram AttachPolicyToRole --PolicyType System");
    let attach = attach.option("--PolicyName", SYSTEM_POLICY);
    attach.option("--RoleName", &job.role_name)
}

/// What somebody with more rights has to do.
fn admin_commands(job: &Job) -> String {
    let on_role = |operation| {
        job.cli
            .words(operation)
            .option("--RoleName", &job.role_name)
    };
    let create = on_role("ram CreateRole").option("--AssumeRolePolicyDocument", TRUST_POLICY);
    let update = on_role("ram UpdateRole").option("--NewAssumeRolePolicyDocument", TRUST_POLICY);
    format!(
        "let an administrator of the account run:\n\
         {create}\n\
         {}\n\
         or, where the role exists:\n\
         {update}",
        attach_command(job)
    )
}

/// The trust policy with ECS in it; none when ECS is trusted already. Others stay.
fn with_ecs_trust(document: &str) -> Option<String> {
    let Ok(mut document) = serde_json::from_str::<Value>(document) else {
        return Some(TRUST_POLICY.to_owned());
    };
    let trusted = as_list(&document["Statement"]).iter().any(|statement| {
        statement["Effect"] == "Allow"
            && as_list(&statement["Action"]).contains(&&json!("sts:AssumeRole"))
            && as_list(&statement["Principal"]["Service"]).contains(&&json!("ecs.aliyuncs.com"))
    });
    if trusted {
        return None;
    }
    let ecs_statement: Value = serde_json::from_str(TRUST_POLICY).unwrap_or_default();
    let Some(statements) = document["Statement"].as_array_mut() else {
        return Some(TRUST_POLICY.to_owned());
    };
    statements.push(ecs_statement["Statement"][0].clone());
    Some(document.to_string())
}

/// Policies write one thing or a list of them.
fn as_list(value: &Value) -> Vec<&Value> {
    value
        .as_array()
        .map_or_else(|| vec![value], |list| list.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecs_is_added_to_those_who_are_trusted() {
        assert_eq!(with_ecs_trust(TRUST_POLICY), None);
        assert_eq!(
            with_ecs_trust(
                &TRUST_POLICY.replace(r#"["ecs.aliyuncs.com"]"#, r#""ecs.aliyuncs.com""#)
            ),
            None
        );
        assert_eq!(with_ecs_trust("no policy").as_deref(), Some(TRUST_POLICY));
        let other_service = TRUST_POLICY.replace("ecs.", "fc.");
        let both = with_ecs_trust(&other_service).expect("a change");
        assert!(both.contains("fc.aliyuncs.com") && with_ecs_trust(&both).is_none());
        assert!(with_ecs_trust(&TRUST_POLICY.replace("Allow", "Deny")).is_some());
    }
}
