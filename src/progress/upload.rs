//! Bytes on their way up: the handle that counts them. How they look is left to `event` and
//! `bar`.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use super::state::{Flow, Guess};
use super::{Bar, Progress, bar, guard};

/// Bytes on their way. Dropped without `finish`, its bar goes away.
pub struct Transfer {
    progress: Progress,
    flow: Arc<Mutex<Flow>>,
    bar: Option<Bar>,
    _beat: Option<Sender<()>>,
}

impl Transfer {
    pub(super) fn new(progress: &Progress, total: Option<u64>, guess: Option<Guess>) -> Self {
        let now = progress.shared.now();
        // That nothing has gone yet goes without saying.
        let begun = total.or(guess.as_ref().map(|_| u64::MAX));
        let mut flow = Flow::new(begun, progress.shared.rhythm(), now);
        (flow.total, flow.guess) = (total, guess);
        let flow = Arc::new(Mutex::new(flow));
        let drawn = Arc::clone(&flow);
        let paint = progress.shared.paint;
        let bar = progress.add_bar(move |now, width| {
            let mut flow = guard(&drawn);
            flow.guess();
            bar::upload(&flow, now, width, paint)
        });
        let told = (progress.clone(), Arc::clone(&flow));
        let beat = progress.shared.beat(move || guard(&told.1).tell(&told.0));
        Self {
            progress: progress.clone(),
            flow,
            bar,
            _beat: beat,
        }
    }

    /// The service has acknowledged so many more bytes.
    pub fn acknowledged(&self, bytes: u64) {
        let mut flow = guard(&self.flow);
        flow.acknowledge(bytes, self.progress.shared.now());
        flow.tell(&self.progress);
    }

    /// So many bytes have left since the last call, and so many wait for their answer.
    pub fn moved(&self, bytes: u64, unanswered: u64) {
        let mut flow = guard(&self.flow);
        flow.moved(bytes, unanswered, self.progress.shared.now());
    }

    /// So many bytes were there already and are not sent again; they do not count for the rate.
    pub fn resumed(&self, bytes: u64) {
        let mut flow = guard(&self.flow);
        flow.resumed = flow.resumed.saturating_add(bytes);
    }

    /// So many bytes need not travel at all.
    pub fn skipped(&self, bytes: u64) {
        let mut flow = guard(&self.flow);
        flow.total = flow.total.map(|total| total.saturating_sub(bytes));
    }

    /// What happens every second; tests do it by hand.
    #[cfg(test)]
    pub(super) fn beat(&self) {
        guard(&self.flow).tell(&self.progress);
    }

    /// A retry or a stall: a line above the bar.
    pub fn note(&self, text: &str) {
        if self.progress.is_for_programs() {
            return self.progress.note(text);
        }
        let now = self.progress.shared.now();
        let (untold, tell) = guard(&self.flow).notes.admit(now);
        self.count(untold);
        if tell {
            self.progress.note(text);
        }
    }

    fn count(&self, untold: u32) {
        if untold > 0 {
            self.progress.note(&format!("and {untold} more like that"));
        }
    }

    /// All of it is there.
    pub fn finish(mut self) {
        self.bar.take();
        let untold = guard(&self.flow).notes.untold();
        self.count(untold);
        let end = guard(&self.flow).end(self.progress.shared.now());
        self.progress.say(&end);
    }
}
