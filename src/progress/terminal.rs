//! The terminal that indicatif draws on. Indicatif clears as many rows as it wrote, padded to
//! the edge, and writes them again for each bar that changes. That does not suffice here, so
//! this type keeps the lines of each drawing and writes them itself:
//!
//! * A terminal that was made narrower breaks lines into more rows than were written
//!   (`a_window_that_is_resized_is_not_littered` in `tests.rs`).
//! * All changes since the last write are one write, and no change is none
//!   (`several_bars_are_one_write`, `nothing_is_written_without_a_change`).
//! * Bars beyond the last row are counted instead of left out
//!   (`a_low_terminal_shows_as_many_lines_as_fit`).
//! * Messages above the bars are not padded, and a long one is left to the terminal to break,
//!   so that a command in it can be copied.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::TermLike;

use super::{columns, lock};

/// Columns that stay free on the right: the `^C` that a terminal shows must not break a line.
const MARGIN: u16 = 2;

/// Between these a line that is too long ends at the edge. The width may be out of date: tmux
/// reports a new one up to a quarter of a second late.
const NO_WRAP: [&str; 2] = ["\x1b[?7l", "\x1b[?7h"];

/// Clears the cursor's row; moves to the one above. Escape sequences on Windows, too: calls of
/// its console would be carried out before what is still in the buffer.
const CLEAR: &str = "\r\x1b[2K";
const UP: &str = "\x1b[1A";

/// The width of a terminal that does not report one.
const DEFAULT_WIDTH: u16 = 80;

/// A terminal; clones share its rows.
#[derive(Clone, Debug)]
pub(super) struct Terminal(Arc<Mutex<Rows>>);

#[derive(Debug)]
struct Rows {
    terminal: Box<dyn TermLike>,
    /// What indicatif has written since its last flush.
    unflushed: Vec<String>,
    /// The bars, one line each, as indicatif drew them last.
    bars: Vec<String>,
    /// Messages to write above them.
    messages: String,
    on_screen: Vec<String>,
}

impl Terminal {
    pub(super) fn new(terminal: Box<dyn TermLike>) -> Self {
        Self(Arc::new(Mutex::new(Rows {
            terminal,
            unflushed: Vec::new(),
            bars: Vec::new(),
            messages: String::new(),
            on_screen: Vec::new(),
        })))
    }

    /// Adds whole lines that the next [`Self::redraw`] writes above the bars.
    pub(super) fn queue(&self, text: &str) {
        let messages = &mut lock(&self.0).messages;
        messages.push_str(text);
        messages.push('\n');
    }

    /// Writes what has changed: queued messages, and the bars below them if they are `shown`.
    /// Errors are ignored: a closed standard error leaves nowhere to report them.
    pub(super) fn redraw(&self, shown: bool) {
        let _ = lock(&self.0).redraw(shown);
    }
}

impl Rows {
    fn columns(&self) -> u16 {
        match self.terminal.width() {
            0 => DEFAULT_WIDTH - MARGIN,
            columns => columns.saturating_sub(MARGIN).max(1),
        }
    }

    fn redraw(&mut self, shown: bool) -> io::Result<()> {
        let rows = if shown { self.fit() } else { Vec::new() };
        if self.messages.is_empty() && self.on_screen == rows {
            return Ok(());
        }
        let clear = self.clear_sequence();
        self.on_screen = rows;
        let messages = std::mem::take(&mut self.messages);
        let [start, end] = NO_WRAP;
        let drawn = match self.on_screen.join("\n") {
            rows if rows.is_empty() => messages,
            rows => format!("{messages}{start}{rows}{end}"),
        };
        self.terminal.write_str(&format!("{clear}{drawn}"))?;
        self.terminal.flush()
    }

    /// Returns the bars that fit on the screen. A row that scrolls off it could not be cleared.
    fn fit(&self) -> Vec<String> {
        let columns = self.columns().into();
        let mut rows = self.bars.clone();
        let room = usize::from(self.terminal.height()).saturating_sub(1).max(1);
        if rows.len() > room {
            let more = rows.len() - (room - 1);
            rows.truncate(room - 1);
            rows.push(format!("  and {more} more"));
        }
        rows.iter().map(|row| columns::cut(row, columns)).collect()
    }

    /// Clears the rows on the screen, of which a narrower terminal has made more than were
    /// written. Rows written after that, but before the new width was known, end at the edge;
    /// the count still covers them. A `^C` may stand where no row was. Row by row: tmux moves
    /// what a clear to the end of the screen removes into its history.
    ///
    /// Rows are left behind in two cases: tmux makes room for a narrower window by moving the
    /// uppermost rows to its history, even if there are free rows below; and a window may be
    /// made narrower twice before the first width is known.
    fn clear_sequence(&self) -> String {
        let columns = usize::from(self.terminal.width()).max(1);
        let rows = |line: &String| columns::width(line).div_ceil(columns).max(1);
        let rows = self.on_screen.iter().map(rows).sum::<usize>().max(1);
        format!("{CLEAR}{}", format!("{UP}{CLEAR}").repeat(rows - 1))
    }
}

/// Each drawing of indicatif has all bars, top to bottom, and ends in a flush. Where it moves
/// the cursor and what it clears is of no use here.
impl TermLike for Terminal {
    fn width(&self) -> u16 {
        lock(&self.0).columns()
    }

    /// Indicatif drops bars beyond the height; [`Rows::fit`] counts them.
    fn height(&self) -> u16 {
        u16::MAX
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    /// Accepts one bar, or the spaces with which indicatif pads it.
    fn write_str(&self, text: &str) -> io::Result<()> {
        let text = text.trim_end();
        if !text.is_empty() {
            lock(&self.0).unflushed.push(text.to_owned());
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut rows = lock(&self.0);
        rows.bars = std::mem::take(&mut rows.unflushed);
        Ok(())
    }
}
