//! The system's files under one root, from as many file systems as its fstab mounts and
//! can be read here. What lies on one that can't be read is not seen, which is not the
//! same as not there.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Read;

use super::files::{self, About, Files, Kind, Miss, Seen};

/// What a look at something showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Look<T> {
    /// It is there.
    Here(T),
    /// It is not there.
    Absent,
    /// It could not be seen.
    #[default]
    Unseen,
}

impl<T> Look<T> {
    /// What is there, if it is.
    pub fn here(&self) -> Option<&T> {
        match self {
            Self::Here(it) => Some(it),
            _ => None,
        }
    }

    /// Whether it is there; None where that was not seen.
    pub fn is_here(&self) -> Option<bool> {
        match self {
            Self::Here(_) => Some(true),
            Self::Absent => Some(false),
            Self::Unseen => None,
        }
    }

    /// What is made of it.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Look<U> {
        match self {
            Self::Here(it) => Look::Here(make(it)),
            Self::Absent => Look::Absent,
            Self::Unseen => Look::Unseen,
        }
    }

    /// This, or where it is absent, the other.
    pub fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Absent => other(),
            it => it,
        }
    }
}

impl<T> From<Seen<T>> for Look<T> {
    fn from(seen: Seen<T>) -> Self {
        match seen {
            Ok(it) => Self::Here(it),
            Err(Miss::Absent) => Self::Absent,
            Err(Miss::Unseen) => Self::Unseen,
        }
    }
}

/// Configuration and lists are smaller; of a larger file the rest is left.
const TEXT: usize = 4 << 20;
/// Names in a directory that are looked at.
const NAMES: usize = 20_000;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// Bytes of a file; 0 for anything else.
    pub size: u64,
    /// Whether it is a directory.
    pub directory: bool,
}

/// Links that are followed on one path (Linux, MAXSYMLINKS), and the names that they may
/// make of it.
const LINKS: u32 = 40;
const DEPTH: usize = 1000;
/// Directories that are remembered as such.
const DIRECTORIES: usize = 4096;

/// The files of a system.
pub(super) struct Tree {
    root: Box<dyn Files>,
    /// Mount points below the root; None for one that can't be read.
    mounts: Vec<(String, Option<Box<dyn Files>>)>,
    /// Paths that are directories and no links.
    directories: RefCell<HashSet<String>>,
    /// What a look has to say beyond what it returns.
    notes: RefCell<Vec<String>>,
}

impl Tree {
    pub(super) fn new(root: Box<dyn Files>) -> Self {
        Self {
            root,
            mounts: vec![],
            directories: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// Lays a file system over a directory, as fstab does.
    pub(super) fn mount(&mut self, point: &str, files: Option<Box<dyn Files>>) {
        self.mounts
            .push((point.trim_end_matches('/').to_owned(), files));
        // The deepest first.
        self.mounts
            .sort_by_key(|(point, _)| std::cmp::Reverse(point.len()));
        self.directories.borrow_mut().clear();
    }

    /// Free bytes of the root file system.
    pub(super) fn free(&self) -> Option<u64> {
        self.root.free()
    }

    /// Says something beside what a look returns.
    pub(super) fn note(&self, what: String) {
        self.notes.borrow_mut().push(what);
    }

    pub(super) fn notes(self) -> Vec<String> {
        self.notes.into_inner()
    }

    /// Asks the file system that a path lies on, which leads through no links.
    fn ask<T>(&self, path: &str, ask: impl FnOnce(&dyn Files, &str) -> Seen<T>) -> Seen<T> {
        for (point, files) in &self.mounts {
            if let Some(rest) = path.strip_prefix(point.as_str())
                && (rest.is_empty() || rest.starts_with('/'))
            {
                let files = files.as_ref().ok_or(Miss::Unseen)?;
                return ask(&**files, if rest.is_empty() { "/" } else { rest });
            }
        }
        ask(&*self.root, path)
    }

    fn about(&self, path: &str) -> Seen<About> {
        self.ask(path, |files, path| files.about(path))
    }

    /// The path without links, through all file systems; the last name is followed on demand.
    fn resolve(&self, path: &str, follow: bool) -> Seen<String> {
        let names = |path: &str| -> Vec<String> { path.rsplit('/').map(str::to_owned).collect() };
        let mut real = String::new();
        let mut rest = names(path.trim_end_matches('/'));
        let mut links = LINKS;
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
            match self.about(&here)?.kind {
                Kind::Link => {
                    links = links.checked_sub(1).ok_or(Miss::Absent)?;
                    let target = self.ask(&here, |files, path| files.link(path))?;
                    if target.starts_with('/') {
                        real.clear();
                    }
                    rest.extend(names(&target));
                    if rest.len() > DEPTH {
                        return Err(Miss::Unseen);
                    }
                }
                Kind::Directory => {
                    let mut known = self.directories.borrow_mut();
                    if known.len() < DIRECTORIES {
                        known.insert(here.clone());
                    }
                    real = here;
                }
                Kind::File | Kind::Other if last => real = here,
                Kind::File | Kind::Other => return Err(Miss::Absent),
            }
        }
        Ok(if real.is_empty() {
            "/".to_owned()
        } else {
            real
        })
    }

    fn look<T>(&self, path: &str, at: impl FnOnce(&dyn Files, &str) -> Seen<T>) -> Look<T> {
        let found = self.resolve(path, true);
        found.and_then(|path| self.ask(&path, at)).into()
    }

    /// What there is at a path; a link counts as what it leads to.
    pub(super) fn at(&self, path: &str) -> Look<About> {
        self.look(path, |files, path| files.about(path))
    }

    /// A file or a link by that name, wherever the link leads.
    pub(super) fn has(&self, path: &str) -> Option<bool> {
        let found = self.resolve(path, false);
        Look::from(found.and_then(|path| self.about(&path))).is_here()
    }

    /// The first bytes of a file.
    pub(super) fn bytes(&self, path: &str, most: usize) -> Look<Vec<u8>> {
        self.look(path, |files, path| {
            files::read(files.open(path)?, most).map_err(|_| Miss::Unseen)
        })
    }

    /// A file as text.
    pub(super) fn text(&self, path: &str) -> Look<String> {
        let bytes = self.bytes(path, TEXT);
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file that is read piece by piece.
    pub(super) fn open(&self, path: &str) -> Look<Box<dyn Read>> {
        self.look(path, |files, path| files.open(path))
    }

    /// What is in a directory, by name.
    pub(super) fn list(&self, path: &str) -> Look<Vec<Entry>> {
        let entries = self.resolve(path, true).and_then(|real| {
            let names = self.ask(&real, |files, path| files.names(path, NAMES))?;
            let dir = real.trim_end_matches('/');
            let entry = |(name, kind): (String, Kind)| {
                let path = format!("{dir}/{name}");
                // A link counts as the file that it leads to.
                let about = match kind {
                    Kind::File => self.about(&path).ok(),
                    Kind::Link => self.at(&path).here().copied(),
                    Kind::Directory | Kind::Other => None,
                };
                let file = about.filter(|about| about.kind == Kind::File);
                Entry {
                    size: file.map_or(0, |about| about.size),
                    directory: kind == Kind::Directory,
                    name,
                }
            };
            Ok(names.into_iter().map(entry).collect::<Vec<_>>())
        });
        Look::from(entries).map(|mut entries| {
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            entries
        })
    }

    /// The names in a directory; none where there is no such directory or it is not seen.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        match self.list(path) {
            Look::Here(entries) => entries.into_iter().map(|entry| entry.name).collect(),
            _ => vec![],
        }
    }

    /// The first of these programs that is there.
    pub(super) fn program(&self, names: &[&str]) -> Look<String> {
        let dirs = [
            "/usr/bin",
            "/usr/sbin",
            "/bin",
            "/sbin",
            "/usr/local/bin",
            "/usr/local/sbin",
        ];
        let mut seen = Look::Absent;
        for path in dirs
            .iter()
            .flat_map(|dir| names.iter().map(move |name| format!("{dir}/{name}")))
        {
            match self.has(&path) {
                Some(true) => return Look::Here(path),
                Some(false) => {}
                None => seen = Look::Unseen,
            }
        }
        seen
    }

    /// Whether systemd starts one of these units, as far as links in /etc say it.
    pub(super) fn enabled(&self, units: &[&str]) -> Option<bool> {
        let entries = self.list("/etc/systemd/system");
        let Look::Here(entries) = entries else {
            return entries.is_here();
        };
        let wants = entries
            .iter()
            .filter(|entry| matches!(entry.name.rsplit_once('.'), Some((_, "wants"))));
        let mut names =
            wants.flat_map(|dir| self.names(&format!("/etc/systemd/system/{}", dir.name)));
        Some(names.any(|name| units.contains(&name.as_str())))
    }
}
