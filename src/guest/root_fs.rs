//! The system's files under one root, from all file systems that its fstab mounts and that can
//! be read here. A file on a file system that cannot be read is unknown, which is not the same
//! as absent.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Read;

use super::files::{self, FileError, FileInfo, FileKind, FileResult, FileSystem};

/// The result of looking for something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Observed<T> {
    /// It is there.
    Present(T),
    /// It is not there.
    Absent,
    /// It could not be read.
    #[default]
    Unknown,
}

impl<T> Observed<T> {
    /// Returns the value, if it is present.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(it) => Some(it),
            _ => None,
        }
    }

    /// Reports whether it is present; `None` where that is unknown.
    pub fn is_present(&self) -> Option<bool> {
        match self {
            Self::Present(_) => Some(true),
            Self::Absent => Some(false),
            Self::Unknown => None,
        }
    }

    /// Converts the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Present(it) => Observed::Present(make(it)),
            Self::Absent => Observed::Absent,
            Self::Unknown => Observed::Unknown,
        }
    }

    /// Returns the other one if this one is absent.
    pub fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Absent => other(),
            it => it,
        }
    }
}

impl<T> From<FileResult<T>> for Observed<T> {
    fn from(result: FileResult<T>) -> Self {
        match result {
            Ok(it) => Self::Present(it),
            Err(FileError::Absent) => Self::Absent,
            Err(FileError::Unreadable) => Self::Unknown,
        }
    }
}

/// The most bytes of a text file; configurations and lists are smaller, and the rest of a
/// larger file is ignored.
const MAX_TEXT: usize = 4 << 20;
/// The most names of a directory.
const MAX_NAMES: usize = 20_000;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: String,
    /// Size of a file in bytes; 0 for anything else.
    pub size: u64,
    /// The entry is a directory.
    pub is_directory: bool,
}

/// The most links that are followed on one path (Linux, MAXSYMLINKS), and the most names that
/// they may produce.
const MAX_LINKS: u32 = 40;
const MAX_DEPTH: usize = 1000;
/// The most directories in the cache.
const MAX_DIRECTORIES: usize = 4096;

/// The files of a system.
pub(super) struct RootFs {
    root: Box<dyn FileSystem>,
    /// Mount points below the root; `None` for one that cannot be read.
    mounts: Vec<(String, Option<Box<dyn FileSystem>>)>,
    /// Paths that are directories and not links.
    directories: RefCell<HashSet<String>>,
    /// Messages of the inspection, in addition to its results.
    notes: RefCell<Vec<String>>,
}

impl RootFs {
    pub(super) fn new(root: Box<dyn FileSystem>) -> Self {
        Self {
            root,
            mounts: vec![],
            directories: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// Mounts a file system on a directory, as fstab does.
    pub(super) fn mount(&mut self, point: &str, files: Option<Box<dyn FileSystem>>) {
        self.mounts
            .push((point.trim_end_matches('/').to_owned(), files));
        // The deepest first, so that the first match of a path is its file system.
        self.mounts
            .sort_by_key(|(point, _)| std::cmp::Reverse(point.len()));
        self.directories.borrow_mut().clear();
    }

    /// Returns the free bytes of the root file system.
    pub(super) fn free(&self) -> Option<u64> {
        self.root.free()
    }

    /// Adds a message, in addition to the result of the inspection.
    pub(super) fn note(&self, message: String) {
        self.notes.borrow_mut().push(message);
    }

    pub(super) fn notes(self) -> Vec<String> {
        self.notes.into_inner()
    }

    /// Calls the file system of a path that contains no links.
    fn query<T>(
        &self,
        path: &str,
        ask: impl FnOnce(&dyn FileSystem, &str) -> FileResult<T>,
    ) -> FileResult<T> {
        for (point, files) in &self.mounts {
            if let Some(rest) = path.strip_prefix(point.as_str())
                && (rest.is_empty() || rest.starts_with('/'))
            {
                let files = files.as_ref().ok_or(FileError::Unreadable)?;
                return ask(&**files, if rest.is_empty() { "/" } else { rest });
            }
        }
        ask(&*self.root, path)
    }

    fn metadata(&self, path: &str) -> FileResult<FileInfo> {
        self.query(path, |files, path| files.metadata(path))
    }

    /// Resolves the links of a path, through all file systems; the last name only if `follow`
    /// is set.
    fn resolve(&self, path: &str, follow: bool) -> FileResult<String> {
        let names = |path: &str| -> Vec<String> { path.rsplit('/').map(str::to_owned).collect() };
        let mut real = String::new();
        let mut rest = names(path.trim_end_matches('/'));
        let mut links = MAX_LINKS;
        while let Some(name) = rest.pop() {
            if name.is_empty() || name == "." {
                continue;
            }
            if name == ".." {
                real.truncate(real.rfind('/').unwrap_or(0));
                continue;
            }
            let here = format!("{real}/{name}");
            let last = rest.is_empty();
            if last && !follow {
                return Ok(here);
            }
            if self.directories.borrow().contains(&here) {
                real = here;
                continue;
            }
            match self.metadata(&here)?.kind {
                FileKind::Link => {
                    links = links.checked_sub(1).ok_or(FileError::Absent)?;
                    let target = self.query(&here, |files, path| files.read_link(path))?;
                    if target.starts_with('/') {
                        real.clear();
                    }
                    rest.extend(names(&target));
                    if rest.len() > MAX_DEPTH {
                        return Err(FileError::Unreadable);
                    }
                }
                FileKind::Directory => {
                    let mut directories = self.directories.borrow_mut();
                    if directories.len() < MAX_DIRECTORIES {
                        directories.insert(here.clone());
                    }
                    real = here;
                }
                FileKind::File | FileKind::Other if last => real = here,
                FileKind::File | FileKind::Other => return Err(FileError::Absent),
            }
        }
        Ok(if real.is_empty() {
            "/".to_owned()
        } else {
            real
        })
    }

    fn observe<T>(
        &self,
        path: &str,
        at: impl FnOnce(&dyn FileSystem, &str) -> FileResult<T>,
    ) -> Observed<T> {
        let found = self.resolve(path, true);
        found.and_then(|path| self.query(&path, at)).into()
    }

    /// Returns the metadata of a path; a link is followed.
    pub(super) fn metadata_at(&self, path: &str) -> Observed<FileInfo> {
        self.observe(path, |files, path| files.metadata(path))
    }

    /// Reports whether there is a file or a link by that name, wherever the link leads.
    pub(super) fn exists(&self, path: &str) -> Option<bool> {
        let found = self.resolve(path, false);
        Observed::from(found.and_then(|path| self.metadata(&path))).is_present()
    }

    /// Returns the first bytes of a file.
    pub(super) fn bytes(&self, path: &str, max: usize) -> Observed<Vec<u8>> {
        self.observe(path, |files, path| {
            files::read(files.open(path)?, max).map_err(|_| FileError::Unreadable)
        })
    }

    /// Returns a file as text.
    pub(super) fn text(&self, path: &str) -> Observed<String> {
        let bytes = self.bytes(path, MAX_TEXT);
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Opens a file that is read in pieces.
    pub(super) fn open(&self, path: &str) -> Observed<Box<dyn Read>> {
        self.observe(path, |files, path| files.open(path))
    }

    /// Returns the content of a directory, by name.
    pub(super) fn list(&self, path: &str) -> Observed<Vec<DirEntry>> {
        let entries = self.resolve(path, true).and_then(|real| {
            let names = self.query(&real, |files, path| files.list(path, MAX_NAMES))?;
            let dir = real.trim_end_matches('/');
            let entry = |(name, kind): (String, FileKind)| {
                let path = format!("{dir}/{name}");
                // A link counts as the file that it leads to.
                let about = match kind {
                    FileKind::File => self.metadata(&path).ok(),
                    FileKind::Link => self.metadata_at(&path).present().copied(),
                    FileKind::Directory | FileKind::Other => None,
                };
                let file = about.filter(|about| about.kind == FileKind::File);
                DirEntry {
                    size: file.map_or(0, |about| about.size),
                    is_directory: kind == FileKind::Directory,
                    name,
                }
            };
            Ok(names.into_iter().map(entry).collect::<Vec<_>>())
        });
        Observed::from(entries).map(|mut entries| {
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            entries
        })
    }

    /// Returns the names in a directory; none where there is no such directory or it is
    /// unknown.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        match self.list(path) {
            Observed::Present(entries) => entries.into_iter().map(|entry| entry.name).collect(),
            _ => vec![],
        }
    }

    /// Returns the first of these programs that is present.
    pub(super) fn program(&self, names: &[&str]) -> Observed<String> {
        let dirs = [
            "/usr/bin",
            "/usr/sbin",
            "/bin",
            "/sbin",
            "/usr/local/bin",
            "/usr/local/sbin",
        ];
        let mut observed = Observed::Absent;
        for path in dirs
            .iter()
            .flat_map(|dir| names.iter().map(move |name| format!("{dir}/{name}")))
        {
            match self.exists(&path) {
                Some(true) => return Observed::Present(path),
                Some(false) => {}
                None => observed = Observed::Unknown,
            }
        }
        observed
    }

    /// Reports whether systemd starts one of these units, according to links in /etc.
    pub(super) fn is_enabled(&self, units: &[&str]) -> Option<bool> {
        let entries = self.list("/etc/systemd/system");
        let Observed::Present(entries) = entries else {
            return entries.is_present();
        };
        let wants = entries
            .iter()
            .filter(|entry| matches!(entry.name.rsplit_once('.'), Some((_, "wants"))));
        let mut names =
            wants.flat_map(|dir| self.names(&format!("/etc/systemd/system/{}", dir.name)));
        Some(names.any(|name| units.contains(&name.as_str())))
    }
}
