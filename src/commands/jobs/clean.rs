//! `imgimport jobs --clean`: removes what the entries of the journal name in the clouds.

use serde_json::json;

use crate::clouds::{CloudId, with_cloud};
use crate::config::OutputFormat;
use crate::config::{Environment, ImportArgs};
use crate::error::{Error, Kind, Result};
use crate::import::cloud::{Cloud, Stored};
use crate::import::journal::{Journal, JournalEntry, ObjectLocation, StoredJob};
use crate::import::session::Session;
use crate::import::undo::{self, UndoList};
use crate::net::endpoint;
use crate::platform;
use crate::settings::SettingsFile;
use crate::shell::{self, Command};

/// What `--clean` has come to.
#[derive(Default)]
pub struct CleanReport {
    removed: Vec<String>,
    remaining: Vec<(String, Error)>,
    stopped: Option<Kind>,
}

impl CleanReport {
    /// What goes to standard output.
    pub fn render(&self, format: OutputFormat) -> String {
        if format == OutputFormat::Text {
            return self.removed.join("\n");
        }
        let remaining = self.remaining.iter().map(|(id, error)| {
            let mut job = error.to_json()["error"].take();
            job["id"] = id.as_str().into();
            job
        });
        let remaining: Vec<_> = remaining.collect();
        json!({"schema": 1, "cleaned": self.removed, "left": remaining}).to_string()
    }

    /// Stopped, something left, or all gone.
    pub fn exit_code(&self) -> u8 {
        let failed = (!self.remaining.is_empty()).then_some(Kind::Failed);
        self.stopped.or(failed).map_or(0, Kind::exit_code)
    }
}

/// Removes one job after the other; one that resists does not hold up the rest. Jobs that
/// run are passed over, unless one was asked for by its name.
pub async fn remove_all(
    jobs: &[StoredJob],
    is_explicit: bool,
    file: &SettingsFile,
    environment: &Environment,
    session: &Session,
) -> CleanReport {
    let mut cleaned = CleanReport::default();
    for shelved in jobs {
        if let Err(stopped) = session.check() {
            cleaned.stopped = Some(stopped.kind());
            break;
        }
        let id = shelved.short_id();
        if shelved.running && !is_explicit {
            session
                .progress
                .note(&format!("{id} is left alone: a process is at work on it"));
            continue;
        }
        match remove_job(shelved, file, environment, session).await {
            Ok(()) => cleaned.removed.push(id.to_owned()),
            Err(error) => {
                session.progress.error(&error);
                cleaned.remaining.push((id.to_owned(), error));
            }
        }
    }
    cleaned
}

/// Removes what the entry names; what stays is in the error.
async fn remove_job(
    job: &StoredJob,
    file: &SettingsFile,
    environment: &Environment,
    session: &Session,
) -> Result<()> {
    let id = job.short_id();
    let failed = || Error::failed(format!("the job {id} could not be removed"));
    let journal = job.open().map_err(|error| failed().with_source(error))?;
    let Some(journal) = journal else {
        return Err(Error::failed(format!("the job {id} is left alone"))
            .with_cause("a process is at work on it")
            .hint("stop that process first; a second Ctrl-C there removes everything"));
    };
    let entry = journal.entry();
    let mut cleanup = UndoList::default();
    let remove = Command::new("imgimport jobs --clean").arg(id);
    if let Some(location) = entry.object_location() {
        check_entry(&entry, &location).map_err(|why| failed().with_cause(why))?;
        let cleaner = JobCleaner {
            journal: &journal,
            entry: &entry,
            location: &location,
            file,
            environment,
        };
        cleaner
            .track_all(&remove, session, &mut cleanup)
            .await
            .map_err(|error| {
                let failed = failed().with_cause(error.one_line());
                match error.hint_text() {
                    Some(advice) => failed.hint(advice),
                    None => failed,
                }
            })?;
    }
    let stays = undo::finish(cleanup, false, session).await;
    if !stays.is_empty() {
        return Err(failed().with_left_behind(stays));
    }
    journal.close();
    Ok(())
}

/// Who asks the cloud of an entry: the journal says how, the environment and the settings
/// file have the keys.
struct JobCleaner<'a> {
    journal: &'a Journal,
    entry: &'a JournalEntry,
    location: &'a ObjectLocation,
    file: &'a SettingsFile,
    environment: &'a Environment,
}

impl JobCleaner<'_> {
    async fn track_all(
        &self,
        remove: &Command,
        session: &Session,
        cleanup: &mut UndoList,
    ) -> Result<()> {
        let (location, account) = (self.location, &self.entry.account);
        let name = &location.cloud;
        let Some(cloud) = CloudId::find(name) else {
            return Err(Error::failed(format!("the cloud {name} is not known here")));
        };
        let stored = Stored {
            journal: self.journal,
            entry: self.entry,
            location,
            environment: self.environment,
            remove,
            progress: &session.progress,
        };
        with_cloud!(cloud, C => {
            let options = self.options(C::from_journal(location, account))?;
            options.track_resources(&stored, cleanup).await
        })
    }

    /// The entry's options over the environment over the file. An address of the journal gets
    /// secrets where it is on this machine, the cloud's own, or what is configured now.
    fn options<C: Cloud>(&self, options: C) -> Result<C> {
        let configured = self
            .file
            .layered_args(ImportArgs::<C>::default(), self.environment)?;
        let configured = configured.provider.addresses();
        for (key, url) in options.addresses() {
            let is_configured = configured.iter().any(|(_, other)| *other == url);
            if !is_configured
                && !endpoint::is_loopback(&url)
                && !endpoint::is_within(&url, C::DOMAINS)
            {
                let variables = C::VARIABLES.iter().find(|(known, _)| *known == key);
                let variable = variables.and_then(|(_, names)| names.first().copied());
                let own_variable = format!("IMGIMPORT_{}_{}", C::NAME, key).to_uppercase();
                let variable = variable.unwrap_or(&own_variable);
                return Err(Error::failed("its endpoint is not used")
                    .with_cause(format!(
                        "the journal has {url} as {key}, which neither {variable} nor the settings file has"
                    ))
                    .hint(format!(
                        "if it is right, run this again with this before it: {}",
                        shell::variable(variable, &url)
                    )));
            }
        }
        let args = ImportArgs {
            provider: options,
            ..ImportArgs::default()
        };
        Ok(self.file.layered_args(args, self.environment)?.provider)
    }
}

/// Whether an entry says what this program writes into one: names that can be part of
/// addresses, ids of one word, a credentials file that is the user's own.
fn check_entry(entry: &JournalEntry, location: &ObjectLocation) -> Result<(), String> {
    endpoint::region(&location.region)?;
    // The place of an import without a bucket begins with a slash.
    let bucket = location
        .bucket
        .strip_prefix('/')
        .unwrap_or(&location.bucket);
    let is_name = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
    if bucket.is_empty() || !bucket.chars().all(is_name) {
        return Err(format!("the journal has {bucket:?} as a bucket"));
    }
    let ids = [
        &entry.upload,
        &entry.task,
        &entry.pending_snapshot,
        &entry.snapshot,
        &entry.image,
        &entry.named_image,
    ];
    let copies = entry.copies.iter().flat_map(|(region, id)| [region, id]);
    let mut ids = ids.into_iter().flatten().chain(copies);
    if let Some(id) = ids.find(|id| !id.chars().all(|sign| sign.is_ascii_graphic())) {
        return Err(format!("the journal has {id:?} as an id"));
    }
    let Some(file) = entry.account.get("shared_credentials_file") else {
        return Ok(());
    };
    let path = std::path::Path::new(file);
    if !path.exists() {
        return Ok(());
    }
    platform::check_owner(path)
        .map_err(|why| format!("the credentials file {file} is not used: {why}"))
}
