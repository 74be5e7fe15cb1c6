//! `[[job]]`: one import of several. What an entry says stands in for the flags of its
//! command; the tables at the top of the file are what every job has in common.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{CloudTable, SettingsFile};
use crate::alicloud;
use crate::aws;
use crate::config::{Environment, ImportArgs, OutputArgs, UploadArgs, WaitArgs, deserialize};
use crate::digitalocean;
use crate::error::{Error, Result};

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

/// The sub-command that an entry stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum CloudId {
    Aws,
    Alicloud,
    Digitalocean,
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
        match &self.cloud {
            CloudArgs::Aws(args) => args.image.clone(),
            CloudArgs::Alicloud(args) => args.image.clone(),
            CloudArgs::Digitalocean(args) => args.image.clone(),
        }
    }

    /// What the user should know of how the layers were combined.
    pub fn notes(&self) -> &[String] {
        match &self.cloud {
            CloudArgs::Aws(args) => &args.notes,
            CloudArgs::Alicloud(args) => &args.notes,
            CloudArgs::Digitalocean(args) => &args.notes,
        }
    }

    /// Whether it only says what it would do.
    pub fn is_dry_run(&self) -> bool {
        let dry_run = match &self.cloud {
            CloudArgs::Aws(args) => args.dry_run,
            CloudArgs::Alicloud(args) => args.dry_run,
            CloudArgs::Digitalocean(args) => args.dry_run,
        };
        dry_run == Some(true)
    }
}

/// The cloud that a job is for.
#[derive(Debug)]
pub enum CloudArgs {
    /// `imgimport aws`.
    Aws(Box<ImportArgs<aws::Options>>),
    /// `imgimport alicloud`.
    Alicloud(Box<ImportArgs<alicloud::Options>>),
    /// `imgimport digitalocean`.
    Digitalocean(Box<ImportArgs<digitalocean::Options>>),
}

impl JobEntry {
    pub(super) fn holds_secret(&self) -> bool {
        self.aws
            .as_ref()
            .is_some_and(|options| options.holds_secret())
            || self
                .alicloud
                .as_ref()
                .is_some_and(|options| options.holds_secret())
            || self
                .digitalocean
                .as_ref()
                .is_some_and(|options| options.holds_secret())
    }

    /// The one cloud that the entry is about.
    fn provider(&self) -> Result<CloudId, &'static str> {
        let tables = [
            (CloudId::Aws, self.aws.is_some()),
            (CloudId::Alicloud, self.alicloud.is_some()),
            (CloudId::Digitalocean, self.digitalocean.is_some()),
        ];
        let tables: Vec<_> = tables
            .into_iter()
            .filter(|(_, is_present)| *is_present)
            .collect();
        match (self.provider, tables.as_slice()) {
            (Some(name), []) => Ok(name),
            (None, [(name, _)]) => Ok(*name),
            (Some(name), [(table, _)]) if name == *table => Ok(name),
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
        let cloud_name = clap::ValueEnum::to_possible_value(&provider);
        let cloud_name = cloud_name
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default();
        let name = entry
            .name
            .clone()
            .unwrap_or_else(|| format!("{cloud_name}-{}", at + 1));
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err("a job's name is one line, and not empty".to_owned());
        }
        let entry = entry.clone();
        let cloud = match provider {
            CloudId::Aws => CloudArgs::Aws(self.layered(
                &entry,
                entry.aws.clone(),
                environment,
                output,
                dry_run,
            )?),
            CloudId::Alicloud => CloudArgs::Alicloud(self.layered(
                &entry,
                entry.alicloud.clone(),
                environment,
                output,
                dry_run,
            )?),
            CloudId::Digitalocean => CloudArgs::Digitalocean(self.layered(
                &entry,
                entry.digitalocean.clone(),
                environment,
                output,
                dry_run,
            )?),
        };
        let fingerprint = match &cloud {
            CloudArgs::Aws(args) => format!("aws {:?} {:?}", args.image, args.provider),
            CloudArgs::Alicloud(args) => format!("alicloud {:?} {:?}", args.image, args.provider),
            CloudArgs::Digitalocean(args) => {
                format!("digitalocean {:?} {:?}", args.image, args.provider)
            }
        };
        Ok(JobArgs {
            name,
            cloud,
            fingerprint,
        })
    }

    fn layered<P: CloudTable>(
        &self,
        entry: &JobEntry,
        options: Option<Box<P>>,
        environment: &Environment,
        output: &OutputArgs,
        dry_run: Option<bool>,
    ) -> Result<Box<ImportArgs<P>>, String> {
        let args = ImportArgs {
            image: entry.image.clone(),
            head: None,
            notes: Vec::new(),
            provider: options.map(|options| *options).unwrap_or_default(),
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
        Ok(Box::new(args))
    }
}
