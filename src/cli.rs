//! The command line: sub-commands, and what all of them share. Each option's wording
//! stands beside its field.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use crate::aws;
use crate::digitalocean;
use crate::layers::Invocation;

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

    /// Import into DigitalOcean: Spaces, custom image
    Digitalocean(Box<Invocation<digitalocean::Options>>),
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

const EXIT_CODES: &str = "\
Exit codes:
    0  the image is available
    1  a step failed
    2  wrong usage or settings
    3  the image was refused before upload
    4  the deadline passed while the cloud is still working
  130  stopped by Ctrl-C
  143  stopped by SIGTERM";
