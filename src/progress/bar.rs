//! The bars on a terminal, drawn by indicatif: `  BAR  FACTS`. The facts are those that fit into
//! the width, which a template of indicatif can't choose.
//!
//! Rate and time left are ours, not indicatif's `{bytes_per_sec}` and `{eta}`: these follow the
//! position of the bar, which is what the service has acknowledged and moves by a whole part
//! at once. Ours follow the bytes sent, over the last 20 s. Indicatif's `{percent}` rounds up
//! to 100 % before all is acknowledged, and its units are not those of the log.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Style;
use super::columns::{one_line, width};
use super::event::{approximately, no_progress, per_second, whole_seconds};
use super::state::{TaskState, UploadState};
use crate::units;

/// Columns of a bar: full, at least half full, less than half full, empty.
const CHARS: &str = "━╸──";

/// The stripe that moves to and fro over an empty bar while the total is not known.
const STRIPE: &str = "━━━━";

/// Length of the shortest bar; facts are left out before it gets shorter.
const MIN_COLUMNS: usize = 8;

/// A bar of indicatif and the style that it has.
pub(super) struct Bar {
    bar: ProgressBar,
    /// Whether the total is known, and how many columns the bar has.
    drawn_as: Option<(bool, usize)>,
}

/// What a bar shows at one moment: done and total if known, facts, and words at the end.
pub(super) struct Status {
    share: Option<(u64, u64)>,
    /// Each with its rank: the lowest is left out first.
    facts: Vec<(u8, String)>,
    words: String,
}

impl Bar {
    pub(super) fn new(bar: ProgressBar) -> Self {
        Self {
            bar,
            drawn_as: None,
        }
    }

    pub(super) fn progress_bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Draws `status` after `name`, in so many columns.
    pub(super) fn draw(&mut self, status: Status, name: &str, columns: usize, style: Style) {
        let share = status.share;
        let (bar_columns, facts) = status.fit(columns);
        let drawn_as = (share.is_some(), bar_columns);
        if self.drawn_as != Some(drawn_as) {
            self.drawn_as = Some(drawn_as);
            self.bar.set_style(match share {
                Some(_) => bar_style(bar_columns),
                None => stripe_style(bar_columns, style),
            });
        }
        self.bar.set_prefix(name.to_owned());
        self.bar.set_message(facts);
        self.bar.update(|state| {
            if let Some((done, total)) = share {
                state.set_len(total);
                state.set_pos(done);
            }
        });
    }
}

/// Returns a line of indicatif that does not draw before it belongs to a `MultiProgress`. It
/// shows a message until it gets another style.
pub(super) fn hidden() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    bar.with_style(template("{msg}"))
}

fn bar_style(columns: usize) -> ProgressStyle {
    template(&format!("{{prefix}}  {{bar:{columns}.cyan/dim}}  {{msg}}")).progress_chars(CHARS)
}

/// Indicatif draws no bar without a total, but a spinner, whose frames move the stripe.
fn stripe_style(columns: usize, style: Style) -> ProgressStyle {
    let stripe = STRIPE.chars().count();
    let span = columns.saturating_sub(stripe).max(1);
    let empty = |columns| style.cyan(&style.dim(&"─".repeat(columns)));
    let frame = |before| empty(before) + &style.cyan(STRIPE) + &empty(span - before);
    // The last frame is for a bar that has come to its end: none is drawn then.
    let frames: Vec<_> = (0..=span).chain((0..span).rev()).map(frame).collect();
    let frames: Vec<_> = frames.iter().map(String::as_str).collect();
    template("{prefix}  {spinner}  {msg}").tick_strings(&frames)
}

fn template(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `  ━━━━━━━━╸         42 %  62.8 MiB of 149.6 MiB  45.1 MiB/s  2 s left`
pub(super) fn upload(state: &UploadState, now: Instant) -> Status {
    let elapsed = now.duration_since(state.started);
    let done = units::bytes(state.done());
    let mut status = Status::new(state.total.map(|total| (state.done().min(total), total)));
    if let (Some(percent), Some(total)) = (state.percent(), state.total) {
        status.add(4, format!("{percent:>3} %")).add(2, {
            let about = approximately(state.is_estimated());
            format!("{done} of {about}{}", units::bytes(total))
        });
    } else {
        status.add(4, done);
    }
    let left = state.total.map(|total| total.saturating_sub(state.done()));
    let remaining = state.remaining.seconds();
    match (state.stalled_for(now), state.speed.at(now), left) {
        (_, _, Some(0)) => status
            .add(3, "finishing".to_owned())
            .add(1, whole_seconds(elapsed)),
        (Some(silent), _, _) => status.add(3, no_progress(silent)),
        (_, None, _) => status.add(3, whole_seconds(elapsed)),
        (_, Some(speed), None) => status
            .add(3, per_second(speed))
            .add(1, whole_seconds(elapsed)),
        (_, Some(speed), Some(_)) => {
            let status = status.add(1, per_second(speed));
            match remaining.map(Duration::from_secs).map(whole_seconds) {
                Some(remaining) => status.add(3, format!("{remaining} left")),
                None => status,
            }
        }
    };
    status
}

/// `  ━━━━━╸            27 %  1 min 5 s  converting`
pub(super) fn import(state: &TaskState, now: Instant) -> Status {
    let mut status = Status::new(state.percent.map(|percent| (percent.into(), 100)));
    if let Some(percent) = state.percent {
        status.add(4, format!("{percent:>3} %"));
    }
    status.add(3, whole_seconds(now.duration_since(state.started)));
    status.words = one_line(&state.message);
    status
}

impl Status {
    fn new(share: Option<(u64, u64)>) -> Self {
        Self {
            share,
            facts: Vec::new(),
            words: String::new(),
        }
    }

    fn add(&mut self, rank: u8, fact: String) -> &mut Self {
        self.facts.push((rank, fact));
        self
    }

    /// Columns that the facts take, with two spaces before each.
    fn columns(&self) -> usize {
        self.facts.iter().map(|(_, fact)| width(fact) + 2).sum()
    }

    /// Returns the length of the bar, and the facts that fit beside it. The words are cut at
    /// the edge.
    fn fit(mut self, columns: usize) -> (usize, String) {
        while self.facts.len() > 1 && 2 + MIN_COLUMNS + self.columns() > columns {
            let ranks = self.facts.iter().enumerate();
            let least = ranks.min_by_key(|(_, (rank, _))| *rank);
            let least = least.map_or(0, |(at, _)| at);
            self.facts.remove(least);
        }
        let words = match width(&self.words) {
            0 => 0,
            words => 2 + words,
        };
        let room = columns.saturating_sub(2 + self.columns() + words);
        let bar = room.clamp(MIN_COLUMNS, MIN_COLUMNS.max(columns / 4));
        let facts = self.facts.into_iter().map(|(_, fact)| fact);
        let facts: Vec<_> = facts.chain([self.words]).collect();
        (bar, facts.join("  ").trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use indicatif::MultiProgress;

    use super::super::output_rate::OutputRate;
    use super::super::terminal::Terminal;
    use super::super::tests::TestTerminal;
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Draws `status` on a terminal that leaves it so many columns.
    fn line(status: Status, columns: usize) -> String {
        let screen = TestTerminal::new(columns + 2);
        let terminal = Terminal::new(Box::new(screen.clone()));
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let multi = MultiProgress::with_draw_target(target);
        let mut bar = Bar::new(multi.add(hidden()));
        bar.draw(status, "", columns, Style::default());
        terminal.redraw(true);
        screen.text()
    }

    fn at(state: &UploadState, seconds: u64, width: usize) -> String {
        line(
            upload(state, state.started + Duration::from_secs(seconds)),
            width,
        )
    }

    fn state(total: Option<u64>) -> UploadState {
        UploadState::new(total, OutputRate::LINES, Instant::now())
    }

    fn sent(state: &mut UploadState, seconds: u64, bytes: u64) {
        let now = state.started + Duration::from_secs(seconds);
        state.line_progress(bytes, bytes, now);
        state.acknowledge(bytes, now);
    }

    #[test]
    fn an_upload_line_is_shortened_to_the_width() {
        let mut state = state(Some(150 * MIB));
        sent(&mut state, 0, MIB);
        sent(&mut state, 1, 31 * MIB);
        sent(&mut state, 2, 31 * MIB);
        for (width, line) in [
            (
                80,
                "  ━━━━━━━━────────────   42 %  63.0 MiB of 150.0 MiB  31.0 MiB/s  3 s left",
            ),
            (
                65,
                "  ━━━━╸──────   42 %  63.0 MiB of 150.0 MiB  31.0 MiB/s  3 s left",
            ),
            (
                60,
                "  ━━━━━━─────────   42 %  63.0 MiB of 150.0 MiB  3 s left",
            ),
            (40, "  ━━━━──────   42 %  3 s left"),
            (20, "  ━━━─────   42 %"),
            (10, "  ━━━────…"),
        ] {
            assert_eq!(at(&state, 2, width), line, "{width}");
            assert!(super::width(line) <= width);
        }
    }

    #[test]
    fn an_upload_line_changes_while_no_response_arrives() {
        let mut state = state(Some(150 * MIB));
        assert_eq!(
            at(&state, 0, 80),
            "  ────────────────────    0 %  0 B of 150.0 MiB  0 s"
        );
        assert_eq!(
            at(&state, 29, 80),
            "  ────────────────────    0 %  0 B of 150.0 MiB  29 s"
        );
        assert_eq!(
            at(&state, 95, 80),
            "  ────────────────    0 %  0 B of 150.0 MiB  nothing acknowledged for 1 min 35 s"
        );
        state.resumed = 50 * MIB;
        sent(&mut state, 100, 25 * MIB);
        assert_eq!(
            at(&state, 100, 80),
            "  ━━━━━━━━━━──────────   50 %  75.0 MiB of 150.0 MiB  1 min 40 s"
        );
        assert_eq!(
            at(&state, 131, 80),
            "  ━━━━━━━━╸────────   50 %  75.0 MiB of 150.0 MiB  nothing acknowledged for 31 s"
        );
        sent(&mut state, 131, 75 * MIB);
        assert!(
            at(&state, 200, 80).ends_with("100 %  150.0 MiB of 150.0 MiB  finishing  3 min 20 s")
        );
    }

    #[test]
    fn a_stream_has_bytes_and_speed() {
        let mut state = state(None);
        sent(&mut state, 1, 2 * MIB);
        sent(&mut state, 2, 2 * MIB);
        sent(&mut state, 5, 6 * MIB);
        assert_eq!(
            at(&state, 5, 80),
            "  ─━━━━───────────────  10.0 MiB  2.0 MiB/s  5 s"
        );
    }

    #[test]
    fn the_speed_is_that_of_the_last_moments() {
        let mut state = state(None);
        (1..=60)
            .for_each(|second| sent(&mut state, second, if second > 40 { MIB } else { 10 * MIB }));
        assert!(at(&state, 60, 80).contains("  1.0 MiB/s"));
    }

    #[test]
    fn a_long_message_is_cut() {
        let mut task = TaskState::new(OutputRate::LINES, Instant::now());
        let at = |task: &TaskState, width| {
            line(import(task, task.started + Duration::from_secs(65)), width)
        };
        assert_eq!(at(&task, 40), "  ─━━━━─────  1 min 5 s");
        task.percent = Some(27);
        task.message = "converting\n 変換 the disk of the image".to_owned();
        assert_eq!(at(&task, 40), "  ━━──────   27 %  1 min 5 s  convertin…");
    }

    #[test]
    fn no_width_is_too_odd() {
        let mut state = state(Some(0));
        let mut task = TaskState::new(OutputRate::LINES, Instant::now());
        for columns in 0..100 {
            for (total, percent) in [
                (Some(0), Some(0)),
                (Some(u64::MAX), Some(100)),
                (None, None),
            ] {
                (state.total, state.sent, task.percent) = (total, u64::MAX, percent);
                let lines = [
                    line(upload(&state, state.started), columns),
                    line(import(&task, task.started), columns),
                ];
                assert!(lines.iter().all(|line| width(line) <= columns.max(1)));
            }
        }
    }
}
