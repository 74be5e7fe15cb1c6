//! The options in three layers, flags over environment over TOML, and how the layers are
//! merged. One field is a flag, a variable and a key at once. The file itself is read in
//! `settings`; the meaning of an option is defined by its cloud.

pub mod deserialize;
mod environment;
mod fields;
pub mod problems;
mod suggest;
pub mod template;
mod time_layout;
pub mod trust;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use merge::Merge;
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use environment::{Environment, VariableSetting, clap_reason, variables};
pub use fields::fields;
pub use suggest::Suggest;

use crate::error::{Error, Result};
use crate::guest::Guest;
use crate::image::Format;
use crate::units::{Duration, Rate, Size};

/// A cloud's options: a TOML table, a group of flags and a family of variables in one.
pub trait CloudOptions:
    clap::Args + Merge + Default + Clone + fmt::Debug + DeserializeOwned + 'static
{
    /// The sub-command and the TOML table.
    const NAME: &'static str;

    /// The provider's own variables, by the id of the option that they set; earlier names win.
    const VARIABLES: &'static [(&'static str, &'static [&'static str])];

    /// The variables that hold the provider's secrets, by the key of the settings file; earlier
    /// names win.
    const SECRETS: &'static [(&'static str, &'static [&'static str])];

    /// Which settings files may set a key of the provider's table.
    const TRUST: &'static trust::TrustTable;

    /// The domains of the provider's own addresses.
    const DOMAINS: &'static [&'static str];

    /// The names of the keys of a table within the cloud's table, or of the table itself for `""`.
    fn known_keys(table: &str) -> &'static [&'static str] {
        if table.is_empty() {
            return fields::<Self>();
        }
        &[]
    }

    /// Whether a file with these options must not be readable by other users.
    fn holds_secret(&self) -> bool;

    /// Every address that a secret is sent to, by the key or the field of its option.
    fn addresses(&self) -> Vec<(&'static str, String)>;

    /// Reports whether these options contain the secret that is sent to the address of that
    /// key.
    fn has_secret_for(&self, address: &str) -> bool;

    /// Returns the options that only the environment and the file can set: secrets, because
    /// every user of the machine can read a command line, and the provider's own special
    /// variables.
    fn from_environment_only(environment: &Environment) -> Self;

    /// Returns the format of the image, if it is set.
    fn format(&self) -> Option<Format>;

    /// Removes the options that a higher layer excludes, before the two are merged.
    fn clear_conflicts_with(&mut self, _above: &Self) {}

    /// Sets options that follow with certainty from the image and that the user did not set;
    /// returns their names.
    fn fill_from_image(&mut self, _guest: &Guest) -> Vec<String> {
        vec![]
    }

    /// Returns the settings that the image contradicts with certainty.
    fn contradictions(&self, _guest: &Guest) -> Vec<String> {
        vec![]
    }

    /// Reports whether the cloud inspects the system, too, and rejects some.
    fn checks_guest(&self) -> bool {
        true
    }
}

/// Everything a sub-command takes, from whichever layer.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ImportArgs<P: CloudOptions> {
    /// Disk image to import; `-` reads standard input
    #[arg(value_name = "IMAGE", value_hint = clap::ValueHint::FilePath)]
    pub image: Option<PathBuf>,

    /// The first bytes of standard input, once they are read.
    #[arg(skip)]
    pub head: Option<Vec<u8>>,

    /// A note for the user about how the layers were combined.
    #[arg(skip)]
    pub notes: Vec<String>,

    /// The provider's own options.
    #[command(flatten)]
    pub provider: P,

    /// How the image is sent.
    #[command(flatten, next_help_heading = "Upload")]
    pub upload: UploadArgs,

    /// How long the tool waits for the cloud.
    #[command(flatten, next_help_heading = "Wait")]
    pub wait: WaitArgs,

    /// What comes out.
    #[command(flatten, next_help_heading = "Output")]
    pub output: OutputArgs,

    /// Check what can be checked, print the plan, change nothing
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    pub dry_run: Option<bool>,

    /// Import the image even where the look into it refuses it
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    pub skip_checks: Option<bool>,
}

/// The table `[upload]`.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize, Merge)]
#[serde(default, deny_unknown_fields)]
#[merge(strategy = merge::option::overwrite_none)]
pub struct UploadArgs {
    /// Parts sent at the same time [default: chosen]
    #[arg(long, value_name = "N")]
    #[serde(deserialize_with = "deserialize::value")]
    pub concurrency: Option<u32>,

    /// Size of a part, such as 16MiB [default: chosen from the image's size]
    #[arg(long, value_name = "SIZE")]
    #[serde(deserialize_with = "deserialize::value")]
    pub part_size: Option<Size>,

    /// Most bytes to send in a second, such as 20MB/s [default: no limit]
    #[arg(long, value_name = "RATE")]
    #[serde(deserialize_with = "deserialize::value")]
    pub limit_rate: Option<Rate>,

    /// Silence after which a part is sent again on a fresh connection [default: 60s]
    #[arg(long, value_name = "DUR")]
    #[serde(deserialize_with = "deserialize::value")]
    pub stall_timeout: Option<Duration>,

    /// Leave nothing behind on any exit, and use nothing of an earlier run
    #[arg(long = "no-resume", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = negated)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub resume: Option<bool>,
}

/// The table `[wait]`.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize, Merge)]
#[serde(default, deny_unknown_fields)]
#[merge(strategy = merge::option::overwrite_none)]
pub struct WaitArgs {
    /// Deadline for everything after the upload, such as 90m or 2h [default: none]
    #[arg(long, value_name = "DUR")]
    #[serde(deserialize_with = "deserialize::value")]
    pub timeout: Option<Duration>,

    /// Pause between two questions to the cloud, such as 15s
    #[arg(id = "interval", long = "poll-interval", value_name = "DUR")]
    #[serde(alias = "poll_interval", deserialize_with = "deserialize::value")]
    pub interval: Option<Duration>,

    /// Start the import, print its task id and leave
    #[arg(long = "no-wait", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = negated)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub wait: Option<bool>,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum OutputFormat {
    /// Lines; of an import, the image's id alone
    #[default]
    Text,
    /// One object with everything
    Json,
}

/// The table `[output]`.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize, Merge)]
#[serde(default, deny_unknown_fields)]
#[merge(strategy = merge::option::overwrite_none)]
pub struct OutputArgs {
    /// Result on standard output [default: text]
    #[arg(id = "output", long = "output", value_name = "FMT", ignore_case = true)]
    #[serde(alias = "output", deserialize_with = "deserialize::choice")]
    pub format: Option<OutputFormat>,

    /// Progress on standard error [default: auto]
    #[arg(long, value_name = "MODE", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub progress: Option<crate::progress::Mode>,
}

impl<P: CloudOptions> ImportArgs<P> {
    /// Returns the error of a check before the upload, unless the user skips the checks.
    pub fn unless_skipped(&self, error: Error) -> Result<()> {
        if self.skip_checks == Some(true) {
            return Ok(());
        }
        Err(error)
    }

    /// Merges the layers: the flags over the environment over the file.
    pub fn layered(mut self, environment: &Environment, file: Self) -> Result<Self> {
        // An empty variable of a script in place of a path is not a path.
        self.image = self.image.filter(|path| !path.as_os_str().is_empty());
        self.merge(environment.layer::<P>()?);
        self.merge(file);
        Ok(self)
    }
}

impl<P: CloudOptions> Merge for ImportArgs<P> {
    fn merge(&mut self, mut below: Self) {
        merge::option::overwrite_none(&mut self.image, below.image);
        merge::option::overwrite_none(&mut self.dry_run, below.dry_run);
        merge::option::overwrite_none(&mut self.skip_checks, below.skip_checks);
        below.provider.clear_conflicts_with(&self.provider);
        self.provider.merge(below.provider);
        self.upload.merge(below.upload);
        self.wait.merge(below.wait);
        self.output.merge(below.output);
    }
}

/// Parses a switch: `--skip-clean`, `--skip-clean=false`, `IMGIMPORT_SKIP_CLEAN=1`.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// Parses a switch whose key has the opposite meaning: `--no-wait` sets `wait` to false.
pub fn negated(text: &str) -> Result<bool, String> {
    switch(text).map(|value| !value)
}

/// Returns the arguments that set one option, for the environment layer.
fn flag_arguments(long: &str, value: &str) -> [OsString; 2] {
    ["imgimport".into(), format!("--{long}={value}").into()]
}
