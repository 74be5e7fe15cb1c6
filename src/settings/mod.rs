//! The lowest layer: finds and reads the TOML file. A key that is not known is an error
//! that shows the line and the nearest name that is.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

mod found;
mod job_entry;
mod overruled;
mod tree;

use crate::alicloud;
use crate::aws;
use crate::config::{Environment, Invocation, Output, Provider, Upload, Wait, deserialize};
use crate::digitalocean;
use crate::error::{Error, Result};
use crate::import::outcome::Format;
use crate::platform;
use crate::progress::Progress;
use crate::shell::Command;
use job_entry::Entry;
pub use job_entry::{Cloud, Job};

/// Read from the current directory when nothing else is named.
const DEFAULT: &str = "imgimport.toml";

/// The settings file, a table for each room.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    image: Option<PathBuf>,
    #[serde(deserialize_with = "deserialize::switch")]
    skip_checks: Option<bool>,
    upload: Upload,
    wait: Wait,
    output: Output,
    aws: aws::Options,
    alicloud: alicloud::Options,
    digitalocean: digitalocean::Options,
    /// How many jobs run at the same time.
    #[serde(deserialize_with = "deserialize::value")]
    parallel: Option<std::num::NonZeroUsize>,
    /// What `imgimport run` does; the other commands have no use for it.
    job: Vec<Entry>,
    /// Where all of it stands.
    #[serde(skip)]
    origin: Option<Origin>,
}

/// The file that settings come from.
#[derive(Clone)]
struct Origin {
    path: PathBuf,
    /// Nobody has named it.
    is_found: bool,
    /// It holds a secret, and others can read it.
    is_open: bool,
    /// What it says, secrets included.
    table: toml::Table,
}

/// Without what the file says, which may be secret.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
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
    /// The file that the flag, the variable or the directory names. One that nobody named must
    /// belong to the user, and may not set everything.
    pub fn find(said: Option<&Path>, environment: &Environment) -> Result<Self> {
        let named = said
            .map(Path::to_owned)
            .filter(|path| !path.as_os_str().is_empty())
            .or_else(|| environment.get("IMGIMPORT_CONFIG").map(PathBuf::from));
        let default = Path::new(DEFAULT);
        match named {
            Some(path) => Self::read(&path),
            None if default.symlink_metadata().is_ok() => {
                found::check_owner(default)?;
                let mut file = Self::read(default)?;
                if let Some(origin) = &mut file.origin {
                    origin.is_found = true;
                    found::check_keys(default, &origin.table)?;
                }
                Ok(file)
            }
            None => Ok(Self::default()),
        }
    }

    /// This file and no other.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| unusable(path).because(error))?;
        let wrong =
            |error: &toml::de::Error| unusable(path).because_of(explain(path, &text, error));
        let document = tree::parse(&text).map_err(|error| wrong(&error))?;
        let table = toml::Table::deserialize(toml::Deserializer::from(document.clone()))
            .map_err(|error| wrong(&error))?;
        let mut file =
            Self::deserialize(toml::Deserializer::from(document)).map_err(|error| wrong(&error))?;
        file.origin = Some(Origin {
            path: path.to_owned(),
            is_found: false,
            is_open: file.holds_secret() && platform::is_readable_by_others(path),
            table,
        });
        Ok(file)
    }

    /// Says which file is used where nobody named it, and warns where others can read its
    /// secrets.
    pub fn tell(&self, progress: &Progress) {
        let Some(origin) = &self.origin else {
            return;
        };
        let path = origin.path.display();
        if origin.is_found {
            progress.fact(&format!("Settings from {path}"));
        }
        if origin.is_open {
            progress.warn(&format!(
                "{path} holds a secret and others can read it: {}",
                Command::new("chmod 600").file(&origin.path)
            ));
        }
    }

    /// The flags over the environment over this file, with a note on each variable that
    /// overrides the file. A secret of a higher layer is never sent to an address of a file
    /// that nobody named.
    pub fn under<P: Table>(
        &self,
        flags: Invocation<P>,
        environment: &Environment,
    ) -> Result<Invocation<P>> {
        let said = environment.said()?;
        let mut notes = overruled::lines(&flags, environment, &said, self);
        let file = self.clone().invocation();
        let above = flags.clone().over(environment, Invocation::default())?;
        if let Some(origin) = self.origin.as_ref().filter(|origin| origin.is_found) {
            found::check_secrets(&origin.path, &above, &file.provider)?;
        }
        let mut said = flags.over(environment, file)?;
        said.notes.append(&mut notes);
        Ok(said)
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

    /// What the file says to `check`: the image, and how the page is written; and the file.
    pub fn for_check(self) -> (Option<PathBuf>, Option<Format>, Option<PathBuf>) {
        let path = self.origin.map(|origin| origin.path);
        (self.image, self.output.format, path)
    }

    /// What the file says to one sub-command.
    pub fn invocation<P: Table>(mut self) -> Invocation<P> {
        Invocation {
            provider: P::table(&mut self),
            image: self.image,
            head: None,
            notes: Vec::new(),
            upload: self.upload,
            wait: self.wait,
            output: self.output,
            dry_run: None,
            skip_checks: self.skip_checks,
        }
    }
}

/// The beginning of every error about the file.
fn unusable(path: &Path) -> Error {
    Error::usage(format!(
        "the settings file {} can't be used",
        path.display()
    ))
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
