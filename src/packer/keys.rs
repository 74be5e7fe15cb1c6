//! The keys that each cloud accepts, from the cloud's own options: there is no second list that
//! could differ from them.

use ::toml::{Table, Value};
use clap::Command;
use serde::de::DeserializeOwned;

use crate::config::{Cloud, ImportArgs, variables};
use crate::{alicloud, aws, digitalocean};

/// The reason for omitting a key that Packer may support and an import does not.
pub(super) const UNKNOWN: &str = "an import has no use for it: leave it out";

/// Keys whose values are secrets, with the variable to set instead.
const SECRETS: [(&str, &str, &str, &str); 7] = [
    ("access_key", "AWS_ACCESS_KEY_ID", "ALICLOUD_ACCESS_KEY", ""),
    (
        "secret_key",
        "AWS_SECRET_ACCESS_KEY",
        "ALICLOUD_SECRET_KEY",
        "",
    ),
    ("token", "AWS_SESSION_TOKEN", "", ""),
    ("security_token", "", "SECURITY_TOKEN", ""),
    ("api_token", "", "", "DIGITALOCEAN_TOKEN"),
    ("spaces_key", "", "", "SPACES_ACCESS_KEY_ID"),
    ("spaces_secret", "", "", "SPACES_SECRET_ACCESS_KEY"),
];

/// Keys in which the import evaluates `{{…}}`.
const TEMPLATES: [&str; 10] = [
    "s3_key_name",
    "ami_name",
    "ami_description",
    "tags",
    "tag",
    "oss_key_name",
    "image_name",
    "image_description",
    "image_tags",
    "space_object_name",
];

/// Reports whether the value of this key must not be shown, for any cloud.
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|(secret, ..)| *secret == key)
}

/// Reports whether the import evaluates `{{…}}` in this key.
pub(super) fn has_templates(key: &str) -> bool {
    TEMPLATES.contains(&key)
}

/// The clouds whose post-processors are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CloudId {
    Aws,
    Alicloud,
    Digitalocean,
}

impl CloudId {
    pub(super) const ALL: [Self; 3] = [Self::Aws, Self::Alicloud, Self::Digitalocean];

    /// Returns the cloud of a post-processor; `None` for those that do not import.
    pub(super) fn new(post_processor: &str) -> Option<Self> {
        let mut clouds = Self::ALL.into_iter();
        clouds.find(|cloud| cloud.post_processor() == post_processor)
    }

    /// Returns Packer's name of the post-processor.
    pub(super) fn post_processor(self) -> &'static str {
        match self {
            Self::Aws => "amazon-import",
            Self::Alicloud => "alicloud-import",
            Self::Digitalocean => "digitalocean-import",
        }
    }

    /// Returns the table of the settings file.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Aws => aws::Options::NAME,
            Self::Alicloud => alicloud::Options::NAME,
            Self::Digitalocean => digitalocean::Options::NAME,
        }
    }

    /// Returns the variable to set in place of a secret key.
    pub(super) fn secret_variable(self, key: &str) -> Option<&'static str> {
        let (_, aws, alicloud, digitalocean) =
            SECRETS.iter().find(|(secret, ..)| *secret == key)?;
        let name = match self {
            Self::Aws => aws,
            Self::Alicloud => alicloud,
            Self::Digitalocean => digitalocean,
        };
        Some(*name).filter(|name| !name.is_empty())
    }

    /// Returns the variable that sets an option.
    pub(super) fn variable(self, key: &str) -> Option<String> {
        match self {
            // The variable of keep_input_artifact means the opposite.
            _ if key == "keep_input_artifact" => None,
            Self::Aws => variable::<aws::Options>(key),
            Self::Alicloud => variable::<alicloud::Options>(key),
            Self::Digitalocean => variable::<digitalocean::Options>(key),
        }
    }

    /// Checks that the import accepts the key with this value. The error contains the reason,
    /// and what to do instead.
    pub(super) fn check(self, path: &[String], value: &Value) -> Result<(), String> {
        match self {
            _ if ["only", "except"].contains(&path[0].as_str()) => {
                Err("imgimport imports each table that it reads: keep those that you want".into())
            }
            Self::Aws => check(path, value, aws::unsupported),
            Self::Alicloud => check(path, value, alicloud::unsupported),
            Self::Digitalocean => check::<digitalocean::Options>(path, value, |_| Vec::new()),
        }
    }
}

fn check<P: Cloud + DeserializeOwned>(
    path: &[String],
    value: &Value,
    unsupported: impl Fn(&P) -> Vec<(&'static str, String)>,
) -> Result<(), String> {
    let nested = path.iter().rev().fold(value.clone(), |value, key| {
        Value::Table(Table::from_iter([(key.clone(), value)]))
    });
    let options: P = nested.try_into().map_err(|error: ::toml::de::Error| {
        let message = error.message().trim();
        match message.split_once(", expected ") {
            Some((unknown, known)) if unknown.starts_with("unknown field") => {
                unknown_key(path.last().map_or("", String::as_str), known)
            }
            _ => message.to_owned(),
        }
    })?;
    match unsupported(&options).into_iter().next() {
        Some((_, reason)) => Err(reason),
        None => Ok(()),
    }
}

/// Returns the reason for a key that is not in serde's list of all keys.
fn unknown_key(key: &str, known: &str) -> String {
    let names = known.split('`').skip(1).step_by(2);
    let names = names.map(|name| (strsim::jaro_winkler(key, name), name));
    let nearest = names.max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest.filter(|(likeness, _)| *likeness > 0.9) {
        Some((_, name)) => format!("there is no such key: did you mean {name}?"),
        None => UNKNOWN.to_owned(),
    }
}

fn variable<P: Cloud>(key: &str) -> Option<String> {
    let command = <ImportArgs<P> as clap::Args>::augment_args(Command::new("imgimport"));
    let mut options = command.get_arguments();
    let option = options.find(|option| option.get_id() == key)?;
    let own = P::VARIABLES.iter().find(|(own, _)| *own == key);
    let own = own.and_then(|(_, names)| names.first().map(|&name| name.to_owned()));
    own.or_else(|| variables::<P>(option).into_iter().next())
}
