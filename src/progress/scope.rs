//! A run of stages at the foot of a terminal: the line of the stage under way, and its bars.

use std::time::Instant;

use super::event::{MIN_REPORTED_TIME, whole_seconds};
use super::{Style, columns};

/// A line under way: its text for so many columns.
pub(super) type Render = Box<dyn Fn(Instant, usize) -> String + Send>;

/// One run of stages: the program's own, that of a job, that of a copy.
pub(super) struct Scope {
    pub(super) id: u64,
    pub(super) parents: Vec<u64>,
    pub(super) name: String,
    pub(super) heading: Option<Heading>,
    pub(super) bars: Vec<(u64, Render)>,
}

/// The stage under way.
pub(super) struct Heading {
    pub(super) text: String,
    pub(super) since: Instant,
    pub(super) is_printed: bool,
}

impl Scope {
    pub(super) fn is_alive(&self) -> bool {
        !self.bars.is_empty() || self.heading.is_some()
    }

    /// A scope with a name has one line for each bar, or else for its stage.
    pub(super) fn lines(
        &self,
        now: Instant,
        columns: usize,
        names: usize,
        is_busy: bool,
        style: Style,
    ) -> Vec<String> {
        let name = match self.name.as_str() {
            "" => String::new(),
            name => format!("  {}", padded(&columns::cut(name, names), names)),
        };
        let room = columns.saturating_sub(columns::width(&name));
        let waits = self.bars.is_empty() && !is_busy;
        let heading = self
            .heading
            .as_ref()
            .and_then(|heading| match name.as_str() {
                "" if heading.is_printed => None,
                "" => Some(heading.line(now, room, waits, style)),
                _ if waits => Some(format!(
                    "{name}  {}",
                    heading.line(now, room.saturating_sub(2), waits, style)
                )),
                _ => None,
            });
        let bars = self
            .bars
            .iter()
            .map(|(_, draw)| format!("{name}{}", draw(now, room)));
        let lines = heading.into_iter().chain(bars);
        lines.map(|line| columns::cut(&line, columns)).collect()
    }
}

impl Heading {
    /// The time shows that it lives, where no bar does.
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

/// Each line with the job that it is about, where there are several.
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
