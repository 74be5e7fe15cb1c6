//! What indicatif draws on: a terminal in memory, a little narrower than the real one.
//! Its rows are brought there when all is drawn, which settles what indicatif leaves open:
//! several bars that change are one write, and none that do not; its padding stays here;
//! and what was drawn is found again after the window has been made narrower.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::TermLike;

use super::{columns, lock};

/// Columns that stay free on the right: an echoed `^C` must not break a line.
const MARGIN: u16 = 2;

/// Between these a line that is too long ends at the edge. The window may have been made
/// narrower since it told its width: tmux takes up to a quarter of a second.
const NO_WRAP: [&str; 2] = ["\x1b[?7l", "\x1b[?7h"];

/// Clears the cursor's row; goes to the one above. Sequences, on Windows too: the calls of
/// its console would overtake what is written.
const CLEAR: &str = "\r\x1b[2K";
const UP: &str = "\x1b[1A";

/// Where a terminal does not tell its width.
const DEFAULT_WIDTH: u16 = 80;

#[derive(Clone, Debug)]
pub(super) struct VirtualTerminal(Arc<Mutex<Rows>>);

#[derive(Debug)]
struct Rows {
    terminal: Box<dyn TermLike>,
    /// As indicatif has drawn them, and which one the cursor is in.
    rows: Vec<String>,
    cursor: usize,
    /// What is to stay above them.
    pending: String,
    /// As they stand on the terminal.
    on_screen: Vec<String>,
}

impl VirtualTerminal {
    pub(super) fn new(terminal: Box<dyn TermLike>) -> Self {
        Self(Arc::new(Mutex::new(Rows {
            terminal,
            rows: Vec::new(),
            cursor: 0,
            pending: String::new(),
            on_screen: Vec::new(),
        })))
    }

    /// Whole lines that are to stay.
    pub(super) fn queue(&self, text: &str) {
        let pending = &mut lock(&self.0).pending;
        pending.push_str(text);
        pending.push('\n');
    }

    pub(super) fn clear(&self) {
        let mut terminal = lock(&self.0);
        terminal.rows.clear();
        terminal.cursor = 0;
    }

    /// Brings it to the terminal. Nobody is left to tell when standard error is closed.
    pub(super) fn redraw(&self) {
        let _ = lock(&self.0).redraw();
    }
}

impl Rows {
    fn columns(&self) -> u16 {
        match self.terminal.width() {
            0 => DEFAULT_WIDTH - MARGIN,
            columns => columns.saturating_sub(MARGIN).max(1),
        }
    }

    fn redraw(&mut self) -> io::Result<()> {
        let rows = self.rows.iter().map(|row| row.trim_end().to_owned());
        let rows: Vec<_> = rows.collect();
        if self.pending.is_empty() && self.on_screen == rows {
            return Ok(());
        }
        let wiped = self.clear_sequence();
        self.on_screen = rows;
        let pending = std::mem::take(&mut self.pending);
        let [unbroken, broken] = NO_WRAP;
        let drawn = match self.on_screen.join("\n") {
            rows if rows.is_empty() => pending,
            rows => format!("{pending}{unbroken}{rows}{broken}"),
        };
        self.terminal.write_str(&format!("{wiped}{drawn}"))?;
        self.terminal.flush()
    }

    /// A narrower terminal has broken what was drawn into more rows. Had we drawn once more
    /// before we knew, some of these would stand above rows that end at the edge: as many
    /// in all. Where nothing was, an echoed `^C` may stand. Row by row: tmux takes clearing
    /// to the end, at the top of the screen, for a reason to keep what was there in its
    /// history.
    ///
    /// A row stays when it can't be reached any more: tmux makes room for the rows that a
    /// narrower window needs by moving the uppermost to its history, even with free rows
    /// below. And when the window is made narrower twice before we are told of the first.
    fn clear_sequence(&self) -> String {
        let columns = usize::from(self.terminal.width()).max(1);
        let rows = |line: &String| columns::width(line).div_ceil(columns).max(1);
        let rows = self.on_screen.iter().map(rows).sum::<usize>().max(1);
        format!("{CLEAR}{}", format!("{UP}{CLEAR}").repeat(rows - 1))
    }

    /// The row of the cursor. Indicatif fills each line up to the edge, where it goes on in
    /// the next row like on any terminal.
    fn row(&mut self) -> &mut String {
        if self.rows.len() <= self.cursor {
            self.rows.resize(self.cursor + 1, String::new());
        }
        &mut self.rows[self.cursor]
    }
}

impl TermLike for VirtualTerminal {
    fn width(&self) -> u16 {
        lock(&self.0).columns()
    }

    fn height(&self) -> u16 {
        lock(&self.0).terminal.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        let mut terminal = lock(&self.0);
        terminal.cursor = terminal.cursor.saturating_sub(n);
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        lock(&self.0).cursor += n;
        Ok(())
    }

    /// Indicatif writes whole lines.
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.move_cursor_down(1)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut terminal = lock(&self.0);
        let used = columns::width(terminal.row());
        if used > 0 && used.is_multiple_of(terminal.columns().into()) && !text.is_empty() {
            terminal.cursor += 1;
        }
        terminal.row().push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        lock(&self.0).row().clear();
        Ok(())
    }

    /// What is below was not written again.
    fn flush(&self) -> io::Result<()> {
        let mut terminal = lock(&self.0);
        let kept = terminal.cursor + usize::from(!terminal.row().is_empty());
        terminal.rows.truncate(kept);
        Ok(())
    }
}
