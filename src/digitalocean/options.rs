//! The options of an import to DigitalOcean. Names of the keys are those of Packer's
//! digitalocean-import, names of the flags are the short ones; nothing is validated here.

use merge::Merge;
use serde::Deserialize;

use crate::config::{Suggest, deserialize, negated, switch};
use crate::image::Format;
use crate::secret::Secret;
use crate::units;

/// Regions of Droplets and Spaces, for a shell to complete.
const REGIONS: &[&str] = &[
    "ams3", "atl1", "blr1", "fra1", "lon1", "nyc1", "nyc2", "nyc3", "ric1", "sfo2", "sfo3", "sgp1",
    "syd1", "tor1",
];

/// The table `[digitalocean]`, the flags and the variables of `imgimport digitalocean`.
#[derive(Clone, Debug, Default, clap::Args, Deserialize, Merge)]
#[serde(default, deny_unknown_fields)]
#[merge(strategy = merge::option::overwrite_none)]
#[command(next_help_heading = "DigitalOcean")]
pub struct Options {
    /// Region of the Space [required]
    #[arg(long, value_name = "REGION", value_parser = Suggest(REGIONS), hide_possible_values = true)]
    #[serde(deserialize_with = "deserialize::region")]
    pub spaces_region: Option<String>,

    /// Space that holds the image while it is imported; it must exist [required]
    #[arg(
        id = "space_name",
        long = "space",
        visible_aliases = ["space-name", "bucket"],
        value_name = "SPACE"
    )]
    #[serde(alias = "space", alias = "bucket")]
    pub space_name: Option<String>,

    /// Name of the temporary object [default: imgimport-{{timestamp}}-<32 random digits>.<ext>]
    ///
    /// An object that is public while it is imported gets 32 random digits before its suffixes,
    /// so that nobody can guess its name.
    #[arg(
        id = "space_object_name",
        long = "key",
        visible_alias = "space-object-name",
        value_name = "KEY"
    )]
    #[serde(alias = "key")]
    pub space_object_name: Option<String>,

    /// Name of the image [required]
    #[arg(long, value_name = "NAME")]
    pub image_name: Option<String>,

    /// Description of the image
    #[arg(long, value_name = "TEXT")]
    pub image_description: Option<String>,

    /// Distribution in the image, such as Debian or Ubuntu [default: Unknown]
    #[arg(
        id = "image_distribution",
        long = "distribution",
        visible_alias = "image-distribution",
        value_name = "NAME"
    )]
    #[serde(alias = "distribution")]
    pub image_distribution: Option<String>,

    /// Region of the image: the first is imported to, the others by transfer (can be repeated) [required]
    #[arg(id = "image_regions", long = "image-region", visible_alias = "image-regions", value_name = "REGION", value_delimiter = ',', value_parser = Suggest(REGIONS), hide_possible_values = true, action = clap::ArgAction::Append)]
    #[serde(alias = "image_region", deserialize_with = "deserialize::regions")]
    pub image_regions: Option<Vec<String>>,

    /// Tag on the image (can be repeated)
    #[arg(id = "image_tags", long = "tag", visible_alias = "image-tags", value_name = "TAG", value_delimiter = ',', action = clap::ArgAction::Append)]
    #[serde(alias = "tag", alias = "tags", deserialize_with = "deserialize::list")]
    pub image_tags: Option<Vec<String>>,

    /// Format of the image [default: detected]
    #[arg(long, value_name = "FMT", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub format: Option<Format>,

    /// Compression on the way; DigitalOcean unpacks it [default: auto]
    #[arg(long, value_name = "HOW", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub compression: Option<Compression>,

    /// How DigitalOcean may read the temporary object [default: public-read]
    #[arg(long, value_name = "HOW", ignore_case = true)]
    #[serde(deserialize_with = "deserialize::choice")]
    pub object_access: Option<ObjectAccess>,

    /// Keep the temporary object, which can be read by everybody who knows its address
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = switch)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub skip_clean: Option<bool>,

    /// Delete the local image after a successful import
    #[arg(id = "keep_input_artifact", long = "delete-source", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", value_parser = negated)]
    #[serde(deserialize_with = "deserialize::switch")]
    pub keep_input_artifact: Option<bool>,

    /// API token; from `DIGITALOCEAN_TOKEN`, doctl's or the settings file, never a flag.
    #[arg(skip)]
    pub api_token: Option<Secret>,

    /// Spaces access key; from `SPACES_ACCESS_KEY_ID` or the file, never a flag.
    #[arg(skip)]
    pub spaces_key: Option<Secret>,

    /// Spaces secret key; from `SPACES_SECRET_ACCESS_KEY` or the file, never a flag.
    #[arg(skip)]
    pub spaces_secret: Option<Secret>,

    /// Packer's deadline; `--timeout` and `[wait] timeout` win over it.
    #[arg(skip)]
    #[serde(deserialize_with = "deserialize::value")]
    pub timeout: Option<units::Duration>,

    /// Address of the API [default: https://api.digitalocean.com]
    #[arg(long, value_name = "URL", help_heading = "DigitalOcean API")]
    pub api_url: Option<String>,

    /// Address of Spaces [default: https://{{.Region}}.digitaloceanspaces.com]
    #[arg(long, value_name = "URL", help_heading = "DigitalOcean API")]
    pub spaces_endpoint: Option<String>,

    /// Tries of a request after its first, when DigitalOcean is busy [default: 5]
    #[arg(long, value_name = "N", help_heading = "DigitalOcean API")]
    #[serde(deserialize_with = "deserialize::value")]
    pub http_retry_max: Option<u32>,

    /// Shortest pause before another try, in seconds [default: 1]
    #[arg(long, value_name = "SECONDS", help_heading = "DigitalOcean API")]
    #[serde(deserialize_with = "deserialize::value")]
    pub http_retry_wait_min: Option<f64>,

    /// Longest pause that is chosen, in seconds; what DigitalOcean asks for is obeyed [default: 30]
    #[arg(long, value_name = "SECONDS", help_heading = "DigitalOcean API")]
    #[serde(deserialize_with = "deserialize::value")]
    pub http_retry_wait_max: Option<f64>,
}

/// Compression on the way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Compression {
    /// A raw disk is gzipped while it is sent, anything else goes as it is
    #[default]
    Auto,
    /// Whatever is not compressed as a file is gzipped while it is sent
    Gzip,
    /// The file goes as it is
    None,
}

/// How DigitalOcean may read the temporary object.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum ObjectAccess {
    /// By an address that nobody can guess, until the import is done
    #[default]
    PublicRead,
    /// By a signed address; experimental, DigitalOcean may refuse it
    Presigned,
}
