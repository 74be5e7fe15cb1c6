//! A sequence of stages: the line of the current one, and its bars.

use std::time::Instant;

use indicatif::ProgressBar;

use super::bar::{Bar, Status};
use super::event::{MIN_REPORTED_TIME, whole_seconds};
use super::{Style, columns};

/// Returns what a bar shows at a moment.
pub(super) type Read = Box<dyn Fn(Instant) -> Status + Send>;

/// One sequence of stages: that of the program, of a job, or of a copy.
pub(super) struct Scope {
    pub(super) id: u64,
    pub(super) parents: Vec<u64>,
    pub(super) name: String,
    pub(super) heading: Option<Heading>,
    /// The line of the heading, empty where none is to be shown.
    pub(super) line: ProgressBar,
    pub(super) bars: Vec<(u64, Read, Bar)>,
}

/// The current stage.
pub(super) struct Heading {
    pub(super) text: String,
    pub(super) since: Instant,
    pub(super) is_printed: bool,
}

/// Columns of a line, and those of them for the names of jobs.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) columns: usize,
    pub(super) names: usize,
}

impl Scope {
    pub(super) fn is_alive(&self) -> bool {
        !self.bars.is_empty() || self.heading.is_some()
    }

    /// Draws its lines. A scope with a name has one for each bar, or one for its stage if there
    /// is no bar, neither its own nor one of the scopes below it (`is_busy`).
    pub(super) fn draw(&mut self, now: Instant, layout: Layout, is_busy: bool, style: Style) {
        let name = match self.name.as_str() {
            "" => String::new(),
            name => {
                let name = columns::cut(name, layout.names);
                format!("  {}", padded(&name, layout.names))
            }
        };
        let room = layout.columns.saturating_sub(columns::width(&name));
        let waits = self.bars.is_empty() && !is_busy;
        let heading = self.heading.as_ref();
        let line = match heading.filter(|heading| !heading.is_printed || !name.is_empty()) {
            Some(heading) if name.is_empty() => heading.line(now, room, waits, style),
            Some(heading) if waits => {
                let line = heading.line(now, room.saturating_sub(2), waits, style);
                format!("{name}  {line}")
            }
            _ => String::new(),
        };
        self.line.set_message(line);
        for (_, read, bar) in &mut self.bars {
            bar.draw(read(now), &name, room, style);
        }
    }
}

impl Heading {
    /// Shows the time where no bar shows that the program is at work.
    fn line(&self, now: Instant, columns: usize, is_waiting: bool, style: Style) -> String {
        let took = now.duration_since(self.since);
        let took = if is_waiting && took >= 2 * MIN_REPORTED_TIME {
            format!(" … {}", whole_seconds(took))
        } else {
            String::new()
        };
        let room = columns.saturating_sub(columns::width(&took));
        let text = style.bold(&columns::cut(&self.text, room));
        columns::cut(&format!("{text}{took}"), columns)
    }
}

fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(columns::width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// Begins each line with the name of its job, if it has one.
pub(super) fn prefixed(name: &str, text: &str) -> String {
    match name {
        "" => text.to_owned(),
        name => {
            let lines: Vec<_> = text
                .split('\n')
                .map(|line| format!("{name}: {line}"))
                .collect();
            lines.join("\n")
        }
    }
}
