//! The lines at the foot of a terminal, drawn anew where they stand. Own code, because
//! what was drawn must be found again after the window has been made narrower, and
//! because the last columns stay free: an echoed `^C` must not break a line.

use std::io;

use console::Term;

use super::columns;

/// Columns that stay free on the right.
const MARGIN: usize = 2;

/// What is drawn on.
pub(super) trait Surface: Send {
    /// Rows and columns as they are now; people resize windows.
    fn size(&self) -> (usize, usize);
    /// Clears so many rows, of which the cursor's is the last, and goes to the first.
    fn wipe(&mut self, rows: usize) -> io::Result<()>;
    /// Writes, in one go with what else is put until `flush`.
    fn put(&mut self, text: &str) -> io::Result<()>;
    fn flush(&mut self) -> io::Result<()>;
}

/// Escape codes, or calls where a Windows console knows none.
impl Surface for Term {
    fn size(&self) -> (usize, usize) {
        let (rows, columns) = Term::size(self);
        match columns {
            0 => (24, 80),
            _ => (rows.into(), columns.into()),
        }
    }

    /// Row by row: tmux takes clearing to the end, at the top of the screen, for a reason
    /// to keep what was there in its history.
    fn wipe(&mut self, rows: usize) -> io::Result<()> {
        for _ in 1..rows {
            self.clear_line()?;
            self.move_cursor_up(1)?;
        }
        self.clear_line()
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Term::flush(self)
    }
}

/// The lines, and what is known of where they are.
pub(super) struct Foot {
    surface: Box<dyn Surface>,
    shown: Vec<String>,
}

impl Foot {
    pub(super) fn new(surface: Box<dyn Surface>) -> Self {
        Self {
            surface,
            shown: Vec::new(),
        }
    }

    /// How wide a line may be.
    pub(super) fn columns(&self) -> usize {
        self.surface.size().1.saturating_sub(MARGIN).max(1)
    }

    /// Shows these lines instead of those before; nothing is written when they are the same.
    pub(super) fn draw(&mut self, lines: Vec<String>) {
        let lines = self.fitting(lines);
        if self.shown != lines {
            self.paint("", lines);
        }
    }

    /// Writes what is to stay, the lines below it.
    pub(super) fn above(&mut self, text: &str, lines: Vec<String>) {
        let lines = self.fitting(lines);
        self.paint(&format!("{text}\n"), lines);
    }

    /// Nobody is left to tell when standard error is closed.
    fn paint(&mut self, text: &str, lines: Vec<String>) {
        let _ = self
            .erase()
            .and_then(|()| self.surface.put(text))
            .and_then(|()| self.surface.put(&lines.join("\n")))
            .and_then(|()| self.surface.flush());
        self.shown = lines;
    }

    /// What would scroll away could not be found again.
    fn fitting(&self, mut lines: Vec<String>) -> Vec<String> {
        let room = self.surface.size().0.saturating_sub(1).max(1);
        if lines.len() > room {
            let more = format!("  and {} more", lines.len() - (room - 1));
            lines.truncate(room - 1);
            lines.push(columns::cut(&more, self.columns()));
        }
        lines
    }

    /// A narrower terminal has broken what was drawn into more rows. Where nothing was, an
    /// echoed `^C` may stand.
    fn erase(&mut self) -> io::Result<()> {
        let columns = self.surface.size().1.max(1);
        let rows = |line: &String| columns::width(line).div_ceil(columns).max(1);
        let rows: usize = self.shown.iter().map(rows).sum();
        self.shown.clear();
        self.surface.wipe(rows.max(1))
    }
}

impl Drop for Foot {
    fn drop(&mut self) {
        if self.shown.is_empty() {
            return;
        }
        let _ = self.erase().and_then(|()| self.surface.flush());
    }
}
