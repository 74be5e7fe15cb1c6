//! From the job to the object: goes on with what an earlier run has sent, wires the
//! upload to progress, journal and undo list. The same for every cloud.

mod pending;
mod previous;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::image::{Image, Source, Verdict, Watched};
use crate::import::job::Job;
use crate::import::journal::Journal;
use crate::import::session::Session;
use crate::import::undo::{Cleanup, Entry, unconfirmed};
use crate::progress::Transfer;
use crate::shell::{Command, Removal};
use crate::store::{self, Class, Store, UploadId};
use crate::transfer;
use crate::transfer::gzip;
use crate::transfer::gzip::{Gzip, Plain};
use crate::transfer::{Cause, Failure, Moved, Observer, Plan, Upload};
use crate::units;

use pending::Noted;
pub use pending::{hold_all, hold_earlier};
pub use previous::{is_of, is_same_source, is_steady, mark};

/// After a stop, parts in flight may land for this long.
const GRACE: Duration = Duration::from_secs(2);

/// A gzipped image on its way.
struct Packed {
    /// What it was before, known once all of it was read.
    plain: Arc<OnceLock<Plain>>,
    share: Arc<gzip::Share>,
}

/// The object as the user knows it, and how to remove it and its parts by hand.
pub struct Target {
    /// `s3://bucket/key`.
    pub url: String,
    /// Removes the object.
    pub remove: Command,
    /// Another run, on another machine, would give the object the same name.
    pub is_steady: bool,
    /// Lists the unfinished uploads of the key, to abort one whose id is not known.
    pub uploads: Removal,
    /// Removes the parts of an unfinished upload, given its id.
    pub abort: Box<dyn Fn(&UploadId) -> Command + Send + Sync>,
}

/// The object is there.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Bytes that travelled in this run.
    pub uploaded_bytes: u64,
    /// Bytes of the object.
    pub size: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// SHA-256 of the image, where it was asked for.
    pub sha256: Option<String>,
    /// The object on the undo list.
    pub object: Entry,
}

/// What sending needs of a run.
pub struct Run<'a> {
    /// The job.
    pub job: &'a Job,
    /// Signals and progress.
    pub session: &'a Session,
    /// What earlier runs did.
    pub journal: &'a Journal,
    /// What this run makes.
    pub cleanup: &'a mut Cleanup,
}

/// Sends the image. Where a run on another machine has completed or aborted the upload that
/// this one went on with, the object counts if it has the local bytes; else all is sent again.
pub async fn send_shared<S: Store>(
    run: &mut Run<'_>,
    store: &Arc<S>,
    target: &Target,
) -> Result<Sent> {
    match send(run, store, target).await {
        Err(error) if is_gone(&error) && target.is_steady && run.job.resumes() => {
            let text = format!(
                "another run has completed or aborted the upload to {}",
                target.url
            );
            run.session.progress.note(&text);
            send(run, store, target).await
        }
        ended => ended,
    }
}

/// Whether the service knows no such upload any more.
pub fn is_gone(error: &Error) -> bool {
    error.cause::<store::Error>().map(store::Error::class) == Some(Class::Gone)
}

/// Sends the image, or what is still missing of it.
pub async fn send<S: Store>(run: &mut Run<'_>, store: &Arc<S>, target: &Target) -> Result<Sent> {
    previous::forget_if_changed(run, &**store).await;
    if let Some(sent) = previous::object(run, store, target).await? {
        return Ok(sent);
    }
    run.session
        .progress
        .stage(&format!("Uploading to {}", target.url));
    previous::adopt(run, &**store, target).await;
    let shown = Arc::new(Shown(Mutex::default()));
    let (upload, packed, verdict) = prepare(run, store, &shown)?;
    shown.show(transfer(run, packed.as_ref()));
    let earlier = run.journal.entry().upload;
    let (keeps, sending) = (run.job.resumes(), transfer::run(upload));
    let result = run.session.told_of_the_stop(keeps, sending).await;
    let transfer = shown.take();
    match result {
        Ok(sent) => {
            transfer.into_iter().for_each(Transfer::finish);
            run.journal.note(|entry| {
                (entry.upload, entry.sent, entry.completing) = (None, true, None);
            });
            abort_others(run, &**store, target).await;
            let plain = packed.and_then(|packed| packed.plain.get().cloned());
            if let Some(plain) = &plain {
                let (size, sent) = (units::bytes(plain.size), units::bytes(sent.size));
                let progress = &run.session.progress;
                progress.note(&format!("The image's {size} were sent as {sent}"));
            }
            for warning in verdict.warnings() {
                run.session.progress.warn(&warning.to_string());
            }
            let object = hold(run.cleanup, store, target);
            Ok(Sent {
                uploaded_bytes: sent.uploaded_bytes,
                size: sent.size,
                elapsed: sent.elapsed,
                sha256: plain.map_or(sent.sha256, |plain| plain.sha256),
                object,
            })
        }
        Err(failure) => {
            drop(transfer);
            let error = failed(run, store, target, failure, earlier.as_deref());
            // The end of a pipe may have shown what no import could use.
            Err(verdict.refusal().unwrap_or(error))
        }
    }
}

/// A CreateMultipartUpload that was sent twice may have begun two uploads, of which one has
/// become the object.
async fn abort_others<S: Store>(run: &Run<'_>, store: &S, target: &Target) {
    if !run.journal.entry().beginning {
        return;
    }
    if let Err(error) = pending::abort_without_parts(store).await {
        let (what, see) = (unconfirmed::upload(&target.url), &target.uploads);
        let text = format!("{what} could not be looked for: {error}; {see}");
        run.session.progress.warn(&text);
    }
    run.journal.note(|entry| entry.beginning = false);
}

fn prepare<S: Store>(
    run: &Run<'_>,
    store: &Arc<S>,
    shown: &Arc<Shown>,
) -> Result<(Upload<S>, Option<Packed>, Arc<Verdict>)> {
    let job = run.job;
    let (source, packed, verdict) = if job.gzip {
        let (source, packed, verdict) = open_gzipped(job)?;
        (source, Some(packed), verdict)
    } else {
        let (source, verdict) = open(job)?;
        (source, None, verdict)
    };
    let mark = mark(&job.image);
    run.journal.note(|entry| entry.source = mark);
    let entry = run.journal.entry();
    let upload = Upload {
        store: Arc::clone(store),
        source,
        plan: plan(job, store.limits())?,
        resume: entry.upload.map(UploadId),
        unnoted: entry.beginning,
        part_size: entry.part_size,
        notes: Arc::new(Noted(run.journal.clone())),
        observer: Arc::clone(shown) as Arc<dyn Observer>,
        stop: run.session.cancel.stop.clone(),
        leave: run.session.cancel.leave.clone(),
    };
    Ok((upload, packed, verdict))
}

/// What a gzipped image comes to shows while it is read.
fn transfer(run: &Run<'_>, packed: Option<&Packed>) -> Transfer {
    let (size, progress) = (run.job.image.size, &run.session.progress);
    match packed {
        None => progress.upload(size),
        Some(packed) => {
            let share = Arc::clone(&packed.share);
            progress.upload_of_about(move || share.estimate(size?))
        }
    }
}

/// How the image will be sent; asked early, so that a part size that can't be is said at once.
pub fn plan(job: &Job, limits: store::Limits) -> Result<Plan> {
    let concurrency = job
        .upload
        .concurrency
        .map(|parts| usize::try_from(parts).unwrap_or(usize::MAX));
    let size = match job.image.size {
        Some(size) if job.gzip => Some(gzip::bound(size)),
        size => size,
    };
    let plan = transfer::plan(
        size,
        limits,
        job.upload.part_size.map(|size| size.0),
        concurrency,
    )?;
    Ok(Plan {
        limit_rate: job.upload.limit_rate.map(|rate| rate.0),
        stall: job.upload.stall_timeout.map_or(plan.stall, Into::into),
        grace: GRACE,
        // Of a gzipped image the digest is that of the file, not of what travels.
        sha256: job.sha256 && !job.gzip,
        ..plan
    })
}

/// How it would be sent.
pub fn outline(
    job: &Job,
    limits: store::Limits,
    url: String,
) -> Result<crate::import::dry_run::Upload> {
    let plan = plan(job, limits)?;
    let known = job.image.size.filter(|_| !job.gzip);
    Ok(crate::import::dry_run::Upload {
        url,
        bytes: job.image.size,
        gzip: job.gzip,
        parts: known.map(|size| transfer::count(size, plan.part_size)),
        part_size: plan.part_size,
        concurrency: plan.concurrency,
    })
}

fn open(job: &Job) -> Result<(transfer::Source, Arc<Verdict>)> {
    let Source::File(path) = &job.image.source else {
        let pipe = pipe(job);
        let verdict = pipe.verdict();
        return Ok((transfer::Source::stream(pipe, None), verdict));
    };
    let source = transfer::Source::file(still(&job.image, path)?);
    let source = source.map_err(|error| unreadable(path, error))?;
    Ok((source, Arc::default()))
}

/// The same, gzipped on the way.
fn open_gzipped(job: &Job) -> Result<(transfer::Source, Packed, Arc<Verdict>)> {
    let broken = |error| Error::failed("the image can't be compressed").because(error);
    let Source::File(path) = &job.image.source else {
        let pipe = pipe(job);
        let verdict = pipe.verdict();
        let gzip = Gzip::new(pipe, job.sha256).map_err(broken)?;
        let packed = Packed::of(&gzip);
        return Ok((transfer::Source::stream(gzip, None), packed, verdict));
    };
    let file = still(&job.image, path)?;
    let reader = file.try_clone().map_err(|error| unreadable(path, error))?;
    let gzip = Gzip::new(reader, job.sha256).map_err(broken)?;
    let packed = Packed::of(&gzip);
    let source = transfer::Source::made_of(file, gzip).map_err(|error| unreadable(path, error))?;
    Ok((source, packed, Arc::default()))
}

impl Packed {
    fn of(gzip: &Gzip) -> Self {
        Self {
            plain: gzip.plain(),
            share: gzip.share(),
        }
    }
}

/// Standard input, looked at to its end.
fn pipe(job: &Job) -> Watched<impl Read + Send + 'static> {
    let bytes = std::io::Cursor::new(job.image.head.clone()).chain(std::io::stdin());
    Watched::new(bytes, &job.image, job.accepts.clone())
}

/// The file, if it is as it was when it was looked at.
fn still(image: &Image, path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let is_still = image.is_still(&file);
    if is_still.map_err(|error| unreadable(path, error))? {
        return Ok(file);
    }
    Err(
        Error::failed(format!("{} changed since it was looked at", path.display()))
            .hint("run the command again once nobody writes to it"),
    )
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::failed(format!("{} can't be read", path.display())).because(error)
}

/// A warning: the object stays although the image is there. That is no reason to lose it.
pub fn undeleted(target: &Target, why: &store::Error, advice: Option<String>) -> String {
    let Target { url, remove, .. } = target;
    let advice = advice.map_or_else(String::new, |advice| format!("; next time, {advice}"));
    format!("{url} could not be deleted: {why}{advice}; delete it with: {remove}")
}

/// Puts the object on the undo list.
pub fn hold<S: Store>(cleanup: &mut Cleanup, store: &Arc<S>, target: &Target) -> Entry {
    let store = Arc::clone(store);
    cleanup.reusable(&target.url, target.remove.clone(), async move || {
        Ok(store.remove().await?)
    })
}

/// Names what stays of an upload that did not end.
fn failed<S: Store>(
    run: &mut Run<'_>,
    store: &Arc<S>,
    target: &Target,
    failure: Failure,
    earlier: Option<&str>,
) -> Error {
    let Failure {
        cause,
        upload,
        parts,
        bytes,
    } = failure;
    let gone = matches!(&cause, Cause::Failed(error) if is_gone(error));
    if gone {
        run.journal
            .note(|entry| (entry.upload, entry.acknowledged) = (None, None));
    } else if let Some(upload) = upload {
        run.journal.note(|entry| entry.acknowledged = Some(bytes));
        let (number, size) = (units::number(parts.into(), "part"), units::bytes(bytes));
        let what = format!("{number} of {} ({size})", target.url);
        let held = pending::Held::of(run.journal, store, target);
        let entry = held.parts(run.cleanup, &upload, what);
        // Of a continued upload not all parts have been met again yet.
        if !run.job.resumes() || (parts == 0 && earlier != Some(upload.0.as_str())) {
            run.cleanup.spoil(entry);
        }
    }
    pending::Held::of(run.journal, store, target).possible(run.cleanup);
    match cause {
        Cause::Stopped => run.session.stopped(),
        Cause::Failed(error) => error,
    }
}

/// What the engine tells, shown.
struct Shown(Mutex<Option<Transfer>>);

impl Shown {
    fn with(&self, show: impl FnOnce(&Transfer)) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(show);
    }

    fn show(&self, transfer: Transfer) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(transfer);
    }

    fn take(&self) -> Option<Transfer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Observer for Shown {
    fn acknowledged(&self, bytes: u64) {
        self.with(|transfer| transfer.acknowledged(bytes));
    }

    fn moved(&self, moved: Moved) {
        self.with(|transfer| transfer.moved(moved.bytes, moved.unanswered));
    }

    fn resumed(&self, bytes: u64) {
        self.with(|transfer| transfer.resumed(bytes));
    }

    fn retrying(&self, part: u32, attempt: u32, pause: Duration, why: &store::Error) {
        let pause = units::pause(pause);
        self.with(|transfer| {
            transfer.note(&format!(
                "part {part}, try {attempt}: {why}; again in {pause}"
            ));
        });
    }

    fn narrowed(&self, parts: usize) {
        self.with(|transfer| {
            transfer.note(&format!(
                "the service asks to slow down: {parts} parts at once for now"
            ));
        });
    }

    fn unfinished(&self, tries: u32, why: &store::Error) {
        let text = format!("the object is not there yet: {why}; {tries} more tries at most");
        self.with(|transfer| transfer.note(&text));
    }

    fn forgotten(&self, _: &UploadId) {
        self.with(|transfer| {
            transfer.note("the parts of the earlier run are gone: all of it is sent");
        });
    }
}
