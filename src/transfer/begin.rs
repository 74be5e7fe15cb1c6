//! The start of an upload: continues the upload of an earlier run, and finds one whose
//! CreateMultipartUpload had no response.

use std::future::Future;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::events::{Observer, UploadJournal};
use super::outcome::{Cause, Totals};
use super::parts::Plan;
use super::resume::{self, ExistingObject};
use super::source::FileSlice;
use super::stop::within_grace;
use crate::error::{Error, Result};
use crate::net::retry;
use crate::store::{self, Store, UploadId};

/// The state of the service at the start.
pub(super) enum Started {
    /// The upload, with the parts that are stored already.
    Upload(UploadId, Vec<store::ListedPart>),
    /// The finished object: no part is missing.
    Object(UploadId, ExistingObject),
}

/// The start of an upload.
pub(super) struct Starter<'a, S> {
    pub store: &'a S,
    pub origin: Option<FileSlice>,
    pub plan: &'a Plan,
    /// Part size of the upload that is continued, in bytes.
    pub existing_part_size: u64,
    /// An earlier run may have created an upload whose ID is not in the journal.
    pub maybe_created: bool,
    pub journal: &'a dyn UploadJournal,
    pub observer: &'a dyn Observer,
    pub stop: &'a CancellationToken,
    pub leave: &'a CancellationToken,
}

impl<S: Store> Starter<'_, S> {
    /// Returns the upload to continue with its stored parts, the object that it has become, or
    /// a new upload.
    pub(super) async fn start(
        self,
        resume: Option<UploadId>,
        totals: &mut Totals,
    ) -> Result<Started, Cause> {
        if let Some(upload) = resume {
            totals.upload = Some(upload.clone());
            // The service's list decides: the journal may name an upload that was aborted
            // since.
            if let Some(listed) = self.cancellable(self.list_parts(&upload)).await? {
                return Ok(Started::Upload(upload, listed));
            }
            totals.upload = None;
            let sha256 = self.plan.sha256;
            let origin = self.origin.clone();
            let made = resume::find_existing_object(
                self.store,
                origin,
                self.existing_part_size,
                sha256,
                self.stop,
            );
            if let Some(made) = self.cancellable(made).await? {
                totals.resumed = made.size;
                self.observer.resumed(made.size);
                return Ok(Started::Object(upload, made));
            }
            self.observer.upload_not_found(&upload);
        }
        if self.stop.is_cancelled() {
            return Err(Cause::Stopped);
        }
        // Recorded before the request, so that a crash in between leaves a trace.
        self.journal.creating();
        let grace = self.plan.grace;
        let Some(created) = within_grace(self.stop, self.leave, grace, self.create()).await else {
            // The request may have created an upload whose response was not awaited: find its
            // ID, so that the caller can name or remove it.
            let unnamed = within_grace(self.stop, self.leave, grace, self.unrecorded_uploads());
            let mut found = unnamed.await.unwrap_or_default();
            let is_only = found.len() == 1;
            totals.upload = found.pop();
            if let Some(upload) = &totals.upload {
                self.journal.created(upload, self.plan.part_size, is_only);
            }
            return Err(Cause::Stopped);
        };
        let (upload, is_only) = created
            .map_err(|error| Error::failed("the upload could not be started").with_source(error))?;
        totals.upload = Some(upload.clone());
        self.journal.created(&upload, self.plan.part_size, is_only);
        Ok(Started::Upload(upload, Vec::new()))
    }

    /// Creates an upload; the flag is true if no other one can exist. After a lost response it
    /// looks for the upload first and creates no second one.
    async fn create(&self) -> store::Result<(UploadId, bool)> {
        let mut backoff = self.store.retry_policy().backoff();
        // Set once an upload may exist whose ID is unknown.
        let mut unclear = self.maybe_created;
        if unclear && let Some(upload) = self.unrecorded_uploads().await.pop() {
            return Ok((upload, false));
        }
        loop {
            let error = match self.store.create_upload().await {
                Ok(upload) => return Ok((upload, !unclear)),
                Err(error) => error,
            };
            if error.is_unknown_outcome() {
                // After a lost response the upload may exist already; a second one would stay
                // behind unnamed.
                match uploads_without_parts(self.store).await {
                    Ok(found) if found.is_empty() => unclear |= error.status().is_none(),
                    Ok(mut found) => return Ok((found.remove(0), false)),
                    Err(_) => unclear = true,
                }
            }
            let Some(delay) = backoff.delay_after(error.class()) else {
                if !unclear {
                    self.journal.create_rejected();
                }
                return Err(error);
            };
            retry::log("upload", &error, error.class(), delay);
            sleep(delay).await;
        }
    }

    /// Returns the uploads of this key without parts, the newest last. An upload with parts
    /// belongs to another run. Without permission to list uploads, the result is empty.
    async fn unrecorded_uploads(&self) -> Vec<UploadId> {
        let mut found = uploads_without_parts(self.store).await.unwrap_or_default();
        // The caller takes the last one.
        found.reverse();
        found
    }

    async fn list_parts(&self, upload: &UploadId) -> Result<Option<Vec<store::ListedPart>>> {
        self.store.list_parts(upload).await.map_err(|error| {
            Error::failed("the parts that are there cannot be listed").with_source(error)
        })
    }

    async fn cancellable<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T, Cause> {
        let done = self.stop.run_until_cancelled(work).await;
        Ok(done.ok_or(Cause::Stopped)??)
    }
}

/// Returns the uploads of the store's key that have no part, the newest first: a run whose
/// CreateMultipartUpload had no response has sent none.
pub async fn uploads_without_parts<S: Store>(store: &S) -> store::Result<Vec<UploadId>> {
    let mut empty = Vec::new();
    for upload in store.open_uploads().await? {
        if store
            .list_parts(&upload)
            .await?
            .is_some_and(|parts| parts.is_empty())
        {
            empty.push(upload);
        }
    }
    Ok(empty)
}
