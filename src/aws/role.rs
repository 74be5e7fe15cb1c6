//! The service role that lets VM Import read the bucket. If the caller may read it, problems
//! are reported before the upload instead of after, with the documents that fix them.

use std::time::Duration;

use aws_sdk_iam::types::Role;
use percent_encoding::percent_decode_str;

use super::client::{Clients, PREFLIGHT_TIMEOUT};
use super::error::ServiceError;
use super::job::Job;
use super::pages;
use super::role_policy;
use super::role_policy::{MissingPermissions, TRUST_POLICY};
use crate::error::{Error, Result};
use crate::net::retry::RetryPolicy;
use crate::shell::Command;

/// Seconds after which nobody can call a role new.
const NEW_ROLE_AGE: i64 = 10 * 60;
/// Retries until VM Import knows a new role. IAM's changes are visible to the other services
/// within a minute or so; these delays last two.
pub const VISIBLE: RetryPolicy =
    RetryPolicy::new(14, Duration::from_secs(1), Duration::from_secs(10));

/// What the role looks like.
#[derive(Debug)]
pub enum RoleStatus {
    /// VM Import can use it, or so it seems.
    Valid,
    /// There is none.
    Missing,
    /// It can't be used.
    Invalid(RoleProblem),
    /// The caller may not look. ImportImage will say.
    Unknown(ServiceError),
}

/// What is wrong with a role.
#[derive(Debug)]
pub struct RoleProblem {
    /// A trust policy that does not name VM Import.
    pub trust: Option<String>,
    /// What its policies leave out or forbid.
    pub missing_permissions: MissingPermissions,
}

/// Whether the role is so new that the import may not know it yet.
pub async fn is_new(job: &Job, clients: &Clients) -> bool {
    if !clients.has_iam {
        return false;
    }
    let call = clients.iam.get_role().role_name(&job.role_name);
    let created = match tokio::time::timeout(PREFLIGHT_TIMEOUT, call.send()).await {
        Ok(Ok(answer)) => answer.role.map_or(0, |role| role.create_date.secs()),
        _ => return false,
    };
    jiff::Timestamp::now().as_second() - created < NEW_ROLE_AGE
}

/// Looks at the role.
pub async fn inspect(job: &Job, clients: &Clients) -> RoleStatus {
    match examine(job, clients).await {
        Ok(finding) => finding,
        Err(fault) if fault.code() == "NoSuchEntity" => RoleStatus::Missing,
        Err(fault) => {
            tracing::debug!("the role {} can't be looked at: {fault}", job.role_name);
            RoleStatus::Unknown(fault)
        }
    }
}

async fn examine(job: &Job, clients: &Clients) -> Result<RoleStatus, ServiceError> {
    if !clients.has_iam {
        return Err(ServiceError::no_response("no endpoint of IAM was named"));
    }
    let call = clients.iam.get_role().role_name(&job.role_name);
    let role = call.send().await?.role;
    // What is not shown can't be judged.
    let trust = role.as_ref().and_then(trust_document);
    let trust = trust.filter(|trust| !role_policy::trusts_vm_import(trust));
    let gaps = match missing_permissions(job, clients).await {
        Ok(gaps) => gaps,
        // What is seen to be wrong is wrong, whatever else is hidden.
        Err(_) if trust.is_some() => MissingPermissions::default(),
        Err(fault) => return Err(fault),
    };
    let mends_keys = job.create_role && gaps.keys;
    if trust.is_none() && gaps.is_empty() && !mends_keys {
        return Ok(RoleStatus::Valid);
    }
    Ok(RoleStatus::Invalid(RoleProblem {
        trust,
        missing_permissions: gaps,
    }))
}

fn trust_document(role: &Role) -> Option<String> {
    role.assume_role_policy_document
        .as_deref()
        .map(percent_decode)
}

/// IAM percent-encodes the documents in its answers.
fn percent_decode(document: &str) -> String {
    percent_decode_str(document)
        .decode_utf8_lossy()
        .into_owned()
}

/// Asks for the role's own policies; for the managed ones only if those leave something out.
async fn missing_permissions(
    job: &Job,
    clients: &Clients,
) -> Result<MissingPermissions, ServiceError> {
    let mut documents = inline_policies(job, clients).await?;
    let gaps = MissingPermissions::find(job, &documents);
    if gaps.is_empty() && !gaps.keys {
        return Ok(gaps);
    }
    documents.extend(managed_policies(job, clients).await?);
    let gaps = MissingPermissions::find(job, &documents);
    if gaps.missing.is_empty() || !bucket_policy_names_role(job, clients).await {
        return Ok(gaps);
    }
    // The bucket's own policy opens it to the role, or does what only AWS can judge.
    Ok(MissingPermissions {
        missing: Vec::new(),
        ..gaps
    })
}

async fn inline_policies(job: &Job, clients: &Clients) -> Result<Vec<String>, ServiceError> {
    let list = clients.iam.list_role_policies().role_name(&job.role_name);
    let list = list.into_paginator().send();
    let names = pages::collect_pages(list, |page| Some(page.policy_names)).await?;
    let mut documents = Vec::new();
    for name in names {
        let call = clients.iam.get_role_policy();
        let call = call.role_name(&job.role_name).policy_name(name);
        documents.push(percent_decode(&call.send().await?.policy_document));
    }
    Ok(documents)
}

async fn managed_policies(job: &Job, clients: &Clients) -> Result<Vec<String>, ServiceError> {
    let list = clients.iam.list_attached_role_policies();
    let list = list.role_name(&job.role_name).into_paginator().send();
    let attached = pages::collect_pages(list, |page| page.attached_policies).await?;
    let mut documents = Vec::new();
    for arn in attached.into_iter().filter_map(|policy| policy.policy_arn) {
        let policy = clients
            .iam
            .get_policy()
            .policy_arn(&arn)
            .send()
            .await?
            .policy;
        let version = policy.and_then(|policy| policy.default_version_id);
        let call = clients.iam.get_policy_version().policy_arn(&arn);
        let answer = call.set_version_id(version).send().await?.policy_version;
        let document = answer.and_then(|version| version.document);
        documents.extend(document.as_deref().map(percent_decode));
    }
    Ok(documents)
}

async fn bucket_policy_names_role(job: &Job, clients: &Clients) -> bool {
    let call = clients.s3.get_bucket_policy().bucket(&job.bucket);
    let policy = call.send().await.ok().and_then(|answer| answer.policy);
    policy.is_some_and(|policy| policy.contains(&job.role_name))
}

/// What an administrator has to create.
pub fn missing_role_error(job: &Job) -> Error {
    let name = &job.role_name;
    Error::failed(format!("the service role {name} does not exist")).hint(format!(
        "create it with --create-role, or with:\n{}",
        create_role_commands(job)
    ))
}

/// The commands that create the role.
pub fn create_role_commands(job: &Job) -> String {
    let create =
        role_command(job, "iam create-role").option("--assume-role-policy-document", TRUST_POLICY);
    join_lines(std::iter::once(create).chain(put_policy_commands(job)))
}

fn put_policy_commands(job: &Job) -> Vec<Command> {
    let put = |(name, document): (String, String)| {
        role_command(job, "iam put-role-policy")
            .option("--policy-name", name)
            .option("--policy-document", document)
    };
    role_policy::permissions(job).into_iter().map(put).collect()
}

/// A command of the AWS CLI about the service role.
fn role_command(job: &Job, operation: &'static str) -> Command {
    job.cli
        .words(operation)
        .option("--role-name", &job.role_name)
}

fn join_lines(commands: impl IntoIterator<Item = Command>) -> String {
    let commands: Vec<_> = commands
        .into_iter()
        .map(|command| command.to_string())
        .collect();
    commands.join("\n")
}

impl RoleProblem {
    /// A word on each thing that is wrong.
    pub fn describe(&self, job: &Job) -> String {
        let mut all = Vec::new();
        if self.trust.is_some() {
            all.push("its trust policy does not let vmie.amazonaws.com assume it".to_owned());
        }
        let bucket = &job.bucket;
        for (verb, actions) in [
            ("do not allow", &self.missing_permissions.missing),
            ("deny", &self.missing_permissions.denied),
        ] {
            if !actions.is_empty() {
                all.push(format!(
                    "its policies {verb} {} for the bucket {bucket}",
                    actions.join(", ")
                ));
            }
        }
        if self.missing_permissions.keys && all.is_empty() {
            all.push("its policies do not open the KMS key".to_owned());
        }
        all.join("; ")
    }

    /// Whether statements that are added would help.
    pub fn can_be_repaired(&self) -> bool {
        self.missing_permissions.denied.is_empty()
    }

    /// The role can't be used, and what an administrator has to change.
    pub fn error(&self, job: &Job) -> Error {
        let name = &job.role_name;
        let error = Error::failed(format!("the service role {name} can't be used"))
            .with_cause(self.describe(job));
        if !self.can_be_repaired() {
            return error.hint("take the denial away, or name another role with --role-name");
        }
        let mut commands = Vec::new();
        if let Some(trust) = &self.trust {
            let update = role_command(job, "iam update-assume-role-policy");
            commands.push(update.option(
                "--policy-document",
                role_policy::with_vm_import_trust(trust),
            ));
        }
        if !self.missing_permissions.missing.is_empty() {
            commands.extend(put_policy_commands(job));
        }
        error.hint(format!(
            "repair it with --create-role, or with:\n{}",
            join_lines(commands)
        ))
    }
}

/// AWS has refused the role, whatever it looked like.
pub fn rejected_role_error(job: &Job, fault: ServiceError) -> Error {
    Error::failed(format!(
        "VM Import can't use the service role {}",
        job.role_name
    ))
    .with_source(fault)
    .hint(format!(
        "let --create-role look after it, or compare it with:\n{}",
        create_role_commands(job)
    ))
}
