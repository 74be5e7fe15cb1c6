//! The lowest layer: finds and reads the TOML file. A key that is not known is an error
//! that shows the line and the nearest name that is.

use std::any::Any;
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
use crate::clouds::{CloudId, with_cloud};
use crate::config::OutputFormat;
use crate::config::{
    CloudOptions, Environment, ImportArgs, OutputArgs, UploadArgs, WaitArgs, deserialize,
};
use crate::digitalocean;
use crate::error::{Error, Result};
use crate::import::cloud::Cloud;
use crate::platform;
use crate::progress::Progress;
use crate::shell::Command;
pub use job_entry::JobArgs;
use job_entry::JobEntry;

/// Read from the current directory when nothing else is named.
const DEFAULT_PATH: &str = "imgimport.toml";

/// The settings file, a table for each room.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsFile {
    image: Option<PathBuf>,
    #[serde(deserialize_with = "deserialize::switch")]
    skip_checks: Option<bool>,
    upload: UploadArgs,
    wait: WaitArgs,
    output: OutputArgs,
    aws: aws::Options,
    alicloud: alicloud::Options,
    digitalocean: digitalocean::Options,
    /// How many jobs run at the same time.
    #[serde(deserialize_with = "deserialize::value")]
    parallel: Option<std::num::NonZeroUsize>,
    /// What `imgimport run` does; the other commands have no use for it.
    job: Vec<JobEntry>,
    /// Where all of it stands.
    #[serde(skip)]
    origin: Option<Origin>,
}

/// The file that settings come from.
#[derive(Clone)]
struct Origin {
    path: PathBuf,
    /// Nobody has named it.
    is_default: bool,
    /// It holds a secret, and others can read it.
    is_readable_by_others: bool,
    /// What it says, secrets included.
    table: toml::Table,
}

/// Without what the file says, which may be secret.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl SettingsFile {
    /// The file that the flag, the variable or the directory names. One that nobody named must
    /// belong to the user, and may not set everything.
    pub fn find(explicit: Option<&Path>, environment: &Environment) -> Result<Self> {
        let named = explicit
            .map(Path::to_owned)
            .filter(|path| !path.as_os_str().is_empty())
            .or_else(|| environment.get("IMGIMPORT_CONFIG").map(PathBuf::from));
        let default = Path::new(DEFAULT_PATH);
        match named {
            Some(path) => Self::read(&path),
            None if default.symlink_metadata().is_ok() => {
                found::check_owner(default)?;
                let mut file = Self::read(default)?;
                if let Some(origin) = &mut file.origin {
                    origin.is_default = true;
                    found::check_keys(default, &origin.table)?;
                }
                Ok(file)
            }
            None => Ok(Self::default()),
        }
    }

    /// This file and no other.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|error| file_error(path).with_source(error))?;
        let wrong =
            |error: &toml::de::Error| file_error(path).with_cause(explain(path, &text, error));
        let document = tree::parse(&text).map_err(|error| wrong(&error))?;
        let table = toml::Table::deserialize(toml::Deserializer::from(document.clone()))
            .map_err(|error| wrong(&error))?;
        let mut file =
            Self::deserialize(toml::Deserializer::from(document)).map_err(|error| wrong(&error))?;
        file.origin = Some(Origin {
            path: path.to_owned(),
            is_default: false,
            is_readable_by_others: file.holds_secret() && platform::is_readable_by_others(path),
            table,
        });
        Ok(file)
    }

    /// Says which file is used where nobody named it, and warns where others can read its
    /// secrets.
    pub fn announce(&self, progress: &Progress) {
        let Some(origin) = &self.origin else {
            return;
        };
        let path = origin.path.display();
        if origin.is_default {
            progress.info(&format!("Settings from {path}"));
        }
        if origin.is_readable_by_others {
            progress.warn(&format!(
                "{path} holds a secret and others can read it: {}",
                Command::new("chmod 600").file(&origin.path)
            ));
        }
    }

    /// The flags over the environment over this file, with a note on each variable that
    /// overrides the file. A secret of a higher layer is never sent to an address of a file
    /// that nobody named.
    pub fn layered_args<C: Cloud>(
        &self,
        flags: ImportArgs<C>,
        environment: &Environment,
    ) -> Result<ImportArgs<C>> {
        let settings = environment.settings()?;
        let mut notes = overruled::notes(&flags, environment, &settings, self);
        let file = self.clone().import_args();
        let above = flags.clone().layered(environment, ImportArgs::default())?;
        if let Some(origin) = self.origin.as_ref().filter(|origin| origin.is_default) {
            found::check_secrets(&origin.path, &above, &file.provider)?;
        }
        let mut args = flags.layered(environment, file)?;
        args.notes.append(&mut notes);
        Ok(args)
    }

    fn holds_secret(&self) -> bool {
        let mut clouds = CloudId::ALL.into_iter();
        self.job.iter().any(JobEntry::holds_secret)
            || clouds.any(|id| with_cloud!(id, C => self.table::<C>().holds_secret()))
    }

    /// Returns the table of a cloud.
    fn table<C: Cloud>(&self) -> C {
        let tables: [&dyn Any; 3] = [&self.aws, &self.alicloud, &self.digitalocean];
        let table = tables
            .into_iter()
            .find_map(|table| table.downcast_ref::<C>());
        table.cloned().unwrap_or_default()
    }

    /// What the file says to `check`: the image, and how the page is written; and the file.
    pub fn check_args(self) -> (Option<PathBuf>, Option<OutputFormat>, Option<PathBuf>) {
        let path = self.origin.map(|origin| origin.path);
        (self.image, self.output.format, path)
    }

    /// What the file says to one sub-command.
    pub fn import_args<C: Cloud>(self) -> ImportArgs<C> {
        ImportArgs {
            provider: self.table(),
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
fn file_error(path: &Path) -> Error {
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
    let (number, column, line) = locate(text, &span);
    let line = redacted_line(line, column);
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
fn locate<'a>(text: &'a str, span: &Range<usize>) -> (usize, usize, &'a str) {
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
fn redacted_line(line: &str, column: usize) -> String {
    const SECRET_WORDS: [&str; 5] = ["key", "secret", "token", "pass", "cred"];
    let is_table = line.starts_with('[') && !line.contains(['"', '\'', '=', ',']);
    if is_table {
        return line.to_owned();
    }
    let Some((key, _)) = line.split_once('=') else {
        return line.chars().take(column + 1).collect();
    };
    let value_is_wrong = column > key.chars().count();
    if value_is_wrong && !SECRET_WORDS.iter().any(|word| line.contains(word)) {
        return line.to_owned();
    }
    format!("{key}= …")
}

/// serde lists every name that it knows; the nearest one helps more.
fn suggestion(message: &str) -> Option<String> {
    let (unknown, names) = message
        .strip_prefix("unknown field ")?
        .split_once(", expected ")?;
    let unknown = unknown.trim_matches('`');
    let nearest = names
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
            names.trim_start_matches("one of ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cloud has a field in the file and in a job.
    #[test]
    fn every_cloud_has_its_table() {
        for id in CloudId::ALL {
            let name = id.name();
            let text =
                format!("[{name}]\nbucket = \"here\"\n[[job]]\n[job.{name}]\nbucket = \"here\"\n");
            let file: SettingsFile = toml::from_str(&text).expect("settings");
            with_cloud!(id, C => {
                let options = format!("{:?}", file.table::<C>());
                assert!(options.contains("\"here\""), "{name}: {options}");
                assert_eq!(format!("{:?}", file.job[0].table::<C>()), format!("Some({options})"));
            });
        }
    }
}
