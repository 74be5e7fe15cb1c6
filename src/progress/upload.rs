//! Bytes on their way up: the handle that counts them. How they look is left to `event` and
//! `bar`.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use super::state::{Estimate, UploadState};
use super::{BarHandle, Progress, bar, lock};

/// Bytes on their way. Dropped without `finish`, its bar goes away.
pub struct UploadProgress {
    progress: Progress,
    state: Arc<Mutex<UploadState>>,
    bar: Option<BarHandle>,
    _heartbeat: Option<Sender<()>>,
}

impl UploadProgress {
    pub(super) fn new(progress: &Progress, total: Option<u64>, estimate: Option<Estimate>) -> Self {
        let now = progress.shared.now();
        // That nothing has gone yet goes without saying.
        let initial_total = total.or(estimate.as_ref().map(|_| u64::MAX));
        let mut state = UploadState::new(initial_total, progress.shared.output_rate(), now);
        (state.total, state.estimate) = (total, estimate);
        let state = Arc::new(Mutex::new(state));
        let drawn = Arc::clone(&state);
        let bar = progress.add_bar(move |now| {
            let mut state = lock(&drawn);
            state.update_estimate();
            bar::upload(&state, now)
        });
        let shared = (progress.clone(), Arc::clone(&state));
        let heartbeat = progress
            .shared
            .start_heartbeat(move || lock(&shared.1).emit_status(&shared.0));
        Self {
            progress: progress.clone(),
            state,
            bar,
            _heartbeat: heartbeat,
        }
    }

    /// The service has acknowledged so many more bytes.
    pub fn acknowledged(&self, bytes: u64) {
        let mut state = lock(&self.state);
        state.acknowledge(bytes, self.progress.shared.now());
        state.emit_status(&self.progress);
    }

    /// So many bytes have left since the last call, and so many wait for their answer.
    pub fn line_progress(&self, bytes: u64, unacknowledged: u64) {
        let mut state = lock(&self.state);
        state.line_progress(bytes, unacknowledged, self.progress.shared.now());
    }

    /// So many bytes were there already and are not sent again; they do not count for the rate.
    pub fn resumed(&self, bytes: u64) {
        let mut state = lock(&self.state);
        state.resumed = state.resumed.saturating_add(bytes);
    }

    /// So many bytes need not travel at all.
    pub fn skipped(&self, bytes: u64) {
        let mut state = lock(&self.state);
        state.total = state.total.map(|total| total.saturating_sub(bytes));
    }

    /// What happens every second; tests do it by hand.
    #[cfg(test)]
    pub(super) fn heartbeat(&self) {
        lock(&self.state).emit_status(&self.progress);
    }

    /// A retry or a stall: a line above the bar.
    pub fn note(&self, text: &str) {
        if self.progress.is_json() {
            return self.progress.note(text);
        }
        let now = self.progress.shared.now();
        let (suppressed, is_shown) = lock(&self.state).notes.admit(now);
        self.print_suppressed(suppressed);
        if is_shown {
            self.progress.note(text);
        }
    }

    fn print_suppressed(&self, suppressed: u32) {
        if suppressed > 0 {
            self.progress
                .note(&format!("and {suppressed} more like that"));
        }
    }

    /// All of it is there.
    pub fn finish(mut self) {
        self.bar.take();
        let suppressed = lock(&self.state).notes.take_suppressed();
        self.print_suppressed(suppressed);
        let end = lock(&self.state).end(self.progress.shared.now());
        self.progress.emit(&end);
    }
}
