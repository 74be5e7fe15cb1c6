//! The frame around every recipe: the journal that it opens, and how it ends.

use crate::cleanup::{self, Cleanup};
use crate::error::{Kind, Result};
use crate::job::Job;
use crate::journal::{self, Journal};
use crate::outcome::Outcome;
use crate::session::Session;

/// Opens the journal of the job that these words identify. The object's name that an
/// unfinished run chose is kept.
pub fn open_journal(
    job: &Job,
    key: &mut String,
    words: &[&str],
    session: &Session,
) -> Result<Journal> {
    if !job.resumes() || job.dry_run {
        return Ok(Journal::forgetful());
    }
    let (journal, warning) = Journal::open(journal::directory().as_deref(), words)?;
    if let Some(warning) = warning {
        session.progress.warn(&warning);
    }
    if let Some(chosen) = journal.entry().key {
        *key = chosen;
    }
    journal.note(|entry| entry.key = Some(key.clone()));
    Ok(journal)
}

/// The image, or the error with what stays and how to go on.
pub async fn end(
    job: &Job,
    session: &Session,
    journal: &Journal,
    cleanup: Cleanup,
    mut outcome: Outcome,
    result: Result<()>,
) -> Result<Outcome> {
    let Err(error) = result else {
        // Under --no-wait a later run attaches to the task.
        if job.wait.wait && !job.dry_run {
            journal.close();
        }
        outcome.seconds.total = session.began.elapsed();
        return Ok(outcome);
    };
    // A task that goes on needs its object, whatever else is wanted.
    let keep = job.resumes() || error.kind() == Kind::Deadline;
    let stays = cleanup::end(cleanup, keep, session).await;
    let undone = !keep || session.cancel.undo.is_cancelled();
    if stays.is_empty() && (undone || journal.entry().is_empty()) {
        journal.close();
    }
    if stays.is_empty() {
        return Err(error);
    }
    let error = error.leaves(stays);
    Err(if keep {
        error.hint("the same command goes on from there")
    } else {
        error
    })
}
