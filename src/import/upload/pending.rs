//! What the service may have made of a request whose answer is not known: written down
//! before the request, found again by the object's key, and removed.

use std::sync::Arc;

use super::Target;
use crate::import::journal;
use crate::import::journal::Journal;
use crate::import::undo::{Cleanup, Entry, unconfirmed};
use crate::shell::Command;
use crate::store::{Head, SentPart, Store, UploadId, Whole, tag_of_parts};
use crate::transfer::{Notes, without_parts};

/// The engine's notes, in the journal.
pub(super) struct Noted(pub(super) Journal);

impl Notes for Noted {
    fn beginning(&self) {
        self.0.note(|entry| {
            (entry.beginning, entry.upload) = (true, None);
        });
    }

    fn refused(&self) {
        self.0.note(|entry| entry.beginning = false);
    }

    fn begun(&self, upload: &UploadId, part_size: u64, alone: bool) {
        self.0.note(|entry| {
            (entry.upload, entry.part_size) = (Some(upload.0.clone()), Some(part_size));
            entry.beginning = !alone;
        });
    }

    fn completing(&self, parts: &[SentPart], whole: &Whole) {
        let object = journal::Object {
            size: whole.size,
            digest: whole.digest.map(|digest| digest.base64()),
            etag: tag_of_parts(parts),
        };
        self.0.note(|entry| entry.completing = Some(object));
    }

    fn not_completed(&self) {
        self.0.note(|entry| entry.completing = None);
    }
}

/// Whether this is the object that CompleteMultipartUpload was asked for.
pub(super) fn is_expected(head: &Head, expected: &journal::Object) -> bool {
    let proven = match (head.digest, &expected.digest) {
        (Some(there), Some(here)) => there.base64() == *here,
        _ => head.etag.is_some() && same_tag(head.etag.as_deref(), expected.etag.as_deref()),
    };
    head.size == expected.size && proven
}

/// Hex has no case.
fn same_tag(there: Option<&str>, here: Option<&str>) -> bool {
    there
        .zip(here)
        .is_some_and(|(there, here)| there.eq_ignore_ascii_case(here))
}

/// Removes the object if it is the one that was asked for; another one is somebody else's.
async fn remove_expected<S: Store>(store: &S, expected: &journal::Object) -> anyhow::Result<()> {
    match store.head().await? {
        Some(head) if is_expected(&head, expected) => Ok(store.remove().await?),
        _ => Ok(()),
    }
}

/// Aborts the uploads of the key that have no part.
pub(super) async fn abort_without_parts<S: Store>(store: &S) -> crate::store::Result<()> {
    for upload in without_parts(store).await? {
        store.abort(&upload).await?;
    }
    Ok(())
}

/// Puts on the undo list what an earlier run has or may have left of its upload.
pub fn hold_earlier<S: Store>(
    journal: &Journal,
    cleanup: &mut Cleanup,
    store: &Arc<S>,
    target: &Target,
) -> Vec<Entry> {
    let held = Held::of(journal, store, target);
    let mut entries = held.possible(cleanup);
    if let Some(upload) = journal.entry().upload.map(UploadId) {
        let what = format!("the parts of {} that an earlier run has sent", target.url);
        entries.push(held.parts(cleanup, &upload, what));
    }
    entries
}

/// Puts on the undo list what the journal names; what is removed leaves the journal, too.
pub(super) struct Held<'a, S> {
    journal: &'a Journal,
    store: &'a Arc<S>,
    target: &'a Target,
}

impl<'a, S: Store> Held<'a, S> {
    pub(super) fn of(journal: &'a Journal, store: &'a Arc<S>, target: &'a Target) -> Self {
        Self {
            journal,
            store,
            target,
        }
    }

    /// The parts of an unfinished upload.
    pub(super) fn parts(&self, cleanup: &mut Cleanup, upload: &UploadId, what: String) -> Entry {
        let (store, id, journal) = (Arc::clone(self.store), upload.clone(), self.journal.clone());
        let remove = (self.target.abort)(upload);
        cleanup.reusable(what, remove, async move || {
            Ok(journal.forgetting(&id.0, store.abort(&id)).await?)
        })
    }

    /// What may be there although no answer has named it.
    pub(super) fn possible(&self, cleanup: &mut Cleanup) -> Vec<Entry> {
        let (entry, target) = (self.journal.entry(), self.target);
        let mut held = Vec::new();
        if entry.beginning {
            let (store, journal) = (Arc::clone(self.store), self.journal.clone());
            let what = unconfirmed::upload(&target.url);
            held.push(
                cleanup.reusable(what, target.uploads.clone(), async move || {
                    abort_without_parts(&*store).await?;
                    journal.note(|entry| entry.beginning = false);
                    Ok(())
                }),
            );
        }
        if let Some(expected) = entry.completing {
            let (store, journal) = (Arc::clone(self.store), self.journal.clone());
            let what = unconfirmed::object(&target.url);
            held.push(
                cleanup.reusable(what, target.remove.clone(), async move || {
                    remove_expected(&*store, &expected).await?;
                    journal.note(|entry| entry.completing = None);
                    Ok(())
                }),
            );
        }
        held
    }
}

/// Puts everything that the entry has in the object store on the list of what is removed.
pub fn hold_all<S: Store>(
    entry: &journal::Entry,
    cleanup: &mut Cleanup,
    store: &Arc<S>,
    url: &str,
    remove: &Command,
) {
    if entry.beginning {
        let store = Arc::clone(store);
        cleanup.useless(unconfirmed::upload(url), remove.clone(), async move || {
            Ok(abort_without_parts(&*store).await?)
        });
    }
    if let Some(upload) = entry.upload.clone().map(UploadId) {
        let store = Arc::clone(store);
        cleanup.useless(
            format!("the parts of {url}"),
            remove.clone(),
            async move || Ok(store.abort(&upload).await?),
        );
    }
    if let Some(expected) = entry.completing.clone() {
        let store = Arc::clone(store);
        cleanup.useless(unconfirmed::object(url), remove.clone(), async move || {
            remove_expected(&*store, &expected).await
        });
    }
    if entry.sent {
        let store = Arc::clone(store);
        cleanup.useless(url, remove.clone(), async move || {
            Ok(store.remove().await?)
        });
    }
}
