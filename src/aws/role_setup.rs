//! `--create-role`: the service role is created, or repaired by adding what it lacks.
//! What others have put there is never taken away, and a role that is right is not touched.

use backon::{ExponentialBuilder, Retryable};

use super::Run;
use super::error::Fault;
use super::role::{self, Finding, Wrong};
use super::role_policy;
use super::role_policy::TRUST;
use crate::error::{Error, Result};

impl Run<'_> {
    /// Says what is wrong with the role, or mends it where that was asked for.
    pub(super) async fn settle_role(&mut self, finding: Finding) -> Result<()> {
        let (job, progress) = (&self.job, &self.session.progress);
        let name = &job.role_name;
        match finding {
            Finding::Right => Ok(()),
            Finding::Hidden(fault) => {
                if job.create_role {
                    progress.warn(&format!(
                        "the service role {name} can't be looked at, so it is left as it is: {fault}"
                    ));
                }
                Ok(())
            }
            Finding::Missing if !job.create_role => Err(role::missing(job)),
            Finding::Wrong(wrong) if !job.create_role || !wrong.can_be_mended() => {
                Err(wrong.error(job))
            }
            Finding::Missing if job.common.dry_run => {
                self.plan.step(format!("create the service role {name}"));
                Ok(())
            }
            Finding::Wrong(wrong) if job.common.dry_run => {
                let why = wrong.why(job);
                self.plan
                    .step(format!("repair the service role {name}: {why}"));
                Ok(())
            }
            Finding::Missing => {
                progress.stage(&format!("Creating the service role {name}"));
                self.create_role().await
            }
            Finding::Wrong(wrong) => {
                progress.stage(&format!(
                    "Repairing the service role {name}: {}",
                    wrong.why(job)
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
            .assume_role_policy_document(TRUST)
            .description("Lets VM Import read disk images from S3");
        let created = async {
            match create.send().await.map_err(Fault::from) {
                // Another run was quicker; what it made is what we would make.
                Err(fault) if fault.code() != "EntityAlreadyExists" => Err(self.not_created(fault)),
                _ => Ok(()),
            }
        };
        self.session.finish_soon(created).await?;
        let remove = self.job.cli.words("iam delete-role");
        let remove = remove.option("--role-name", &self.job.role_name);
        let half = self.cleanup.reusable(
            format!("the service role {name}, which has no permissions yet"),
            remove,
            async move || {
                let gone = iam.delete_role().role_name(name).send().await;
                let gone = gone.map(drop).map_err(Fault::from);
                Ok(gone.map_err(|fault| fault.needing("iam:DeleteRole"))?)
            },
        );
        self.permit().await?;
        self.cleanup.disarm(half);
        Ok(())
    }

    async fn repair_role(&mut self, wrong: Wrong) -> Result<()> {
        if let Some(trust) = &wrong.trust {
            let call = self.clients.iam.update_assume_role_policy();
            let call = call
                .role_name(&self.job.role_name)
                .policy_document(role_policy::trusting(trust));
            let changed = async {
                let answer = call.send().await.map_err(Fault::from);
                answer
                    .map(drop)
                    .map_err(|fault| self.not_repaired(fault, "iam:UpdateAssumeRolePolicy"))
            };
            self.session.finish_soon(changed).await?;
        }
        if wrong.gaps.lacks.is_empty() && !wrong.gaps.keys {
            return Ok(());
        }
        self.permit().await
    }

    /// The permissions, each under a name of ours: no policy of others is written over.
    async fn permit(&self) -> Result<()> {
        for (name, document) in role_policy::permissions(&self.job) {
            let call = self.clients.iam.put_role_policy();
            let call = call
                .role_name(&self.job.role_name)
                .policy_name(name)
                .policy_document(document);
            let put = || async { call.clone().send().await.map(drop).map_err(Fault::from) };
            // A role made a moment ago may not be known everywhere.
            let put = put
                .retry(ExponentialBuilder::default().with_max_times(4))
                .when(|fault| fault.code() == "NoSuchEntity");
            let put = async {
                put.await
                    .map_err(|fault| self.not_repaired(fault, "iam:PutRolePolicy"))
            };
            self.session.finish_soon(put).await?;
        }
        Ok(())
    }

    fn not_created(&self, fault: Fault) -> Error {
        let what = format!(
            "the service role {} could not be created",
            self.job.role_name
        );
        let commands = role::creation(&self.job);
        Error::failed(what).because(fault).hint(format!(
            "allow the caller iam:CreateRole and iam:PutRolePolicy, or let an administrator run:\n{commands}"
        ))
    }

    fn not_repaired(&self, fault: Fault, action: &str) -> Error {
        let what = format!(
            "the service role {} could not be given what it needs",
            self.job.role_name
        );
        let commands = role::creation(&self.job);
        if !fault.is_denied() {
            return fault.fails(what, action);
        }
        Error::failed(what).because(fault).hint(format!(
            "allow the caller {action}, or let an administrator make the role like this:\n{commands}"
        ))
    }
}
