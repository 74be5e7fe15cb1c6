//! The lines under way on a terminal: a bar and what is known. Says as much as fits.

use std::time::{Duration, Instant};

use super::Style;
use super::columns::{cut, one_line, width};
use super::event::{approximately, no_progress, per_second, whole_seconds};
use super::state::{TaskState, UploadState};
use crate::units;

/// A column of the wandering stripe for each of these.
const FRAME_TIME: Duration = Duration::from_millis(100);

/// What the bar is made of: whole columns, a half one, and what is to come.
const BAR: [&str; 3] = ["━", "╸", "─"];

/// Columns of the bar itself; facts are left out before it gets shorter.
const MIN_COLUMNS: usize = 8;

/// `  ━━━━━━━━╸         42 %  62.8 MiB of 149.6 MiB  45.1 MiB/s  2 s left`
pub(super) fn upload(state: &UploadState, now: Instant, width: usize, style: Style) -> String {
    let elapsed = now.duration_since(state.started);
    let done = units::bytes(state.done());
    let mut facts = StatusLine::default();
    if let (Some(percent), Some(total)) = (state.percent(), state.total) {
        facts.add(4, format!("{percent:>3} %")).add(2, {
            let about = approximately(state.is_estimated());
            format!("{done} of {about}{}", units::bytes(total))
        });
    } else {
        facts.add(4, done);
    }
    let left = state.total.map(|total| total.saturating_sub(state.done()));
    let remaining = state.remaining.seconds();
    match (state.stalled_for(now), state.speed.at(now), left) {
        (_, _, Some(0)) => facts
            .add(3, "finishing".to_owned())
            .add(1, whole_seconds(elapsed)),
        (Some(silent), _, _) => facts.add(3, no_progress(silent)),
        (_, None, _) => facts.add(3, whole_seconds(elapsed)),
        (_, Some(speed), None) => facts
            .add(3, per_second(speed))
            .add(1, whole_seconds(elapsed)),
        (_, Some(speed), Some(_)) => {
            let facts = facts.add(1, per_second(speed));
            match remaining.map(Duration::from_secs).map(whole_seconds) {
                Some(remaining) => facts.add(3, format!("{remaining} left")),
                None => facts,
            }
        }
    };
    facts.fit(width, fraction(state), elapsed, style)
}

fn fraction(state: &UploadState) -> Option<(u64, u64)> {
    state.total.map(|total| (state.done().min(total), total))
}

/// `  ━━━━━╸            27 %  1 min 5 s  converting`
pub(super) fn import(state: &TaskState, now: Instant, width: usize, style: Style) -> String {
    let elapsed = now.duration_since(state.started);
    let mut facts = StatusLine::default();
    if let Some(percent) = state.percent {
        facts.add(4, format!("{percent:>3} %"));
    }
    facts
        .add(3, whole_seconds(elapsed))
        .words(one_line(&state.message));
    let share = state.percent.map(|percent| (percent.into(), 100));
    facts.fit(width, share, elapsed, style)
}

/// What stands after the bar, each with its rank: the lowest is left out first.
#[derive(Default)]
struct StatusLine {
    facts: Vec<(u8, String)>,
    words: String,
}

impl StatusLine {
    fn add(&mut self, rank: u8, fact: String) -> &mut Self {
        self.facts.push((rank, fact));
        self
    }

    /// Words at the end, which may be cut.
    fn words(&mut self, words: String) {
        self.words = words;
    }

    fn columns(&self) -> usize {
        self.facts.iter().map(|(_, fact)| width(fact) + 2).sum()
    }

    fn fit(
        mut self,
        columns: usize,
        share: Option<(u64, u64)>,
        elapsed: Duration,
        style: Style,
    ) -> String {
        while self.facts.len() > 1 && 2 + MIN_COLUMNS + self.columns() > columns {
            let least = self
                .facts
                .iter()
                .enumerate()
                .min_by_key(|(_, (rank, _))| *rank)
                .map_or(0, |(at, _)| at);
            self.facts.remove(least);
        }
        let words = if self.words.is_empty() {
            0
        } else {
            2 + width(&self.words)
        };
        let room = columns.saturating_sub(2 + self.columns() + words);
        let bar = stripe(
            room.clamp(MIN_COLUMNS, MIN_COLUMNS.max(columns / 4)),
            share,
            elapsed,
            style,
        );
        let facts: Vec<_> = self
            .facts
            .into_iter()
            .map(|(_, fact)| fact)
            .chain([self.words])
            .collect();
        let line = format!("  {bar}  {}", facts.join("  "));
        cut(line.trim_end(), columns)
    }
}

/// The bar itself, in half columns; a short stripe that wanders when the end is not known.
fn stripe(columns: usize, share: Option<(u64, u64)>, elapsed: Duration, style: Style) -> String {
    let (before, halves) = match share {
        Some((done, total)) => (0, halves(columns, done, total)),
        None => (marquee(columns, elapsed), MIN_COLUMNS / 2 * 2),
    };
    let [whole, half, rest] = BAR;
    let after = columns.saturating_sub(before + halves.div_ceil(2));
    [
        style.dim(&rest.repeat(before)),
        style.cyan(&(whole.repeat(halves / 2) + &half.repeat(halves % 2))),
        style.dim(&rest.repeat(after)),
    ]
    .concat()
}

fn halves(width: usize, done: u64, total: u64) -> usize {
    let halves = (width as u128 * 2 * u128::from(done)).checked_div(u128::from(total));
    halves
        .and_then(|halves| usize::try_from(halves).ok())
        .unwrap_or(width * 2)
}

/// To and fro, a column a tick.
fn marquee(width: usize, elapsed: Duration) -> usize {
    let span = width.saturating_sub(MIN_COLUMNS / 2).max(1);
    let tick = usize::try_from(elapsed.as_millis() / FRAME_TIME.as_millis()).unwrap_or_default()
        % (2 * span);
    tick.min(2 * span - tick)
}

#[cfg(test)]
mod tests {
    use super::super::output_rate::OutputRate;
    use super::*;

    const MIB: u64 = 1 << 20;

    fn at(state: &UploadState, seconds: u64, width: usize) -> String {
        upload(
            state,
            state.started + Duration::from_secs(seconds),
            width,
            Style::default(),
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
            "  ──────────────━━━━──  10.0 MiB  2.0 MiB/s  5 s"
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
        let line = |task: &TaskState, width| {
            import(
                task,
                task.started + Duration::from_secs(65),
                width,
                Style::default(),
            )
        };
        assert_eq!(line(&task, 40), "  ──━━━━────  1 min 5 s");
        task.percent = Some(27);
        task.message = "converting\n 変換 the disk of the image".to_owned();
        assert_eq!(line(&task, 40), "  ━━──────   27 %  1 min 5 s  convertin…");
    }

    #[test]
    fn only_the_bar_is_colored() {
        let mut task = TaskState::new(OutputRate::LINES, Instant::now());
        task.percent = Some(50);
        assert_eq!(
            import(&task, task.started, 40, Style::COLOR),
            "  \x1b[36m━━━━━\x1b[0m\x1b[2m─────\x1b[0m   50 %  0 s"
        );
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
                    upload(&state, state.started, columns, Style::default()),
                    import(&task, task.started, columns, Style::default()),
                ];
                assert!(lines.iter().all(|line| width(line) <= columns.max(1)));
            }
        }
    }
}
