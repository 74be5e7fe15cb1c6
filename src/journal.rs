//! The journal of unfinished jobs: what a later run of the same command needs to go on,
//! and nothing secret. It is a hint; whatever it says is asked of the service again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::host;

mod shelf;

pub use shelf::{Place as Whereabouts, Shelved, shelf};

/// The ending of the list of blocks.
const BLOCKS: &str = "blocks";

/// What is known of an unfinished job.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Entry {
    /// The source as it was when it was sent: size, modification time, inode.
    pub source: Option<String>,
    /// The temporary object's name, its template filled in.
    pub key: Option<String>,
    /// The first run's clock, in seconds of Unix: names with the time in them stay the same.
    pub clock: Option<i64>,
    /// Where it lies: cloud, region, bucket and name.
    pub object: Option<String>,
    /// The multipart upload under way.
    pub upload: Option<String>,
    /// The object is complete.
    pub sent: bool,
    /// What was asked of the import; another question needs another task.
    pub request: Option<String>,
    /// Makes a repeated question the same question.
    pub client_token: Option<String>,
    /// The import task.
    pub task: Option<String>,
    /// The snapshot that blocks are being written to.
    pub filling: Option<String>,
    /// It has all of them, and may have been told so.
    pub sealed: bool,
    /// The finished snapshot that an image is registered from.
    pub snapshot: Option<String>,
    /// The imported image, before it has its name.
    pub image: Option<String>,
    /// Copies in other regions, by region.
    pub copies: BTreeMap<String, String>,
    /// What was asked of the copy in a region.
    pub copy_requests: BTreeMap<String, CopyRequest>,
    /// Makes a repeated copy the same copy.
    pub copy_token: Option<String>,
    /// The image under its own name.
    pub copy: Option<String>,
    /// The local image, and its bytes.
    pub path: Option<String>,
    /// As above.
    pub size: Option<u64>,
    /// Bytes that the service had acknowledged when the last run ended.
    pub acknowledged: Option<u64>,
    /// How the cloud is reached and who asks, without secrets: for whoever has only the journal.
    pub account: BTreeMap<String, String>,
    /// The name that the cloud was asked to give an image.
    pub name: Option<String>,
    /// This job makes the bucket, or has made it.
    pub created_bucket: bool,
    /// The service role that this job makes, or has made.
    pub created_role: Option<String>,
    /// By region, the image that this job's image takes the place of, as soon as it is to be
    /// deleted.
    pub replaced: BTreeMap<String, String>,
    /// Snapshots to delete once their image is deleted, by id.
    pub snapshots: BTreeMap<String, SnapshotOf>,
}

/// Whose snapshot it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct SnapshotOf {
    /// Where.
    pub region: String,
    /// The image.
    pub image: String,
}

/// A copy as it was asked for; another question needs another copy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct CopyRequest {
    /// The question's words.
    pub request: String,
    /// Makes a repeated question the same question.
    pub client_token: String,
    /// The name of the copy.
    pub name: Option<String>,
}

impl Entry {
    /// Whether an earlier run has left nothing to go on from.
    pub fn is_empty(&self) -> bool {
        let Self {
            upload,
            sent,
            task,
            filling,
            snapshot,
            image,
            copy,
            ..
        } = self;
        let things = [upload, task, filling, snapshot, image, copy];
        !sent && things.into_iter().all(Option::is_none)
    }

    /// Whether an import was asked for whose answer was not written down.
    pub fn is_unheard(&self) -> bool {
        let answers = [&self.task, &self.filling, &self.snapshot, &self.image];
        self.client_token.is_some() && answers.into_iter().all(Option::is_none)
    }
}

/// One job's entry, held by this run alone. Clones are the same entry.
#[derive(Clone)]
pub struct Journal(Arc<Mutex<Held>>);

struct Held {
    entry: Entry,
    place: Option<Place>,
    warned: bool,
    /// The name that this run has among those of its process.
    name: Option<String>,
}

/// Names of objects in use in this process: where no directory says it, runs beside each
/// other must still not meet under one.
static NAMES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn names() -> MutexGuard<'static, BTreeSet<String>> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            names().remove(name);
        }
    }
}

struct Place {
    path: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl Journal {
    fn of(entry: Entry, place: Option<Place>) -> Self {
        Self(Arc::new(Mutex::new(Held {
            entry,
            place,
            warned: false,
            name: None,
        })))
    }

    /// A journal that remembers nothing, for `--no-resume` and standard input.
    pub fn forgetful() -> Self {
        Self::of(Entry::default(), None)
    }

    /// Opens the entry of the job that these words identify. Another run that holds it is an error;
    /// a directory that can't be used is a reason to warn, not to fail.
    pub fn open(directory: Option<&Path>, identity: &[&str]) -> Result<(Self, Option<String>)> {
        let Some(directory) = directory else {
            return Ok((
                Self::forgetful(),
                Some(
                    "there is no home directory for the journal: this run can't be continued"
                        .into(),
                ),
            ));
        };
        let name = hex::encode(&Sha256::digest(identity.join("\0"))[..16]);
        match Place::take(directory, &name) {
            Ok(Some(place)) => Ok((Self::of(place.read(), Some(place)), None)),
            Ok(None) => Err(Error::failed("another run of this job is under way")
                .hint("wait for it, or give this run another key or another name for the image")),
            Err(error) => Ok((
                Self::forgetful(),
                Some(format!("this run can't be continued: {error:#}")),
            )),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the name for this job, unless a run that works or an import that reads it has it.
    pub fn claim(&self, object: &str, key: &str) -> bool {
        let mut held = self.held();
        let Some(place) = &held.place else {
            let free = names().insert(object.to_owned());
            held.name = free.then(|| object.to_owned());
            return free;
        };
        // One at a time: between the look and the note nobody else may look.
        let directory = place.path.parent().and_then(|path| File::open(path).ok());
        let _alone = directory.filter(|directory| directory.lock().is_ok());
        if place.is_used(object) {
            return false;
        }
        (held.entry.key, held.entry.object) = (Some(key.to_owned()), Some(object.to_owned()));
        if let Some(place) = &held.place {
            let _ = place.write(&held.entry);
        }
        true
    }

    /// Where the list of a snapshot's blocks lies, which would be too long for the entry;
    /// it goes with the entry.
    pub fn blocks(&self) -> Option<PathBuf> {
        let held = self.held();
        Some(held.place.as_ref()?.path.with_extension(BLOCKS))
    }

    /// What is known.
    pub fn entry(&self) -> Entry {
        self.held().entry.clone()
    }

    /// Notes something before the next step is taken.
    pub fn note(&self, change: impl FnOnce(&mut Entry)) {
        let mut held = self.held();
        change(&mut held.entry);
        let written = held.place.as_ref().map(|place| place.write(&held.entry));
        // A full disk stays full; once is enough.
        if let Some(Err(error)) = written
            && !std::mem::replace(&mut held.warned, true)
        {
            tracing::warn!("the journal can't be written: {error:#}");
        }
    }

    /// The job is done, or nothing of it stays: the entry goes.
    pub fn close(&self) {
        if let Some(place) = self.held().place.take() {
            let _ = fs::remove_file(&place.path);
            let _ = fs::remove_file(place.path.with_extension(BLOCKS));
            let _ = fs::remove_file(&place.lock);
        }
    }
}

impl Place {
    /// Locks the entry; `None` when another process holds it.
    fn take(directory: &Path, name: &str) -> anyhow::Result<Option<Self>> {
        host::make_private(directory).with_context(|| format!("{}", directory.display()))?;
        let (path, lock) = (
            directory.join(format!("{name}.json")),
            directory.join(format!("{name}.lock")),
        );
        let held = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .with_context(|| format!("{}", lock.display()))?;
        match held.try_lock() {
            Ok(()) => Ok(Some(Self {
                path,
                lock,
                _held: held,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{}", lock.display()))
            }
        }
    }

    /// Whether another job has the object: it runs now, or its import goes on.
    fn is_used(&self, object: &str) -> bool {
        let entries = self
            .path
            .parent()
            .and_then(|directory| fs::read_dir(directory).ok());
        let paths = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()));
        paths
            .filter(|path| {
                *path != self.path && path.extension().is_some_and(|ending| ending == "json")
            })
            .any(|path| {
                let entry = read(&path);
                entry.object.as_deref() == Some(object)
                    && (is_locked(&path) || (entry.task.is_some() && entry.sent))
            })
    }

    /// A torn or foreign file is an empty journal: the service knows better anyway.
    fn read(&self) -> Entry {
        read(&self.path)
    }

    /// Written beside and moved over, so that a power cut leaves the old or the new entry.
    fn write(&self, entry: &Entry) -> anyhow::Result<()> {
        let draft = self.path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(entry)?)?;
        file.sync_all()?;
        Ok(fs::rename(&draft, &self.path)?)
    }
}

/// What may be kept of how a cloud is reached: an address with a password in it may not.
pub fn account<const N: usize>(said: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    let said = said
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    said.filter(|(_, value)| !value.contains('@')).collect()
}

fn read(path: &Path) -> Entry {
    fs::read(path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// Whether a process holds the entry.
fn is_locked(entry: &Path) -> bool {
    let lock = File::open(entry.with_extension("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// `$XDG_STATE_HOME/imgimport`, or `~/.local/state/imgimport`.
pub fn directory() -> Option<PathBuf> {
    let base = etcetera::base_strategy::Xdg::new().ok()?;
    base.state_dir().map(|state| state.join("imgimport"))
}
