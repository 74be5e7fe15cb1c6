//! What the service may have made of a request whose answer is not known: written down
//! before the request, found again by the object's key, and removed.

use std::sync::Arc;

use super::UploadTarget;
use crate::import::journal;
use crate::import::journal::Journal;
use crate::import::undo::{Handle, UndoList, unconfirmed};
use crate::shell::Command;
use crate::store::{ExpectedObject, ObjectInfo, SentPart, Store, UploadId, etag_of_parts};
use crate::transfer::{UploadJournal, uploads_without_parts};

/// The engine's notes, in the journal.
pub(super) struct JournalNotes(pub(super) Journal);

impl UploadJournal for JournalNotes {
    fn creating(&self) {
        self.0.update(|entry| {
            (entry.beginning, entry.upload) = (true, None);
        });
    }

    fn create_rejected(&self) {
        self.0.update(|entry| entry.beginning = false);
    }

    fn created(&self, upload: &UploadId, part_size: u64, is_only: bool) {
        self.0.update(|entry| {
            (entry.upload, entry.part_size) = (Some(upload.0.clone()), Some(part_size));
            entry.beginning = !is_only;
        });
    }

    fn completing(&self, parts: &[SentPart], expected: &ExpectedObject) {
        let object = journal::ExpectedObject {
            size: expected.size,
            digest: expected.digest.map(|digest| digest.base64()),
            etag: etag_of_parts(parts),
        };
        self.0.update(|entry| entry.completing = Some(object));
    }

    fn complete_rejected(&self) {
        self.0.update(|entry| entry.completing = None);
    }
}

/// Whether this is the object that CompleteMultipartUpload was asked for.
pub(super) fn matches_expected(head: &ObjectInfo, expected: &journal::ExpectedObject) -> bool {
    let proven = match (head.digest, &expected.digest) {
        (Some(there), Some(here)) => there.base64() == *here,
        _ => head.etag.is_some() && is_same_etag(head.etag.as_deref(), expected.etag.as_deref()),
    };
    head.size == expected.size && proven
}

/// Hex has no case.
fn is_same_etag(remote: Option<&str>, expected: Option<&str>) -> bool {
    remote
        .zip(expected)
        .is_some_and(|(there, here)| there.eq_ignore_ascii_case(here))
}

/// Removes the object if it is the one that was asked for; another one is somebody else's.
async fn remove_expected<S: Store>(
    store: &S,
    expected: &journal::ExpectedObject,
) -> anyhow::Result<()> {
    match store.object_info().await? {
        Some(head) if matches_expected(&head, expected) => Ok(store.delete().await?),
        _ => Ok(()),
    }
}

/// Aborts the uploads of the key that have no part.
pub(super) async fn abort_without_parts<S: Store>(store: &S) -> crate::store::Result<()> {
    for upload in uploads_without_parts(store).await? {
        store.abort(&upload).await?;
    }
    Ok(())
}

/// Puts on the undo list what an earlier run has or may have left of its upload.
pub fn track_previous<S: Store>(
    journal: &Journal,
    cleanup: &mut UndoList,
    store: &Arc<S>,
    target: &UploadTarget,
) -> Vec<Handle> {
    let tracker = UploadTracker::new(journal, store, target);
    let mut entries = tracker.track_unconfirmed(cleanup);
    if let Some(upload) = journal.entry().upload.map(UploadId) {
        let description = format!("the parts of {} that an earlier run has sent", target.url);
        entries.push(tracker.track_parts(cleanup, &upload, description));
    }
    entries
}

/// Puts on the undo list what the journal names; what is removed leaves the journal, too.
pub(super) struct UploadTracker<'a, S> {
    journal: &'a Journal,
    store: &'a Arc<S>,
    target: &'a UploadTarget,
}

impl<'a, S: Store> UploadTracker<'a, S> {
    pub(super) fn new(journal: &'a Journal, store: &'a Arc<S>, target: &'a UploadTarget) -> Self {
        Self {
            journal,
            store,
            target,
        }
    }

    /// The parts of an unfinished upload.
    pub(super) fn track_parts(
        &self,
        cleanup: &mut UndoList,
        upload: &UploadId,
        description: String,
    ) -> Handle {
        let (store, id, journal) = (Arc::clone(self.store), upload.clone(), self.journal.clone());
        let remove = (self.target.abort)(upload);
        cleanup.push_resumable(description, remove, async move || {
            Ok(journal.removing(&id.0, store.abort(&id)).await?)
        })
    }

    /// What may be there although no answer has named it.
    pub(super) fn track_unconfirmed(&self, cleanup: &mut UndoList) -> Vec<Handle> {
        let (entry, target) = (self.journal.entry(), self.target);
        let mut tracker = Vec::new();
        if entry.beginning {
            let (store, journal) = (Arc::clone(self.store), self.journal.clone());
            let description = unconfirmed::upload(&target.url);
            tracker.push(cleanup.push_resumable(
                description,
                target.uploads.clone(),
                async move || {
                    abort_without_parts(&*store).await?;
                    journal.update(|entry| entry.beginning = false);
                    Ok(())
                },
            ));
        }
        if let Some(expected) = entry.completing {
            let (store, journal) = (Arc::clone(self.store), self.journal.clone());
            let description = unconfirmed::object(&target.url);
            tracker.push(cleanup.push_resumable(
                description,
                target.remove.clone(),
                async move || {
                    remove_expected(&*store, &expected).await?;
                    journal.update(|entry| entry.completing = None);
                    Ok(())
                },
            ));
        }
        tracker
    }
}

/// Puts everything that the entry has in the object store on the list of what is removed.
pub fn track_all<S: Store>(
    entry: &journal::JournalEntry,
    cleanup: &mut UndoList,
    store: &Arc<S>,
    url: &str,
    remove: &Command,
) {
    if entry.beginning {
        let store = Arc::clone(store);
        cleanup.push_disposable(unconfirmed::upload(url), remove.clone(), async move || {
            Ok(abort_without_parts(&*store).await?)
        });
    }
    if let Some(upload) = entry.upload.clone().map(UploadId) {
        let store = Arc::clone(store);
        cleanup.push_disposable(
            format!("the parts of {url}"),
            remove.clone(),
            async move || Ok(store.abort(&upload).await?),
        );
    }
    if let Some(expected) = entry.completing.clone() {
        let store = Arc::clone(store);
        cleanup.push_disposable(unconfirmed::object(url), remove.clone(), async move || {
            remove_expected(&*store, &expected).await
        });
    }
    if entry.uploaded {
        let store = Arc::clone(store);
        cleanup.push_disposable(url, remove.clone(), async move || {
            Ok(store.delete().await?)
        });
    }
}
