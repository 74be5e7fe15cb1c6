//! The undo list. Whatever a recipe makes goes on it with a sentence and the way to
//! remove it; what is wanted comes off. At the end it runs in reverse and says what stays.

pub mod unconfirmed;

use std::pin::Pin;

use crate::import::cancel::Cancel;
use crate::import::session::Session;
use crate::progress::Progress;
use crate::shell::Removal;

/// What helps against an error, where something is known that does.
type Advice = Box<dyn Fn(&anyhow::Error) -> Option<String> + Send>;

type Undo = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send>;

/// A thing on the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry(usize);

struct Made {
    entry: Entry,
    what: String,
    note: String,
    remove: Removal,
    reusable: bool,
    undo: Undo,
}

impl Made {
    fn noted(&self) -> String {
        let Self { what, note, .. } = self;
        if note.is_empty() {
            what.clone()
        } else {
            format!("{what}, {note}")
        }
    }
}

/// What this run has made and not yet handed over.
#[derive(Default)]
pub struct Cleanup {
    made: Vec<Made>,
    next: usize,
    advice: Option<Advice>,
}

impl Cleanup {
    /// Says what helps where something can't be removed: the permission that is missing.
    pub fn advised(&mut self, advice: impl Fn(&anyhow::Error) -> Option<String> + Send + 'static) {
        self.advice = Some(Box::new(advice));
    }

    /// Notes a thing that a later run can go on from. `remove` says how to
    /// remove it by hand.
    pub fn reusable<F>(
        &mut self,
        what: impl Into<String>,
        remove: impl Into<Removal>,
        undo: impl FnOnce() -> F + Send + 'static,
    ) -> Entry
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.push(
            what.into(),
            remove.into(),
            true,
            Box::new(|| Box::pin(undo())),
        )
    }

    /// Notes a thing that nothing can be made of.
    pub fn useless<F>(
        &mut self,
        what: impl Into<String>,
        remove: impl Into<Removal>,
        undo: impl FnOnce() -> F + Send + 'static,
    ) -> Entry
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.push(
            what.into(),
            remove.into(),
            false,
            Box::new(|| Box::pin(undo())),
        )
    }

    fn push(&mut self, what: String, remove: Removal, reusable: bool, undo: Undo) -> Entry {
        let entry = Entry(self.next);
        self.next += 1;
        self.made.push(Made {
            entry,
            what,
            note: String::new(),
            remove,
            reusable,
            undo,
        });
        entry
    }

    /// The thing is gone, or it is what the user wanted: it comes off the list.
    pub fn disarm(&mut self, entry: Entry) {
        self.made.retain(|made| made.entry != entry);
    }

    /// What there is to know of the thing where it stays; an empty text takes that back.
    pub fn note(&mut self, entry: Entry, note: impl Into<String>) {
        let made = self.made.iter_mut().find(|made| made.entry == entry);
        if let Some(made) = made {
            made.note = note.into();
        }
    }

    /// Nothing can be made of it any more.
    pub fn spoil(&mut self, entry: Entry) {
        for made in self.made.iter_mut().filter(|made| made.entry == entry) {
            made.reusable = false;
        }
    }

    /// All that was made is wanted.
    pub fn release(&mut self) {
        self.made.clear();
    }

    /// Whether anything stays that a second Ctrl-C could remove.
    fn keeps_something(&self) -> bool {
        self.made.iter().any(|made| made.reusable)
    }

    /// Removes what no later run can use, or all of it; returns a sentence for each thing that stays.
    async fn settle(mut self, all: bool, cancel: &Cancel, progress: &Progress) -> Vec<String> {
        let mut stays = Vec::new();
        // A thing that could not be removed may need those made before it: a task its object.
        let mut needed = false;
        while let Some(made) = self.made.pop() {
            let noted = made.noted();
            if needed || cancel.leave.is_cancelled() || (made.reusable && !all) {
                stays.push(stay(&noted, &made.remove));
                continue;
            }
            progress.note(&format!("Removing {}", made.what));
            let gone = tokio::select! {
                biased;
                () = cancel.leave.cancelled() => Err(anyhow::anyhow!("left at once")),
                gone = (made.undo)() => gone,
            };
            if let Err(error) = gone {
                needed = true;
                // The command comes last, to be copied.
                let what = if cancel.leave.is_cancelled() {
                    noted
                } else {
                    let advice = self.advice.as_ref().and_then(|advice| advice(&error));
                    let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
                    format!("{noted} (it could not be removed: {error:#}{advice})")
                };
                stays.push(stay(&what, &made.remove));
            }
        }
        stays
    }
}

fn stay(what: &str, remove: &Removal) -> String {
    format!("{what}; {remove}")
}

/// How a run that brought no image ends: what a later run can use is kept and named, the
/// rest goes; all of it goes when the user says so. Returns a sentence for each thing that stays.
pub async fn end(cleanup: Cleanup, keep: bool, session: &Session) -> Vec<String> {
    let cancel = &session.cancel;
    if keep
        && cancel.stop.is_cancelled()
        && cleanup.keeps_something()
        && !cancel.undo.is_cancelled()
    {
        let until = session.tell_of_the_stop();
        let _ = tokio::time::timeout_at(until, cancel.undo.cancelled()).await;
    }
    let all = !keep || cancel.undo.is_cancelled();
    cleanup.settle(all, cancel, &session.progress).await
}
