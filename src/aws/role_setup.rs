//! `--create-role`: creates the service role, or adds what it lacks. Existing permissions are
//! never removed, and a correct role is not changed.

use std::time::Duration;

use super::AwsImport;
use super::error::ServiceError;
use super::role::{self, RoleProblem, RoleStatus};
use super::role_policy;
use super::role_policy::TRUST_POLICY;
use crate::error::{Error, Result};
use crate::net::retry::{RetryPolicy, wait_while};

/// Retries of PutRolePolicy while a role that was created a moment ago is not visible everywhere.
const ROLE_VISIBLE: RetryPolicy =
    RetryPolicy::new(4, Duration::from_secs(1), Duration::from_secs(8));

impl AwsImport<'_> {
    /// Says what is wrong with the role, or mends it where that was asked for.
    pub(super) async fn ensure_role(&mut self, status: RoleStatus) -> Result<()> {
        let (job, progress) = (&self.job, &self.session.progress);
        let name = &job.role_name;
        match status {
            RoleStatus::Valid => Ok(()),
            RoleStatus::Unknown(fault) => {
                if job.create_role {
                    progress.warn(&format!(
                        "the service role {name} can't be looked at, so it is left as it is: {fault}"
                    ));
                }
                Ok(())
            }
            RoleStatus::Missing if !job.create_role => Err(role::missing_role_error(job)),
            RoleStatus::Invalid(wrong) if !job.create_role || !wrong.can_be_repaired() => {
                Err(wrong.error(job))
            }
            RoleStatus::Missing if job.common.dry_run => {
                self.plan.step(format!("create the service role {name}"));
                Ok(())
            }
            RoleStatus::Invalid(wrong) if job.common.dry_run => {
                let reason = wrong.describe(job);
                self.plan
                    .step(format!("repair the service role {name}: {reason}"));
                Ok(())
            }
            RoleStatus::Missing => {
                progress.stage(&format!("Creating the service role {name}"));
                self.create_role().await
            }
            RoleStatus::Invalid(wrong) => {
                progress.stage(&format!(
                    "Repairing the service role {name}: {}",
                    wrong.describe(job)
                ));
                self.repair_role(wrong).await
            }
        }
    }

    async fn create_role(&mut self) -> Result<()> {
        let (iam, name) = (self.clients.iam.clone(), self.job.role_name.clone());
        let create = iam
            .create_role()
            .role_name(&name)
            .assume_role_policy_document(TRUST_POLICY)
            .description("Lets VM Import read disk images from S3");
        let created = async {
            match create.send().await.map_err(ServiceError::from) {
                // Another run was quicker; what it made is what we would make.
                Err(fault) if fault.code() != "EntityAlreadyExists" => {
                    Err(self.create_role_error(fault))
                }
                _ => Ok(()),
            }
        };
        self.session.with_stop_grace(created).await?;
        let remove = self.job.cli.words("iam delete-role");
        let remove = remove.option("--role-name", &self.job.role_name);
        let half = self.cleanup.push_resumable(
            format!("the service role {name}, which has no permissions yet"),
            remove,
            async move || {
                let deleted = iam.delete_role().role_name(name).send().await;
                let deleted = deleted.map(drop).map_err(ServiceError::from);
                Ok(deleted.map_err(|fault| fault.requiring("iam:DeleteRole"))?)
            },
        );
        self.put_policies().await?;
        self.cleanup.remove(half);
        Ok(())
    }

    async fn repair_role(&mut self, problem: RoleProblem) -> Result<()> {
        if let Some(trust) = &problem.trust {
            let call = self.clients.iam.update_assume_role_policy();
            let call = call
                .role_name(&self.job.role_name)
                .policy_document(role_policy::with_vm_import_trust(trust));
            let changed = async {
                let answer = call.send().await.map_err(ServiceError::from);
                answer
                    .map(drop)
                    .map_err(|fault| self.repair_role_error(fault, "iam:UpdateAssumeRolePolicy"))
            };
            self.session.with_stop_grace(changed).await?;
        }
        if problem.missing_permissions.missing.is_empty() && !problem.missing_permissions.keys {
            return Ok(());
        }
        self.put_policies().await
    }

    /// The permissions, each under a name of ours: no policy of others is written over.
    async fn put_policies(&self) -> Result<()> {
        for (name, document) in role_policy::permissions(&self.job) {
            let call = self.clients.iam.put_role_policy();
            let call = call
                .role_name(&self.job.role_name)
                .policy_name(name)
                .policy_document(document);
            let put = || async {
                call.clone()
                    .send()
                    .await
                    .map(drop)
                    .map_err(ServiceError::from)
            };
            let put = wait_while(ROLE_VISIBLE, put, |error| error.code() == "NoSuchEntity");
            let put = async {
                put.await
                    .map_err(|fault| self.repair_role_error(fault, "iam:PutRolePolicy"))
            };
            self.session.with_stop_grace(put).await?;
        }
        Ok(())
    }

    fn create_role_error(&self, fault: ServiceError) -> Error {
        let what = format!(
            "the service role {} could not be created",
            self.job.role_name
        );
        let commands = role::create_role_commands(&self.job);
        Error::failed(what).with_source(fault).hint(format!(
            "allow the caller iam:CreateRole and iam:PutRolePolicy, or let an administrator run:\n{commands}"
        ))
    }

    fn repair_role_error(&self, fault: ServiceError, action: &str) -> Error {
        let what = format!(
            "the service role {} could not be given what it needs",
            self.job.role_name
        );
        let commands = role::create_role_commands(&self.job);
        if !fault.is_denied() {
            return fault.into_error(what, action);
        }
        Error::failed(what).with_source(fault).hint(format!(
            "allow the caller {action}, or let an administrator make the role like this:\n{commands}"
        ))
    }
}
