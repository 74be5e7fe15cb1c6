//! The lowest layer: finds and reads the TOML file. A key that is not known is an error
//! that shows the line and the nearest name that is.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

mod entry;

use crate::alicloud;
use crate::aws;
use crate::digitalocean;
use crate::error::{Error, Result};
use crate::host;
use crate::layers::{Environment, Invocation, Output, Provider, Upload, Wait, lenient};
use crate::outcome::Format;
use entry::Entry;
pub use entry::{Cloud, Job};

/// Read from the current directory when nothing else is named.
const DEFAULT: &str = "imgimport.toml";

/// The settings file, a table for each room.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    image: Option<PathBuf>,
    #[serde(deserialize_with = "lenient::switch")]
    skip_checks: Option<bool>,
    upload: Upload,
    wait: Wait,
    output: Output,
    aws: aws::Options,
    alicloud: alicloud::Options,
    digitalocean: digitalocean::Options,
    /// How many jobs run at the same time.
    #[serde(deserialize_with = "lenient::value")]
    parallel: Option<std::num::NonZeroUsize>,
    /// What `imgimport run` does; the other commands have no use for it.
    job: Vec<Entry>,
}

/// A provider that has a table in the file.
pub trait Table: Provider {
    /// Takes the provider's table out.
    fn table(file: &mut File) -> Self;
}

impl Table for aws::Options {
    fn table(file: &mut File) -> Self {
        std::mem::take(&mut file.aws)
    }
}

impl Table for alicloud::Options {
    fn table(file: &mut File) -> Self {
        std::mem::take(&mut file.alicloud)
    }
}

impl Table for digitalocean::Options {
    fn table(file: &mut File) -> Self {
        std::mem::take(&mut file.digitalocean)
    }
}

impl File {
    /// The file that the flag, the variable or the directory names; with it, what the user
    /// should be warned of.
    pub fn find(said: Option<&Path>, environment: &Environment) -> Result<(Self, Option<String>)> {
        let named = said
            .map(Path::to_owned)
            .or_else(|| environment.get("IMGIMPORT_CONFIG").map(PathBuf::from));
        match named {
            Some(path) => Self::read(&path),
            None if Path::new(DEFAULT).exists() => Self::read(Path::new(DEFAULT)),
            None => Ok((Self::default(), None)),
        }
    }

    /// This file and no other.
    pub fn read(path: &Path) -> Result<(Self, Option<String>)> {
        let failed = || {
            Error::usage(format!(
                "the settings file {} can't be used",
                path.display()
            ))
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed().because(error))?;
        let file: Self = toml::from_str(&text)
            .map_err(|error| failed().because_of(explain(path, &text, &error)))?;
        let warning = (file.holds_secret() && host::is_readable_by_others(path)).then(|| {
            format!(
                "{} holds a secret and others can read it: chmod 600 {0}",
                path.display()
            )
        });
        Ok((file, warning))
    }

    fn holds_secret(&self) -> bool {
        let Self {
            aws,
            alicloud,
            digitalocean,
            job,
            ..
        } = self;
        let jobs = job.iter().any(Entry::holds_secret);
        jobs || aws.holds_secret() || alicloud.holds_secret() || digitalocean.holds_secret()
    }

    /// What the file says to `check`: the image, and how the page is written.
    pub fn for_check(self) -> (Option<PathBuf>, Option<Format>) {
        (self.image, self.output.format)
    }

    /// What the file says to one sub-command.
    pub fn invocation<P: Table>(mut self) -> Invocation<P> {
        Invocation {
            provider: P::table(&mut self),
            image: self.image,
            head: None,
            upload: self.upload,
            wait: self.wait,
            output: self.output,
            dry_run: None,
            skip_checks: self.skip_checks,
        }
    }
}

/// The place, the line with a caret, and what to write instead.
fn explain(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let message = suggestion(error.message()).unwrap_or_else(|| error.message().to_owned());
    let Some(span) = error.span() else {
        return message;
    };
    let (number, column, line) = place(text, &span);
    let line = shown(line, column);
    let width = span
        .len()
        .clamp(1, line.chars().count().saturating_sub(column).max(1));
    let gutter = " ".repeat(number.to_string().len());
    let (blank, caret) = (" ".repeat(column), "^".repeat(width));
    format!(
        "{message}\n{gutter}--> {}:{number}:{}\n{gutter} |\n{number} | {line}\n{gutter} | {blank}{caret}",
        path.display(),
        column + 1,
    )
}

/// Line number from one, column from zero, and the line.
fn place<'a>(text: &'a str, span: &Range<usize>) -> (usize, usize, &'a str) {
    let before = text.get(..span.start).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    (
        before.matches('\n').count() + 1,
        before[start..].chars().count(),
        line,
    )
}

/// The line as it may be shown: a value only where it can't be a secret, misspelt keys included.
fn shown(line: &str, column: usize) -> String {
    const SECRETIVE: [&str; 5] = ["key", "secret", "token", "pass", "cred"];
    let is_table = line.starts_with('[') && !line.contains(['"', '\'', '=', ',']);
    if is_table {
        return line.to_owned();
    }
    let Some((key, _)) = line.split_once('=') else {
        return line.chars().take(column + 1).collect();
    };
    let value_is_wrong = column > key.chars().count();
    if value_is_wrong && !SECRETIVE.iter().any(|word| line.contains(word)) {
        return line.to_owned();
    }
    format!("{key}= …")
}

/// serde lists every name that it knows; the nearest one helps more.
fn suggestion(message: &str) -> Option<String> {
    let (unknown, known) = message
        .strip_prefix("unknown field ")?
        .split_once(", expected ")?;
    let unknown = unknown.trim_matches('`');
    let nearest = known
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|name| (strsim::jaro_winkler(unknown, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(match nearest {
        (likeness, name) if likeness > 0.7 => {
            format!("unknown key `{unknown}`; did you mean `{name}`?")
        }
        _ => format!(
            "unknown key `{unknown}`; known here are {}",
            known.trim_start_matches("one of ")
        ),
    })
}
