//! The start of an upload: what an earlier run has sent is gone on with, and what was begun
//! without an answer is found again.

use std::future::Future;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::resume::{self, Made};
use super::source::Origin;
use super::{Cause, Observer, OnBegin, Plan, Tally, within_grace};
use crate::error::{Error, Result};
use crate::store::{self, Class, Store, UploadId};

/// What there is at the start.
pub(super) enum Opened {
    /// Parts are missing.
    Upload(UploadId, Vec<store::ListedPart>),
    /// Nothing is.
    Object(UploadId, Made),
}

/// The start of an upload.
pub(super) struct Opening<'a, S> {
    pub store: &'a S,
    pub origin: Option<Origin>,
    pub plan: &'a Plan,
    pub observer: &'a dyn Observer,
    pub stop: &'a CancellationToken,
    pub leave: &'a CancellationToken,
}

impl<S: Store> Opening<'_, S> {
    /// The upload to be continued with what the service has of it, the object that it
    /// has become, or a new one.
    pub(super) async fn open(
        self,
        resume: Option<UploadId>,
        on_begin: OnBegin,
        tally: &mut Tally,
    ) -> Result<Opened, Cause> {
        if let Some(upload) = resume {
            tally.upload = Some(upload.clone());
            if let Some(listed) = self.unless_stopped(self.list(&upload)).await? {
                return Ok(Opened::Upload(upload, listed));
            }
            tally.upload = None;
            let (part_size, sha256) = (self.plan.part_size, self.plan.sha256);
            let origin = self.origin.clone();
            let made = resume::made(self.store, origin, part_size, sha256, self.stop);
            if let Some(made) = self.unless_stopped(made).await? {
                tally.resumed = made.size;
                self.observer.resumed(made.size);
                return Ok(Opened::Object(upload, made));
            }
            self.observer.forgotten(&upload);
        }
        if self.stop.is_cancelled() {
            return Err(Cause::Stopped);
        }
        let grace = self.plan.grace;
        let Some(begun) = within_grace(self.stop, self.leave, grace, self.begin()).await else {
            // What was begun and not heard of must not stay unnamed.
            let unheard = within_grace(self.stop, self.leave, grace, self.unheard());
            tally.upload = unheard.await.flatten();
            return Err(Cause::Stopped);
        };
        let upload = begun
            .map_err(|error| Error::failed("the upload could not be started").because(error))?;
        tally.upload = Some(upload.clone());
        on_begin(&upload)?;
        Ok(Opened::Upload(upload, Vec::new()))
    }

    /// Begins one. After a lost answer it may be there already, and then no other is begun.
    async fn begin(&self) -> store::Result<UploadId> {
        let (mut pauses, mut renewed) = (self.store.patience().pauses(), false);
        loop {
            let error = match self.store.begin().await {
                Ok(upload) => return Ok(upload),
                Err(error) => error,
            };
            let asked = match error.class() {
                Class::Throttled { retry_after } => retry_after,
                Class::Expired if renewed => return Err(error),
                class if class.is_worth_a_retry() => None,
                _ => return Err(error),
            };
            renewed |= error.class() == Class::Expired;
            if error.is_unanswered()
                && let Some(upload) = self.unheard().await
            {
                return Ok(upload);
            }
            let Some(pause) = pauses.next(asked) else {
                return Err(error);
            };
            tracing::debug!("{error}; again in {pause:?}");
            sleep(pause).await;
        }
    }

    /// An upload of this key without a part: one that has any is another run's. Who may not
    /// list them has none.
    async fn unheard(&self) -> Option<UploadId> {
        for upload in self.store.open_uploads().await.ok()? {
            if let Ok(Some(parts)) = self.store.list(&upload).await
                && parts.is_empty()
            {
                return Some(upload);
            }
        }
        None
    }

    async fn list(&self, upload: &UploadId) -> Result<Option<Vec<store::ListedPart>>> {
        self.store.list(upload).await.map_err(|error| {
            Error::failed("the parts that are there cannot be listed").because(error)
        })
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T, Cause> {
        let done = self.stop.run_until_cancelled(work).await;
        Ok(done.ok_or(Cause::Stopped)??)
    }
}
