//! `[[job]]`: one import of several. What an entry says stands in for the flags of its
//! command; the tables at the top of the file are what every job has in common.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{File, Table};
use crate::alicloud;
use crate::aws;
use crate::config::{Environment, Invocation, Output, Upload, Wait, deserialize};
use crate::digitalocean;
use crate::error::{Error, Result};

/// One entry as it stands in the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Entry {
    name: Option<String>,
    #[serde(deserialize_with = "deserialize::choice")]
    provider: Option<Name>,
    image: Option<PathBuf>,
    #[serde(deserialize_with = "deserialize::switch")]
    skip_checks: Option<bool>,
    upload: Upload,
    wait: Wait,
    aws: Option<Box<aws::Options>>,
    alicloud: Option<Box<alicloud::Options>>,
    digitalocean: Option<Box<digitalocean::Options>>,
}

/// The sub-command that an entry stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Name {
    Aws,
    Alicloud,
    Digitalocean,
}

/// An import with everything that was said about it.
#[derive(Debug)]
pub struct Job {
    /// What it is called in every line about it.
    pub name: String,
    /// The cloud with its settings.
    pub cloud: Cloud,
    /// All that was asked for, in words without secrets: other words are another job.
    pub words: String,
}

impl Job {
    /// The local image.
    pub fn image(&self) -> Option<PathBuf> {
        match &self.cloud {
            Cloud::Aws(said) => said.image.clone(),
            Cloud::Alicloud(said) => said.image.clone(),
            Cloud::Digitalocean(said) => said.image.clone(),
        }
    }

    /// What the user should know of how the layers were combined.
    pub fn notes(&self) -> &[String] {
        match &self.cloud {
            Cloud::Aws(said) => &said.notes,
            Cloud::Alicloud(said) => &said.notes,
            Cloud::Digitalocean(said) => &said.notes,
        }
    }

    /// Whether it only says what it would do.
    pub fn is_rehearsal(&self) -> bool {
        let dry_run = match &self.cloud {
            Cloud::Aws(said) => said.dry_run,
            Cloud::Alicloud(said) => said.dry_run,
            Cloud::Digitalocean(said) => said.dry_run,
        };
        dry_run == Some(true)
    }
}

/// The cloud that a job is for.
#[derive(Debug)]
pub enum Cloud {
    /// `imgimport aws`.
    Aws(Box<Invocation<aws::Options>>),
    /// `imgimport alicloud`.
    Alicloud(Box<Invocation<alicloud::Options>>),
    /// `imgimport digitalocean`.
    Digitalocean(Box<Invocation<digitalocean::Options>>),
}

impl Entry {
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
    fn provider(&self) -> Result<Name, &'static str> {
        let tables = [
            (Name::Aws, self.aws.is_some()),
            (Name::Alicloud, self.alicloud.is_some()),
            (Name::Digitalocean, self.digitalocean.is_some()),
        ];
        let tables: Vec<_> = tables.into_iter().filter(|(_, there)| *there).collect();
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

impl File {
    /// How the results are wanted.
    pub fn output(&self) -> &Output {
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
        output: &Output,
        dry_run: Option<bool>,
    ) -> Result<Vec<Job>> {
        let mut problems = Vec::new();
        let (mut jobs, mut names) = (Vec::new(), BTreeSet::new());
        for (at, entry) in self.job.iter().enumerate() {
            let place = match &entry.name {
                Some(name) => format!("job {} (\"{name}\")", at + 1),
                None => format!("job {}", at + 1),
            };
            match self.job(entry, at, environment, output, dry_run) {
                Ok(job) if !names.insert(job.name.clone()) => {
                    problems.push(format!("{place}: another job has that name"));
                }
                Ok(job) => jobs.push(job),
                Err(why) => problems.push(format!("{place}: {why}")),
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
        entry: &Entry,
        at: usize,
        environment: &Environment,
        output: &Output,
        dry_run: Option<bool>,
    ) -> Result<Job, String> {
        let provider = entry.provider()?;
        let word = clap::ValueEnum::to_possible_value(&provider);
        let word = word
            .map(|word| word.get_name().to_owned())
            .unwrap_or_default();
        let name = entry
            .name
            .clone()
            .unwrap_or_else(|| format!("{word}-{}", at + 1));
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err("a job's name is one line, and not empty".to_owned());
        }
        let entry = entry.clone();
        let cloud = match provider {
            Name::Aws => {
                Cloud::Aws(self.laid(&entry, entry.aws.clone(), environment, output, dry_run)?)
            }
            Name::Alicloud => Cloud::Alicloud(self.laid(
                &entry,
                entry.alicloud.clone(),
                environment,
                output,
                dry_run,
            )?),
            Name::Digitalocean => Cloud::Digitalocean(self.laid(
                &entry,
                entry.digitalocean.clone(),
                environment,
                output,
                dry_run,
            )?),
        };
        let words = match &cloud {
            Cloud::Aws(said) => format!("aws {:?} {:?}", said.image, said.provider),
            Cloud::Alicloud(said) => format!("alicloud {:?} {:?}", said.image, said.provider),
            Cloud::Digitalocean(said) => {
                format!("digitalocean {:?} {:?}", said.image, said.provider)
            }
        };
        Ok(Job { name, cloud, words })
    }

    fn laid<P: Table>(
        &self,
        entry: &Entry,
        options: Option<Box<P>>,
        environment: &Environment,
        output: &Output,
        dry_run: Option<bool>,
    ) -> Result<Box<Invocation<P>>, String> {
        let said = Invocation {
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
        let said = self
            .under(said, environment)
            .map_err(|error| error.brief())?;
        if said.image.as_deref() == Some(Path::new("-")) {
            return Err(
                "standard input can't be shared out among jobs: give the path of a file".to_owned(),
            );
        }
        Ok(Box::new(said))
    }
}
