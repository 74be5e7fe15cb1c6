//! Where a written snapshot comes from, the one of an earlier run or a new one, and what
//! becomes of it when the run ends without an image.

use tokio::time::Instant;
use uuid::Uuid;

use super::super::volume::{self, State};
use super::super::{Run, ami, error, import_task, unconfirmed};
use super::Target;
use super::writer::{Direct, Found, Log};
use crate::error::Result;
use crate::import;
use crate::import::journal::SnapshotRequest;
use crate::import::undo;
use crate::shell::Removal;
use crate::units;

/// A snapshot that a later run may go on with waits a day for its next block; another is
/// given up by the service after an hour, should this machine not come to delete it.
const TIMEOUT: (i32, i32) = (24 * 60, 60);

impl Run<'_> {
    /// The snapshot of an earlier run that still takes blocks, or a new one.
    pub(super) async fn open_snapshot(&mut self) -> Result<Target> {
        if let Some(snapshot) = self.journal.entry().filling {
            if let Some(target) = self.earlier_filling(&snapshot).await? {
                return Ok(target);
            }
            self.forget_filling(&snapshot).await;
        }
        self.start_snapshot().await
    }

    async fn earlier_filling(&mut self, snapshot: &str) -> Result<Option<Target>> {
        let progress = &self.session.progress;
        if !self.is_the_same() {
            progress.note("The image has changed since the last run, or was asked for differently: it is sent anew");
            return Ok(None);
        }
        let question = volume::state(&self.clients, snapshot);
        let state = self.session.unless_stopped(question).await?;
        let found = self.journal.blocks().and_then(|path| Log::read(&path));
        let found = found.filter(|found| found.snapshot == snapshot);
        let (encrypted, completed) = match state {
            State::Pending { encrypted } => (encrypted, false),
            State::Completed { encrypted } => (encrypted, true),
            State::Gone => (true, false),
        };
        let Some(found) = found.filter(|_| state != State::Gone) else {
            progress.note("The snapshot of the earlier run is gone: all of it is sent");
            return Ok(None);
        };
        progress.fact(&format!("An earlier run has started {snapshot}"));
        let Found {
            block_size, log, ..
        } = found;
        Ok(Some(Target {
            snapshot: snapshot.to_owned(),
            block_size,
            encrypted,
            log,
            started: None,
            sealed: self.journal.entry().sealed,
            completed,
        }))
    }

    /// StartSnapshot. The journal knows the token before AWS does.
    async fn start_snapshot(&mut self) -> Result<Target> {
        let question = volume::encrypted_by_default(&self.clients);
        let by_default = self.session.unless_stopped(question).await?;
        if by_default.is_none() {
            self.session.progress.note(
                "ec2:GetEbsEncryptionByDefault was not answered: zeros are sent, too, lest an encrypted volume shows noise there",
            );
        }
        self.session.check()?;
        let request = import_task::request(&self.job);
        let source = import::upload::mark(&self.job.common.image);
        let entry = self.journal.entry();
        let same = entry.request.as_ref() == Some(&request) && entry.source == source;
        let known = entry.client_token.filter(|_| same);
        let token = known.clone();
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        let wish = match entry.snapshot_request {
            Some(asked) if known.is_some() => asked,
            _ => self.wish(),
        };
        self.journal.note(|entry| {
            (entry.request, entry.client_token) = (Some(request), Some(token.clone()));
            (entry.source, entry.snapshot_request) = (source, Some(wish.clone()));
        });
        self.hold_possible_snapshot();
        let direct = Direct::new(&self.clients.ebs);
        let start = async {
            let started = direct.start(&wish, &token).await;
            started.map_err(|trouble| {
                self.refused(
                    "the snapshot could not be started",
                    trouble,
                    "ebs:StartSnapshot",
                )
            })
        };
        let started = match self.session.finish_soon(start).await {
            Ok(started) => started,
            Err(error) => {
                // Refused is not started, unless an earlier run has asked.
                if known.is_none() && !error::may_be_done(&error) {
                    if let Some(entry) = self.held.snapshot.take() {
                        self.cleanup.disarm(entry);
                    }
                    self.journal.note(|entry| entry.client_token = None);
                }
                return Err(error);
            }
        };
        let (snapshot, block_size) = (started.snapshot, started.block_size);
        let log = Log::begin(self.journal.blocks(), &snapshot, block_size);
        self.journal.note(|entry| {
            (entry.filling, entry.sealed) = (Some(snapshot.clone()), false);
        });
        self.hold_filling(&snapshot, 0);
        Ok(Target {
            snapshot,
            block_size,
            encrypted: started.encrypted || wish.encrypted || by_default != Some(false),
            log,
            started: Some(Instant::now()),
            sealed: false,
            completed: false,
        })
    }

    fn wish(&self) -> SnapshotRequest {
        let job = &self.job;
        let gib = job.common.image.virtual_size.unwrap_or_default();
        let (kept, not_kept) = TIMEOUT;
        SnapshotRequest {
            volume_size: i64::try_from(gib.div_ceil(1 << 30).max(1)).unwrap_or(i64::MAX),
            description: job.description.clone(),
            tags: job.tags.clone(),
            encrypted: job.encryption.is_some(),
            kms_key: job
                .encryption
                .as_ref()
                .and_then(|wish| wish.kms_key.clone()),
            timeout: if job.common.resumes() { kept } else { not_kept },
        }
    }

    /// A snapshot whose answer is not known yet, on the undo list in the snapshot's place.
    pub(in crate::aws) fn hold_possible_snapshot(&mut self) {
        let entry = self.journal.entry();
        let (Some(token), Some(request)) = (entry.client_token, entry.snapshot_request) else {
            return;
        };
        let (clients, region) = (self.clients.clone(), &self.job.region);
        let list = "ec2 describe-snapshots --owner-ids self --filters Name=status,Values=pending";
        let list = self.job.cli.words(list).option("--region", region);
        let entry = self.cleanup.reusable(
            undo::unconfirmed::snapshot(region),
            Removal::of_listed(list, "delete-snapshot"),
            async move || unconfirmed::delete_started(&clients, &request, &token).await,
        );
        if let Some(earlier) = self.held.snapshot.replace(entry) {
            self.cleanup.disarm(earlier);
        }
    }

    /// A snapshot with so many blocks on the undo list.
    pub(super) fn hold_filling(&mut self, snapshot: &str, blocks: usize) {
        let (clients, id) = (self.clients.clone(), snapshot.to_owned());
        let journal = self.journal.clone();
        let entry = self.cleanup.reusable(
            format!(
                "the snapshot {snapshot} with {}",
                units::number(blocks as u64, "block")
            ),
            ami::snapshot_removal(&self.job, snapshot),
            async move || {
                journal
                    .forgetting(&id, ami::delete_snapshot(&clients, &id))
                    .await
            },
        );
        if let Some(earlier) = self.held.snapshot.replace(entry) {
            self.cleanup.disarm(earlier);
        }
    }

    /// The snapshot that an earlier run has begun to fill.
    pub(in crate::aws) fn hold_earlier_filling(&mut self, snapshot: &str) {
        let log = self.journal.blocks().and_then(|path| Log::read(&path));
        self.hold_filling(snapshot, log.map_or(0, |found| found.log.blocks()));
    }

    /// Nothing can be made of the snapshot: it goes with the run.
    pub(super) fn spoil_filling(&mut self) {
        if let Some(entry) = self.held.snapshot {
            self.cleanup.spoil(entry);
        }
    }

    /// Nothing can be made of the snapshot: it goes now, and the run goes on.
    pub(super) async fn forget_filling(&mut self, snapshot: &str) {
        if let Err(error) = ami::delete_snapshot(&self.clients, snapshot).await {
            let text = format!(
                "{snapshot} could not be deleted: {error:#}; delete it with: {}",
                ami::snapshot_removal(&self.job, snapshot)
            );
            self.session.progress.warn(&text);
        }
        if let Some(entry) = self.held.snapshot.take() {
            self.cleanup.disarm(entry);
        }
        self.journal.note(|entry| {
            (entry.filling, entry.client_token, entry.sealed) = (None, None, false);
        });
    }
}
