//! The command line: sub-commands, and what all of them share. Each option's wording
//! stands beside its field.

mod arguments;
mod help;
mod help_groups;
pub mod help_text;
pub mod usage_error;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, FromArgMatches, Parser, Subcommand};
use merge::Merge;

use crate::check;
use crate::clouds::CloudArgs;
use crate::config::{Environment, OutputArgs, switch};
use crate::error::{Error, Result};

pub use help::command;

/// Take a disk image from a local file to a machine image in the cloud
#[derive(Debug, Parser)]
#[command(
    name = "imgimport",
    version,
    max_term_width = 80,
    propagate_version = true
)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What every sub-command has.
    #[command(flatten)]
    pub general: GlobalArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look into an image and say what each cloud would make of it
    Check(check::Options),

    /// Import an image.
    #[command(flatten)]
    Import(CloudArgs),

    /// Run the imports of a file, some at a time
    Run(RunArgs),

    /// List what unfinished runs have left, and remove it
    Jobs(JobsArgs),

    /// Print the settings that a Packer template's import blocks become
    #[command(name = "from-packer")]
    FromPacker(FromPackerArgs),
}

/// Jobs at the same time by default: an upload can use the whole line, and the cloud's work on
/// another image costs nothing here.
const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// `imgimport run`.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Settings file with an entry [[job]] for each import
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,

    /// Jobs at the same time [default: 2]
    #[arg(long, value_name = "N")]
    parallel: Option<NonZeroUsize>,

    /// What comes out.
    #[command(flatten, next_help_heading = "Output")]
    pub output: OutputArgs,

    /// Check what can be checked, print the plans, change nothing
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    pub dry_run: Option<bool>,
}

/// Flags over environment over the file.
pub fn output_args(
    flags: &OutputArgs,
    environment: &Environment,
    file: &OutputArgs,
) -> Result<OutputArgs> {
    let mut output = flags.clone();
    output.merge(environment.output()?);
    output.merge(file.clone());
    Ok(output)
}

impl RunArgs {
    /// Flag over variable over the file.
    pub fn parallel(
        &self,
        environment: &Environment,
        file: Option<NonZeroUsize>,
    ) -> Result<NonZeroUsize> {
        let variable = environment.get("IMGIMPORT_PARALLEL").map(|value| {
            let wrong = |_| {
                Error::usage("the variable IMGIMPORT_PARALLEL is wrong")
                    .with_cause("it is a number of jobs, 1 or more")
            };
            value.parse().map_err(wrong)
        });
        Ok(self
            .parallel
            .or(variable.transpose()?)
            .or(file)
            .unwrap_or(PARALLEL))
    }
}

/// `imgimport jobs`.
#[derive(Clone, Debug, clap::Args)]
pub struct JobsArgs {
    /// Remove the jobs, in the cloud, too
    #[arg(long)]
    pub clean: bool,

    /// Job to remove, by the beginning of its name [default: all]
    #[arg(value_name = "ID", requires = "clean")]
    pub ids: Vec<String>,

    /// What comes out.
    #[command(flatten, next_help_heading = "Output")]
    pub output: OutputArgs,
}

/// `imgimport from-packer`.
#[derive(Clone, Debug, clap::Args)]
pub struct FromPackerArgs {
    /// Packer template, JSON or HCL2, or a folder of *.pkr.hcl and *.pkr.json; `-` reads standard input
    #[arg(value_name = "TEMPLATE|DIR", value_hint = clap::ValueHint::AnyPath)]
    pub template: PathBuf,

    /// Value of a variable of the template, as packer build -var sets it; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub var: Vec<(String, String)>,

    /// File of values, *.hcl or *.json, as packer build -var-file reads it; may be given several times
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub var_file: Vec<PathBuf>,
}

fn assignment(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// What every sub-command has.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "General")]
pub struct GlobalArgs {
    /// Settings file [default: ./imgimport.toml, if it exists]
    #[arg(long, value_name = "FILE", global = true, value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Say less: warnings and errors alone
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more: steps and requests; twice: bodies, without secrets
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Print help: -h the short page, --help the long one
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,

    /// Print the version
    #[arg(short = 'V', long, global = true, action = ArgAction::Version)]
    version: Option<bool>,
}

impl GlobalArgs {
    /// What the variables say where the flags are silent.
    pub fn apply_env(&mut self, environment: &Environment) {
        let number = |name| environment.get(name)?.parse().ok();
        if self.verbose == 0 && !self.quiet {
            self.verbose = number("IMGIMPORT_VERBOSE").unwrap_or(0);
            let quiet = environment.get("IMGIMPORT_QUIET");
            self.quiet = self.verbose == 0 && quiet.is_some_and(|text| switch(&text) == Ok(true));
        }
    }
}

impl Cli {
    /// Reads the command line; help and wrong usage end the program here.
    pub fn read() -> Self {
        let mut command = command();
        let arguments = arguments::drop_empty_options(&command, std::env::args_os());
        let matches = command.try_get_matches_from_mut(arguments);
        matches
            .and_then(|matches| Self::from_arg_matches(&matches))
            .unwrap_or_else(|error| usage_error::exit_with(error, &command))
    }
}
