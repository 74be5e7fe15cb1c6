//! The system's files under one root, from as many file systems as its fstab mounts and
//! can be read here. What lies on one that can't be read is not seen, which is not the
//! same as not there.

use ext4_view::{Ext4, Ext4Error, FileType, Metadata};

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

/// The files of a system.
pub(super) struct Tree {
    root: Ext4,
    /// Mount points below the root; None for one that can't be read.
    mounts: Vec<(String, Option<Ext4>)>,
}

impl Tree {
    pub(super) fn new(root: Ext4) -> Self {
        Self {
            root,
            mounts: vec![],
        }
    }

    /// Lays a file system over a directory, as fstab does.
    pub(super) fn mount(&mut self, point: &str, files: Option<Ext4>) {
        self.mounts
            .push((point.trim_end_matches('/').to_owned(), files));
        // The deepest first.
        self.mounts
            .sort_by_key(|(point, _)| std::cmp::Reverse(point.len()));
    }

    /// The file system that a path lies on, and the path there.
    fn place<'a>(&self, path: &'a str) -> Option<(&Ext4, &'a str)> {
        for (point, files) in &self.mounts {
            if let Some(rest) = path.strip_prefix(point.as_str())
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return files
                    .as_ref()
                    .map(|files| (files, if rest.is_empty() { "/" } else { rest }));
            }
        }
        Some((&self.root, path))
    }

    fn look<T>(&self, path: &str, at: impl FnOnce(&Ext4, &str) -> Result<T, Ext4Error>) -> Look<T> {
        let Some((files, path)) = self.place(path) else {
            return Look::Unseen;
        };
        match at(files, path) {
            Ok(it) => Look::Here(it),
            Err(Ext4Error::NotFound | Ext4Error::NotADirectory | Ext4Error::IsADirectory) => {
                Look::Absent
            }
            Err(_) => Look::Unseen,
        }
    }

    /// What there is at a path; a link counts as what it leads to.
    pub(super) fn at(&self, path: &str) -> Look<Metadata> {
        self.look(path, |files, path| files.metadata(path))
    }

    /// A file or a link by that name, wherever the link leads.
    pub(super) fn has(&self, path: &str) -> Option<bool> {
        self.look(path, |files, path| files.symlink_metadata(path))
            .is_here()
    }

    /// The first bytes of a file.
    pub(super) fn bytes(&self, path: &str, most: usize) -> Look<Vec<u8>> {
        self.look(path, |files, path| {
            let mut file = files.open(path)?;
            let mut bytes =
                vec![0; most.min(usize::try_from(file.metadata().len()).unwrap_or(most))];
            let mut filled = 0;
            while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match file.read_bytes(rest)? {
                    0 => break,
                    count => filled += count,
                }
            }
            bytes.truncate(filled);
            Ok(bytes)
        })
    }

    /// A file as text.
    pub(super) fn text(&self, path: &str) -> Look<String> {
        let bytes = self.bytes(path, TEXT);
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file that is read piece by piece.
    pub(super) fn open(&self, path: &str) -> Look<ext4_view::File> {
        self.look(path, |files, path| files.open(path))
    }

    /// What is in a directory, by name.
    pub(super) fn list(&self, path: &str) -> Look<Vec<Entry>> {
        self.look(path, |files, path| {
            let mut names = vec![];
            for entry in files.read_dir(path)?.take(NAMES) {
                let entry = entry?;
                let name = entry.file_name().display().to_string();
                if name == "." || name == ".." {
                    continue;
                }
                let kind = entry.file_type().ok();
                // A link counts as the file that it leads to.
                let about = match kind {
                    Some(FileType::Regular) => entry.metadata().ok(),
                    Some(FileType::Symlink) => files.metadata(&entry.path()).ok(),
                    _ => None,
                };
                let about = about.filter(|about| about.file_type() == FileType::Regular);
                names.push(Entry {
                    name,
                    size: about.map_or(0, |about| about.len()),
                    directory: kind == Some(FileType::Directory),
                });
            }
            names.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(names)
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
            .filter(|entry| entry.name.ends_with(".wants"));
        let mut names =
            wants.flat_map(|dir| self.names(&format!("/etc/systemd/system/{}", dir.name)));
        Some(names.any(|name| units.contains(&name.as_str())))
    }
}
