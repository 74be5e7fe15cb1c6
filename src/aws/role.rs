//! The service role that lets VM Import read the bucket. Looked at where the caller may
//! look; what is wrong with it is said before the upload instead of after.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::clients::Clients;
use super::fault::Fault;
use super::job::Job;
use crate::error::{Error, Result};

/// IAM tells the other services of a new role within a minute or so.
pub const PROPAGATION: Duration = Duration::from_secs(60);

/// Seconds after which nobody can call a role new.
const FRESH: i64 = 10 * 60;

/// The trust policy, as "Required service role" of the VM Import guide has it; the
/// capital E in `sts:Externalid` is AWS's.
pub const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"vmie.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:Externalid":"vmimport"}}}]}"#;

/// The permissions that the role needs, for one bucket.
fn policy(job: &Job) -> String {
    let (bucket, partition) = (&job.bucket, partition(&job.region));
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject","s3:ListBucket"],"Resource":["arn:{partition}:s3:::{bucket}","arn:{partition}:s3:::{bucket}/*"]}},{{"Effect":"Allow","Action":["ec2:ModifySnapshotAttribute","ec2:CopySnapshot","ec2:RegisterImage","ec2:Describe*"],"Resource":"*"}}]}}"#
    )
}

/// Whether the role is so new that ImportImage may not know it yet.
pub async fn is_fresh(job: &Job, clients: &Clients) -> bool {
    let Ok(answer) = clients
        .iam
        .get_role()
        .role_name(&job.role_name)
        .send()
        .await
    else {
        return false;
    };
    let created = answer.role.map_or(0, |role| role.create_date.secs());
    jiff::Timestamp::now().as_second() - created < FRESH
}

/// Looks at the role. Not being allowed to look is no fault: ImportImage will say.
pub async fn check(job: &Job, clients: &Clients) -> Result<()> {
    let role = match clients
        .iam
        .get_role()
        .role_name(&job.role_name)
        .send()
        .await
    {
        Ok(answer) => answer.role,
        Err(error) => match Fault::from(error) {
            fault if fault.code() == "NoSuchEntity" => return Err(missing(job)),
            fault => {
                tracing::debug!("the role {} can't be looked at: {fault}", job.role_name);
                return Ok(());
            }
        },
    };
    let trust = role
        .and_then(|role| role.assume_role_policy_document)
        .unwrap_or_default();
    let trust = percent_decode_str(&trust).decode_utf8_lossy().into_owned();
    if trusts_vm_import(&trust) {
        return Ok(());
    }
    Err(
        Error::failed(format!("the service role {} can't be used", job.role_name))
            .because_of("its trust policy does not let vmie.amazonaws.com assume it")
            .hint(format!(
                "aws iam update-assume-role-policy --role-name {} --policy-document '{TRUST}'",
                job.role_name
            )),
    )
}

/// What an administrator has to create.
pub fn missing(job: &Job) -> Error {
    let name = &job.role_name;
    Error::failed(format!("the service role {name} does not exist")).hint(format!(
        "create it:\naws iam create-role --role-name {name} --assume-role-policy-document '{TRUST}'\n\
         aws iam put-role-policy --role-name {name} --policy-name {name} --policy-document '{}'",
        policy(job)
    ))
}

/// The first word of an ARN differs in China and in GovCloud.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// Whether a statement allows VM Import to assume the role. Conditions are AWS's to judge.
fn trusts_vm_import(document: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(document) else {
        return false;
    };
    many(&document["Statement"]).iter().any(|statement| {
        statement["Effect"] == "Allow"
            && many(&statement["Action"])
                .iter()
                .any(|action| *action == "sts:AssumeRole")
            && many(&statement["Principal"]["Service"])
                .iter()
                .any(|service| {
                    service
                        .as_str()
                        .is_some_and(|service| service.starts_with("vmie.amazonaws.com"))
                })
    })
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
    fn the_trust_policy_of_the_guide_is_accepted_and_others_are_not() {
        assert!(trusts_vm_import(TRUST));
        assert!(trusts_vm_import(
            &TRUST.replace(r#""sts:AssumeRole""#, r#"["sts:AssumeRole"]"#)
        ));
        assert!(!trusts_vm_import(&TRUST.replace("vmie", "ec2")));
        assert!(!trusts_vm_import(&TRUST.replace("Allow", "Deny")));
        assert!(!trusts_vm_import("not a policy"));
    }
}
