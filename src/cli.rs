//! The command line: sub-commands, and what all of them share. Each option's wording
//! stands beside its field.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use merge::Merge;

use crate::alicloud;
use crate::aws;
use crate::check;
use crate::digitalocean;
use crate::error::{Error, Result};
use crate::layers::{Environment, Invocation, Output, Provider, switch, variables};
use crate::usage;

/// Take a disk image from a local file to a machine image in the cloud
///
/// Each option can be given as a flag, as an environment variable and as a key of a TOML
/// file; flags win over variables, variables over the file. Standard output carries the
/// image's id alone, everything else goes to standard error.
#[derive(Debug, Parser)]
#[command(name = "imgimport", version, after_long_help = EXIT_CODES, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What every sub-command has.
    #[command(flatten)]
    pub general: General,
}

/// The clouds.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// Import into Amazon Web Services: S3, EC2 import, AMI
    Aws(Box<Invocation<aws::Options>>),

    /// Import into Alibaba Cloud: OSS, ECS import, ECS image
    Alicloud(Box<Invocation<alicloud::Options>>),

    /// Import into DigitalOcean: Spaces, custom image
    Digitalocean(Box<Invocation<digitalocean::Options>>),

    /// Run the imports of a file, some at a time
    #[command(long_about = RUN, after_long_help = RUN_CODES)]
    Run(Run),

    /// List what unfinished runs have left, and remove it
    #[command(long_about = JOBS, after_long_help = JOBS_CODES)]
    Jobs(Jobs),

    /// Print the settings that a Packer template's import blocks become
    #[command(name = "from-packer", long_about = FROM_PACKER, after_long_help = FROM_PACKER_CODES)]
    FromPacker(FromPacker),

    /// Look into an image and say what each cloud would make of it; asks nobody
    Check(check::Options),
}

/// `imgimport run`.
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// Settings file with an entry [[job]] for each import
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,

    /// Jobs at the same time [default: 2]
    #[arg(long, value_name = "N")]
    parallel: Option<NonZeroUsize>,

    /// What comes out.
    #[command(flatten, next_help_heading = "Output")]
    pub output: Output,

    /// Check everything that changes nothing, print the plans, upload nothing
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    pub dry_run: Option<bool>,
}

/// Flags over environment over the file.
pub fn output(said: &Output, environment: &Environment, file: &Output) -> Result<Output> {
    let mut output = said.clone();
    output.merge(environment.output()?);
    output.merge(file.clone());
    Ok(output)
}

impl Run {
    /// Flag over variable over the file.
    pub fn parallel(
        &self,
        environment: &Environment,
        file: Option<NonZeroUsize>,
    ) -> Result<NonZeroUsize> {
        let variable = environment.get("IMGIMPORT_PARALLEL").map(|said| {
            let wrong = |_| {
                Error::usage("the variable IMGIMPORT_PARALLEL is wrong")
                    .because_of("it is a number of jobs, 1 or more")
            };
            said.parse().map_err(wrong)
        });
        Ok(self
            .parallel
            .or(variable.transpose()?)
            .or(file)
            .unwrap_or(crate::batch::PARALLEL))
    }
}

/// `imgimport jobs`.
#[derive(Clone, Debug, clap::Args)]
pub struct Jobs {
    /// Remove the jobs, in the cloud, too
    #[arg(long)]
    pub clean: bool,

    /// Job to remove, by the beginning of its name [default: all]
    #[arg(value_name = "ID", requires = "clean")]
    pub ids: Vec<String>,

    /// What comes out.
    #[command(flatten, next_help_heading = "Output")]
    pub output: Output,
}

/// `imgimport from-packer`.
#[derive(Clone, Debug, clap::Args)]
pub struct FromPacker {
    /// Packer template, JSON or HCL2; `-` reads standard input
    #[arg(value_name = "TEMPLATE", value_hint = clap::ValueHint::FilePath)]
    pub template: PathBuf,
}

/// What every sub-command has.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "General")]
pub struct General {
    /// Settings file [default: imgimport.toml in the current directory, if it exists]
    #[arg(long, value_name = "FILE", global = true, value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Say less: warnings and errors alone
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more: steps and requests; twice: bodies, without secrets
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

impl General {
    /// What the variables say where the flags are silent.
    pub fn lay_over(&mut self, environment: &Environment) {
        let number = |name| environment.get(name)?.parse().ok();
        if self.verbose == 0 && !self.quiet {
            self.verbose = number("IMGIMPORT_VERBOSE").unwrap_or(0);
            let quiet = environment.get("IMGIMPORT_QUIET");
            self.quiet = self.verbose == 0 && quiet.is_some_and(|text| switch(&text) == Ok(true));
        }
    }
}

const EXIT_CODES: &str = "\
Exit codes:
    0  the image is available
    1  a step failed
    2  wrong usage or settings
    3  the image was refused before upload
    4  the deadline passed while the cloud is still working
  130  stopped by Ctrl-C
  143  stopped by SIGTERM";

const RUN: &str = "\
Run the imports of a file, some at a time

Each entry [[job]] of the file is an import: its cloud (provider = \"aws\", or a table such as \
[job.aws]), its image, its own settings. What all jobs have in common stands in the tables at the \
top of the file. An entry stands in for the flags of its command: it wins over the environment, \
the environment over the common tables. A failing job does not stop the others; Ctrl-C stops all, \
and each names what stays of it. The same command goes on from there.";

const RUN_CODES: &str = "\
Standard output has a line for each image: the job's name, a tab, the image's id. With --output json
it has an object for each job, that of a single import with the key job; a failed job has one, too.

Exit codes, the first that any job deserves:
  130  stopped by Ctrl-C (143: by SIGTERM)
    1  a step failed
    2  wrong usage or settings
    3  an image was refused before upload
    4  a deadline passed while the cloud is still working: run it again
    0  all images are available";

const JOBS: &str = "\
List what unfinished runs have left, and remove it

The journal on this machine knows the runs that were stopped, killed or sent away with --no-wait: \
what they have left in the cloud, and since when. The same command as before goes on from there; \
--clean removes it instead: parts, objects, import tasks and images without their name. Nothing is \
asked; what is removed is said. A job that a process is at work on is left alone.

Keys come from the environment and the settings file, as for the imports themselves.";

const JOBS_CODES: &str = "\
Standard output has a paragraph for each job, with --clean the names of those that are gone. With
--output json it has one object.

Exit codes:
    0  listed, or all of it is gone
    1  something could not be removed
    2  wrong usage or settings
  130  stopped by Ctrl-C (143: by SIGTERM)";

const FROM_PACKER: &str = "\
Print the settings that a Packer template's import blocks become

Reads the blocks amazon-import, alicloud-import and digitalocean-import of a template in JSON or \
HCL2 and prints a settings file on standard output. Variables are filled in from their defaults, \
those without one are read from PKR_VAR_NAME; locals, functions and {{…}} are carried over as far \
as they say something without Packer. What is not carried over is named on standard error, line by \
line, with what to do instead. Secrets are never printed: a comment names the variable to set.";

const FROM_PACKER_CODES: &str = "\
Examples:
  imgimport from-packer disk.pkr.hcl > imgimport.toml
  imgimport from-packer - < disk.json

Exit codes:
  0  the settings are printed, whatever had to be left out
  2  the template can't be read, or has no such block";

const CHECK_EXIT_CODES: &str = "\
Exit codes:
    0  a cloud that was asked for takes the image; there may be warnings
    1  the image can't be read
    2  wrong usage or settings
    3  no cloud that was asked for takes the image, or the Marketplace check would fail";

impl Cli {
    /// Reads the command line; help and wrong usage end the program here.
    pub fn read() -> Self {
        let mut command = command();
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        matches
            .and_then(|matches| Self::from_arg_matches(&matches))
            .unwrap_or_else(|error| usage::end(error, &command))
    }
}

/// The command line with each option's variables and key in its help.
pub fn command() -> clap::Command {
    Cli::command()
        .mut_subcommand("aws", |aws| aws.mut_args(with_layers::<aws::Options>))
        .mut_subcommand("alicloud", |alicloud| {
            alicloud.mut_args(with_layers::<alicloud::Options>)
        })
        .mut_subcommand("digitalocean", |digitalocean| {
            digitalocean.mut_args(with_layers::<digitalocean::Options>)
        })
        .mut_subcommand("check", |check| {
            check
                .after_long_help(CHECK_EXIT_CODES)
                .mut_args(with_variables)
        })
}

/// Adds the variables of an option of `check`.
fn with_variables(option: Arg) -> Arg {
    let id = option.get_id().as_str();
    let key = match id {
        "image" => return option,
        "output" => " [key: [output] format]",
        _ => "",
    };
    let variables = check::variables(id).join(", ");
    let help = option.get_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    option.long_help(format!("{help}\n\n[env: {variables}]{key}"))
}

/// Adds what the other two layers call the option.
fn with_layers<P: Provider>(option: Arg) -> Arg {
    let variables = variables::<P>(&option);
    if variables.is_empty() {
        return option;
    }
    let help = option
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let key = key::<P>(&option)
        .map(|key| format!(" [key: {key}]"))
        .unwrap_or_default();
    option.long_help(format!("{help}\n\n[env: {}]{key}", variables.join(", ")))
}

/// The option in the settings file, `[table] key`.
fn key<P: Provider>(option: &Arg) -> Option<String> {
    let id = option.get_id().as_str();
    match (option.get_help_heading(), id) {
        (None, _) | (_, "dry_run") => None,
        (_, "skip_checks") => Some("skip_checks".to_owned()),
        (_, "output") => Some("[output] format".to_owned()),
        (Some(table @ ("Upload" | "Wait" | "Output")), _) => {
            Some(format!("[{}] {id}", table.to_lowercase()))
        }
        _ => Some(format!("[{}] {id}", P::NAME)),
    }
}
