//! The middle layer. Each option has a variable of ours, `IMGIMPORT_<COMMAND>_<OPTION>`
//! or `IMGIMPORT_<OPTION>`, beside the provider's own; what it holds goes through the
//! parser of the flag, so that both mean the same.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use merge::Merge;

use super::{Invocation, Output, Provider, argument, lenient};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The variables of this process, the empty ones left out.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, Secret>);

impl Environment {
    /// Takes the variables in. What is not Unicode can't be a setting of ours.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let set = variables.into_iter().filter(|(_, value)| !value.is_empty());
        Self(
            set.map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        )
    }

    /// The variables of this process.
    pub fn read() -> Self {
        Self::of(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
        )
    }

    /// One variable; an empty one counts as unset.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.expose().to_owned())
    }

    /// The setting, unless one of these variables says the same to other programs.
    pub fn unsaid<'a>(&self, names: &[&str], setting: Option<&'a str>) -> Option<&'a str> {
        let says = |name: &&str| self.get(name).as_deref() == setting;
        setting.filter(|_| !names.iter().any(says))
    }

    /// The first of these that is set, kept secret.
    pub fn secret(&self, names: &[&str]) -> Option<Secret> {
        names.iter().find_map(|name| self.0.get(*name)).cloned()
    }

    /// What the variables say of the output, whatever the cloud.
    pub fn output(&self) -> Result<Output> {
        let command = Output::augment_args(Command::new("imgimport"));
        let mut output = Output::default();
        for option in command.get_arguments() {
            let long = option.get_long().unwrap_or_default();
            let name = format!("IMGIMPORT_{}", long.to_uppercase());
            if let Some(value) = self.get(&name) {
                let parsed = command
                    .clone()
                    .try_get_matches_from(argument(long, &value))
                    .and_then(|matches| Output::from_arg_matches(&matches));
                output.merge(parsed.map_err(|error| wrong(&name, &error))?);
            }
        }
        Ok(output)
    }

    /// Reads every option's variables.
    pub(super) fn layer<P: Provider>(&self) -> Result<Invocation<P>> {
        let command = Invocation::<P>::augment_args(Command::new("imgimport"));
        let mut layer = Invocation {
            provider: P::without_flags(self),
            ..Invocation::default()
        };
        layer.image = self.get("IMGIMPORT_IMAGE").map(Into::into);
        let mut wrong = Vec::new();
        for option in command.get_arguments() {
            for name in variables::<P>(option) {
                match self.get(&name).map(|value| parse(&command, option, &value)) {
                    Some(Ok(said)) => layer.merge(said),
                    Some(Err(why)) => wrong.push((name, why)),
                    None => {}
                }
            }
        }
        refuse(&wrong).map(|()| layer)
    }
}

/// The variables that set this option, the strongest first.
pub fn variables<P: Provider>(option: &Arg) -> Vec<String> {
    let mut names = Vec::new();
    for long in option.get_long_and_visible_aliases().unwrap_or_default() {
        let upper = long.to_uppercase().replace('-', "_");
        names.push(format!("IMGIMPORT_{}_{upper}", P::NAME.to_uppercase()));
        names.push(format!("IMGIMPORT_{upper}"));
    }
    let own = P::VARIABLES.iter().filter(|(id, _)| option.get_id() == id);
    names.extend(own.flat_map(|(_, names)| names.iter().map(|&name| name.to_owned())));
    names
}

/// All that is wrong, at once.
fn refuse(wrong: &[(String, String)]) -> Result<()> {
    match wrong {
        [] => Ok(()),
        [(name, why)] => Err(Error::usage(format!("the variable {name} is wrong")).because_of(why)),
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

fn parse<P: Provider>(
    command: &Command,
    option: &Arg,
    value: &str,
) -> Result<Invocation<P>, String> {
    let long = option.get_long().unwrap_or_default();
    let values = if matches!(option.get_action(), ArgAction::Append) {
        lenient::split(value)
    } else {
        vec![value.to_owned()]
    };
    let arguments = values.iter().map(|value| argument(long, value)[1].clone());
    let parsed = command
        .clone()
        .try_get_matches_from(std::iter::once("imgimport".into()).chain(arguments))
        .and_then(|matches| Invocation::from_arg_matches(&matches));
    parsed.map_err(|error| reason(&error))
}

fn wrong(name: &str, error: &clap::Error) -> Error {
    Error::usage(format!("the variable {name} is wrong")).because_of(reason(error))
}

/// The first sentence of what the parser says, without its own "error:" and its usage lines.
pub fn reason(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    first.trim_start_matches("error: ").trim().to_owned()
}
