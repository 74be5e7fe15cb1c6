//! What each cloud takes, asked of the cloud's own options: there is no second list of
//! keys that could say something else.

use ::toml::{Table, Value};
use clap::Command;
use serde::de::DeserializeOwned;

use super::blocks::Cloud;
use crate::layers::{Invocation, Provider, variables};
use crate::{alicloud, aws, digitalocean};

/// Why a key is left out that Packer may know and an import does not.
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

/// Keys that may hold `{{…}}` here.
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

/// Packer's own keys of every post-processor, with what to do here.
const PACKERS: [(&str, &str); 2] = [
    (
        "only",
        "builds are chosen by what is run here: keep the tables that you want",
    ),
    (
        "except",
        "builds are chosen by what is run here: keep the tables that you want",
    ),
];

/// Whether the value of this key must not be shown, whatever the cloud.
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|(secret, ..)| *secret == key)
}

/// Whether the key may hold `{{…}}` here.
pub(super) fn renders(key: &str) -> bool {
    TEMPLATES.contains(&key)
}

impl Cloud {
    /// The table of the settings file.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Aws => aws::Options::NAME,
            Self::Alicloud => alicloud::Options::NAME,
            Self::Digitalocean => digitalocean::Options::NAME,
        }
    }

    /// The variable that this secret belongs into.
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

    /// Whether the import takes the key with this value; why not, and what to do instead.
    pub(super) fn takes(self, path: &[String], value: &Value) -> Result<(), String> {
        let key = path.first().map(String::as_str).unwrap_or_default();
        if let Some((_, instead)) = PACKERS.iter().find(|(known, _)| *known == key) {
            return Err((*instead).to_owned());
        }
        match self {
            Self::Aws => takes(path, value, aws::refused),
            Self::Alicloud => takes(path, value, alicloud::refused),
            Self::Digitalocean => takes::<digitalocean::Options>(path, value, |_| Vec::new()),
        }
    }

    /// The variable that sets this option.
    pub(super) fn variable(self, key: &str) -> Option<String> {
        match self {
            Self::Aws => variable::<aws::Options>(key),
            Self::Alicloud => variable::<alicloud::Options>(key),
            Self::Digitalocean => variable::<digitalocean::Options>(key),
        }
    }
}

fn takes<P: Provider + DeserializeOwned>(
    path: &[String],
    value: &Value,
    refused: impl Fn(&P) -> Vec<(&'static str, String)>,
) -> Result<(), String> {
    let nested = path.iter().rev().fold(value.clone(), |value, key| {
        Value::Table(Table::from_iter([(key.clone(), value)]))
    });
    let options: P = nested.try_into().map_err(|error: ::toml::de::Error| {
        let message = error.message().trim();
        match message.split_once(", expected ") {
            Some((unknown, known)) if unknown.starts_with("unknown field") => {
                unused(path.last().map_or("", String::as_str), known)
            }
            _ => message.to_owned(),
        }
    })?;
    match refused(&options).into_iter().next() {
        Some((_, why)) => Err(why),
        None => Ok(()),
    }
}

/// Why a key is not one of these, which serde names all.
fn unused(key: &str, known: &str) -> String {
    let names = known.split('`').skip(1).step_by(2);
    let likeness = names.map(|name| (strsim::jaro_winkler(key, name), name));
    let nearest = likeness.max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest.filter(|(likeness, _)| *likeness > 0.9) {
        Some((_, name)) => format!("there is no such key: did you mean {name}?"),
        None => UNKNOWN.to_owned(),
    }
}

fn variable<P: Provider>(key: &str) -> Option<String> {
    let command = <Invocation<P> as clap::Args>::augment_args(Command::new("imgimport"));
    let option = command
        .get_arguments()
        .find(|option| option.get_id() == key)?;
    let own = P::VARIABLES.iter().find(|(own, _)| *own == key);
    let own = own.and_then(|(_, names)| names.first().map(|&name| name.to_owned()));
    own.or_else(|| variables::<P>(option).into_iter().next())
}
