//! The lines at the foot of a terminal: a bar of indicatif each, whose message says it
//! all. It draws them on a `Pane`, which is brought to the terminal in one go.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::columns;
use super::virtual_terminal::VirtualTerminal;

/// The lines, from above.
pub(super) struct StatusArea {
    terminal: VirtualTerminal,
    multi: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl StatusArea {
    pub(super) fn new(terminal: Box<dyn TermLike>) -> Self {
        let pane = VirtualTerminal::new(terminal);
        let target = ProgressDrawTarget::term_like(Box::new(pane.clone()));
        Self {
            terminal: pane,
            multi: MultiProgress::with_draw_target(target),
            bars: Vec::new(),
        }
    }

    /// How wide a line may be.
    pub(super) fn columns(&self) -> usize {
        self.terminal.width().into()
    }

    /// Shows these lines instead of those before; nothing is written when they are the same.
    pub(super) fn draw(&mut self, lines: Vec<String>) {
        self.set_lines(lines);
        self.terminal.redraw();
    }

    /// Writes what is to stay, the lines below it. A line that is too long is broken by
    /// the terminal, not by indicatif, so that a command can be copied.
    pub(super) fn print_above(&mut self, text: &str, lines: Vec<String>) {
        self.set_lines(lines);
        self.multi.suspend(|| self.terminal.queue(text));
        self.terminal.redraw();
    }

    fn set_lines(&mut self, lines: Vec<String>) {
        let lines = self.fit(lines);
        for bar in self.bars.drain(lines.len().min(self.bars.len())..) {
            self.multi.remove(&bar);
        }
        while self.bars.len() < lines.len() {
            self.bars.push(self.multi.add(bar()));
        }
        if lines.is_empty() {
            // Indicatif leaves everything as it is while a thread panics.
            let _ = self.multi.clear();
            self.terminal.clear();
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line);
        }
    }

    /// What would scroll away could not be found again.
    fn fit(&self, mut lines: Vec<String>) -> Vec<String> {
        let room = usize::from(self.terminal.height()).saturating_sub(1).max(1);
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

impl Drop for StatusArea {
    fn drop(&mut self) {
        self.draw(Vec::new());
    }
}
