//! The command line: sub-commands, and what all of them share. Each option's wording
//! stands beside its field.

use std::path::PathBuf;

use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::alicloud;
use crate::aws;
use crate::check;
use crate::digitalocean;
use crate::layers::{Environment, Invocation, Provider, switch, variables};
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

    /// Look into an image and say what each cloud would make of it; asks nobody
    Check(check::Options),
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
