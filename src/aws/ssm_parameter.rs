//! The id where others look for it: a parameter of Systems Manager in each region, with
//! the data type that lets launch templates use it. Written last, once every region has
//! its image. What it held before comes back when the run is undone.

use std::time::Duration;

use aws_sdk_ssm::types::{Parameter, ParameterType};
use backon::{ConstantBuilder, Retryable};
use futures_util::future::try_join_all;

use super::client::Clients;
use super::error::Fault;
use super::job::Job;
use super::{Run, partition};
use crate::error::{Error, Kind, Result};
use crate::shell::{Command, Removal};
use crate::units::listed;

/// The type of a parameter that holds an AMI's id; Systems Manager looks whether there is one.
const AMI: &str = "aws:ec2:image";
/// Systems Manager has looked at an AMI within seconds.
const SOON: Duration = Duration::from_secs(2);
const LOOKS: usize = 15;

/// Systems Manager looks at the AMI in the caller's name.
fn putting(region: &str, name: &str) -> String {
    format!(
        "ssm:PutParameter on {} and ec2:DescribeImages",
        resource(region, name)
    )
}

fn resource(region: &str, name: &str) -> String {
    let (partition, name) = (partition::of(region), name.trim_start_matches('/'));
    format!("arn:{partition}:ssm:{region}:*:parameter/{name}")
}

impl Run<'_> {
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
        let text = format!("Published as {name} in {}", listed(&regions));
        self.session.progress.fact(&text);
        Ok(())
    }

    async fn publish_in(&mut self, region: &str, name: &str, image: &str) -> Result<()> {
        self.session.check()?;
        let clients = self.clients.in_region(region);
        let failed = || unwritten(region, name);
        let before = before(&clients, region, name);
        let before = self.session.unless_stopped(before).await?;
        if before.is(image) {
            return Ok(());
        }
        let restore = (clients.clone(), name.to_owned(), before.clone());
        let entry = self.cleanup.reusable(
            format!("the parameter {name} in {region}"),
            before.command(&self.job.cli, region, name),
            async move || restore.2.restore(&restore.0, &restore.1).await,
        );
        let put = async {
            let done = put(&clients, name, image, AMI).await;
            done.map_err(|fault| fault.fails(failed(), &putting(&clients.region, name)))
        };
        let done = self.session.finish_soon(put).await;
        if done.as_ref().err().map(Error::kind) == Some(Kind::Failed) {
            self.cleanup.disarm(entry);
        }
        done?;
        let interval = self.job.common.wait.interval;
        let seen = seen(&clients, name, image, &before, interval);
        if self
            .session
            .unless_stopped(async { Ok(seen.await) })
            .await?
        {
            return Ok(());
        }
        Err(Error::failed(failed())
            .because_of(format!(
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
        let there = clients.in_region(region);
        before(&there, region, name).await
    });
    try_join_all(questions).await.map(drop)
}

/// What the parameter holds before it is written.
async fn before(clients: &Clients, region: &str, name: &str) -> Result<Held> {
    let held = Held::now(clients, name).await;
    let held = held.map_err(|fault| {
        let needs = format!("ssm:GetParameter on {}", resource(region, name));
        fault.fails(unwritten(region, name), &needs)
    })?;
    match held {
        Held::Other(kind) => Err(Error::failed(unwritten(region, name))
            .because_of(format!(
                "it is a {kind} already, and an AMI's id is a plain String"
            ))
            .hint("name another --ssm-parameter, or delete that one")),
        held => Ok(held),
    }
}

fn unwritten(region: &str, name: &str) -> String {
    format!("the parameter {name} in {region} can't be written")
}

/// What a parameter holds.
#[derive(Clone)]
enum Held {
    /// There is no such parameter.
    Nothing,
    /// A value, and its data type.
    Value(String, String),
    /// A list or a secret.
    Other(String),
    /// The caller may not look.
    Secret,
}

impl Held {
    async fn now(clients: &Clients, name: &str) -> Result<Self, Fault> {
        let answer = clients.ssm.get_parameter().name(name).send().await;
        match answer.map_err(Fault::from) {
            Ok(answer) => Ok(answer.parameter.map_or(Self::Nothing, Self::of)),
            Err(fault) if fault.code() == "ParameterNotFound" => Ok(Self::Nothing),
            Err(fault) if fault.is_denied() => {
                tracing::debug!("the parameter {name} can't be read: {fault}");
                Ok(Self::Secret)
            }
            Err(fault) => Err(fault),
        }
    }

    fn of(parameter: Parameter) -> Self {
        if let Some(kind) = parameter
            .r#type
            .filter(|kind| *kind != ParameterType::String)
        {
            return Self::Other(kind.as_str().to_owned());
        }
        let kind = parameter.data_type.unwrap_or_else(|| "text".to_owned());
        Self::Value(parameter.value.unwrap_or_default(), kind)
    }

    fn is(&self, image: &str) -> bool {
        matches!(self, Self::Value(value, kind) if value == image && kind == AMI)
    }

    /// How to undo it by hand. Whatever is no AMI's id is not for everybody's eyes.
    fn command(&self, cli: &Command, region: &str, name: &str) -> Removal {
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
                .map_err(|fault| fault.needing("ssm:PutParameter"))?),
            Self::Nothing => {
                let gone = clients.ssm.delete_parameter().name(name).send().await;
                match gone.map_err(Fault::from) {
                    Err(fault) if fault.code() != "ParameterNotFound" => {
                        Err(fault.needing("ssm:DeleteParameter").into())
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

async fn put(clients: &Clients, name: &str, value: &str, kind: &str) -> Result<(), Fault> {
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
async fn seen(
    clients: &Clients,
    name: &str,
    image: &str,
    before: &Held,
    interval: Duration,
) -> bool {
    if matches!(before, Held::Secret) {
        return true;
    }
    let patiently = ConstantBuilder::default()
        .with_delay(interval.min(SOON))
        .with_max_times(LOOKS);
    let look = || async {
        match Held::now(clients, name).await {
            Ok(held) if held.is(image) => Ok(()),
            _ => Err(()),
        }
    };
    look.retry(patiently).await.is_ok()
}
