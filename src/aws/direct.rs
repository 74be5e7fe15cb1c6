//! The road without a bucket: a snapshot is started, filled block by block, completed,
//! waited for. What a later run needs is in the journal before the next step is taken; a
//! snapshot that is of no use any more is deleted, and all is sent anew once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::ebs::{self, Cause, Direct, Disk, Found, Log, Plan, Sealing, Trouble, Wish};
use super::volume::{self, State};
use super::{Run, image, import};
use crate::cleanup::Entry;
use crate::error::{Error, Kind, Result};
use crate::image::{Blocks, Source};
use crate::progress::Transfer;
use crate::sending;
use crate::shell::quote;
use crate::units;
use crate::{upload, wait};

/// A snapshot that a later run may go on with waits a day for its next block; another is
/// given up by the service after an hour, should this machine not come to delete it.
const TIMEOUT: (i32, i32) = (24 * 60, 60);

/// "Permissions to use the EBS direct APIs with encryption" of the EBS user guide.
const KEY: &str = "; an encrypted one needs its KMS key, too: kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, kms:ReEncrypt*";

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
    pub(super) async fn write_snapshot(&mut self) -> Result<Option<String>> {
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
        let waited = wait::until(self.session, pace, &remote, async || {
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

    /// The snapshot of an earlier run that still takes blocks, or a new one.
    async fn open_snapshot(&mut self) -> Result<Target> {
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
                "ec2:GetEbsEncryptionByDefault is not allowed: zeros are sent, too, lest an encrypted volume shows noise there",
            );
        }
        self.session.check()?;
        let request = import::request(&self.job);
        let source = sending::mark(&self.job.common.image);
        let entry = self.journal.entry();
        let same = entry.request.as_ref() == Some(&request) && entry.source == source;
        let token = entry.client_token.filter(|_| same);
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        self.journal.note(|entry| {
            (entry.request, entry.client_token) = (Some(request), Some(token.clone()));
            entry.source = source;
        });
        let unheard = self.hold_unheard_snapshot(&token);
        let (direct, wish) = (Direct::new(&self.clients.ebs), self.wish());
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
                // Refused is not started; unheard may be.
                if error.kind() == Kind::Failed {
                    self.cleanup.disarm(unheard);
                }
                return Err(error);
            }
        };
        let (snapshot, block_size) = (started.snapshot, started.block_size);
        let log = Log::begin(self.journal.blocks(), &snapshot, block_size);
        self.journal.note(|entry| {
            (entry.filling, entry.sealed) = (Some(snapshot.clone()), false);
        });
        self.cleanup.disarm(unheard);
        self.hold_filling(&snapshot, 0);
        Ok(Target {
            snapshot,
            block_size,
            encrypted: started.encrypted || wish.encryption.is_some() || by_default != Some(false),
            log,
            started: Some(Instant::now()),
            sealed: false,
            completed: false,
        })
    }

    fn wish(&self) -> Wish {
        let job = &self.job;
        let gib = job.common.image.virtual_size.unwrap_or_default();
        let (kept, not_kept) = TIMEOUT;
        Wish {
            volume_size: i64::try_from(gib.div_ceil(1 << 30).max(1)).unwrap_or(i64::MAX),
            description: job.description.clone(),
            tags: job.tags.clone(),
            encryption: job
                .encryption
                .as_ref()
                .map(|encryption| encryption.kms_key.clone()),
            timeout: if job.common.resumes() { kept } else { not_kept },
        }
    }

    fn hold_unheard_snapshot(&mut self, token: &str) -> Entry {
        let (clients, wish, token) = (self.clients.clone(), self.wish(), token.to_owned());
        let region = &self.job.region;
        self.cleanup.reusable(
            "a snapshot that may have been started unheard",
            format!("aws ec2 describe-snapshots --owner-ids self --filters Name=status,Values=pending --region {region}, and delete-snapshot"),
            async move || {
                let started = Direct::new(&clients.ebs).start(&wish, &token).await;
                let started = started.map_err(|trouble| trouble.fault)?;
                image::delete_snapshot(&clients, &started.snapshot).await
            },
        )
    }

    /// A snapshot with so many blocks on the undo list.
    pub(super) fn hold_filling(&mut self, snapshot: &str, blocks: usize) {
        let (clients, id) = (self.clients.clone(), snapshot.to_owned());
        let entry = self.cleanup.reusable(
            format!("the snapshot {snapshot} with {blocks} blocks"),
            format!(
                "aws ec2 delete-snapshot --snapshot-id {snapshot} --region {}",
                quote(&self.job.region)
            ),
            async move || image::delete_snapshot(&clients, &id).await,
        );
        if let Some(earlier) = self.held.snapshot.replace(entry) {
            self.cleanup.disarm(earlier);
        }
    }

    /// The snapshot that an earlier run has begun to fill.
    pub(super) fn hold_earlier_filling(&mut self, snapshot: &str) {
        let log = self.journal.blocks().and_then(|path| Log::read(&path));
        self.hold_filling(snapshot, log.map_or(0, |found| found.log.blocks()));
    }

    /// Nothing can be made of the snapshot: it goes with the run.
    fn spoil_filling(&mut self) {
        if let Some(entry) = self.held.snapshot {
            self.cleanup.spoil(entry);
        }
        self.journal.note(|entry| {
            (entry.filling, entry.client_token, entry.sealed) = (None, None, false);
        });
    }

    /// Nothing can be made of the snapshot: it goes now, and the run goes on.
    async fn forget_filling(&mut self, snapshot: &str) {
        if let Err(error) = image::delete_snapshot(&self.clients, snapshot).await {
            let text = format!(
                "{snapshot} could not be deleted: {error:#}; delete it with: aws ec2 delete-snapshot --snapshot-id {snapshot} --region {}",
                self.job.region
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

    /// Sends the blocks that are missing, and completes the snapshot.
    async fn fill(&mut self, target: Target) -> Result<(), Loss> {
        let (snapshot, sealed, earlier) =
            (target.snapshot.clone(), target.sealed, target.log.blocks());
        self.session
            .progress
            .stage(&format!("Writing to {snapshot}"));
        let plan = plan(&self.job.common)?;
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
        let seal = async { Ok(ebs::seal(&direct, &snapshot, &sent, &plan).await) };
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

    async fn send_blocks(&self, target: Target, plan: Plan) -> Result<ebs::Sent, ebs::Failure> {
        let image = &self.job.common.image;
        let (size, sparse) = (target.block_size, !target.encrypted);
        let earlier = target.log.blocks();
        let failed = |error: Error| ebs::Failure {
            cause: error.into(),
            blocks: earlier,
        };
        self.is_still().map_err(failed)?;
        let blocks = Blocks::open(image).map_err(failed)?;
        let disk = Disk::new(Arc::new(blocks), size, sparse).map_err(failed)?;
        let total = disk.bytes().map_err(failed)?;
        let transfer = self.session.progress.upload(Some(total));
        let shown = Arc::new(Shown(Mutex::new(Some(transfer))));
        let upload = ebs::Upload {
            direct: Direct::new(&self.clients.ebs),
            snapshot: target.snapshot,
            started: target.started,
            disk,
            block_size: size,
            log: target.log,
            plan,
            observer: Arc::clone(&shown) as Arc<dyn ebs::Observer>,
            stop: self.session.cancel.stop.clone(),
        };
        let sent = ebs::send(upload).await?;
        shown.take().into_iter().for_each(Transfer::finish);
        Ok(sent)
    }

    /// Names what stays of a snapshot that did not get all of its blocks.
    fn not_sent(&mut self, snapshot: &str, failure: ebs::Failure) -> Loss {
        let ebs::Failure { cause, blocks } = failure;
        self.hold_filling(snapshot, blocks);
        let error = match cause {
            Cause::Gone(trouble) => {
                let error = Error::failed(format!("{snapshot} takes no more blocks"));
                return Loss::Snapshot(error.because(trouble.fault));
            }
            Cause::Stopped => self.session.stopped(),
            Cause::Refused(what, trouble) => self.refused(&what, trouble, "ebs:PutSnapshotBlock"),
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
        let about = std::fs::metadata(path).map_err(unreadable)?;
        if image.is_still(&about) {
            return Ok(());
        }
        Err(upload::changed("somebody wrote to it".to_owned()))
    }

    /// A refusal, with the smallest policy that would have helped.
    fn refused(&self, what: &str, trouble: Trouble, action: &str) -> Error {
        if trouble.fault.is_denied() {
            let policy = policy(&self.job.region);
            let key = self.job.encryption.as_ref().map_or("", |_| KEY);
            return Error::failed(what).because(trouble.fault).hint(format!(
                "allow the caller {action}; the policy for the blocks of a snapshot is: {policy}{key}"
            ));
        }
        trouble.fault.fails(what, action)
    }
}

/// How the blocks are to go.
pub fn plan(job: &crate::job::Job) -> Result<Plan> {
    let upload = &job.upload;
    let plan = Plan::new(
        upload.concurrency.map(u64::from),
        upload.limit_rate.map(|rate| rate.0),
    )?;
    Ok(Plan {
        stall: upload.stall_timeout.map_or(plan.stall, Duration::from),
        ..plan
    })
}

/// Permission to write snapshots and nothing else.
fn policy(region: &str) -> String {
    let partition = match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"],
            "Resource": format!("arn:{partition}:ec2:{region}::snapshot/*"),
        }],
    })
    .to_string()
}

/// What the room tells, shown.
struct Shown(Mutex<Option<Transfer>>);

impl Shown {
    fn with(&self, show: impl FnOnce(&Transfer)) {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.as_ref().map(show);
    }

    fn take(&self) -> Option<Transfer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ebs::Observer for Shown {
    fn acknowledged(&self, bytes: u64) {
        self.with(|transfer| transfer.acknowledged(bytes));
    }

    fn resumed(&self, bytes: u64) {
        self.with(|transfer| transfer.resumed(bytes));
    }

    fn skipped(&self, bytes: u64) {
        self.with(|transfer| transfer.skipped(bytes));
    }

    fn retrying(&self, index: u32, attempt: u32, pause: Duration, why: &str) {
        let pause = units::seconds(pause);
        let text = format!("block {index}, try {attempt}: {why}; again in {pause}");
        self.with(|transfer| transfer.note(&text));
    }

    fn narrowed(&self, blocks: usize) {
        let text = format!("the service asks to slow down: {blocks} blocks at once for now");
        self.with(|transfer| transfer.note(&text));
    }
}
