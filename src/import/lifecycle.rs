//! The frame around every recipe: the journal that it opens, and how it ends.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::image::{Image, Source};
use crate::import::job::{GENERATED, Job};
use crate::import::journal;
use crate::import::journal::Journal;
use crate::import::outcome::Outcome;
use crate::import::session::Session;
use crate::import::undo;
use crate::import::undo::Cleanup;
use crate::progress::Progress;

/// How long a run that is told to leave at once may take to say what stays.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A recipe, given up once the user wants to leave at once.
pub async fn until_left(
    work: impl Future<Output = Result<Done>>,
    session: &Session,
) -> Result<Done> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        result = &mut work => result,
        // The undo list hears it, too, and names what stays.
        () = session.cancel.leave.cancelled() => {
            let named = tokio::time::timeout(LAST_WORDS, work).await;
            named.unwrap_or_else(|_| Err(session.stopped()))
        }
    }
}

/// Opens the journal of the job that these words identify: the cloud, the region and the
/// bucket, then the rest. The object's name that an unfinished run chose is kept; one that
/// another run uses is not taken from it.
pub fn open_journal(
    job: &Job,
    key: &mut String,
    words: &[&str],
    session: &Session,
) -> Result<Journal> {
    if job.dry_run {
        return Ok(Journal::forgetful());
    }
    // A run that is not to be continued has an entry while it lasts, for others to see.
    let own = Uuid::new_v4().to_string();
    let unique = if job.resumes() { "" } else { &own };
    let identity = [words, &[unique]].concat();
    let (journal, warning) = Journal::open(journal::directory().as_deref(), &identity)?;
    if let Some(warning) = warning.filter(|_| job.resumes()) {
        session.progress.warn(&warning);
    }
    match journal.entry().key {
        Some(chosen) => *key = chosen,
        None => claim(&journal, key, words)?,
    }
    let now = session.clock.as_second();
    journal.note(|entry| {
        entry.clock.get_or_insert(now);
        (entry.path, entry.size) = (Some(job.path()), job.image.size);
    });
    Ok(journal)
}

/// The clock of the run that began the job, where it is not this run's: names, tags and
/// descriptions with the time in them must be what the cloud was told then.
pub fn first_clock(journal: &Journal, session: &Session) -> Option<Timestamp> {
    let seconds = journal.entry().clock?;
    let another = seconds != session.clock.as_second();
    another
        .then(|| Timestamp::from_second(seconds).ok())
        .flatten()
}

/// Two images must not meet under one name: an import would read the other's bytes.
fn claim(journal: &Journal, key: &mut String, words: &[&str]) -> Result<()> {
    let (place, template) = (words[..3].join(" "), words[3]);
    if journal.claim(&format!("{place} {key}"), key) {
        return Ok(());
    }
    if !template.starts_with(GENERATED) {
        return Err(
            Error::failed(format!("the object {key} is in use by another run"))
                .because_of("its import has not ended, as far as the journal knows")
                .hint("finish that run with its own command, or give this one another --key"),
        );
    }
    let (stem, ending) = key.rsplit_once('.').unwrap_or((key.as_str(), ""));
    let mark = &Uuid::new_v4().simple().to_string()[..8];
    *key = format!("{stem}-{mark}.{ending}");
    journal.claim(&format!("{place} {key}"), key);
    Ok(())
}

/// An import that has come to its end, and what is left to do once its result was printed. A
/// run that is killed before that leaves its journal, so that the next one prints the result.
pub struct Done {
    /// The result.
    pub outcome: Outcome,
    journal: Option<Journal>,
    source: Option<Image>,
}

impl Done {
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
    let Source::File(path) = &image.source else {
        return;
    };
    let name = path.display();
    match image.is_still_at(path) {
        Ok(true) => match std::fs::remove_file(path) {
            Ok(()) => progress.fact(&format!("Deleted {name}")),
            Err(error) => progress.warn(&format!("could not delete {name}: {error}")),
        },
        Ok(false) => progress.warn(&format!(
            "{name} was not deleted: it changed after it was sent"
        )),
        Err(error) => progress.warn(&format!("could not delete {name}: {error}")),
    }
}

/// The image, or the error with what stays and how to go on.
pub async fn end(
    job: &Job,
    session: &Session,
    journal: &Journal,
    cleanup: Cleanup,
    mut outcome: Outcome,
    result: Result<()>,
) -> Result<Done> {
    let Err(error) = result else {
        // Under --no-wait a later run attaches to the task.
        let ends = (job.wait.wait || !job.resumes()) && !job.dry_run;
        outcome.seconds.total = session.began.elapsed();
        return Ok(Done {
            journal: ends.then(|| journal.clone()),
            source: job.unwanted_source().filter(|_| outcome.image_id.is_some()),
            outcome,
        });
    };
    // A task that goes on needs its object, whatever else is wanted.
    let keep = job.resumes() || error.kind() == Kind::Deadline;
    let stays = undo::end(cleanup, keep, session).await;
    let undone = !keep || session.cancel.undo.is_cancelled();
    if stays.is_empty() && (undone || journal.entry().is_empty()) {
        journal.close();
    }
    let error = if undone {
        error
    } else {
        error.with_images(outcome.images)
    };
    if stays.is_empty() {
        return Err(error);
    }
    let error = error.leaves(stays);
    Err(if job.resumes() {
        error.hint("the same command goes on from there")
    } else {
        error
    })
}
