//! The keys that each cloud accepts, from the cloud's own options: there is no second list that
//! could differ from them.

use ::toml::{Table, Value};
use clap::Command;

use crate::clouds::{CloudId, with_cloud};
use crate::config::{ImportArgs, variables};
use crate::import::cloud::{Cloud, PackerImport};

/// The reason for omitting a key that Packer may support and an import does not.
pub(super) const UNKNOWN: &str = "an import has no use for it: leave it out";

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
    let mut secrets = CloudId::ALL
        .into_iter()
        .flat_map(|cloud| cloud.packer_import().secrets);
    secrets.any(|(secret, _)| *secret == key)
}

/// Reports whether the import evaluates `{{…}}` in this key.
pub(super) fn has_templates(key: &str) -> bool {
    TEMPLATES.contains(&key)
}

/// What a template's imports need of a cloud.
pub(super) trait PackerCloud: Sized {
    /// Returns the cloud of a post-processor, and nothing for those that do not import.
    fn of_post_processor(name: &str) -> Option<Self>;

    /// Returns Packer's post-processor.
    fn packer_import(self) -> PackerImport;

    /// Returns the variable to set in place of a secret key.
    fn secret_variable(self, key: &str) -> Option<&'static str>;

    /// Returns the variable that sets an option.
    fn variable(self, key: &str) -> Option<String>;

    /// Checks that the import accepts the key with this value. The error says why not, and
    /// what to do instead.
    fn check(self, path: &[String], value: &Value) -> Result<(), String>;
}

impl PackerCloud for CloudId {
    fn of_post_processor(name: &str) -> Option<Self> {
        let mut clouds = Self::ALL.into_iter();
        clouds.find(|cloud| cloud.packer_import().post_processor == name)
    }

    fn packer_import(self) -> PackerImport {
        with_cloud!(self, C => C::PACKER)
    }

    fn secret_variable(self, key: &str) -> Option<&'static str> {
        let mut secrets = self.packer_import().secrets.iter();
        let (_, variable) = secrets.find(|(secret, _)| *secret == key)?;
        Some(*variable)
    }

    fn variable(self, key: &str) -> Option<String> {
        // The variable of keep_input_artifact means the opposite.
        if key == "keep_input_artifact" {
            return None;
        }
        with_cloud!(self, C => variable::<C>(key))
    }

    fn check(self, path: &[String], value: &Value) -> Result<(), String> {
        if ["only", "except"].contains(&path[0].as_str()) {
            return Err(
                "imgimport imports each table that it reads: keep those that you want".into(),
            );
        }
        with_cloud!(self, C => check::<C>(path, value))
    }
}

fn check<C: Cloud>(path: &[String], value: &Value) -> Result<(), String> {
    let nested = path.iter().rev().fold(value.clone(), |value, key| {
        Value::Table(Table::from_iter([(key.clone(), value)]))
    });
    let options: C = nested.try_into().map_err(|error: ::toml::de::Error| {
        let message = error.message().trim();
        match message.split_once(", expected ") {
            Some((unknown, known)) if unknown.starts_with("unknown field") => {
                unknown_key(path.last().map_or("", String::as_str), known)
            }
            _ => message.to_owned(),
        }
    })?;
    match options.unsupported().into_iter().next() {
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

fn variable<C: Cloud>(key: &str) -> Option<String> {
    let command = <ImportArgs<C> as clap::Args>::augment_args(Command::new("imgimport"));
    let mut options = command.get_arguments();
    let option = options.find(|option| option.get_id() == key)?;
    let own = C::VARIABLES.iter().find(|(own, _)| *own == key);
    let own = own.and_then(|(_, names)| names.first().map(|&name| name.to_owned()));
    own.or_else(|| variables::<C>(option).into_iter().next())
}
