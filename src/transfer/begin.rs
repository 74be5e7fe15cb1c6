//! The start of an upload: what an earlier run has sent is gone on with, and what was begun
//! without an answer is found again.

use std::future::Future;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::resume::{self, Made};
use super::source::Origin;
use super::{Cause, Notes, Observer, Plan, Tally, within_grace};
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
    /// Bytes of a part of the upload that is gone on with.
    pub made_in: u64,
    /// An earlier run may have begun an upload whose id was not written down.
    pub unnoted: bool,
    pub notes: &'a dyn Notes,
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
        tally: &mut Tally,
    ) -> Result<Opened, Cause> {
        if let Some(upload) = resume {
            tally.upload = Some(upload.clone());
            if let Some(listed) = self.unless_stopped(self.list(&upload)).await? {
                return Ok(Opened::Upload(upload, listed));
            }
            tally.upload = None;
            let sha256 = self.plan.sha256;
            let origin = self.origin.clone();
            let made = resume::made(self.store, origin, self.made_in, sha256, self.stop);
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
        self.notes.beginning();
        let grace = self.plan.grace;
        let Some(begun) = within_grace(self.stop, self.leave, grace, self.begin()).await else {
            // What was begun and not heard of must not stay unnamed.
            let unnamed = within_grace(self.stop, self.leave, grace, self.unnamed());
            let mut found = unnamed.await.unwrap_or_default();
            let alone = found.len() == 1;
            tally.upload = found.pop();
            if let Some(upload) = &tally.upload {
                self.notes.begun(upload, self.plan.part_size, alone);
            }
            return Err(Cause::Stopped);
        };
        let (upload, alone) = begun
            .map_err(|error| Error::failed("the upload could not be started").because(error))?;
        tally.upload = Some(upload.clone());
        self.notes.begun(&upload, self.plan.part_size, alone);
        Ok(Opened::Upload(upload, Vec::new()))
    }

    /// Begins one, and says whether it is the only one that can have been begun. After an
    /// answer that was lost it may be there already, and then no other is begun.
    async fn begin(&self) -> store::Result<(UploadId, bool)> {
        let (mut pauses, mut renewed) = (self.store.patience().pauses(), false);
        let mut unclear = self.unnoted;
        if unclear && let Some(upload) = self.unnamed().await.pop() {
            return Ok((upload, false));
        }
        loop {
            let error = match self.store.begin().await {
                Ok(upload) => return Ok((upload, !unclear)),
                Err(error) => error,
            };
            if error.is_unclear() {
                match super::without_parts(self.store).await {
                    Ok(found) if found.is_empty() => unclear |= error.status().is_none(),
                    Ok(mut found) => return Ok((found.remove(0), false)),
                    Err(_) => unclear = true,
                }
            }
            let pause = match error.class() {
                Class::Expired if renewed => None,
                Class::Throttled { retry_after } => pauses.next(retry_after),
                class if class.is_worth_a_retry() => pauses.next(None),
                _ => None,
            };
            renewed |= error.class() == Class::Expired;
            let Some(pause) = pause else {
                if !unclear {
                    self.notes.refused();
                }
                return Err(error);
            };
            tracing::debug!("{error}; again in {pause:?}");
            sleep(pause).await;
        }
    }

    /// The uploads of this key without a part, the newest last: one that has any is another
    /// run's. Who may not list them has none.
    async fn unnamed(&self) -> Vec<UploadId> {
        let mut found = super::without_parts(self.store).await.unwrap_or_default();
        found.reverse();
        found
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
