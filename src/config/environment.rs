//! The layer of environment variables. Each option has a variable of imgimport,
//! `IMGIMPORT_<COMMAND>_<OPTION>` or `IMGIMPORT_<OPTION>`, in addition to the provider's own;
//! its value is parsed by the parser of the flag, so that both mean the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;

use clap::builder::Resettable;
use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use merge::Merge;

use super::{CloudOptions, ImportArgs, OutputArgs, deserialize, flag_arguments};
use crate::error::{Error, Result};
use crate::secret::{self, Secret};

/// The variables of this process, without white space around their values; empty ones are
/// omitted.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// Variables whose values are not UTF-8.
    unreadable: BTreeSet<String>,
}

/// The effect of one variable.
#[derive(Clone)]
pub struct VariableSetting<P: CloudOptions> {
    /// The name of the variable.
    pub variable: String,
    /// The value of the variable.
    pub text: String,
    /// The option's long name.
    pub option: String,
    /// Only this option.
    pub layer: ImportArgs<P>,
}

impl Environment {
    /// Creates an environment of these variables.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let trimmed = variables
            .into_iter()
            .map(|(name, value)| (name, value.trim().to_owned()));
        Self {
            values: trimmed.filter(|(_, value)| !value.is_empty()).collect(),
            unreadable: BTreeSet::new(),
        }
    }

    /// Reads the variables of this process.
    pub fn read() -> Self {
        Self::from_os(std::env::vars_os())
    }

    fn from_os(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let (mut readable, mut unreadable) = (Vec::new(), BTreeSet::new());
        for (name, value) in variables {
            // No variable of this program or a cloud has such a name.
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => readable.push((name, value)),
                Err(_) => {
                    unreadable.insert(name);
                }
            }
        }
        Self {
            unreadable,
            ..Self::from_variables(readable)
        }
    }

    /// Returns one variable; an empty one counts as unset.
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// Returns the setting, unless one of these variables has the same value: then child
    /// processes inherit it.
    pub fn unless_inherited<'a>(
        &self,
        names: &[&str],
        setting: Option<&'a str>,
    ) -> Option<&'a str> {
        let says = |name: &&str| self.get(name).as_deref() == setting;
        setting.filter(|_| !names.iter().any(says))
    }

    /// Returns a secret of the table `secrets`, from the first of its variables that is set.
    pub fn secret(&self, secrets: &[(&str, &[&str])], id: &str) -> Option<Secret> {
        self.secret_variable(secrets, id)
            .map(|(_, value)| Secret::new(value))
    }

    /// Returns the variable that sets a secret of the table, and its value.
    pub fn secret_variable<'a>(
        &self,
        secrets: &[(&str, &'a [&'a str])],
        id: &str,
    ) -> Option<(&'a str, &str)> {
        let (_, names) = secrets.iter().find(|(key, _)| *key == id)?;
        let set = |name: &&'a str| Some((*name, self.values.get(*name)?.as_str()));
        names.iter().find_map(set)
    }

    /// Returns the value for `{{env "NAME"}}`, which is printed, stored and visible to others,
    /// so that it must not be a secret.
    pub fn for_template(&self, name: &str) -> Result<String, String> {
        let refusal = || {
            Err(format!(
                "{{{{env \"{name}\"}}}} is refused: the variable {name} may hold a secret, and names and descriptions are not secret; put what is needed into another variable"
            ))
        };
        if secret::is_secret_name(name) {
            return refusal();
        }
        match self.values.get(name) {
            // A variable with a harmless name may contain a known secret.
            Some(value) if secret::contains_secret(value) => refusal(),
            Some(value) => Ok(value.clone()),
            None => Err(format!(
                "{{{{env \"{name}\"}}}}: the variable {name} is not set"
            )),
        }
    }

    /// Returns the output options from the variables, for any cloud.
    pub fn output(&self) -> Result<OutputArgs> {
        let command = OutputArgs::augment_args(Command::new("imgimport"));
        let mut output = OutputArgs::default();
        for option in command.get_arguments() {
            let long = option.get_long().unwrap_or_default();
            let name = format!("IMGIMPORT_{}", long.to_uppercase());
            if let Some(value) = self.get(&name) {
                let parsed = command
                    .clone()
                    .try_get_matches_from(flag_arguments(long, &value))
                    .and_then(|matches| OutputArgs::from_arg_matches(&matches));
                output.merge(parsed.map_err(|error| wrong(&name, &error))?);
            }
        }
        Ok(output)
    }

    /// Reads the variables of all options.
    pub(super) fn layer<P: CloudOptions>(&self) -> Result<ImportArgs<P>> {
        let mut layer = ImportArgs {
            provider: P::from_environment_only(self),
            ..ImportArgs::default()
        };
        for setting in self.settings()? {
            layer.merge(setting.layer);
        }
        Ok(layer)
    }

    /// Returns the options that the variables set: for each one its strongest variable. One
    /// error lists all invalid values.
    pub fn settings<P: CloudOptions>(&self) -> Result<Vec<VariableSetting<P>>> {
        // The value is split into a list before the parser runs: its delimiter must not split
        // again.
        let command = ImportArgs::<P>::augment_args(Command::new("imgimport"))
            .mut_args(|option| option.value_delimiter(Resettable::Reset));
        let mut wrong = self.invalid_variables::<P>();
        let mut all = Vec::new();
        for option in command.get_arguments() {
            let mut names = variables::<P>(option).into_iter();
            let Some((variable, text)) =
                names.find_map(|name| Some((name.clone(), self.get(&name)?)))
            else {
                continue;
            };
            match parse(&command, option, &text) {
                Ok(layer) => all.push(VariableSetting {
                    variable,
                    text,
                    option: option.get_long().unwrap_or_default().to_owned(),
                    layer,
                }),
                Err(why) => wrong.push((variable, why)),
            }
        }
        if let Some(image) = self.get(IMAGE) {
            all.push(VariableSetting {
                variable: IMAGE.to_owned(),
                text: image.clone(),
                option: "image".to_owned(),
                layer: ImportArgs {
                    image: Some(image.into()),
                    ..ImportArgs::default()
                },
            });
        }
        reject(&wrong).map(|()| all)
    }

    /// Returns the variables of this command whose values are not text, or not a secret that
    /// can be sent.
    fn invalid_variables<P: CloudOptions>(&self) -> Vec<(String, String)> {
        let command = ImportArgs::<P>::augment_args(Command::new("imgimport"));
        let options = command.get_arguments().flat_map(variables::<P>);
        let secrets = P::SECRETS.iter().flat_map(|(_, names)| names.iter());
        let names = options.chain(secrets.map(|&name| name.to_owned()));
        let unreadable = names
            .chain([IMAGE.to_owned()])
            .filter(|name| self.unreadable.contains(name))
            .map(|name| (name, "it is not UTF-8".to_owned()));
        let faults = P::SECRETS.iter().filter_map(|(id, _)| {
            let (name, value) = self.secret_variable(P::SECRETS, id)?;
            Some((name.to_owned(), secret::header_problem(value)?))
        });
        let mut unusable: Vec<_> = unreadable.chain(faults).collect();
        unusable.dedup();
        unusable
    }
}

/// Prints only the names: a value may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the values, which may be secrets.
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// The image's variable, for all commands.
const IMAGE: &str = "IMGIMPORT_IMAGE";

/// Returns the variables that set this option, the strongest first.
pub fn variables<P: CloudOptions>(option: &Arg) -> Vec<String> {
    let mut names = Vec::new();
    for long in option.get_long_and_visible_aliases().unwrap_or_default() {
        let upper = long.to_uppercase().replace('-', "_");
        names.push(format!("IMGIMPORT_{}_{upper}", P::NAME.to_uppercase()));
        names.push(format!("IMGIMPORT_{upper}"));
    }
    let cloud_variables = P::VARIABLES.iter().filter(|(id, _)| option.get_id() == id);
    names.extend(cloud_variables.flat_map(|(_, names)| names.iter().map(|&name| name.to_owned())));
    names
}

/// Returns one error with all problems.
fn reject(problems: &[(String, String)]) -> Result<()> {
    match problems {
        [] => Ok(()),
        [(name, why)] => Err(Error::usage(format!("the variable {name} is wrong")).with_cause(why)),
        many => {
            let list: Vec<_> = many
                .iter()
                .map(|(name, why)| format!("\n  - {name}: {why}"))
                .collect();
            Err(Error::usage(format!(
                "{} variables are wrong{}",
                many.len(),
                list.concat()
            )))
        }
    }
}

fn parse<P: CloudOptions>(
    command: &Command,
    option: &Arg,
    value: &str,
) -> Result<ImportArgs<P>, String> {
    let long = option.get_long().unwrap_or_default();
    // A repeatable flag is one list in a variable.
    let values = if matches!(option.get_action(), ArgAction::Append) {
        deserialize::split(value)?
    } else {
        vec![value.to_owned()]
    };
    let arguments = values
        .iter()
        .map(|value| flag_arguments(long, value)[1].clone());
    let parsed = command
        .clone()
        .try_get_matches_from(std::iter::once("imgimport".into()).chain(arguments))
        .and_then(|matches| ImportArgs::from_arg_matches(&matches));
    parsed.map_err(|error| clap_reason(&error))
}

fn wrong(name: &str, error: &clap::Error) -> Error {
    Error::usage(format!("the variable {name} is wrong")).with_cause(clap_reason(error))
}

/// Returns the first sentence of the parser's message, without its own "error:" and its usage
/// lines.
pub fn clap_reason(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    first.trim_start_matches("error: ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment_with(name: &str, value: &str) -> Environment {
        Environment::from_variables([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn values_are_trimmed_and_empty_is_unset() {
        assert_eq!(
            environment_with("A", " b c\r\n").get("A").as_deref(),
            Some("b c")
        );
        assert_eq!(environment_with("A", " \n\t").get("A"), None);
    }

    #[test]
    fn templates_cannot_read_secrets() {
        let name = |name: &str| environment_with(name, "value").for_template(name);
        assert_eq!(name("BUILD").as_deref(), Ok("value"));
        for secret in [
            "AWS_SECRET_ACCESS_KEY",
            "my_token",
            "DbPassword",
            "HTTPS_PROXY",
        ] {
            assert!(name(secret).is_err(), "{secret}");
        }
        let _known = Secret::new("for-template-itself");
        let rendered = environment_with("BUILD", "x-for-template-itself").for_template("BUILD");
        assert!(rendered.is_err_and(|why| !why.contains("itself")));
    }
}
