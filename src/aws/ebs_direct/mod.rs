//! The import without a bucket: starts a snapshot, writes its blocks, completes it and waits
//! for it. What a later run needs is in the journal before the next step; a snapshot that
//! cannot be used any more is deleted, and all blocks are sent again once.

mod progress;
mod start;

use std::sync::Arc;

use tokio::time::Instant;

use super::AwsImport;
use super::job::ebs_plan;
use super::snapshot_writer::{BlockLog, BlockReader, Completion, EbsClient, Plan, SendError};
use super::volume;
use crate::error::{Error, Result};
use crate::image::{DiskReader, ImageSource};
use crate::import::poll;
use crate::transfer;
use progress::ProgressObserver;

/// A snapshot to be filled.
struct Target {
    snapshot: String,
    block_size: usize,
    encrypted: bool,
    log: BlockLog,
    /// When this run has started it.
    started: Option<Instant>,
    /// An earlier run may have completed it.
    completion_requested: bool,
    /// Nothing is left to do.
    completed: bool,
}

/// Why a snapshot did not come to its end.
enum WriteError {
    /// Another one may.
    Snapshot(Error),
    /// Another one would not.
    Run(Error),
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self::Run(error)
    }
}

impl AwsImport<'_> {
    /// The disk's data as a finished snapshot; none is one that nobody waits for.
    pub(in crate::aws) async fn write_snapshot(&mut self) -> Result<Option<String>> {
        let mut may_retry = true;
        loop {
            let target = self.open_snapshot().await?;
            let snapshot = target.snapshot.clone();
            match self.complete_snapshot(target).await {
                Ok(done) => return Ok(done),
                Err(WriteError::Snapshot(error)) if may_retry => {
                    let text = format!("{}: all of it is sent anew", error.one_line());
                    self.session.progress.note(&text);
                    self.discard_pending_snapshot(&snapshot).await;
                    may_retry = false;
                }
                Err(WriteError::Snapshot(error)) => {
                    self.make_pending_snapshot_disposable();
                    return Err(error);
                }
                Err(WriteError::Run(error)) => return Err(error),
            }
        }
    }

    async fn complete_snapshot(&mut self, target: Target) -> Result<Option<String>, WriteError> {
        let snapshot = target.snapshot.clone();
        let earlier = target.log.block_count();
        if !target.completed {
            self.write_blocks(target).await?;
        }
        self.outcome.snapshot_ids = Some(vec![snapshot.clone()]);
        if !self.job.common.wait.wait {
            self.detach_completing(&snapshot);
            return Ok(None);
        }
        let remote = self.session.progress.import();
        let pace = self.poll_schedule();
        let waited = poll::poll_until_done(self.session, pace, &remote, async || {
            volume::poll(&self.clients, &snapshot).await
        });
        match waited.await? {
            Ok(()) => {
                remote.finish(&format!("Imported as {snapshot}"));
                self.track_snapshot(&snapshot);
                self.journal.update(|entry| {
                    entry.snapshot = entry.pending_snapshot.take();
                    entry.completion_requested = false;
                });
                Ok(Some(snapshot))
            }
            Err(error) => Err(self.completion_error(error, earlier)),
        }
    }

    /// What was written down of an earlier run may not be so; then another snapshot helps.
    fn completion_error(&mut self, error: Error, earlier: usize) -> WriteError {
        if earlier > 0 {
            return WriteError::Snapshot(error);
        }
        self.make_pending_snapshot_disposable();
        error.into()
    }

    /// `--no-wait`: nothing is left to do but to wait, and to register the image.
    fn detach_completing(&mut self, snapshot: &str) {
        let text = format!(
            "{snapshot} is being completed; the same command without --no-wait registers the image"
        );
        self.session.progress.note(&text);
        self.outcome.task_id = Some(snapshot.to_owned());
        self.cleanup.clear();
    }

    /// Sends the blocks that are missing, and completes the snapshot.
    async fn write_blocks(&mut self, target: Target) -> Result<(), WriteError> {
        let (snapshot, sealed, earlier) = (
            target.snapshot.clone(),
            target.completion_requested,
            target.log.block_count(),
        );
        self.session
            .progress
            .stage(&format!("Writing to {snapshot}"));
        let plan = ebs_plan(&self.job.common)?;
        let sent_blocks = match self.send_blocks(target, plan).await {
            Ok(sent_blocks) => sent_blocks,
            Err(failure) => return Err(self.send_error(&snapshot, failure)),
        };
        self.track_pending_snapshot(&snapshot, sent_blocks.blocks);
        if let Err(error) = self.check_unchanged() {
            self.make_pending_snapshot_disposable();
            return Err(error.into());
        }
        self.outcome.uploaded_bytes = Some(sent_blocks.uploaded_bytes);
        self.outcome.seconds.upload = Some(sent_blocks.elapsed);
        // Unheard answers are possible from here on.
        self.journal
            .update(|entry| entry.completion_requested = true);
        let direct = EbsClient::new(&self.clients.ebs);
        let seal = async {
            Ok(super::snapshot_writer::complete(&direct, &snapshot, &sent_blocks, &plan).await)
        };
        self.import_started = Some(std::time::Instant::now());
        match self.session.with_stop_grace(seal).await? {
            Completion::Accepted => Ok(()),
            Completion::Rejected(refusal) if !sealed || refusal.error.is_denied() => {
                let denied = refusal.error.is_denied();
                let what = format!("{snapshot} could not be completed");
                let error = self.rejected_error(&what, refusal, "ebs:CompleteSnapshot");
                self.journal
                    .update(|entry| entry.completion_requested = false);
                if denied {
                    return Err(error.into());
                }
                Err(self.completion_error(error, earlier))
            }
            // Whether an earlier try was taken, the snapshot's state will tell.
            Completion::Unknown(refusal) | Completion::Rejected(refusal) => {
                tracing::debug!("CompleteSnapshot once more: {}", refusal.error);
                Ok(())
            }
        }
    }

    async fn send_blocks(
        &self,
        target: Target,
        plan: Plan,
    ) -> Result<super::snapshot_writer::SentBlocks, super::snapshot_writer::SendFailure> {
        let image = &self.job.common.image;
        let (size, sparse) = (target.block_size, !target.encrypted);
        let earlier = target.log.block_count();
        let failed = |error: Error| super::snapshot_writer::SendFailure {
            cause: error.into(),
            blocks: earlier,
        };
        self.check_unchanged().map_err(failed)?;
        let blocks = DiskReader::open(image).map_err(failed)?;
        let disk = BlockReader::new(Arc::new(blocks), size, sparse).map_err(failed)?;
        let total = disk.bytes().map_err(failed)?;
        let transfer = self.session.progress.upload(Some(total));
        let observer = Arc::new(ProgressObserver::new(transfer));
        let upload = super::snapshot_writer::SnapshotUpload {
            client: EbsClient::new(&self.clients.ebs),
            snapshot: target.snapshot,
            started: target.started,
            disk,
            block_size: size,
            log: target.log,
            plan,
            observer: Arc::clone(&observer) as Arc<dyn super::snapshot_writer::Observer>,
            stop: self.session.cancel.stop.clone(),
            leave: self.session.cancel.leave.clone(),
        };
        let (keeps, sending) = (
            self.job.common.resumes(),
            super::snapshot_writer::send(upload),
        );
        let sent_blocks = self.session.announcing_stop(keeps, sending).await?;
        observer.finish();
        Ok(sent_blocks)
    }

    /// Names what stays of a snapshot that did not get all of its blocks.
    fn send_error(
        &mut self,
        snapshot: &str,
        failure: super::snapshot_writer::SendFailure,
    ) -> WriteError {
        let super::snapshot_writer::SendFailure { cause, blocks } = failure;
        self.track_pending_snapshot(snapshot, blocks);
        let error = match cause {
            SendError::NoSuchSnapshot(refusal) => {
                let error = Error::failed(format!("{snapshot} takes no more blocks"));
                return WriteError::Snapshot(error.with_source(refusal.error));
            }
            SendError::Stopped => self.session.stop_error(),
            SendError::Rejected(what, refusal) => {
                self.rejected_error(&what, *refusal, "ebs:PutSnapshotBlock")
            }
            SendError::Failed(error) => error,
        };
        if blocks == 0 || !self.job.common.resumes() {
            self.make_pending_snapshot_disposable();
        }
        error.into()
    }

    /// The file must be what it was when it was looked at.
    fn check_unchanged(&self) -> Result<()> {
        let image = &self.job.common.image;
        let ImageSource::File(path) = &image.source else {
            return Ok(());
        };
        let unreadable =
            |error| Error::failed(format!("{} can't be read", path.display())).with_source(error);
        let now = std::fs::File::open(path).map_err(unreadable)?;
        if image.is_unchanged(&now).map_err(unreadable)? {
            return Ok(());
        }
        Err(transfer::source_changed("somebody wrote to it".to_owned()))
    }
}
