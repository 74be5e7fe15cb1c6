//! The frame around every recipe: the journal that it opens, and how it ends.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::image::{Image, ImageSource};
use crate::import::job::{DEFAULT_NAME_TEMPLATE, Job};
use crate::import::journal;
use crate::import::journal::Journal;
use crate::import::outcome::Outcome;
use crate::import::session::Session;
use crate::import::undo;
use crate::import::undo::UndoList;
use crate::progress::Progress;

/// How long a run that is told to leave at once may take to say what stays.
const ABORT_GRACE: Duration = Duration::from_millis(500);

/// A recipe, given up once the user wants to leave at once.
pub async fn run_until_abort(
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

/// Opens the journal of the job that these words identify: the cloud, the region and the
/// bucket, then the rest. The object's name that an unfinished run chose is kept; one that
/// another run uses is not taken from it.
pub fn open_journal(
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
pub fn original_clock(journal: &Journal, session: &Session) -> Option<Timestamp> {
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
pub async fn finish(
    job: &Job,
    session: &Session,
    journal: &Journal,
    cleanup: UndoList,
    mut outcome: Outcome,
    result: Result<()>,
) -> Result<FinishedImport> {
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
