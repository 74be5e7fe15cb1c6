//! `--dry-run`: sends the calls of the job with EC2's DryRun, which checks the caller's
//! permissions without effect ("DryRun" of the EC2 API reference), and prints the plan of the
//! real run.

use aws_sdk_ec2::types::Tag;
use uuid::Uuid;

use super::error::ServiceError;
use super::method::ImportMethod;
use super::{AwsImport, ami, import_task, quota, register, share};
use crate::error::Result;
use crate::import;
use crate::import::dry_run::Quota;
use crate::store::s3::AWS_LIMITS;
use crate::units::{bytes, join_with_and};

/// No image and no snapshot have these; who may call is decided before they are looked for.
const MISSING_IMAGE: &str = "ami-00000000000000000";
const MISSING_SNAPSHOT: &str = "snap-00000000000000000";

impl AwsImport<'_> {
    /// Asks for each call; one that is refused ends it, as it would end the job.
    pub(super) async fn check_permissions(&mut self) -> Result<()> {
        self.plan.method(self.job.method.flag_value());
        if !self.supports_dry_run().await {
            let open = "what the caller may, for this EC2 knows no DryRun";
            self.plan.not_verified(&["quotas", open]);
            return Ok(());
        }
        let (mut allowed, mut open) = (Vec::new(), self.unverifiable());
        for (action, answer) in self.dry_run_calls().await {
            match answer {
                Err(fault) if fault.code() == "DryRunOperation" => allowed.push(action),
                Err(fault) if fault.is_denied() => {
                    let needs = match action {
                        "ec2:ImportImage" | "ec2:ImportSnapshot" => {
                            import_task::required_permission(&self.job)
                        }
                        action => action.to_owned(),
                    };
                    return Err(fault.into_error(format!("{action} would be refused"), &needs));
                }
                _ => open.insert(0, action),
            }
        }
        self.plan.allowed(&allowed);
        match self.import_quota().await {
            Some(quota) => self.plan.quota(quota),
            None => open.push("quotas"),
        }
        self.plan.not_verified(&open);
        Ok(())
    }

    /// What is written block by block is no import task.
    async fn import_quota(&self) -> Option<Quota> {
        match self.job.method {
            ImportMethod::EbsDirect => None,
            _ => quota::import_quota(&self.clients).await,
        }
    }

    /// What a real run would do.
    pub(super) fn describe_steps(&mut self) -> Result<()> {
        let (job, plan) = (&self.job, &mut self.plan);
        if job.method == ImportMethod::EbsDirect {
            let size = job.common.image.size.map_or_else(String::new, bytes);
            plan.step(format!("send the data of {size} into a snapshot"));
        } else {
            plan.upload(import::upload::planned_upload(
                &job.common,
                AWS_LIMITS,
                job.url(),
            )?);
        }
        let registered_name = job.method.registers().then(|| job.image_name());
        let name = job.name.clone().or(registered_name).map_or_else(
            || "an AMI named after its task".to_owned(),
            |name| format!("the AMI \"{name}\""),
        );
        let method = match job.method {
            ImportMethod::ImportImage => "",
            ImportMethod::ImportSnapshot | ImportMethod::EbsDirect => {
                ", registered from its snapshot"
            }
        };
        plan.step(format!("import it into {} as {name}{method}", job.region));
        let regions: Vec<_> = job.copies.iter().map(|copy| copy.region.as_str()).collect();
        if !regions.is_empty() {
            plan.step(format!("copy it to {}", join_with_and(&regions)));
        }
        if let Some(parameter) = &job.ssm_parameter {
            plan.step(format!("publish its id as {parameter}"));
        }
        if !job.tags.is_empty() {
            let tags = job.tags.iter().map(|(key, value)| format!("{key}={value}"));
            let tags: Vec<_> = tags.collect();
            plan.step(format!("tag it and its snapshots with {}", tags.join(", ")));
        }
        if job.share.is_public() {
            plan.step("make it public: every AWS account can launch it");
        }
        if !job.share.audience().is_empty() {
            plan.step(format!(
                "share it with {}",
                join_with_and(&job.share.audience())
            ));
        }
        if job.method != ImportMethod::EbsDirect && !job.common.skip_clean {
            plan.step(format!("remove {} afterwards", job.url()));
        }
        job.common.plan_removal(plan);
        self.outcome.plan = Some(plan.to_json());
        Ok(())
    }

    /// EC2 answers a DryRun with an error. Who answers as if it had been meant, such as a local
    /// cloud, would start the import that it is only asked about.
    async fn supports_dry_run(&self) -> bool {
        let request = self.clients.ec2.describe_images().dry_run(true);
        let answer = request.image_ids(MISSING_IMAGE).send().await;
        let answer = answer.map_err(ServiceError::from);
        answer.is_err_and(|fault| fault.code() == "DryRunOperation" || fault.is_denied())
    }

    async fn dry_run_calls(&self) -> Vec<(&'static str, Result<(), ServiceError>)> {
        let (job, clients) = (&self.job, &self.clients);
        let (ec2, token) = (&clients.ec2, Uuid::new_v4().to_string());
        let mut calls = Vec::new();
        if job.method != ImportMethod::EbsDirect {
            let answer = import_task::Request::new(job, clients, &token)
                .dry_run()
                .await;
            calls.push((import_task::operation(job), answer));
        }
        if job.method.registers() {
            let answer = register::dry_run(job, clients, MISSING_SNAPSHOT).await;
            calls.push(("ec2:RegisterImage", answer));
        }
        let renamed = job.name.is_some() && !job.method.registers();
        if renamed || !job.copies.is_empty() {
            let answer = ami::dry_run_copy(job, clients, MISSING_IMAGE).await;
            calls.push(("ec2:CopyImage", answer));
        }
        if !job.tags.is_empty() {
            let tags = job.tags.iter();
            let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
            let call = ec2.create_tags().dry_run(true).resources(MISSING_IMAGE);
            let answer = call.set_tags(Some(tags.collect())).send().await;
            calls.push((
                "ec2:CreateTags",
                answer.map(drop).map_err(ServiceError::from),
            ));
        }
        if let Some(permissions) = share::launch_permissions(&job.share) {
            let call = ec2
                .modify_image_attribute()
                .dry_run(true)
                .image_id(MISSING_IMAGE);
            let answer = call.launch_permission(permissions).send().await;
            let answer = answer.map(drop).map_err(ServiceError::from);
            calls.push(("ec2:ModifyImageAttribute", answer));
        }
        calls
    }

    /// What nobody can be asked without doing it.
    fn unverifiable(&self) -> Vec<&'static str> {
        let mut open = match self.job.method {
            ImportMethod::EbsDirect => vec!["ebs:StartSnapshot", "ebs:PutSnapshotBlock"],
            _ => vec!["s3:PutObject", "s3:DeleteObject", "iam:PassRole"],
        };
        if self.job.ssm_parameter.is_some() {
            open.push("ssm:PutParameter");
        }
        open
    }
}
