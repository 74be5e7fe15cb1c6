//! The RAM role that lets ECS read the bucket: looked at, made, repaired. Where the
//! caller may not, what an administrator has to do is said instead.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Done, pairs};
use super::client::Clients;
use super::error::Fault;
use super::job::Job;
use crate::error::{Error, Result};
use crate::import::journal::Journal;
use crate::shell::Command;

/// Alibaba Cloud's own policy for it: reads objects of every bucket.
pub(super) const POLICY: &str = "AliyunECSImageImportRolePolicy";
/// RAM tells the other services of a new role within a minute or so.
pub const PROPAGATION: Duration = Duration::from_mins(2);
/// A question that can be done without is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The trust policy of ECS's guide, "Import custom images".
const TRUST: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;

/// What the role lacks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum State {
    /// Nothing, or this caller may not look: ImportImage will say.
    #[default]
    Good,
    /// There is none.
    Missing,
    /// It is there and can't be used as it is.
    Wrong {
        /// The trust policy that it needs instead.
        trust: Option<String>,
        /// It has no policy that lets it read.
        policy: bool,
    },
}

/// Answers without these members are none of RAM's.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Got {
    role: Role,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Role {
    assume_role_policy_document: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
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
pub async fn look(job: &Job, clients: &Clients) -> State {
    if !clients.has_ram() {
        return State::Good;
    }
    let looked = tokio::time::timeout(PATIENCE, examine(job, clients)).await;
    looked.unwrap_or(State::Good)
}

async fn examine(job: &Job, clients: &Clients) -> State {
    let name = pairs([("RoleName", &job.role_name)]);
    let role: Got = match clients.ram("GetRole", name.clone()).await {
        Ok(role) => role,
        Err(fault) if fault.code().starts_with("EntityNotExist") => return State::Missing,
        Err(fault) => return unseen_by_caller(job, &fault),
    };
    // What is not shown can't be judged.
    let trust = Some(&role.role.assume_role_policy_document).filter(|text| !text.is_empty());
    let trust = trust.and_then(|document| with_trust(document));
    let policies: Result<Listed, Fault> = clients.ram("ListPoliciesForRole", name).await;
    let policy = match policies {
        Ok(listed) => !listed.policies.policy.iter().any(lets_read),
        Err(fault) => unseen_by_caller(job, &fault) != State::Good,
    };
    match (&trust, policy) {
        (None, false) => State::Good,
        _ => State::Wrong { trust, policy },
    }
}

/// Alibaba Cloud's own policy, or one that somebody has written for the purpose.
fn lets_read(policy: &Policy) -> bool {
    policy.policy_name == POLICY || policy.policy_type == "Custom"
}

fn unseen_by_caller(job: &Job, fault: &Fault) -> State {
    tracing::debug!("the role {} can't be looked at: {fault}", job.role_name);
    State::Good
}

/// Makes or repairs the role; what was done, in a sentence. The journal knows of a role that
/// is made before RAM does. It stays whatever becomes of the import: others use it, too.
pub async fn prepare(job: &Job, clients: &Clients, journal: &Journal) -> Result<Option<String>> {
    let (name, state) = (&job.role_name, look(job, clients).await);
    let done = match &state {
        State::Good => return Ok(None),
        State::Missing => {
            journal.note(|entry| entry.created_role = Some(name.clone()));
            let created = create(job, clients).await;
            if created.as_ref().is_err_and(Fault::is_refusal) {
                journal.note(|entry| entry.created_role = None);
            }
            created.map(|()| format!("Created the role {name}"))
        }
        State::Wrong { trust, policy } => repair(job, clients, trust.as_deref(), *policy)
            .await
            .map(|()| format!("Repaired the role {name}")),
    };
    done.map(Some).map_err(|fault| {
        let (what, needs) = match state {
            State::Missing => (
                format!("the role {name} does not exist and could not be created"),
                "ram:CreateRole and ram:AttachPolicyToRole",
            ),
            _ => (
                format!("the role {name} can't be used and could not be repaired"),
                "ram:UpdateRole and ram:AttachPolicyToRole",
            ),
        };
        let mut hint = administrator(job);
        if fault.is_denied() {
            hint = format!("allow the caller {needs}, or {hint}");
        }
        Error::failed(what).because(fault).hint(hint)
    })
}

async fn create(job: &Job, clients: &Clients) -> Result<(), Fault> {
    let parameters = pairs([
        ("RoleName", &job.role_name),
        ("AssumeRolePolicyDocument", TRUST),
        ("Description", "Lets ECS import images from OSS"),
    ]);
    done_already(clients.ram("CreateRole", parameters).await)?;
    attach(job, clients).await
}

async fn repair(
    job: &Job,
    clients: &Clients,
    trust: Option<&str>,
    policy: bool,
) -> Result<(), Fault> {
    if let Some(trust) = trust {
        let parameters = pairs([
            ("RoleName", job.role_name.as_str()),
            ("NewAssumeRolePolicyDocument", trust),
        ]);
        let _: Done = clients.ram("UpdateRole", parameters).await?;
    }
    if policy {
        attach(job, clients).await?;
    }
    Ok(())
}

async fn attach(job: &Job, clients: &Clients) -> Result<(), Fault> {
    let parameters = pairs([
        ("PolicyType", "System"),
        ("PolicyName", POLICY),
        ("RoleName", &job.role_name),
    ]);
    done_already(clients.ram("AttachPolicyToRole", parameters).await)
}

/// Somebody was quicker, or an answer was lost.
fn done_already(answer: Result<Done, Fault>) -> Result<(), Fault> {
    match answer {
        Err(fault) if !fault.code().starts_with("EntityAlreadyExist") => Err(fault),
        _ => Ok(()),
    }
}

/// ECS still does not see the role.
pub fn unseen(job: &Job) -> Error {
    let (name, seconds) = (&job.role_name, PROPAGATION.as_secs());
    Error::failed(format!(
        "ECS does not see the role {name} after {seconds} s"
    ))
    .hint(administrator(job))
}

/// The command that lets the role read the bucket.
pub(super) fn attachment(job: &Job) -> Command {
    let attach = job.cli.words("ram AttachPolicyToRole --PolicyType System");
    let attach = attach.option("--PolicyName", POLICY);
    attach.option("--RoleName", &job.role_name)
}

/// What somebody with more rights has to do.
fn administrator(job: &Job) -> String {
    let on_role = |operation| {
        job.cli
            .words(operation)
            .option("--RoleName", &job.role_name)
    };
    let create = on_role("ram CreateRole").option("--AssumeRolePolicyDocument", TRUST);
    let update = on_role("ram UpdateRole").option("--NewAssumeRolePolicyDocument", TRUST);
    format!(
        "let an administrator of the account run:\n\
         {create}\n\
         {}\n\
         or, where the role exists:\n\
         {update}",
        attachment(job)
    )
}

/// The trust policy with ECS in it; none when ECS is trusted already. Others stay.
fn with_trust(document: &str) -> Option<String> {
    let Ok(mut document) = serde_json::from_str::<Value>(document) else {
        return Some(TRUST.to_owned());
    };
    let trusted = many(&document["Statement"]).iter().any(|statement| {
        statement["Effect"] == "Allow"
            && many(&statement["Action"]).contains(&&json!("sts:AssumeRole"))
            && many(&statement["Principal"]["Service"]).contains(&&json!("ecs.aliyuncs.com"))
    });
    if trusted {
        return None;
    }
    let own: Value = serde_json::from_str(TRUST).unwrap_or_default();
    let Some(statements) = document["Statement"].as_array_mut() else {
        return Some(TRUST.to_owned());
    };
    statements.push(own["Statement"][0].clone());
    Some(document.to_string())
}

/// Policies write one thing or a list of them.
fn many(value: &Value) -> Vec<&Value> {
    value
        .as_array()
        .map_or_else(|| vec![value], |list| list.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecs_is_added_to_those_who_are_trusted() {
        assert_eq!(with_trust(TRUST), None);
        assert_eq!(
            with_trust(&TRUST.replace(r#"["ecs.aliyuncs.com"]"#, r#""ecs.aliyuncs.com""#)),
            None
        );
        assert_eq!(with_trust("no policy").as_deref(), Some(TRUST));
        let other = TRUST.replace("ecs.", "fc.");
        let both = with_trust(&other).expect("a change");
        assert!(both.contains("fc.aliyuncs.com") && with_trust(&both).is_none());
        assert!(with_trust(&TRUST.replace("Allow", "Deny")).is_some());
    }
}
