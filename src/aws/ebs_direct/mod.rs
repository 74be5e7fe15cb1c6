//! The road without a bucket: a snapshot is started, filled block by block, completed,
//! waited for. What a later run needs is in the journal before the next step is taken; a
//! snapshot that is of no use any more is deleted, and all is sent anew once.

mod progress;
mod start;
pub mod writer;

use std::sync::Arc;

use tokio::time::Instant;

use super::Run;
use super::ebs_direct::writer::{Cause, Direct, Disk, Log, Plan, Sealing};
use super::job::ebs_plan;
use super::volume;
use crate::error::{Error, Result};
use crate::image::{Blocks, Source};
use crate::import::poll;
use crate::transfer;
use progress::Shown;

/// A snapshot to be filled.
struct Target {
    snapshot: String,
    block_size: usize,
    encrypted: bool,
    log: Log,
    /// When this run has started it.
    started: Option<Instant>,
    /// An earlier run may have completed it.
    sealed: bool,
    /// Nothing is left to do.
    completed: bool,
}

/// Why a snapshot did not come to its end.
enum Loss {
    /// Another one may.
    Snapshot(Error),
    /// Another one would not.
    Run(Error),
}

impl From<Error> for Loss {
    fn from(error: Error) -> Self {
        Self::Run(error)
    }
}

impl Run<'_> {
    /// The disk's data as a finished snapshot; none is one that nobody waits for.
    pub(in crate::aws) async fn write_snapshot(&mut self) -> Result<Option<String>> {
        let mut again = true;
        loop {
            let target = self.open_snapshot().await?;
            let snapshot = target.snapshot.clone();
            match self.complete_snapshot(target).await {
                Ok(done) => return Ok(done),
                Err(Loss::Snapshot(error)) if again => {
                    let text = format!("{}: all of it is sent anew", error.brief());
                    self.session.progress.note(&text);
                    self.forget_filling(&snapshot).await;
                    again = false;
                }
                Err(Loss::Snapshot(error)) => {
                    self.spoil_filling();
                    return Err(error);
                }
                Err(Loss::Run(error)) => return Err(error),
            }
        }
    }

    async fn complete_snapshot(&mut self, target: Target) -> Result<Option<String>, Loss> {
        let snapshot = target.snapshot.clone();
        let earlier = target.log.blocks();
        if !target.completed {
            self.fill(target).await?;
        }
        self.outcome.snapshot_ids = Some(vec![snapshot.clone()]);
        if !self.job.common.wait.wait {
            self.leave_completing(&snapshot);
            return Ok(None);
        }
        let remote = self.session.progress.import();
        let pace = self.pace();
        let waited = poll::until(self.session, pace, &remote, async || {
            volume::poll(&self.clients, &snapshot).await
        });
        match waited.await? {
            Ok(()) => {
                remote.finish(&format!("Imported as {snapshot}"));
                self.hold_snapshot(&snapshot);
                self.journal.note(|entry| {
                    entry.snapshot = entry.filling.take();
                    entry.sealed = false;
                });
                Ok(Some(snapshot))
            }
            Err(error) => Err(self.not_completed(error, earlier)),
        }
    }

    /// What was written down of an earlier run may not be so; then another snapshot helps.
    fn not_completed(&mut self, error: Error, earlier: usize) -> Loss {
        if earlier > 0 {
            return Loss::Snapshot(error);
        }
        self.spoil_filling();
        error.into()
    }

    /// `--no-wait`: nothing is left to do but to wait, and to register the image.
    fn leave_completing(&mut self, snapshot: &str) {
        let text = format!(
            "{snapshot} is being completed; the same command without --no-wait registers the image"
        );
        self.session.progress.note(&text);
        self.outcome.task_id = Some(snapshot.to_owned());
        self.cleanup.release();
    }

    /// Sends the blocks that are missing, and completes the snapshot.
    async fn fill(&mut self, target: Target) -> Result<(), Loss> {
        let (snapshot, sealed, earlier) =
            (target.snapshot.clone(), target.sealed, target.log.blocks());
        self.session
            .progress
            .stage(&format!("Writing to {snapshot}"));
        let plan = ebs_plan(&self.job.common)?;
        let sent = match self.send_blocks(target, plan).await {
            Ok(sent) => sent,
            Err(failure) => return Err(self.not_sent(&snapshot, failure)),
        };
        self.hold_filling(&snapshot, sent.blocks);
        if let Err(error) = self.is_still() {
            self.spoil_filling();
            return Err(error.into());
        }
        self.outcome.uploaded_bytes = Some(sent.uploaded_bytes);
        self.outcome.seconds.upload = Some(sent.elapsed);
        // Unheard answers are possible from here on.
        self.journal.note(|entry| entry.sealed = true);
        let direct = Direct::new(&self.clients.ebs);
        let seal = async { Ok(writer::seal(&direct, &snapshot, &sent, &plan).await) };
        self.began = Some(std::time::Instant::now());
        match self.session.finish_soon(seal).await? {
            Sealing::Taken => Ok(()),
            Sealing::Refused(trouble) if !sealed || trouble.fault.is_denied() => {
                let denied = trouble.fault.is_denied();
                let what = format!("{snapshot} could not be completed");
                let error = self.refused(&what, trouble, "ebs:CompleteSnapshot");
                self.journal.note(|entry| entry.sealed = false);
                if denied {
                    return Err(error.into());
                }
                Err(self.not_completed(error, earlier))
            }
            // Whether an earlier try was taken, the snapshot's state will tell.
            Sealing::Unclear(trouble) | Sealing::Refused(trouble) => {
                tracing::debug!("CompleteSnapshot once more: {}", trouble.fault);
                Ok(())
            }
        }
    }

    async fn send_blocks(
        &self,
        target: Target,
        plan: Plan,
    ) -> Result<writer::Sent, writer::Failure> {
        let image = &self.job.common.image;
        let (size, sparse) = (target.block_size, !target.encrypted);
        let earlier = target.log.blocks();
        let failed = |error: Error| writer::Failure {
            cause: error.into(),
            blocks: earlier,
        };
        self.is_still().map_err(failed)?;
        let blocks = Blocks::open(image).map_err(failed)?;
        let disk = Disk::new(Arc::new(blocks), size, sparse).map_err(failed)?;
        let total = disk.bytes().map_err(failed)?;
        let transfer = self.session.progress.upload(Some(total));
        let shown = Arc::new(Shown::new(transfer));
        let upload = writer::Upload {
            direct: Direct::new(&self.clients.ebs),
            snapshot: target.snapshot,
            started: target.started,
            disk,
            block_size: size,
            log: target.log,
            plan,
            observer: Arc::clone(&shown) as Arc<dyn writer::Observer>,
            stop: self.session.cancel.stop.clone(),
            leave: self.session.cancel.leave.clone(),
        };
        let (keeps, sending) = (self.job.common.resumes(), writer::send(upload));
        let sent = self.session.told_of_the_stop(keeps, sending).await?;
        shown.finish();
        Ok(sent)
    }

    /// Names what stays of a snapshot that did not get all of its blocks.
    fn not_sent(&mut self, snapshot: &str, failure: writer::Failure) -> Loss {
        let writer::Failure { cause, blocks } = failure;
        self.hold_filling(snapshot, blocks);
        let error = match cause {
            Cause::Gone(trouble) => {
                let error = Error::failed(format!("{snapshot} takes no more blocks"));
                return Loss::Snapshot(error.because(trouble.fault));
            }
            Cause::Stopped => self.session.stopped(),
            Cause::Refused(what, trouble) => self.refused(&what, *trouble, "ebs:PutSnapshotBlock"),
            Cause::Failed(error) => error,
        };
        if blocks == 0 || !self.job.common.resumes() {
            self.spoil_filling();
        }
        error.into()
    }

    /// The file must be what it was when it was looked at.
    fn is_still(&self) -> Result<()> {
        let image = &self.job.common.image;
        let Source::File(path) = &image.source else {
            return Ok(());
        };
        let unreadable =
            |error| Error::failed(format!("{} can't be read", path.display())).because(error);
        let now = std::fs::File::open(path).map_err(unreadable)?;
        if image.is_still(&now).map_err(unreadable)? {
            return Ok(());
        }
        Err(transfer::changed("somebody wrote to it".to_owned()))
    }
}
