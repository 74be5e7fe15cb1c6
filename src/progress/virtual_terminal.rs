//! What indicatif draws on: a terminal in memory, a little narrower than the real one.
//! Its rows are brought there when all is drawn, which settles what indicatif leaves open:
//! several bars that change are one write, and none that do not; its padding stays here;
//! and what was drawn is found again after the window has been made narrower.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::TermLike;

use super::{columns, guard};

/// Columns that stay free on the right: an echoed `^C` must not break a line.
const MARGIN: u16 = 2;

/// Between these a line that is too long ends at the edge. The window may have been made
/// narrower since it told its width: tmux takes up to a quarter of a second.
const UNBROKEN: [&str; 2] = ["\x1b[?7l", "\x1b[?7h"];

/// Clears the cursor's row; goes to the one above. Sequences, on Windows too: the calls of
/// its console would overtake what is written.
const CLEAR: &str = "\r\x1b[2K";
const UP: &str = "\x1b[1A";

/// Where a terminal does not tell its width.
const USUAL: u16 = 80;

#[derive(Clone, Debug)]
pub(super) struct Pane(Arc<Mutex<Rows>>);

#[derive(Debug)]
struct Rows {
    terminal: Box<dyn TermLike>,
    /// As indicatif has drawn them, and which one the cursor is in.
    rows: Vec<String>,
    cursor: usize,
    /// What is to stay above them.
    said: String,
    /// As they stand on the terminal.
    shown: Vec<String>,
}

impl Pane {
    pub(super) fn new(terminal: Box<dyn TermLike>) -> Self {
        Self(Arc::new(Mutex::new(Rows {
            terminal,
            rows: Vec::new(),
            cursor: 0,
            said: String::new(),
            shown: Vec::new(),
        })))
    }

    /// Whole lines that are to stay.
    pub(super) fn say(&self, text: &str) {
        let said = &mut guard(&self.0).said;
        said.push_str(text);
        said.push('\n');
    }

    pub(super) fn empty(&self) {
        let mut pane = guard(&self.0);
        pane.rows.clear();
        pane.cursor = 0;
    }

    /// Brings it to the terminal. Nobody is left to tell when standard error is closed.
    pub(super) fn show(&self) {
        let _ = guard(&self.0).show();
    }
}

impl Rows {
    fn columns(&self) -> u16 {
        match self.terminal.width() {
            0 => USUAL - MARGIN,
            columns => columns.saturating_sub(MARGIN).max(1),
        }
    }

    fn show(&mut self) -> io::Result<()> {
        let rows = self.rows.iter().map(|row| row.trim_end().to_owned());
        let rows: Vec<_> = rows.collect();
        if self.said.is_empty() && self.shown == rows {
            return Ok(());
        }
        let wiped = self.wiped();
        self.shown = rows;
        let said = std::mem::take(&mut self.said);
        let [unbroken, broken] = UNBROKEN;
        let drawn = match self.shown.join("\n") {
            rows if rows.is_empty() => said,
            rows => format!("{said}{unbroken}{rows}{broken}"),
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
    fn wiped(&self) -> String {
        let columns = usize::from(self.terminal.width()).max(1);
        let rows = |line: &String| columns::width(line).div_ceil(columns).max(1);
        let rows = self.shown.iter().map(rows).sum::<usize>().max(1);
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

impl TermLike for Pane {
    fn width(&self) -> u16 {
        guard(&self.0).columns()
    }

    fn height(&self) -> u16 {
        guard(&self.0).terminal.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        let mut pane = guard(&self.0);
        pane.cursor = pane.cursor.saturating_sub(n);
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        guard(&self.0).cursor += n;
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
        let mut pane = guard(&self.0);
        let used = columns::width(pane.row());
        if used > 0 && used.is_multiple_of(pane.columns().into()) && !text.is_empty() {
            pane.cursor += 1;
        }
        pane.row().push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        guard(&self.0).row().clear();
        Ok(())
    }

    /// What is below was not written again.
    fn flush(&self) -> io::Result<()> {
        let mut pane = guard(&self.0);
        let kept = pane.cursor + usize::from(!pane.row().is_empty());
        pane.rows.truncate(kept);
        Ok(())
    }
}
