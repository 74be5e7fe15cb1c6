//! The undo list. Whatever a recipe makes goes on it with a sentence and the way to
//! remove it; what is wanted comes off. At the end it runs in reverse and says what stays.

pub mod unconfirmed;

use std::pin::Pin;

use crate::import::cancel::Cancel;
use crate::import::session::Session;
use crate::progress::Progress;
use crate::shell::Removal;

/// What helps against an error, where something is known that does.
type HintFn = Box<dyn Fn(&anyhow::Error) -> Option<String> + Send>;

type UndoFn = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send>;

/// A thing on the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Handle(usize);

struct UndoItem {
    handle: Handle,
    description: String,
    note: String,
    remove: Removal,
    is_resumable: bool,
    undo: UndoFn,
}

impl UndoItem {
    fn description_with_note(&self) -> String {
        let Self {
            description: what,
            note,
            ..
        } = self;
        if note.is_empty() {
            what.clone()
        } else {
            format!("{what}, {note}")
        }
    }
}

/// What this run has made and not yet handed over.
#[derive(Default)]
pub struct UndoList {
    items: Vec<UndoItem>,
    next: usize,
    hint: Option<HintFn>,
}

impl UndoList {
    /// Says what helps where something can't be removed: the permission that is missing.
    pub fn set_hint(&mut self, hint: impl Fn(&anyhow::Error) -> Option<String> + Send + 'static) {
        self.hint = Some(Box::new(hint));
    }

    /// Notes a thing that a later run can go on from. `remove` says how to
    /// remove it by hand.
    pub fn push_resumable<F>(
        &mut self,
        description: impl Into<String>,
        remove: impl Into<Removal>,
        undo: impl FnOnce() -> F + Send + 'static,
    ) -> Handle
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.push(
            description.into(),
            remove.into(),
            true,
            Box::new(|| Box::pin(undo())),
        )
    }

    /// Notes a thing that nothing can be made of.
    pub fn push_disposable<F>(
        &mut self,
        description: impl Into<String>,
        remove: impl Into<Removal>,
        undo: impl FnOnce() -> F + Send + 'static,
    ) -> Handle
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.push(
            description.into(),
            remove.into(),
            false,
            Box::new(|| Box::pin(undo())),
        )
    }

    fn push(
        &mut self,
        description: String,
        remove: Removal,
        is_resumable: bool,
        undo: UndoFn,
    ) -> Handle {
        let entry = Handle(self.next);
        self.next += 1;
        self.items.push(UndoItem {
            handle: entry,
            description,
            note: String::new(),
            remove,
            is_resumable,
            undo,
        });
        entry
    }

    /// The thing is gone, or it is what the user wanted: it comes off the list.
    pub fn remove(&mut self, handle: Handle) {
        self.items.retain(|made| made.handle != handle);
    }

    /// What there is to know of the thing where it stays; an empty text takes that back.
    pub fn note(&mut self, handle: Handle, note: impl Into<String>) {
        let made = self.items.iter_mut().find(|made| made.handle == handle);
        if let Some(made) = made {
            made.note = note.into();
        }
    }

    /// Nothing can be made of it any more.
    pub fn make_disposable(&mut self, handle: Handle) {
        for made in self.items.iter_mut().filter(|made| made.handle == handle) {
            made.is_resumable = false;
        }
    }

    /// All that was made is wanted.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Whether anything stays that a second Ctrl-C could remove.
    fn has_resumable(&self) -> bool {
        self.items.iter().any(|made| made.is_resumable)
    }

    /// Removes what no later run can use, or all of it; returns a sentence for each thing that stays.
    async fn roll_back(mut self, all: bool, cancel: &Cancel, progress: &Progress) -> Vec<String> {
        let mut left = Vec::new();
        // A thing that could not be removed may need those made before it: a task its object.
        let mut needed = false;
        while let Some(made) = self.items.pop() {
            let recorded = made.description_with_note();
            if needed || cancel.leave.is_cancelled() || (made.is_resumable && !all) {
                left.push(left_behind(&recorded, &made.remove));
                continue;
            }
            progress.note(&format!("Removing {}", made.description));
            let removed = tokio::select! {
                biased;
                () = cancel.leave.cancelled() => Err(anyhow::anyhow!("left at once")),
                gone = (made.undo)() => gone,
            };
            if let Err(error) = removed {
                needed = true;
                // The command comes last, to be copied.
                let message = if cancel.leave.is_cancelled() {
                    recorded
                } else {
                    let advice = self.hint.as_ref().and_then(|advice| advice(&error));
                    let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
                    format!("{recorded} (it could not be removed: {error:#}{advice})")
                };
                left.push(left_behind(&message, &made.remove));
            }
        }
        left
    }
}

fn left_behind(description: &str, remove: &Removal) -> String {
    format!("{description}; {remove}")
}

/// How a run that brought no image ends: what a later run can use is kept and named, the
/// rest goes; all of it goes when the user says so. Returns a sentence for each thing that stays.
pub async fn finish(cleanup: UndoList, keep: bool, session: &Session) -> Vec<String> {
    let cancel = &session.cancel;
    if keep && cancel.stop.is_cancelled() && cleanup.has_resumable() && !cancel.undo.is_cancelled()
    {
        let until = session.announce_stop();
        let _ = tokio::time::timeout_at(until, cancel.undo.cancelled()).await;
    }
    let all = !keep || cancel.undo.is_cancelled();
    cleanup.roll_back(all, cancel, &session.progress).await
}
