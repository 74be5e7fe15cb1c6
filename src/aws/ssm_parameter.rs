//! Publishes the image's ID: a parameter of Systems Manager in each region, with the data type
//! that lets launch templates use it. Written last, once every region has its image. Its
//! previous value is restored when the run is undone.

use std::time::Duration;

use aws_sdk_ssm::types::{Parameter, ParameterType};
use futures_util::future::try_join_all;

use super::client::Clients;
use super::error::ServiceError;
use super::job::Job;
use super::{AwsImport, partition};
use crate::error::{Error, Kind, Result};
use crate::net::retry::{RetryPolicy, wait_while};
use crate::shell::{Command, Removal};
use crate::units::join_with_and;

/// The type of a parameter that holds an AMI's id; Systems Manager looks whether there is one.
const AMI_DATA_TYPE: &str = "aws:ec2:image";
/// Systems Manager has looked at an AMI within seconds.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const MAX_POLLS: u32 = 15;

/// Systems Manager looks at the AMI in the caller's name.
fn put_permissions(region: &str, name: &str) -> String {
    format!(
        "ssm:PutParameter on {} and ec2:DescribeImages",
        parameter_arn(region, name)
    )
}

fn parameter_arn(region: &str, name: &str) -> String {
    let (partition, name) = (partition::for_region(region), name.trim_start_matches('/'));
    format!("arn:{partition}:ssm:{region}:*:parameter/{name}")
}

impl AwsImport<'_> {
    /// Writes the id in every region that has the image.
    pub(super) async fn publish(&mut self) -> Result<()> {
        let Some(name) = self.job.ssm_parameter.clone() else {
            return Ok(());
        };
        for (region, image) in self.outcome.images.clone() {
            self.publish_in(&region, &name, &image).await?;
        }
        let images = &self.outcome.images;
        let regions: Vec<_> = images.iter().map(|(region, _)| region.as_str()).collect();
        let text = format!("Published as {name} in {}", join_with_and(&regions));
        self.session.progress.info(&text);
        Ok(())
    }

    async fn publish_in(&mut self, region: &str, name: &str, image: &str) -> Result<()> {
        self.session.check()?;
        let clients = self.clients.in_region(region);
        let failed = || write_failed(region, name);
        let before = previous_state(&clients, region, name);
        let before = self.session.cancellable(before).await?;
        if before.has_value(image) {
            return Ok(());
        }
        let restore = (clients.clone(), name.to_owned(), before.clone());
        let entry = self.cleanup.push_resumable(
            format!("the parameter {name} in {region}"),
            before.restore_command(&self.job.cli, region, name),
            async move || restore.2.restore(&restore.0, &restore.1).await,
        );
        let put = async {
            let done = put(&clients, name, image, AMI_DATA_TYPE).await;
            done.map_err(|fault| {
                fault.into_error(failed(), &put_permissions(&clients.region, name))
            })
        };
        let done = self.session.with_stop_grace(put).await;
        if done.as_ref().err().map(Error::kind) == Some(Kind::Failed) {
            self.cleanup.remove(entry);
        }
        done?;
        let interval = self.job.common.wait.interval;
        let stored = wait_until_stored(&clients, name, image, &before, interval);
        if self.session.cancellable(async { Ok(stored.await) }).await? {
            return Ok(());
        }
        Err(Error::failed(failed())
            .with_cause(format!(
                "Systems Manager took {image}, but after its own check the parameter does not hold it"
            ))
            .hint("the AMI must be available to the caller, who needs ec2:DescribeImages"))
    }
}

/// Whether the parameters can hold the id, where the caller may look; asked before the upload.
pub async fn check(job: &Job, clients: &Clients) -> Result<()> {
    let Some(name) = &job.ssm_parameter else {
        return Ok(());
    };
    let regions = std::iter::once(&job.region).chain(job.copies.iter().map(|copy| &copy.region));
    let questions = regions.map(async |region| {
        let regional_clients = clients.in_region(region);
        previous_state(&regional_clients, region, name).await
    });
    try_join_all(questions).await.map(drop)
}

/// What the parameter holds before it is written.
async fn previous_state(clients: &Clients, region: &str, name: &str) -> Result<ParameterState> {
    let state = ParameterState::read(clients, name).await;
    let state = state.map_err(|fault| {
        let needs = format!("ssm:GetParameter on {}", parameter_arn(region, name));
        fault.into_error(write_failed(region, name), &needs)
    })?;
    match state {
        ParameterState::Other(kind) => Err(Error::failed(write_failed(region, name))
            .with_cause(format!(
                "it is a {kind} already, and an AMI's id is a plain String"
            ))
            .hint("name another --ssm-parameter, or delete that one")),
        state => Ok(state),
    }
}

fn write_failed(region: &str, name: &str) -> String {
    format!("the parameter {name} in {region} can't be written")
}

/// What a parameter holds.
#[derive(Clone)]
enum ParameterState {
    /// There is no such parameter.
    Missing,
    /// A value, and its data type.
    Value(String, String),
    /// A list or a secret.
    Other(String),
    /// The caller may not look.
    Secret,
}

impl ParameterState {
    async fn read(clients: &Clients, name: &str) -> Result<Self, ServiceError> {
        let answer = clients.ssm.get_parameter().name(name).send().await;
        match answer.map_err(ServiceError::from) {
            Ok(answer) => Ok(answer.parameter.map_or(Self::Missing, Self::from_parameter)),
            Err(fault) if fault.code() == "ParameterNotFound" => Ok(Self::Missing),
            Err(fault) if fault.is_denied() => {
                tracing::debug!("the parameter {name} can't be read: {fault}");
                Ok(Self::Secret)
            }
            Err(fault) => Err(fault),
        }
    }

    fn from_parameter(parameter: Parameter) -> Self {
        if let Some(kind) = parameter
            .r#type
            .filter(|kind| *kind != ParameterType::String)
        {
            return Self::Other(kind.as_str().to_owned());
        }
        let kind = parameter.data_type.unwrap_or_else(|| "text".to_owned());
        Self::Value(parameter.value.unwrap_or_default(), kind)
    }

    fn has_value(&self, image: &str) -> bool {
        matches!(self, Self::Value(value, kind) if value == image && kind == AMI_DATA_TYPE)
    }

    /// How to undo it by hand. Whatever is no AMI's id is not for everybody's eyes.
    fn restore_command(&self, cli: &Command, region: &str, name: &str) -> Removal {
        let call = |operation| cli.words(operation).option("--name", name);
        match self {
            Self::Value(value, _) if !value.starts_with("ami-") => {
                let history = call("ssm get-parameter-history").option("--region", region);
                Removal::of_listed(history, "put-parameter")
            }
            Self::Value(value, kind) => call("ssm put-parameter")
                .option("--value", value)
                .words("--type String")
                .option("--data-type", kind)
                .words("--overwrite")
                .option("--region", region)
                .into(),
            _ => call("ssm delete-parameter")
                .option("--region", region)
                .into(),
        }
    }

    async fn restore(&self, clients: &Clients, name: &str) -> anyhow::Result<()> {
        match self {
            Self::Value(value, kind) => Ok(put(clients, name, value, kind)
                .await
                .map_err(|fault| fault.requiring("ssm:PutParameter"))?),
            Self::Missing => {
                let deleted = clients.ssm.delete_parameter().name(name).send().await;
                match deleted.map_err(ServiceError::from) {
                    Err(fault) if fault.code() != "ParameterNotFound" => {
                        Err(fault.requiring("ssm:DeleteParameter").into())
                    }
                    _ => Ok(()),
                }
            }
            Self::Other(_) | Self::Secret => {
                Err(anyhow::anyhow!("what it held before is not known"))
            }
        }
    }
}

async fn put(clients: &Clients, name: &str, value: &str, kind: &str) -> Result<(), ServiceError> {
    let call = clients
        .ssm
        .put_parameter()
        .name(name)
        .value(value)
        .r#type(ParameterType::String)
        .data_type(kind)
        .overwrite(true);
    Ok(call.send().await.map(drop)?)
}

/// PutParameter answers before it has looked at the AMI, and drops a value that it does
/// not like without a word ("Native parameter support for Amazon Machine Image IDs" of
/// the Systems Manager guide).
async fn wait_until_stored(
    clients: &Clients,
    name: &str,
    image: &str,
    previous: &ParameterState,
    interval: Duration,
) -> bool {
    if matches!(previous, ParameterState::Secret) {
        return true;
    }
    let interval = interval.min(POLL_INTERVAL);
    let policy = RetryPolicy::new(MAX_POLLS, interval, interval);
    let read_once = || async {
        match ParameterState::read(clients, name).await {
            Ok(state) if state.has_value(image) => Ok(()),
            _ => Err(()),
        }
    };
    wait_while(policy, read_once, |()| true).await.is_ok()
}
