//! The order of every import, whatever the cloud: inspect the image, resolve the settings,
//! report the findings, open the journal, run the cloud's steps, end.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::config::{Environment, ImportArgs};
use crate::error::{Error, Kind, Result};
use crate::image::{Image, ImageSource};
use crate::import::cloud::{Cloud, ImportEnd};
use crate::import::job::{DEFAULT_NAME_TEMPLATE, Job, OpenedImage};
use crate::import::journal;
use crate::import::journal::Journal;
use crate::import::outcome::Outcome;
use crate::import::pre_import_check::PreImportCheck;
use crate::import::session::Session;
use crate::import::undo;
use crate::progress::Progress;

/// How long a run that is told to leave at once may take to say what stays.
const ABORT_GRACE: Duration = Duration::from_millis(500);

/// Imports an image. The image is opened and inspected once.
pub async fn run<C: Cloud>(
    mut args: ImportArgs<C>,
    environment: &Environment,
    session: &Session,
) -> Result<FinishedImport> {
    let (opened, check) = PreImportCheck::new(&mut args, session).await?;
    let work = import(args, opened, check, environment, session);
    run_until_abort(work, session).await
}

async fn import<C: Cloud>(
    args: ImportArgs<C>,
    opened: OpenedImage,
    check: PreImportCheck<C>,
    environment: &Environment,
    session: &Session,
) -> Result<FinishedImport> {
    let account = args.provider.account();
    let (clients, region) = args.provider.connect(environment).await?;
    let resolve =
        |opened, clock| C::resolve(args.clone(), opened, region.clone(), clock, environment);
    let mut job = resolve(opened, session.clock)?;
    check.report(session).await?;
    let (journal, key) = open_journal::<C>(&mut job, session)?;
    C::check_entry(&journal.entry())?;
    journal.update(|entry| {
        let earlier = std::mem::replace(&mut entry.account, account);
        C::keep_account(earlier, &mut entry.account);
    });
    if let Some(clock) = original_clock(&journal, session) {
        job = resolve(C::common(&job).image.clone().into(), clock)?;
        *C::key(&mut job) = key;
    }
    // On the heap, since the future of all steps is large.
    let end = Box::pin(C::import(job, clients, journal.clone(), session)).await;
    finish(end, session, &journal).await
}

/// Runs an import until its end, or until the user asks to leave at once.
async fn run_until_abort(
    work: impl Future<Output = Result<FinishedImport>>,
    session: &Session,
) -> Result<FinishedImport> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        result = &mut work => result,
        // The undo list hears it, too, and names what stays.
        () = session.cancel.leave.cancelled() => {
            let named = tokio::time::timeout(ABORT_GRACE, work).await;
            named.unwrap_or_else(|_| Err(session.stop_error()))
        }
    }
}

/// Opens the journal of the job and returns it with the name of the temporary object: the one
/// that an unfinished run chose. The same image to the same key under the same name is the same
/// job. A name that another run uses is an error.
fn open_journal<C: Cloud>(job: &mut C::Job, session: &Session) -> Result<(Journal, String)> {
    let identity = C::identity(job);
    let parameters: Vec<_> = identity.iter().map(String::as_str).collect();
    let mut key = std::mem::take(C::key(job));
    let journal = open_with_key(C::common(job), &mut key, &parameters, session)?;
    key.clone_into(C::key(job));
    Ok((journal, key))
}

fn open_with_key(
    job: &Job,
    key: &mut String,
    parameters: &[&str],
    session: &Session,
) -> Result<Journal> {
    if job.dry_run {
        return Ok(Journal::disabled());
    }
    // A run that is not to be continued has an entry while it lasts, for others to see.
    let unique_id = Uuid::new_v4().to_string();
    let unique = if job.resumes() { "" } else { &unique_id };
    let identity = [parameters, &[unique]].concat();
    let (journal, warning) = Journal::open(journal::directory().as_deref(), &identity)?;
    if let Some(warning) = warning.filter(|_| job.resumes()) {
        session.progress.warn(&warning);
    }
    match journal.entry().key {
        Some(chosen) => *key = chosen,
        None => reserve_key(&journal, key, parameters)?,
    }
    let now = session.clock.as_second();
    journal.update(|entry| {
        entry.started_at.get_or_insert(now);
        (entry.path, entry.size) = (Some(job.path()), job.image.size);
    });
    Ok(journal)
}

/// The clock of the run that began the job, where it is not this run's: names, tags and
/// descriptions with the time in them must be what the cloud was told then.
fn original_clock(journal: &Journal, session: &Session) -> Option<Timestamp> {
    let seconds = journal.entry().started_at?;
    let another = seconds != session.clock.as_second();
    another
        .then(|| Timestamp::from_second(seconds).ok())
        .flatten()
}

/// Two images must not meet under one name: an import would read the other's bytes.
fn reserve_key(journal: &Journal, key: &mut String, identity: &[&str]) -> Result<()> {
    let (place, template) = (identity[..3].join(" "), identity[3]);
    if journal.reserve_key(&format!("{place} {key}"), key) {
        return Ok(());
    }
    if !template.starts_with(DEFAULT_NAME_TEMPLATE) {
        return Err(
            Error::failed(format!("the object {key} is in use by another run"))
                .with_cause("its import has not ended, as far as the journal knows")
                .hint("finish that run with its own command, or give this one another --key"),
        );
    }
    let (stem, ending) = key.rsplit_once('.').unwrap_or((key.as_str(), ""));
    let suffix = &Uuid::new_v4().simple().to_string()[..8];
    *key = format!("{stem}-{suffix}.{ending}");
    journal.reserve_key(&format!("{place} {key}"), key);
    Ok(())
}

/// An import that has come to its end, and what is left to do once its result was printed. A
/// run that is killed before that leaves its journal, so that the next one prints the result.
pub struct FinishedImport {
    /// The result.
    pub outcome: Outcome,
    journal: Option<Journal>,
    source: Option<Image>,
}

impl FinishedImport {
    /// The result was printed: nobody asks for it again.
    pub fn close(self, progress: &Progress) {
        if let Some(image) = self.source {
            delete(&image, progress);
        }
        if let Some(journal) = self.journal {
            journal.close();
        }
    }
}

/// Deletes the local image, if its path still names the file that was sent.
fn delete(image: &Image, progress: &Progress) {
    let ImageSource::File(path) = &image.source else {
        return;
    };
    let name = path.display();
    match image.is_unchanged_at(path) {
        Ok(true) => match std::fs::remove_file(path) {
            Ok(()) => progress.info(&format!("Deleted {name}")),
            Err(error) => progress.warn(&format!("could not delete {name}: {error}")),
        },
        Ok(false) => progress.warn(&format!(
            "{name} was not deleted: it changed after it was sent"
        )),
        Err(error) => progress.warn(&format!("could not delete {name}: {error}")),
    }
}

/// The image, or the error with what stays and how to go on.
async fn finish(end: ImportEnd, session: &Session, journal: &Journal) -> Result<FinishedImport> {
    let ImportEnd {
        job,
        cleanup,
        mut outcome,
        result,
    } = end;
    let Err(error) = result else {
        // Under --no-wait a later run attaches to the task.
        let ends = (job.wait.wait || !job.resumes()) && !job.dry_run;
        outcome.seconds.total = session.started.elapsed();
        return Ok(FinishedImport {
            journal: ends.then(|| journal.clone()),
            source: job
                .source_to_delete()
                .filter(|_| outcome.image_id.is_some()),
            outcome,
        });
    };
    // A task that goes on needs its object, whatever else is wanted.
    let keep = job.resumes() || error.kind() == Kind::Deadline;
    let left_behind = undo::finish(cleanup, keep, session).await;
    let undone = !keep || session.cancel.undo.is_cancelled();
    if left_behind.is_empty() && (undone || journal.entry().is_empty()) {
        journal.close();
    }
    let error = if undone {
        error
    } else {
        error.with_images(outcome.images)
    };
    if left_behind.is_empty() {
        return Err(error);
    }
    let error = error.with_left_behind(left_behind);
    Err(if job.resumes() {
        error.hint("the same command goes on from there")
    } else {
        error
    })
}
