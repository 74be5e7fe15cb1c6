//! Finds or starts the snapshot to write, that of an earlier run or a new one, and decides what
//! happens to it when the run ends without an image.

use tokio::time::Instant;
use uuid::Uuid;

use super::super::snapshot_writer::{BlockLog, EbsClient, SavedLog};
use super::super::volume::{self, State};
use super::super::{AwsImport, ami, error, import_task, unconfirmed};
use super::Target;
use crate::error::Result;
use crate::import;
use crate::import::journal::SnapshotRequest;
use crate::import::undo;
use crate::shell::Removal;
use crate::units;

/// A snapshot that a later run may go on with waits a day for its next block; another is
/// given up by the service after an hour, should this machine not come to delete it.
const TIMEOUT_MINUTES: (i32, i32) = (24 * 60, 60);

impl AwsImport<'_> {
    /// The snapshot of an earlier run that still takes blocks, or a new one.
    pub(super) async fn open_snapshot(&mut self) -> Result<Target> {
        if let Some(snapshot) = self.journal.entry().pending_snapshot {
            if let Some(target) = self.previous_pending_snapshot(&snapshot).await? {
                return Ok(target);
            }
            self.discard_pending_snapshot(&snapshot).await;
        }
        self.start_snapshot().await
    }

    async fn previous_pending_snapshot(&mut self, snapshot: &str) -> Result<Option<Target>> {
        let progress = &self.session.progress;
        if !self.matches_request() {
            progress.note("The image has changed since the last run, or was asked for differently: it is sent anew");
            return Ok(None);
        }
        let state_request = volume::state(&self.clients, snapshot);
        let state = self.session.cancellable(state_request).await?;
        let saved_log = self
            .journal
            .block_log_path()
            .and_then(|path| BlockLog::read(&path));
        let saved_log = saved_log.filter(|found| found.snapshot == snapshot);
        let (encrypted, completed) = match state {
            State::Pending { encrypted } => (encrypted, false),
            State::Completed { encrypted } => (encrypted, true),
            State::Unusable => (true, false),
        };
        let Some(saved_log) = saved_log.filter(|_| state != State::Unusable) else {
            progress.note("The snapshot of the earlier run is gone: all of it is sent");
            return Ok(None);
        };
        progress.info(&format!("An earlier run has started {snapshot}"));
        let SavedLog {
            block_size, log, ..
        } = saved_log;
        Ok(Some(Target {
            snapshot: snapshot.to_owned(),
            block_size,
            encrypted,
            log,
            started: None,
            completion_requested: self.journal.entry().completion_requested,
            completed,
        }))
    }

    /// StartSnapshot. The journal knows the token before AWS does.
    async fn start_snapshot(&mut self) -> Result<Target> {
        let default_request = volume::encrypted_by_default(&self.clients);
        let by_default = self.session.cancellable(default_request).await?;
        if by_default.is_none() {
            self.session.progress.note(
                "ec2:GetEbsEncryptionByDefault was not answered: zeros are sent, too, lest an encrypted volume shows noise there",
            );
        }
        self.session.check()?;
        let request = import_task::fingerprint(&self.job);
        let source = import::upload::fingerprint(&self.job.common.image);
        let entry = self.journal.entry();
        let same = entry.request_fingerprint.as_ref() == Some(&request) && entry.source == source;
        let earlier_token = entry.client_token.filter(|_| same);
        let token = earlier_token.clone();
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        let snapshot_request = match entry.snapshot_request {
            Some(previous) if earlier_token.is_some() => previous,
            _ => self.snapshot_request(),
        };
        self.journal.update(|entry| {
            (entry.request_fingerprint, entry.client_token) = (Some(request), Some(token.clone()));
            (entry.source, entry.snapshot_request) = (source, Some(snapshot_request.clone()));
        });
        self.track_possible_snapshot();
        let direct = EbsClient::new(&self.clients.ebs);
        let start = async {
            let started = direct.start(&snapshot_request, &token).await;
            started.map_err(|error| {
                self.rejected_error(
                    "the snapshot could not be started",
                    error,
                    "ebs:StartSnapshot",
                )
            })
        };
        let started = match self.session.with_stop_grace(start).await {
            Ok(started) => started,
            Err(error) => {
                // Refused is not started, unless an earlier run has asked.
                if earlier_token.is_none() && !error::may_have_been_executed(&error) {
                    if let Some(entry) = self.handles.snapshot.take() {
                        self.cleanup.remove(entry);
                    }
                    self.journal.update(|entry| entry.client_token = None);
                }
                return Err(error);
            }
        };
        let (snapshot, block_size) = (started.snapshot, started.block_size);
        let log = BlockLog::begin(self.journal.block_log_path(), &snapshot, block_size);
        self.journal.update(|entry| {
            (entry.pending_snapshot, entry.completion_requested) = (Some(snapshot.clone()), false);
        });
        self.track_pending_snapshot(&snapshot, 0);
        Ok(Target {
            snapshot,
            block_size,
            encrypted: started.encrypted || snapshot_request.encrypted || by_default != Some(false),
            log,
            started: Some(Instant::now()),
            completion_requested: false,
            completed: false,
        })
    }

    fn snapshot_request(&self) -> SnapshotRequest {
        let job = &self.job;
        let gib = job.common.image.virtual_size.unwrap_or_default();
        let (resumable_timeout, disposable_timeout) = TIMEOUT_MINUTES;
        SnapshotRequest {
            volume_size: i64::try_from(gib.div_ceil(1 << 30).max(1)).unwrap_or(i64::MAX),
            description: job.description.clone(),
            tags: job.tags.clone(),
            encrypted: job.encryption.is_some(),
            kms_key: job
                .encryption
                .as_ref()
                .and_then(|encryption| encryption.kms_key.clone()),
            timeout: if job.common.resumes() {
                resumable_timeout
            } else {
                disposable_timeout
            },
        }
    }

    /// A snapshot whose answer is not known yet, on the undo list in the snapshot's place.
    pub(in crate::aws) fn track_possible_snapshot(&mut self) {
        let entry = self.journal.entry();
        let (Some(token), Some(request)) = (entry.client_token, entry.snapshot_request) else {
            return;
        };
        let (clients, region) = (self.clients.clone(), &self.job.region);
        let list = "ec2 describe-snapshots --owner-ids self --filters Name=status,Values=pending";
        let list = self.job.cli.words(list).option("--region", region);
        let entry = self.cleanup.push_resumable(
            undo::unconfirmed::snapshot(region),
            Removal::of_listed(list, "delete-snapshot"),
            async move || unconfirmed::delete_started(&clients, &request, &token).await,
        );
        if let Some(earlier) = self.handles.snapshot.replace(entry) {
            self.cleanup.remove(earlier);
        }
    }

    /// A snapshot with so many blocks on the undo list.
    pub(super) fn track_pending_snapshot(&mut self, snapshot: &str, blocks: usize) {
        let (clients, id) = (self.clients.clone(), snapshot.to_owned());
        let journal = self.journal.clone();
        let entry = self.cleanup.push_resumable(
            format!(
                "the snapshot {snapshot} with {}",
                units::pluralize(blocks as u64, "block")
            ),
            ami::delete_snapshot_command(&self.job, snapshot),
            async move || {
                journal
                    .removing(&id, ami::delete_snapshot(&clients, &id))
                    .await
            },
        );
        if let Some(earlier) = self.handles.snapshot.replace(entry) {
            self.cleanup.remove(earlier);
        }
    }

    /// The snapshot that an earlier run has begun to fill.
    pub(in crate::aws) fn track_earlier_pending_snapshot(&mut self, snapshot: &str) {
        let log = self
            .journal
            .block_log_path()
            .and_then(|path| BlockLog::read(&path));
        self.track_pending_snapshot(snapshot, log.map_or(0, |saved| saved.log.block_count()));
    }

    /// Nothing can be made of the snapshot: it goes with the run.
    pub(super) fn make_pending_snapshot_disposable(&mut self) {
        if let Some(entry) = self.handles.snapshot {
            self.cleanup.make_disposable(entry);
        }
    }

    /// Nothing can be made of the snapshot: it goes now, and the run goes on.
    pub(super) async fn discard_pending_snapshot(&mut self, snapshot: &str) {
        if let Err(error) = ami::delete_snapshot(&self.clients, snapshot).await {
            let text = format!(
                "{snapshot} could not be deleted: {error:#}; delete it with: {}",
                ami::delete_snapshot_command(&self.job, snapshot)
            );
            self.session.progress.warn(&text);
        }
        if let Some(entry) = self.handles.snapshot.take() {
            self.cleanup.remove(entry);
        }
        self.journal.update(|entry| {
            (
                entry.pending_snapshot,
                entry.client_token,
                entry.completion_requested,
            ) = (None, None, false);
        });
    }
}
