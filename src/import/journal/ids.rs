//! The ids in an entry of the journal, checked against their form.

use super::JournalEntry;
use crate::error::{Error, Result};
use crate::net::ids::{is_id, is_upload};

/// The prefixes that a cloud's ids have.
pub struct Prefixes {
    /// Of import tasks.
    pub task: &'static [&'static str],
    /// Of images.
    pub image: &'static [&'static str],
    /// Of snapshots.
    pub snapshot: &'static [&'static str],
}

impl Prefixes {
    /// Checks every id of a journal's entry. A journal is a file: what is no id of the cloud
    /// is not sent to it and is part of no command.
    ///
    /// # Errors
    ///
    /// One of them is no id of this cloud.
    pub fn check(&self, entry: &JournalEntry) -> Result<()> {
        let images = entry.image.iter().chain(&entry.named_image);
        let images = images
            .chain(entry.copies.values())
            .chain(entry.replaced.values());
        let images = images.chain(entry.snapshots.values().map(|of| &of.image));
        let requests = entry.copy_requests.values();
        let images = images.chain(requests.filter_map(|request| request.source.as_ref()));
        let snapshots = entry.pending_snapshot.iter().chain(&entry.snapshot);
        let snapshots = snapshots.chain(entry.snapshots.keys());
        let tasks = entry
            .task
            .iter()
            .chain(entry.earlier_tasks.iter().flatten());
        let ids = tasks.map(|id| (self.task, id));
        let ids = ids.chain(images.map(|id| (self.image, id)));
        let mut ids = ids.chain(snapshots.map(|id| (self.snapshot, id)));
        let is_none =
            |(prefixes, id): &(&[&str], &String)| !prefixes.iter().any(|prefix| is_id(prefix, id));
        let foreign = ids.find(is_none).map(|(_, id)| id);
        let upload = entry.upload.as_ref().filter(|id| !is_upload(id));
        match foreign.or(upload) {
            None => Ok(()),
            Some(id) => Err(Error::failed("the journal's entry can't be used")
                .with_cause(format!("{id:?} is no id of this cloud"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWS: Prefixes = Prefixes {
        task: &["import-ami", "import-snap"],
        image: &["ami"],
        snapshot: &["snap"],
    };

    #[test]
    fn each_id_of_an_entry_is_checked() {
        let text = |text: &str| Some(text.to_owned());
        let whole = JournalEntry {
            task: text("import-snap-0a"),
            image: text("ami-0a"),
            snapshot: text("snap-0a"),
            upload: text("2~x"),
            ..JournalEntry::default()
        };
        assert!(AWS.check(&whole).is_ok());
        let copies = [("eu-west-1".to_owned(), "ami-1;reboot".to_owned())];
        for wrong in [
            JournalEntry {
                task: text("ami-0a"),
                ..whole.clone()
            },
            JournalEntry {
                image: text("ami-1;reboot"),
                ..whole.clone()
            },
            JournalEntry {
                named_image: text("--owners"),
                ..whole.clone()
            },
            JournalEntry {
                pending_snapshot: text("snap-$(id)"),
                ..whole.clone()
            },
            JournalEntry {
                upload: text("a\u{1b}[2J"),
                ..whole.clone()
            },
            JournalEntry {
                earlier_tasks: Some(vec!["x".to_owned()]),
                ..whole.clone()
            },
            JournalEntry {
                copies: copies.into(),
                ..whole.clone()
            },
        ] {
            let error = AWS.check(&wrong).expect_err("refused").to_string();
            assert!(error.contains("is no id of this cloud"), "{error}");
        }
    }
}
