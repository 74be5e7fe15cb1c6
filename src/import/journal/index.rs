//! All entries at once, for who looks after what runs have left.

use std::fs;
use std::path::{Path, PathBuf};

use super::{EntryFiles as File, Journal, JournalEntry, check, is_locked, read};

/// Signs of an entry's name that people read and write.
const SHORT_ID_LEN: usize = 8;

/// An entry as it lies there.
pub struct StoredJob {
    /// The whole name; any beginning of it that no other entry has will do.
    pub id: String,
    /// What it says.
    pub entry: JournalEntry,
    /// A process is at work on it.
    pub running: bool,
    directory: PathBuf,
}

/// Where the temporary object of an entry lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectLocation {
    /// The sub-command.
    pub cloud: String,
    /// The region.
    pub region: String,
    /// The bucket or Space.
    pub bucket: String,
    /// The object's name.
    pub key: String,
}

/// What lies in the journal's directory, oldest first. A directory that is a link or not this
/// user's own is an error, such an entry is left out.
pub fn list_jobs(directory: &Path) -> anyhow::Result<Vec<StoredJob>> {
    if directory.symlink_metadata().is_ok() {
        check(directory)?;
    }
    let paths = fs::read_dir(directory).into_iter().flatten();
    let paths = paths.filter_map(|entry| Some(entry.ok()?.path()));
    let mut shelved: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .filter(|path| check(path).is_ok())
        .filter_map(|path| {
            Some(StoredJob {
                id: path.file_stem()?.to_str()?.to_owned(),
                entry: read(&path),
                running: is_locked(&path),
                directory: directory.to_owned(),
            })
        })
        .collect();
    shelved.sort_by(|a, b| (a.entry.started_at, &a.id).cmp(&(b.entry.started_at, &b.id)));
    Ok(shelved)
}

impl StoredJob {
    /// The beginning of the name, as it is shown.
    pub fn short_id(&self) -> &str {
        self.id.get(..SHORT_ID_LEN).unwrap_or(&self.id)
    }

    /// Takes the entry, so that no run begins on it; `None` when one has.
    pub fn open(&self) -> anyhow::Result<Option<Journal>> {
        let files = File::lock(&self.directory, &self.id)?;
        Ok(files.map(|place| Journal::new(place.read(), Some(place))))
    }
}

impl JournalEntry {
    /// Where the object lies, if the entry has come so far.
    pub fn object_location(&self) -> Option<ObjectLocation> {
        let mut words = self.object.as_deref()?.splitn(4, ' ').map(str::to_owned);
        Some(ObjectLocation {
            cloud: words.next()?,
            region: words.next()?,
            bucket: words.next()?,
            key: words.next()?,
        })
    }
}
