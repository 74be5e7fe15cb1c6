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
use crate::image::{CheckedReader, Image, ImageSource, Verdict};
use crate::import::job::Job;
use crate::import::journal::Journal;
use crate::import::session::Session;
use crate::import::undo::{Handle, UndoList, unconfirmed};
use crate::progress::UploadProgress;
use crate::shell::{Command, Removal};
use crate::store::{self, ErrorClass, Store, UploadId};
use crate::transfer;
use crate::transfer::gzip;
use crate::transfer::gzip::{GzipReader, UncompressedInfo};
use crate::transfer::{Cause, Failure, LineProgress, Observer, Plan, Upload};
use crate::units;

use pending::JournalNotes;
pub use pending::{track_all, track_previous};
pub use previous::{fingerprint, is_deterministic_key, is_same_source, matches_local_bytes};

/// After a stop, parts in flight may land for this long.
const GRACE: Duration = Duration::from_secs(2);

/// A gzipped image on its way.
struct GzipStats {
    /// What it was before, known once all of it was read.
    input: Arc<OnceLock<UncompressedInfo>>,
    progress: Arc<gzip::GzipProgress>,
}

/// The object as the user knows it, and how to remove it and its parts by hand.
pub struct UploadTarget {
    /// `s3://bucket/key`.
    pub url: String,
    /// Removes the object.
    pub remove: Command,
    /// Another run, on another machine, would give the object the same name.
    pub is_deterministic_key: bool,
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
    pub object: Handle,
}

/// What sending needs of a run.
pub struct UploadContext<'a> {
    /// The job.
    pub job: &'a Job,
    /// Signals and progress.
    pub session: &'a Session,
    /// What earlier runs did.
    pub journal: &'a Journal,
    /// What this run makes.
    pub cleanup: &'a mut UndoList,
}

/// Sends the image. Where a run on another machine has completed or aborted the upload that
/// this one went on with, the object counts if it has the local bytes; else all is sent again.
pub async fn send_shared<S: Store>(
    context: &mut UploadContext<'_>,
    store: &Arc<S>,
    target: &UploadTarget,
) -> Result<Sent> {
    match send(context, store, target).await {
        Err(error) if is_gone(&error) && target.is_deterministic_key && context.job.resumes() => {
            let text = format!(
                "another run has completed or aborted the upload to {}",
                target.url
            );
            context.session.progress.note(&text);
            send(context, store, target).await
        }
        ended => ended,
    }
}

/// Whether the service knows no such upload any more.
pub fn is_gone(error: &Error) -> bool {
    error.cause::<store::Error>().map(store::Error::class) == Some(ErrorClass::NoSuchUpload)
}

/// Sends the image, or what is still missing of it.
pub async fn send<S: Store>(
    context: &mut UploadContext<'_>,
    store: &Arc<S>,
    target: &UploadTarget,
) -> Result<Sent> {
    previous::discard_if_changed(context, &**store).await;
    if let Some(sent) = previous::previous_object(context, store, target).await? {
        return Ok(sent);
    }
    context
        .session
        .progress
        .stage(&format!("Uploading to {}", target.url));
    previous::resume_found_upload(context, &**store, target).await;
    let observer = Arc::new(ProgressObserver(Mutex::default()));
    let (upload, gzip, verdict) = prepare(context, store, &observer)?;
    observer.set(transfer(context, gzip.as_ref()));
    let previous = context.journal.entry().upload;
    let (keeps, sending) = (context.job.resumes(), transfer::run(upload));
    let result = context.session.announcing_stop(keeps, sending).await;
    let transfer = observer.take();
    match result {
        Ok(sent) => {
            transfer.into_iter().for_each(UploadProgress::finish);
            context.journal.update(|entry| {
                (entry.upload, entry.uploaded, entry.completing) = (None, true, None);
            });
            abort_others(context, &**store, target).await;
            let input = gzip.and_then(|gzip| gzip.input.get().cloned());
            if let Some(input) = &input {
                let (size, sent) = (units::bytes(input.size), units::bytes(sent.size));
                let progress = &context.session.progress;
                progress.note(&format!("The image's {size} were sent as {sent}"));
            }
            for warning in verdict.warnings() {
                context.session.progress.warn(&warning.to_string());
            }
            let object = track_object(context.cleanup, store, target);
            Ok(Sent {
                uploaded_bytes: sent.uploaded_bytes,
                size: sent.size,
                elapsed: sent.elapsed,
                sha256: input.map_or(sent.sha256, |input| input.sha256),
                object,
            })
        }
        Err(failure) => {
            drop(transfer);
            let error = upload_error(context, store, target, failure, previous.as_deref());
            // The end of a pipe may have shown what no import could use.
            Err(verdict.refusal().unwrap_or(error))
        }
    }
}

/// A CreateMultipartUpload that was sent twice may have begun two uploads, of which one has
/// become the object.
async fn abort_others<S: Store>(context: &UploadContext<'_>, store: &S, target: &UploadTarget) {
    if !context.journal.entry().beginning {
        return;
    }
    if let Err(error) = pending::abort_without_parts(store).await {
        let (description, see) = (unconfirmed::upload(&target.url), &target.uploads);
        let text = format!("{description} could not be looked for: {error}; {see}");
        context.session.progress.warn(&text);
    }
    context.journal.update(|entry| entry.beginning = false);
}

fn prepare<S: Store>(
    context: &UploadContext<'_>,
    store: &Arc<S>,
    observer: &Arc<ProgressObserver>,
) -> Result<(Upload<S>, Option<GzipStats>, Arc<Verdict>)> {
    let job = context.job;
    let (source, gzip, verdict) = if job.gzip {
        let (source, gzip, verdict) = open_gzipped(job)?;
        (source, Some(gzip), verdict)
    } else {
        let (source, verdict) = open(job)?;
        (source, None, verdict)
    };
    let fingerprint_now = fingerprint(&job.image);
    context
        .journal
        .update(|entry| entry.source = fingerprint_now);
    let entry = context.journal.entry();
    let upload = Upload {
        store: Arc::clone(store),
        source,
        plan: plan(job, store.limits())?,
        resume: entry.upload.map(UploadId),
        maybe_created: entry.beginning,
        part_size: entry.part_size,
        journal: Arc::new(JournalNotes(context.journal.clone())),
        observer: Arc::clone(observer) as Arc<dyn Observer>,
        stop: context.session.cancel.stop.clone(),
        leave: context.session.cancel.leave.clone(),
    };
    Ok((upload, gzip, verdict))
}

/// What a gzipped image comes to shows while it is read.
fn transfer(context: &UploadContext<'_>, gzip: Option<&GzipStats>) -> UploadProgress {
    let (size, progress) = (context.job.image.size, &context.session.progress);
    match gzip {
        None => progress.upload(size),
        Some(packed) => {
            let share = Arc::clone(&packed.progress);
            progress.upload_with_estimate(move || share.estimate(size?))
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
        Some(size) if job.gzip => Some(gzip::max_compressed_size(size)),
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
pub fn planned_upload(
    job: &Job,
    limits: store::Limits,
    url: String,
) -> Result<crate::import::dry_run::PlannedUpload> {
    let plan = plan(job, limits)?;
    let uncompressed_size = job.image.size.filter(|_| !job.gzip);
    Ok(crate::import::dry_run::PlannedUpload {
        url,
        bytes: job.image.size,
        gzip: job.gzip,
        parts: uncompressed_size.map(|size| transfer::count(size, plan.part_size)),
        part_size: plan.part_size,
        concurrency: plan.concurrency,
    })
}

fn open(job: &Job) -> Result<(transfer::UploadSource, Arc<Verdict>)> {
    let ImageSource::File(path) = &job.image.source else {
        let pipe = stdin_reader(job);
        let verdict = pipe.verdict();
        return Ok((transfer::UploadSource::stream(pipe, None), verdict));
    };
    let source = transfer::UploadSource::file(open_unchanged(&job.image, path)?);
    let source = source.map_err(|error| unreadable(path, error))?;
    Ok((source, Arc::default()))
}

/// The same, gzipped on the way.
fn open_gzipped(job: &Job) -> Result<(transfer::UploadSource, GzipStats, Arc<Verdict>)> {
    let broken = |error| Error::failed("the image can't be compressed").with_source(error);
    let ImageSource::File(path) = &job.image.source else {
        let pipe = stdin_reader(job);
        let verdict = pipe.verdict();
        let gzip = GzipReader::new(pipe, job.sha256).map_err(broken)?;
        let stats = GzipStats::new(&gzip);
        return Ok((transfer::UploadSource::stream(gzip, None), stats, verdict));
    };
    let file = open_unchanged(&job.image, path)?;
    let reader = file.try_clone().map_err(|error| unreadable(path, error))?;
    let gzip = GzipReader::new(reader, job.sha256).map_err(broken)?;
    let stats = GzipStats::new(&gzip);
    let source = transfer::UploadSource::derived_from(file, gzip)
        .map_err(|error| unreadable(path, error))?;
    Ok((source, stats, Arc::default()))
}

impl GzipStats {
    fn new(gzip: &GzipReader) -> Self {
        Self {
            input: gzip.input_info(),
            progress: gzip.progress(),
        }
    }
}

/// Standard input, looked at to its end.
fn stdin_reader(job: &Job) -> CheckedReader<impl Read + Send + 'static> {
    let bytes = std::io::Cursor::new(job.image.head.clone()).chain(std::io::stdin());
    CheckedReader::new(bytes, &job.image, job.accepts.clone())
}

/// The file, if it is as it was when it was looked at.
fn open_unchanged(image: &Image, path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let is_still = image.is_unchanged(&file);
    if is_still.map_err(|error| unreadable(path, error))? {
        return Ok(file);
    }
    Err(
        Error::failed(format!("{} changed since it was looked at", path.display()))
            .hint("run the command again once nobody writes to it"),
    )
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::failed(format!("{} can't be read", path.display())).with_source(error)
}

/// A warning: the object stays although the image is there. That is no reason to lose it.
pub fn delete_warning(target: &UploadTarget, error: &store::Error, hint: Option<String>) -> String {
    let UploadTarget { url, remove, .. } = target;
    let advice = hint.map_or_else(String::new, |advice| format!("; next time, {advice}"));
    format!("{url} could not be deleted: {error}{advice}; delete it with: {remove}")
}

/// Puts the object on the undo list.
pub fn track_object<S: Store>(
    cleanup: &mut UndoList,
    store: &Arc<S>,
    target: &UploadTarget,
) -> Handle {
    let store = Arc::clone(store);
    cleanup.push_resumable(&target.url, target.remove.clone(), async move || {
        Ok(store.delete().await?)
    })
}

/// Names what stays of an upload that did not end.
fn upload_error<S: Store>(
    run: &mut UploadContext<'_>,
    store: &Arc<S>,
    target: &UploadTarget,
    failure: Failure,
    previous: Option<&str>,
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
            .update(|entry| (entry.upload, entry.acknowledged) = (None, None));
    } else if let Some(upload) = upload {
        run.journal.update(|entry| entry.acknowledged = Some(bytes));
        let (number, size) = (units::pluralize(parts.into(), "part"), units::bytes(bytes));
        let description = format!("{number} of {} ({size})", target.url);
        let tracker = pending::UploadTracker::new(run.journal, store, target);
        let entry = tracker.track_parts(run.cleanup, &upload, description);
        // Of a continued upload not all parts have been met again yet.
        if !run.job.resumes() || (parts == 0 && previous != Some(upload.0.as_str())) {
            run.cleanup.make_disposable(entry);
        }
    }
    pending::UploadTracker::new(run.journal, store, target).track_unconfirmed(run.cleanup);
    match cause {
        Cause::Stopped => run.session.stop_error(),
        Cause::Failed(error) => error,
    }
}

/// What the engine tells, shown.
struct ProgressObserver(Mutex<Option<UploadProgress>>);

impl ProgressObserver {
    fn with(&self, show: impl FnOnce(&UploadProgress)) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(show);
    }

    fn set(&self, transfer: UploadProgress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(transfer);
    }

    fn take(&self) -> Option<UploadProgress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Observer for ProgressObserver {
    fn acknowledged(&self, bytes: u64) {
        self.with(|transfer| transfer.acknowledged(bytes));
    }

    fn line_progress(&self, moved: LineProgress) {
        self.with(|transfer| transfer.line_progress(moved.bytes, moved.unacknowledged));
    }

    fn resumed(&self, bytes: u64) {
        self.with(|transfer| transfer.resumed(bytes));
    }

    fn retrying(&self, part: u32, attempt: u32, delay: Duration, error: &store::Error) {
        let delay = units::format_delay(delay);
        self.with(|transfer| {
            transfer.note(&format!(
                "part {part}, try {attempt}: {error}; again in {delay}"
            ));
        });
    }

    fn concurrency_reduced(&self, parts: usize) {
        self.with(|transfer| {
            transfer.note(&format!(
                "the service asks to slow down: {parts} parts at once for now"
            ));
        });
    }

    fn complete_retried(&self, attempts: u32, error: &store::Error) {
        let text = format!("the object is not there yet: {error}; {attempts} more tries at most");
        self.with(|transfer| transfer.note(&text));
    }

    fn upload_not_found(&self, _: &UploadId) {
        self.with(|transfer| {
            transfer.note("the parts of the earlier run are gone: all of it is sent");
        });
    }
}
