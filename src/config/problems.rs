//! Collects everything that is missing or invalid in the settings and reports it in one error,
//! each item with its flag, its variable and its key.

use std::marker::PhantomData;

use clap::Command;

use crate::config::template::{Template, Values};
use crate::config::{CloudOptions, ImportArgs, variables};
use crate::error::{Error, Result};
use crate::net::endpoint;

/// The problems that were found so far.
pub struct Problems<P: CloudOptions> {
    problems: Vec<String>,
    /// Options whose templates are invalid: their rendered texts are unknown.
    invalid_templates: Vec<String>,
    provider: PhantomData<P>,
}

impl<P: CloudOptions> Default for Problems<P> {
    fn default() -> Self {
        Self {
            problems: Vec::new(),
            invalid_templates: Vec::new(),
            provider: PhantomData,
        }
    }
}

impl<P: CloudOptions> Problems<P> {
    /// Adds a required value that is missing.
    pub fn missing(&mut self, what: &str, id: &str) {
        self.problems
            .push(format!("{what} is missing: give {}", names::<P>(id, "or")));
    }

    /// Adds an invalid value, unless the option's template is reported already.
    pub fn invalid(&mut self, id: &str, why: impl std::fmt::Display) {
        // The rendered text is unknown, so checks of it would report consequential errors.
        if self.invalid_templates.iter().any(|broken| broken == id) {
            return;
        }
        self.problems
            .push(format!("{why} ({})", names::<P>(id, "or")));
    }

    /// Adds a problem that no single option causes.
    pub fn other(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// Adds the problem unless the condition holds.
    pub fn require(&mut self, condition: bool, id: &str, why: impl std::fmt::Display) {
        if !condition {
            self.invalid(id, why);
        }
    }

    /// Adds each address to which no secret may be sent.
    pub fn addresses(&mut self, options: &P) {
        for (id, url) in options.addresses() {
            if let Err(why) = endpoint::check(&url) {
                self.invalid(id, why);
            }
        }
    }

    /// Renders a template; an invalid one is added as a problem and returned unchanged.
    pub fn render(&mut self, id: &str, text: &str, values: &Values<'_>) -> String {
        match Template::parse(text).and_then(|template| template.render(values)) {
            Ok(text) => text,
            Err(why) => {
                // Every tag may have an invalid template, each with its own reason.
                self.invalid_templates.retain(|broken| broken != id);
                self.invalid(id, why);
                self.invalid_templates.push(id.to_owned());
                text.to_owned()
            }
        }
    }

    /// Returns an error with all problems, if there are any.
    pub fn finish(self) -> Result<()> {
        match self.problems.as_slice() {
            [] => Ok(()),
            [only] => Err(Error::usage(only)),
            many => {
                let list = many
                    .iter()
                    .map(|problem| format!("- {problem}"))
                    .collect::<Vec<_>>();
                Err(Error::usage(format!(
                    "{} settings are missing or wrong\n  {}",
                    many.len(),
                    list.join("\n  ")
                )))
            }
        }
    }
}

/// Returns the names of an option: `--bucket, IMGIMPORT_AWS_BUCKET or s3_bucket_name in [aws]`.
fn names<P: CloudOptions>(id: &str, last: &str) -> String {
    let command = <ImportArgs<P> as clap::Args>::augment_args(Command::new("imgimport"));
    let key = format!("{id} in [{}]", P::NAME);
    let cloud_variables = P::VARIABLES.iter().find(|(own, _)| *own == id);
    let cloud_variable =
        cloud_variables.and_then(|(_, names)| names.first().map(|&name| name.to_owned()));
    match command.get_arguments().find(|option| option.get_id() == id) {
        Some(option) => {
            let flag = option.get_long().unwrap_or_default();
            let variable = cloud_variable.or_else(|| variables::<P>(option).into_iter().next());
            let variable = variable.unwrap_or_default();
            format!("--{flag}, {variable} {last} {key}")
        }
        None => cloud_variable.unwrap_or(key),
    }
}
