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
use crate::platform;
use crate::secret::mask;

mod ids;
mod index;

pub use ids::Prefixes;
pub use index::{ObjectLocation, StoredJob, list_jobs};

/// The ending of the list of blocks.
const BLOCK_LOG_EXTENSION: &str = "blocks";

/// What is known of an unfinished job.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct JournalEntry {
    /// The source as it was when it was sent: size, modification time, inode.
    pub source: Option<String>,
    /// The temporary object's name, its template filled in.
    pub key: Option<String>,
    /// The first run's clock, in seconds of Unix: names with the time in them stay the same.
    #[serde(rename = "clock")]
    pub started_at: Option<i64>,
    /// Where it lies: cloud, region, bucket and name.
    pub object: Option<String>,
    /// CreateMultipartUpload was sent, and may have begun an upload whose id is not here.
    pub beginning: bool,
    /// The multipart upload under way.
    pub upload: Option<String>,
    /// Bytes of each of its parts but the last.
    pub part_size: Option<u64>,
    /// CompleteMultipartUpload was sent, and may have made this object.
    pub completing: Option<ExpectedObject>,
    /// The object is complete.
    #[serde(rename = "sent")]
    pub uploaded: bool,
    /// Everybody who knows the object's address can read it, once it is complete.
    pub public: bool,
    /// What was asked of the import; another question needs another task.
    #[serde(rename = "request")]
    pub request_fingerprint: Option<String>,
    /// Makes a repeated question the same question.
    pub client_token: Option<String>,
    /// Tasks that read an object of this name before the import was asked for.
    pub earlier_tasks: Option<Vec<String>>,
    /// What was asked of the snapshot that blocks are to be written to.
    pub snapshot_request: Option<SnapshotRequest>,
    /// The import task.
    pub task: Option<String>,
    /// The snapshot that blocks are being written to.
    #[serde(rename = "filling")]
    pub pending_snapshot: Option<String>,
    /// It has all of them, and may have been told so.
    #[serde(rename = "sealed")]
    pub completion_requested: bool,
    /// The finished snapshot that an image is registered from.
    pub snapshot: Option<String>,
    /// RegisterImage was sent, and may have made an image of the snapshot.
    pub registering: bool,
    /// The imported image, before it has its name.
    pub image: Option<String>,
    /// The name that the cloud was asked to give an image.
    pub name: Option<String>,
    /// Copies in other regions, by region.
    pub copies: BTreeMap<String, String>,
    /// What was asked of the copy in a region.
    pub copy_requests: BTreeMap<String, CopyRequest>,
    /// Makes a repeated copy the same copy.
    pub copy_token: Option<String>,
    /// The image under its own name.
    #[serde(rename = "copy")]
    pub named_image: Option<String>,
    /// The local image, and its bytes.
    pub path: Option<String>,
    /// As above.
    pub size: Option<u64>,
    /// Bytes that the service had acknowledged when the last run ended.
    pub acknowledged: Option<u64>,
    /// The address of the cloud and the identity of the caller, without secrets: for commands
    /// that have only the journal.
    pub account: BTreeMap<String, String>,
    /// This job makes the bucket, or has made it.
    pub created_bucket: bool,
    /// The service role that this job makes, or has made.
    pub created_role: Option<String>,
    /// By region, the image that this job's image takes the place of, as soon as it is to be
    /// deleted.
    pub replaced: BTreeMap<String, String>,
    /// Snapshots to delete once their image is deleted, by id.
    pub snapshots: BTreeMap<String, ImageSnapshot>,
}

/// Whose snapshot it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct ImageSnapshot {
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
    #[serde(rename = "request")]
    pub request_fingerprint: String,
    /// Makes a repeated question the same question.
    pub client_token: String,
    /// The image that is copied.
    pub source: Option<String>,
    /// The name of the copy.
    pub name: Option<String>,
}

/// An object as CompleteMultipartUpload makes it of its parts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct ExpectedObject {
    /// Bytes.
    pub size: u64,
    /// The digest of all bytes in base64, where the service has one.
    pub digest: Option<String>,
    /// The service's tag, where it follows from the parts.
    pub etag: Option<String>,
}

/// What StartSnapshot was asked for: the same again, with the same token, is the same snapshot.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct SnapshotRequest {
    /// GiB.
    pub volume_size: i64,
    /// Its description.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The key, where it is not the account's own.
    pub kms_key: Option<String>,
    /// Minutes without a block after which the service gives it up.
    pub timeout: i32,
}

impl JournalEntry {
    /// Whether an earlier run has left nothing to go on from.
    pub fn is_empty(&self) -> bool {
        let Self {
            upload,
            task,
            pending_snapshot: filling,
            snapshot,
            image,
            named_image: copy,
            ..
        } = self;
        let ids = [upload, task, filling, snapshot, image, copy];
        let possible =
            self.beginning || self.completing.is_some() || self.has_unconfirmed_request();
        !self.uploaded && !possible && ids.into_iter().all(Option::is_none)
    }

    /// The thing of this id was removed.
    pub fn remove_id(&mut self, id: &str) {
        for files in [&mut self.upload, &mut self.snapshot, &mut self.image] {
            files.take_if(|recorded| recorded == id);
        }
        for files in [&mut self.task, &mut self.pending_snapshot] {
            if files.take_if(|recorded| recorded == id).is_some() {
                (self.client_token, self.completion_requested) = (None, false);
            }
        }
        if self
            .named_image
            .take_if(|recorded| recorded == id)
            .is_some()
        {
            self.copy_token = None;
        }
        let region = self.copies.iter().find(|(_, copy)| *copy == id);
        if let Some(region) = region.map(|(region, _)| region.clone()) {
            self.copies.remove(&region);
            self.copy_requests.remove(&region);
        }
    }

    /// Whether RegisterImage was sent, and its answer not written down.
    pub fn is_registering(&self) -> bool {
        self.registering && self.image.is_none()
    }

    /// Whether CopyImage was asked to name the image, and its answer not written down.
    pub fn is_naming(&self) -> bool {
        self.copy_token.is_some() && self.named_image.is_none() && self.image.is_some()
    }

    /// The copies whose answer was not written down, by region.
    pub fn unconfirmed_copies(&self) -> impl Iterator<Item = (&String, &CopyRequest)> {
        let requested = self.copy_requests.iter();
        requested.filter(|(region, _)| !self.copies.contains_key(*region))
    }

    /// Whether an import was asked for whose answer was not written down.
    pub fn has_unconfirmed_request(&self) -> bool {
        let answers = [
            &self.task,
            &self.pending_snapshot,
            &self.snapshot,
            &self.image,
        ];
        self.client_token.is_some() && answers.into_iter().all(Option::is_none)
    }
}

/// One job's entry, held by this run alone. Clones are the same entry.
#[derive(Clone)]
pub struct Journal(Arc<Mutex<JournalState>>);

struct JournalState {
    entry: JournalEntry,
    files: Option<EntryFiles>,
    warned: bool,
    /// The name that this run has among those of its process.
    name: Option<String>,
}

/// Names of objects in use in this process: where no directory says it, runs beside each
/// other must still not meet under one.
static OPEN_NAMES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn open_names() -> MutexGuard<'static, BTreeSet<String>> {
    OPEN_NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for JournalState {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            open_names().remove(name);
        }
    }
}

struct EntryFiles {
    path: PathBuf,
    lock: PathBuf,
    _lock_file: File,
}

impl Journal {
    fn new(entry: JournalEntry, files: Option<EntryFiles>) -> Self {
        Self(Arc::new(Mutex::new(JournalState {
            entry,
            files,
            warned: false,
            name: None,
        })))
    }

    /// A journal that remembers nothing, for `--no-resume` and standard input.
    pub fn disabled() -> Self {
        Self::new(JournalEntry::default(), None)
    }

    /// Opens the entry of the job that these words identify. Another run that holds it is an error;
    /// a directory that can't be used is a reason to warn, not to fail.
    pub fn open(directory: Option<&Path>, identity: &[&str]) -> Result<(Self, Option<String>)> {
        let Some(directory) = directory else {
            return Ok((
                Self::disabled(),
                Some(
                    "there is no home directory for the journal: this run can't be continued"
                        .into(),
                ),
            ));
        };
        let name = hex::encode(&Sha256::digest(identity.join("\0"))[..16]);
        match EntryFiles::lock(directory, &name) {
            Ok(Some(place)) => Ok((Self::new(place.read(), Some(place)), None)),
            Ok(None) => Err(Error::failed("another run of this job is under way")
                .hint("wait for it, or give this run another key or another name for the image")),
            Err(error) => Ok((
                Self::disabled(),
                Some(format!("this run can't be continued: {error:#}")),
            )),
        }
    }

    fn state(&self) -> MutexGuard<'_, JournalState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the name for this job, unless a run that works or an import that reads it has it.
    pub fn reserve_key(&self, object: &str, key: &str) -> bool {
        let mut state = self.state();
        let Some(files) = &state.files else {
            let free = open_names().insert(object.to_owned());
            state.name = free.then(|| object.to_owned());
            return free;
        };
        // One at a time: between the look and the note nobody else may look.
        let directory = files.path.parent().and_then(|path| File::open(path).ok());
        let _alone = directory.filter(|directory| directory.lock().is_ok());
        if files.is_used(object) {
            return false;
        }
        (state.entry.key, state.entry.object) = (Some(key.to_owned()), Some(object.to_owned()));
        if let Some(files) = &state.files {
            let _ = files.write(&state.entry);
        }
        true
    }

    /// Where the list of a snapshot's blocks lies, which would be too long for the entry;
    /// it goes with the entry.
    pub fn block_log_path(&self) -> Option<PathBuf> {
        let state = self.state();
        Some(
            state
                .files
                .as_ref()?
                .path
                .with_extension(BLOCK_LOG_EXTENSION),
        )
    }

    /// What is known.
    pub fn entry(&self) -> JournalEntry {
        self.state().entry.clone()
    }

    /// Notes something before the next step is taken.
    pub fn update(&self, change: impl FnOnce(&mut JournalEntry)) {
        let mut state = self.state();
        change(&mut state.entry);
        let written = state.files.as_ref().map(|files| files.write(&state.entry));
        // A full disk stays full; once is enough.
        if let Some(Err(error)) = written
            && !std::mem::replace(&mut state.warned, true)
        {
            tracing::warn!("the journal can't be written: {error:#}");
        }
    }

    /// Runs a removal of the thing of this id, which then leaves the entry. A run that is
    /// killed in between has it in its journal.
    pub async fn removing<E>(
        &self,
        id: &str,
        removal: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        removal.await?;
        self.update(|entry| entry.remove_id(id));
        Ok(())
    }

    /// The job is done, or nothing of it stays: the entry goes.
    pub fn close(&self) {
        if let Some(files) = self.state().files.take() {
            let _ = fs::remove_file(&files.path);
            let _ = fs::remove_file(files.path.with_extension(BLOCK_LOG_EXTENSION));
            let _ = fs::remove_file(&files.lock);
        }
    }
}

impl EntryFiles {
    /// Locks the entry; `None` when another process holds it.
    fn lock(directory: &Path, name: &str) -> anyhow::Result<Option<Self>> {
        platform::make_private(directory).with_context(|| format!("{}", directory.display()))?;
        check(directory)?;
        let (path, lock) = (
            directory.join(format!("{name}.json")),
            directory.join(format!("{name}.lock")),
        );
        for other in ["json", "lock", "new", BLOCK_LOG_EXTENSION] {
            let file = path.with_extension(other);
            if file.symlink_metadata().is_ok() {
                check(&file)?;
            }
        }
        let state = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .with_context(|| format!("{}", lock.display()))?;
        match state.try_lock() {
            Ok(()) => Ok(Some(Self {
                path,
                lock,
                _lock_file: state,
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
                    && (is_locked(&path) || (entry.task.is_some() && entry.uploaded))
            })
    }

    /// A torn or foreign file is an empty journal: the service knows better anyway.
    fn read(&self) -> JournalEntry {
        read(&self.path)
    }

    /// Written beside and moved over, so that a power cut leaves the old or the new entry.
    fn write(&self, entry: &JournalEntry) -> anyhow::Result<()> {
        let draft = self.path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(mask(&serde_json::to_string(entry)?).as_bytes())?;
        file.sync_all()?;
        Ok(fs::rename(&draft, &self.path)?)
    }
}

/// What may be kept of how a cloud is reached: an address with a password in it may not.
pub fn account<const N: usize>(fields: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    let said = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    said.filter(|(_, value)| !value.contains('@')).collect()
}

/// An error where the directory or file is a link, or not this user's own.
pub fn check(path: &Path) -> anyhow::Result<()> {
    platform::check_private(path)
        .map_err(|reason| anyhow::anyhow!("{} is not used: {reason}", path.display()))
}

fn read(path: &Path) -> JournalEntry {
    check(path)
        .and_then(|()| Ok(fs::read(path)?))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// As the program wrote it before it noted what it asks for.
    const OLD: &str = r#"{"source":"6291456 bytes, modified 1767225600000000000, inode 7",
        "key":"imgimport-1767225600.raw","clock":1767225600,
        "object":"aws eu-central-1 importbucket imgimport-1767225600.raw","upload":null,"sent":true,
        "request":"Raw","client_token":"c0ffee","task":"import-ami-1","filling":null,"sealed":false,
        "snapshot":null,"image":"ami-1","copies":{"eu-west-1":"ami-2"},
        "copy_requests":{"us-east-1":{"request":"ami-1","client_token":"t"}},"copy_token":null,
        "copy":null,"path":"disk.raw","size":6291456,"acknowledged":null,
        "account":{"profile":"work"}}"#;

    #[test]
    fn the_entry_of_an_older_version_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("old.json");
        fs::write(&path, OLD).unwrap();
        let entry = read(&path);
        assert!(entry.uploaded && !entry.beginning && !entry.has_unconfirmed_request());
        assert_eq!(entry.image.as_deref(), Some("ami-1"));
        assert_eq!(entry.copies["eu-west-1"], "ami-2");
        assert_eq!((entry.completing, entry.earlier_tasks), (None, None));
        let unconfirmed = &entry.copy_requests["us-east-1"];
        assert_eq!(
            (&*unconfirmed.client_token, &unconfirmed.name),
            ("t", &None)
        );
    }

    #[test]
    fn an_entry_with_an_unconfirmed_request_is_kept() {
        let empty = JournalEntry::default();
        assert!(empty.is_empty());
        for possible in [
            JournalEntry {
                beginning: true,
                ..JournalEntry::default()
            },
            JournalEntry {
                completing: Some(ExpectedObject::default()),
                ..JournalEntry::default()
            },
            JournalEntry {
                client_token: Some("t".to_owned()),
                ..JournalEntry::default()
            },
        ] {
            assert!(!possible.is_empty(), "{possible:?}");
        }
    }
}
