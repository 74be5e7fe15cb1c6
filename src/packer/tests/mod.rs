#![allow(clippy::unwrap_used)]

mod builders;
mod documentation;
mod errors;
mod properties;
mod templates;
mod values;

use super::files::Files;
use super::{Translation, VariableSources};
use crate::error::Result;

/// Translates a template in one file.
fn translate(name: &str, template: &str) -> Result<Translation> {
    translate_with(name, template, &[])
}

/// Translates a template in one file, with values of variables from `--var`.
fn translate_with(name: &str, template: &str, values: &[(&str, &str)]) -> Result<Translation> {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let files = Files {
        name: name.to_owned(),
        folder: Some(".".to_owned()),
        templates: vec![(name.to_owned(), template.to_owned())],
        variables: Vec::new(),
    };
    let sources = VariableSources {
        environment: Vec::new(),
        options: values.iter().map(own).collect(),
    };
    super::translate(&files, &sources)
}

/// Returns the settings, without their first line, and the notes.
#[track_caller]
fn becomes(name: &str, template: &str, expected: &str, notes: &[&str]) {
    let translation = translate(name, template).unwrap();
    let (_, settings) = translation.toml.split_once('\n').unwrap();
    assert_eq!(settings.trim(), expected.trim());
    assert_eq!(translation.notes, notes);
    accepted(&translation.toml);
}

/// Asserts that the settings are read without an error.
#[track_caller]
fn accepted(settings: &str) {
    let read = toml::from_str::<crate::settings::SettingsFile>(settings);
    assert!(read.is_ok(), "{}\n{settings}", read.unwrap_err());
}
