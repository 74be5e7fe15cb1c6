//! `imgimport jobs --clean`: removes what the entries of the journal name in the clouds.

use serde_json::json;

use crate::config::{Environment, Invocation};
use crate::error::{Error, Kind, Result};
use crate::import::journal::{Entry, Journal, Shelved, Whereabouts};
use crate::import::outcome::Format;
use crate::import::session::Session;
use crate::import::undo::{self, Cleanup};
use crate::net::endpoint;
use crate::platform;
use crate::settings::{File, Table};
use crate::shell::{self, Command};
use crate::{alicloud, aws, digitalocean};

/// What `--clean` has come to.
#[derive(Default)]
pub struct Cleaned {
    gone: Vec<String>,
    left: Vec<(String, Error)>,
    stopped: Option<Kind>,
}

impl Cleaned {
    /// What goes to standard output.
    pub fn render(&self, format: Format) -> String {
        if format == Format::Text {
            return self.gone.join("\n");
        }
        let left = self.left.iter().map(|(id, error)| {
            let mut left = error.to_json()["error"].take();
            left["id"] = id.as_str().into();
            left
        });
        let left: Vec<_> = left.collect();
        json!({"schema": 1, "cleaned": self.gone, "left": left}).to_string()
    }

    /// Stopped, something left, or all gone.
    pub fn exit_code(&self) -> u8 {
        let failed = (!self.left.is_empty()).then_some(Kind::Failed);
        self.stopped.or(failed).map_or(0, Kind::exit_code)
    }
}

/// Removes one job after the other; one that resists does not hold up the rest. Jobs that
/// run are passed over, unless one was asked for by its name.
pub async fn clean_all(
    shelf: &[Shelved],
    named: bool,
    file: &File,
    environment: &Environment,
    session: &Session,
) -> Cleaned {
    let mut cleaned = Cleaned::default();
    for shelved in shelf {
        if let Err(stopped) = session.check() {
            cleaned.stopped = Some(stopped.kind());
            break;
        }
        let id = shelved.short();
        if shelved.running && !named {
            session
                .progress
                .note(&format!("{id} is left alone: a process is at work on it"));
            continue;
        }
        match clean(shelved, file, environment, session).await {
            Ok(()) => cleaned.gone.push(id.to_owned()),
            Err(error) => {
                session.progress.error(&error);
                cleaned.left.push((id.to_owned(), error));
            }
        }
    }
    cleaned
}

/// Removes what the entry names; what stays is in the error.
async fn clean(
    shelved: &Shelved,
    file: &File,
    environment: &Environment,
    session: &Session,
) -> Result<()> {
    let id = shelved.short();
    let failed = || Error::failed(format!("the job {id} could not be removed"));
    let journal = shelved.take().map_err(|error| failed().because(error))?;
    let Some(journal) = journal else {
        return Err(Error::failed(format!("the job {id} is left alone"))
            .because_of("a process is at work on it")
            .hint("stop that process first; a second Ctrl-C there removes everything"));
    };
    let entry = journal.entry();
    let mut cleanup = Cleanup::default();
    let remove = Command::new("imgimport jobs --clean").arg(id);
    if let Some(place) = entry.place() {
        sound(&entry, &place).map_err(|why| failed().because_of(why))?;
        let wallet = Wallet {
            journal: &journal,
            entry: &entry,
            place: &place,
            file,
            environment,
        };
        wallet
            .hold(&remove, session, &mut cleanup)
            .await
            .map_err(|error| {
                let failed = failed().because_of(error.brief());
                match error.advice() {
                    Some(advice) => failed.hint(advice),
                    None => failed,
                }
            })?;
    }
    let stays = undo::end(cleanup, false, session).await;
    if !stays.is_empty() {
        return Err(failed().leaves(stays));
    }
    journal.close();
    Ok(())
}

/// Who asks the cloud of an entry: the journal says how, the environment and the settings
/// file have the keys.
struct Wallet<'a> {
    journal: &'a Journal,
    entry: &'a Entry,
    place: &'a Whereabouts,
    file: &'a File,
    environment: &'a Environment,
}

impl Wallet<'_> {
    async fn hold(&self, remove: &Command, session: &Session, cleanup: &mut Cleanup) -> Result<()> {
        let (entry, place, account) = (self.entry, self.place, &self.entry.account);
        match place.cloud.as_str() {
            "aws" => {
                let options = self.options(aws::resources::options(place, account))?;
                aws::resources::hold(entry, place, &options, remove, cleanup).await
            }
            "alicloud" => {
                let options = self.options(alicloud::resources::options(place, account))?;
                let progress = &session.progress;
                alicloud::resources::hold(
                    self.journal,
                    place,
                    &options,
                    self.environment,
                    remove,
                    progress,
                    cleanup,
                )
                .await
            }
            "digitalocean" => {
                let options = self.options(digitalocean::resources::options(place, account))?;
                let progress = &session.progress;
                digitalocean::resources::hold(
                    entry,
                    place,
                    &options,
                    self.environment,
                    remove,
                    progress,
                    cleanup,
                )
            }
            other => Err(Error::failed(format!(
                "the cloud {other} is not known here"
            ))),
        }
    }

    /// The entry's options over the environment over the file. An address of the journal gets
    /// secrets where it is on this machine, the cloud's own, or what is configured now.
    fn options<P: Table>(&self, said: P) -> Result<P> {
        let configured = self
            .file
            .under(Invocation::<P>::default(), self.environment)?;
        let configured = configured.provider.addresses();
        for (id, url) in said.addresses() {
            let is_configured = configured.iter().any(|(_, other)| *other == url);
            if !is_configured
                && !endpoint::is_loopback(&url)
                && !endpoint::is_within(&url, P::DOMAINS)
            {
                let variables = P::VARIABLES.iter().find(|(known, _)| *known == id);
                let variable = variables.and_then(|(_, names)| names.first().copied());
                let own = format!("IMGIMPORT_{}_{}", P::NAME, id).to_uppercase();
                let variable = variable.unwrap_or(&own);
                return Err(Error::failed("its endpoint is not used")
                    .because_of(format!(
                        "the journal has {url} as {id}, which neither {variable} nor the settings file has"
                    ))
                    .hint(format!(
                        "if it is right, run this again with this before it: {}",
                        shell::variable(variable, &url)
                    )));
            }
        }
        let said = Invocation {
            provider: said,
            ..Invocation::default()
        };
        Ok(self.file.under(said, self.environment)?.provider)
    }
}

/// Whether an entry says what this program writes into one: names that can be part of
/// addresses, ids of one word, a credentials file that is the user's own.
fn sound(entry: &Entry, place: &Whereabouts) -> Result<(), String> {
    endpoint::region(&place.region)?;
    // The place of an import without a bucket begins with a slash.
    let bucket = place.bucket.strip_prefix('/').unwrap_or(&place.bucket);
    let is_name = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
    if bucket.is_empty() || !bucket.chars().all(is_name) {
        return Err(format!("the journal has {bucket:?} as a bucket"));
    }
    let ids = [
        &entry.upload,
        &entry.task,
        &entry.filling,
        &entry.snapshot,
        &entry.image,
        &entry.copy,
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
