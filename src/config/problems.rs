//! All that is missing or wrong in the settings, told at once, each with its flag, its
//! variable and its key.

use std::marker::PhantomData;

use clap::Command;

use crate::config::template::{Template, Values};
use crate::config::{Invocation, Provider, variables};
use crate::error::{Error, Result};
use crate::net::endpoint;

/// What was found so far.
pub struct Problems<P: Provider> {
    found: Vec<String>,
    /// Options whose templates are broken: what their texts come to is not known.
    broken: Vec<String>,
    provider: PhantomData<P>,
}

impl<P: Provider> Default for Problems<P> {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            broken: Vec::new(),
            provider: PhantomData,
        }
    }
}

impl<P: Provider> Problems<P> {
    /// A value that the job can't do without.
    pub fn missing(&mut self, what: &str, id: &str) {
        self.found
            .push(format!("{what} is missing: give {}", names::<P>(id, "or")));
    }

    /// A value that can't be used. Of a broken template nothing more is said.
    pub fn wrong(&mut self, id: &str, why: impl std::fmt::Display) {
        if self.broken.iter().any(|broken| broken == id) {
            return;
        }
        self.found.push(format!("{why} ({})", names::<P>(id, "or")));
    }

    /// Anything that no single option is to blame for.
    pub fn note(&mut self, text: impl Into<String>) {
        self.found.push(text.into());
    }

    /// Notes the problem unless all is well.
    pub fn expect(&mut self, well: bool, id: &str, why: impl std::fmt::Display) {
        if !well {
            self.wrong(id, why);
        }
    }

    /// Notes each address to which no secret may be sent.
    pub fn addresses(&mut self, options: &P) {
        for (id, url) in options.addresses() {
            if let Err(why) = endpoint::check(&url) {
                self.wrong(id, why);
            }
        }
    }

    /// Fills in a template; a broken one is a problem and stays as it is.
    pub fn render(&mut self, id: &str, text: &str, values: &Values<'_>) -> String {
        match Template::parse(text).and_then(|template| template.render(values)) {
            Ok(text) => text,
            Err(why) => {
                // Several tags may be broken, each in its own way.
                self.broken.retain(|broken| broken != id);
                self.wrong(id, why);
                self.broken.push(id.to_owned());
                text.to_owned()
            }
        }
    }

    /// An error with everything, or nothing to complain about.
    pub fn finish(self) -> Result<()> {
        match self.found.as_slice() {
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

/// `--bucket, IMGIMPORT_AWS_BUCKET or s3_bucket_name in [aws]`.
fn names<P: Provider>(id: &str, last: &str) -> String {
    let command = <Invocation<P> as clap::Args>::augment_args(Command::new("imgimport"));
    let key = format!("{id} in [{}]", P::NAME);
    let own = P::VARIABLES.iter().find(|(own, _)| *own == id);
    let own = own.and_then(|(_, names)| names.first().map(|&name| name.to_owned()));
    match command.get_arguments().find(|option| option.get_id() == id) {
        Some(option) => {
            let flag = option.get_long().unwrap_or_default();
            let variable = own.or_else(|| variables::<P>(option).into_iter().next());
            let variable = variable.unwrap_or_default();
            format!("--{flag}, {variable} {last} {key}")
        }
        None => own.unwrap_or(key),
    }
}
