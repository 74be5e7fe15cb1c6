//! `imgimport jobs`: what the journal knows of runs that have not ended, and how it goes,
//! in the cloud too. Each cloud says in its own `leftovers` how its things are removed.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::{Environment, Invocation};
use crate::error::{Error, Kind, Result};
use crate::import::journal::{Entry, Journal, Shelved, Whereabouts};
use crate::import::outcome::Format;
use crate::import::session::Session;
use crate::import::undo;
use crate::import::undo::{Cleanup, unconfirmed};
use crate::net::endpoint;
use crate::platform;
use crate::progress::one_line;
use crate::settings::{File, Table};
use crate::shell::{self, Command};
use crate::units;
use crate::{alicloud, aws, digitalocean};

/// What is paid for parts and objects that lie there: nobody's list price is ours to know.
const STORAGE: &str = "billed as storage until it is removed";
/// <https://www.digitalocean.com/pricing>, "Custom images".
const IMAGE: &str = "about 0.06 USD a month for each GB";
/// AMIs and ECS images cost what their snapshots cost.
const SNAPSHOTS: &str = "its snapshots are billed as storage";

/// What an entry has in the cloud, and what that costs.
fn things(entry: &Entry) -> Vec<(String, Option<&'static str>)> {
    let Some(place) = entry.place() else {
        return Vec::new();
    };
    let url = url(&place);
    let mut things = Vec::new();
    if entry.created_bucket {
        things.push((
            format!("bucket {}, which the run creates", place.bucket),
            None,
        ));
    }
    if let Some(role) = &entry.created_role {
        things.push((format!("role {role}, which stays for later imports"), None));
    }
    if entry.beginning {
        things.push((unconfirmed::upload(&url), None));
    }
    if entry.upload.is_some() {
        let sent = match (entry.acknowledged, entry.size) {
            (Some(sent), Some(size)) => {
                format!(", {} of {}", units::bytes(sent), units::bytes(size))
            }
            (Some(sent), None) => format!(", {}", units::bytes(sent)),
            (None, _) => String::new(),
        };
        things.push((format!("parts of {url}{sent}"), Some(STORAGE)));
    }
    let object = match (entry.sent, &entry.completing) {
        (true, _) => Some(url),
        (false, Some(_)) => Some(unconfirmed::object(&url)),
        (false, None) => None,
    };
    things.extend(object.map(|object| {
        let object = if entry.public {
            format!("{object}, {}", unconfirmed::READABLE)
        } else {
            object
        };
        (object, Some(STORAGE))
    }));
    let image_costs = match place.cloud.as_str() {
        "digitalocean" => IMAGE,
        _ => SNAPSHOTS,
    };
    match (&entry.task, &entry.image) {
        (Some(task), _) if place.cloud == "digitalocean" => {
            things.push((format!("import {task}"), Some(image_costs)));
        }
        (Some(task), None) if entry.snapshot.is_none() => {
            things.push((format!("import task {task}"), None));
        }
        _ => {}
    }
    for snapshot in entry.filling.iter().chain(&entry.snapshot) {
        things.push((format!("snapshot {snapshot}"), Some(STORAGE)));
    }
    for image in entry
        .image
        .iter()
        .chain(&entry.copy)
        .chain(entry.copies.values())
    {
        things.push((format!("image {image}"), Some(image_costs)));
    }
    for (snapshot, of) in &entry.snapshots {
        let what = format!("snapshot {snapshot} of {}, once that is deleted", of.image);
        things.push((what, Some(STORAGE)));
    }
    things.extend(possible(entry, &place).into_iter().map(|what| (what, None)));
    things
}

/// What was asked of the cloud without an answer that was written down.
fn possible(entry: &Entry, place: &Whereabouts) -> Vec<String> {
    let (region, mut things) = (&place.region, Vec::new());
    if entry.is_unheard() {
        things.push(match &entry.snapshot_request {
            Some(_) => unconfirmed::snapshot(region),
            None => unconfirmed::import(&url(place)),
        });
    }
    let name = entry.name.as_deref().unwrap_or_default();
    if entry.is_registering() || entry.is_naming() {
        things.push(unconfirmed::image(name, region));
    }
    for (region, asked) in entry.copies_unheard() {
        let name = asked.name.as_deref().unwrap_or_default();
        things.push(unconfirmed::image(name, region));
    }
    things
}

fn url(place: &Whereabouts) -> String {
    let scheme = if place.cloud == "alicloud" {
        "oss"
    } else {
        "s3"
    };
    format!("{scheme}://{}/{}", place.bucket, place.key)
}

fn age(entry: &Entry, now: Timestamp) -> Option<Duration> {
    let began = Timestamp::from_second(entry.clock?).ok()?;
    Duration::try_from(now.duration_since(began)).ok()
}

/// What `imgimport jobs` prints; in text, nothing for nothing.
pub fn list(shelf: &[Shelved], now: Timestamp, format: Format) -> String {
    match format {
        Format::Text => {
            let jobs: Vec<_> = shelf
                .iter()
                .map(|shelved| paragraph(shelved, now))
                .collect();
            jobs.join("\n")
        }
        Format::Json => {
            let jobs: Vec<_> = shelf.iter().map(|shelved| object(shelved, now)).collect();
            json!({"schema": 1, "jobs": jobs}).to_string()
        }
    }
}

/// `1a2b3c4d  aws eu-central-1  disk.raw  begun 3 h ago`, and a line for each thing.
fn paragraph(shelved: &Shelved, now: Timestamp) -> String {
    let entry = &shelved.entry;
    let mut head = vec![shelved.short().to_owned()];
    if let Some(place) = entry.place() {
        head.push(format!("{} {}", place.cloud, place.region));
    }
    head.extend(entry.path.clone());
    if let Some(age) = age(entry, now) {
        head.push(format!("begun {} ago", whole(age)));
    }
    if shelved.running {
        head.push("running now".to_owned());
    }
    let mut things = things(entry);
    if things.is_empty() {
        things.push(("nothing in the cloud yet".to_owned(), None));
    }
    // Names are anybody's: none of them may begin a line, or speak to the terminal.
    let head: Vec<_> = head.iter().map(|word| one_line(word)).collect();
    let things = things.into_iter().map(|(what, costs)| match costs {
        Some(costs) => format!("\n  {}: {costs}", one_line(&what)),
        None => format!("\n  {}", one_line(&what)),
    });
    std::iter::once(head.join("  ")).chain(things).collect()
}

/// Days and hours are as fine as anybody wants to know an age.
fn whole(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..3600 => units::seconds(Duration::from_secs(seconds)),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn object(shelved: &Shelved, now: Timestamp) -> Value {
    let entry = &shelved.entry;
    let place = entry.place();
    let place = place.as_ref();
    let images: Vec<_> = entry
        .image
        .iter()
        .chain(&entry.copy)
        .chain(entry.copies.values())
        .collect();
    let costs: Vec<_> = things(entry)
        .into_iter()
        .map(|(what, costs)| json!({"what": what, "costs": costs}))
        .collect();
    json!({
        "id": shelved.id,
        "running": shelved.running,
        "provider": place.map(|place| &place.cloud),
        "region": place.map(|place| &place.region),
        "source": {"path": entry.path, "size": entry.size},
        "object": place.map(|place| json!({
            "bucket": place.bucket, "key": place.key, "complete": entry.sent,
        })),
        "upload_id": entry.upload,
        "acknowledged_bytes": entry.acknowledged,
        "task_id": entry.task,
        "snapshot_id": entry.snapshot.as_ref().or(entry.filling.as_ref()),
        "image_ids": images,
        "age_seconds": age(entry, now).map(|age| age.as_secs()),
        "left": costs,
    })
}

/// The entries that these beginnings of names choose; all of them where none is given.
pub fn choose(shelf: Vec<Shelved>, ids: &[String]) -> Result<Vec<Shelved>> {
    for id in ids {
        let found = shelf
            .iter()
            .filter(|shelved| shelved.id.starts_with(id.as_str()));
        match found.count() {
            1 => {}
            0 => {
                return Err(Error::usage(format!("the journal has no job {id}"))
                    .hint("see what it has with: imgimport jobs"));
            }
            _ => {
                return Err(Error::usage(format!("several jobs begin with {id}"))
                    .hint("write more of its name: imgimport jobs --output json has all of it"));
            }
        }
    }
    let chosen = |shelved: &Shelved| {
        ids.is_empty() || ids.iter().any(|id| shelved.id.starts_with(id.as_str()))
    };
    Ok(shelf.into_iter().filter(chosen).collect())
}

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
