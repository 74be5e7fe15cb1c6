//! The lines at the foot of a terminal: a bar of indicatif each, whose message says it
//! all. It draws them on a `Pane`, which is brought to the terminal in one go.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::columns;
use super::virtual_terminal::Pane;

/// The lines, from above.
pub(super) struct Foot {
    pane: Pane,
    multi: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Foot {
    pub(super) fn new(terminal: Box<dyn TermLike>) -> Self {
        let pane = Pane::new(terminal);
        let target = ProgressDrawTarget::term_like(Box::new(pane.clone()));
        Self {
            pane,
            multi: MultiProgress::with_draw_target(target),
            bars: Vec::new(),
        }
    }

    /// How wide a line may be.
    pub(super) fn columns(&self) -> usize {
        self.pane.width().into()
    }

    /// Shows these lines instead of those before; nothing is written when they are the same.
    pub(super) fn draw(&mut self, lines: Vec<String>) {
        self.set(lines);
        self.pane.show();
    }

    /// Writes what is to stay, the lines below it. A line that is too long is broken by
    /// the terminal, not by indicatif, so that a command can be copied.
    pub(super) fn above(&mut self, text: &str, lines: Vec<String>) {
        self.set(lines);
        self.multi.suspend(|| self.pane.say(text));
        self.pane.show();
    }

    fn set(&mut self, lines: Vec<String>) {
        let lines = self.fitting(lines);
        for bar in self.bars.drain(lines.len().min(self.bars.len())..) {
            self.multi.remove(&bar);
        }
        while self.bars.len() < lines.len() {
            self.bars.push(self.multi.add(bar()));
        }
        if lines.is_empty() {
            // Indicatif leaves everything as it is while a thread panics.
            let _ = self.multi.clear();
            self.pane.empty();
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line);
        }
    }

    /// What would scroll away could not be found again.
    fn fitting(&self, mut lines: Vec<String>) -> Vec<String> {
        let room = usize::from(self.pane.height()).saturating_sub(1).max(1);
        if lines.len() > room {
            let more = format!("  and {} more", lines.len() - (room - 1));
            lines.truncate(room - 1);
            lines.push(columns::cut(&more, self.columns()));
        }
        lines
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    match ProgressStyle::with_template("{msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Drop for Foot {
    fn drop(&mut self) {
        self.draw(Vec::new());
    }
}
