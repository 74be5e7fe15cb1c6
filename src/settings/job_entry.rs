//! `[[job]]`: one import of several. What an entry says stands in for the flags of its
//! command; the tables at the top of the file are what every job has in common.

use std::any::Any;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::SettingsFile;
use crate::alicloud;
use crate::aws;
use crate::clouds::{CloudArgs, CloudId, with_args, with_cloud};
use crate::config::{
    CloudOptions, Environment, ImportArgs, OutputArgs, UploadArgs, WaitArgs, deserialize,
};
use crate::digitalocean;
use crate::error::{Error, Result};
use crate::import::cloud::Cloud;

/// One entry as it stands in the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct JobEntry {
    name: Option<String>,
    #[serde(deserialize_with = "deserialize::choice")]
    provider: Option<CloudId>,
    image: Option<PathBuf>,
    #[serde(deserialize_with = "deserialize::switch")]
    skip_checks: Option<bool>,
    upload: UploadArgs,
    wait: WaitArgs,
    aws: Option<Box<aws::Options>>,
    alicloud: Option<Box<alicloud::Options>>,
    digitalocean: Option<Box<digitalocean::Options>>,
}

/// An import with everything that was said about it.
#[derive(Debug)]
pub struct JobArgs {
    /// What it is called in every line about it.
    pub name: String,
    /// The cloud with its settings.
    pub cloud: CloudArgs,
    /// All that was asked for, in words without secrets: other words are another job.
    pub fingerprint: String,
}

impl JobArgs {
    /// The local image.
    pub fn image(&self) -> Option<PathBuf> {
        with_args!(&self.cloud, args => args.image.clone())
    }

    /// What the user should know of how the layers were combined.
    pub fn notes(&self) -> &[String] {
        with_args!(&self.cloud, args => &args.notes)
    }

    /// Whether the job only prints what it would do.
    pub fn is_dry_run(&self) -> bool {
        with_args!(&self.cloud, args => args.dry_run) == Some(true)
    }
}

impl JobEntry {
    pub(super) fn holds_secret(&self) -> bool {
        let holds_secret = |id| with_cloud!(id, C => self.table::<C>().is_some_and(|options| options.holds_secret()));
        CloudId::ALL.into_iter().any(holds_secret)
    }

    /// Returns the table of a cloud, if the entry has one.
    pub(super) fn table<C: Cloud>(&self) -> Option<C> {
        let tables: [&dyn Any; 3] = [&self.aws, &self.alicloud, &self.digitalocean];
        let mut tables = tables.into_iter();
        let table = tables.find_map(|table| table.downcast_ref::<Option<Box<C>>>())?;
        table.as_deref().cloned()
    }

    /// The one cloud that the entry is about.
    fn provider(&self) -> Result<CloudId, &'static str> {
        let is_present = |id: &CloudId| with_cloud!(*id, C => self.table::<C>().is_some());
        let tables: Vec<_> = CloudId::ALL.into_iter().filter(is_present).collect();
        match (self.provider, tables.as_slice()) {
            (Some(name), []) => Ok(name),
            (None, [name]) => Ok(*name),
            (Some(name), [table]) if name == *table => Ok(name),
            (None, []) => {
                Err("it names no cloud: write provider = \"aws\", or a table such as [job.aws]")
            }
            _ => Err("it is about several clouds: write a job for each"),
        }
    }
}

impl SettingsFile {
    /// How the results are wanted.
    pub fn output(&self) -> &OutputArgs {
        &self.output
    }

    /// How many jobs run at the same time.
    pub fn parallel(&self) -> Option<NonZeroUsize> {
        self.parallel
    }

    /// The jobs, each laid over the environment over what all have in common. One error
    /// lists all that is wrong.
    pub fn jobs(
        &self,
        environment: &Environment,
        output: &OutputArgs,
        dry_run: Option<bool>,
    ) -> Result<Vec<JobArgs>> {
        let mut problems = Vec::new();
        let (mut jobs, mut names) = (Vec::new(), BTreeSet::new());
        for (at, entry) in self.job.iter().enumerate() {
            let position = match &entry.name {
                Some(name) => format!("job {} (\"{name}\")", at + 1),
                None => format!("job {}", at + 1),
            };
            match self.job(entry, at, environment, output, dry_run) {
                Ok(job) if !names.insert(job.name.clone()) => {
                    problems.push(format!("{position}: another job has that name"));
                }
                Ok(job) => jobs.push(job),
                Err(why) => problems.push(format!("{position}: {why}")),
            }
        }
        match problems.as_slice() {
            [] if jobs.is_empty() => Err(Error::usage("the file has no jobs")
                .hint("write an entry [[job]] for each import: see imgimport run --help")),
            [] => Ok(jobs),
            [only] => Err(Error::usage(only)),
            many => Err(Error::usage(format!(
                "{} jobs are wrong\n  - {}",
                many.len(),
                many.join("\n  - ")
            ))),
        }
    }

    fn job(
        &self,
        entry: &JobEntry,
        at: usize,
        environment: &Environment,
        output: &OutputArgs,
        dry_run: Option<bool>,
    ) -> Result<JobArgs, String> {
        let provider = entry.provider()?;
        let cloud_name = provider.name();
        let name = entry
            .name
            .clone()
            .unwrap_or_else(|| format!("{cloud_name}-{}", at + 1));
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err("a job's name is one line, and not empty".to_owned());
        }
        let cloud: CloudArgs = with_cloud!(provider, C => {
            self.layered::<C>(entry, environment, output, dry_run)?.into()
        });
        let fingerprint = with_args!(&cloud, args => {
            format!("{cloud_name} {:?} {:?}", args.image, args.provider)
        });
        Ok(JobArgs {
            name,
            cloud,
            fingerprint,
        })
    }

    fn layered<C: Cloud>(
        &self,
        entry: &JobEntry,
        environment: &Environment,
        output: &OutputArgs,
        dry_run: Option<bool>,
    ) -> Result<ImportArgs<C>, String> {
        let args = ImportArgs {
            image: entry.image.clone(),
            head: None,
            notes: Vec::new(),
            provider: entry.table().unwrap_or_default(),
            upload: entry.upload.clone(),
            wait: entry.wait.clone(),
            output: output.clone(),
            dry_run,
            skip_checks: entry.skip_checks,
        };
        let args = self
            .layered_args(args, environment)
            .map_err(|error| error.one_line())?;
        if args.image.as_deref() == Some(Path::new("-")) {
            return Err(
                "standard input can't be shared out among jobs: give the path of a file".to_owned(),
            );
        }
        Ok(args)
    }
}
