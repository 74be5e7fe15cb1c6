//! The face on a terminal: one line for each thing under way, drawn anew ten times a
//! second so that it lives even when nothing comes back. Says as much as fits.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::event::{one_line, per_second, silence, whole_seconds};
use super::transfer::{Flow, Work};
use crate::units;

/// Between two drawings.
const TICK: Duration = Duration::from_millis(100);

/// What the bar is made of: whole columns and a half.
const BAR: [char; 2] = ['━', '╸'];

/// Columns of the bar itself; facts are left out before it gets shorter.
const SHORTEST: usize = 8;

/// The lines at the foot of the terminal.
pub(super) struct Bars {
    multi: MultiProgress,
    shown: AtomicUsize,
    colours: bool,
}

impl Bars {
    pub(super) fn new(colours: bool) -> Self {
        Self {
            multi: MultiProgress::new(),
            shown: AtomicUsize::new(0),
            colours,
        }
    }

    pub(super) fn colours(&self) -> bool {
        self.colours
    }

    /// Writes above the bars; false if there are none, and the line can simply be written.
    pub(super) fn above(&self, text: &str) -> bool {
        let shown = self.shown.load(Ordering::Relaxed) > 0;
        shown && !self.multi.is_hidden() && self.multi.println(text).is_ok()
    }

    /// Takes the bars away while something else is written.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.multi.suspend(write)
    }

    /// A line that asks `draw` for its text, given the width.
    pub(super) fn add(
        &self,
        draw: impl Fn(usize) -> String + Clone + Send + Sync + 'static,
    ) -> ProgressBar {
        let colours = self.colours;
        let line = move |_: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&painted(&draw(columns()), colours));
        };
        let style =
            ProgressStyle::with_template("{line}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self
            .multi
            .add(ProgressBar::no_length().with_style(style.with_key("line", line)));
        self.shown.fetch_add(1, Ordering::Relaxed);
        bar.enable_steady_tick(TICK);
        bar
    }

    /// Takes all bars away for good, whoever still holds them.
    pub(super) fn close(&self) {
        let _ = self.multi.clear();
        self.multi.set_draw_target(ProgressDrawTarget::hidden());
    }

    pub(super) fn remove(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.multi.remove(bar);
        self.shown.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `  ━━━━━━━━╸         42 %  62.8 MiB of 149.6 MiB  45.1 MiB/s  2 s left`
pub(super) fn upload(flow: &Flow, now: Instant, width: usize) -> String {
    let elapsed = now.duration_since(flow.started);
    let done = units::bytes(flow.done());
    let mut facts = Facts::default();
    if let (Some(percent), Some(total)) = (flow.percent(), flow.total) {
        facts
            .add(4, format!("{percent:>3} %"))
            .add(2, format!("{done} of {}", units::bytes(total)));
    } else {
        facts.add(4, done);
    }
    let left = flow.total.map(|total| total.saturating_sub(flow.done()));
    match (flow.silent(now), flow.speed.at(now), left) {
        (_, _, Some(0)) => facts
            .add(3, "finishing".to_owned())
            .add(1, whole_seconds(elapsed)),
        (Some(silent), _, _) => facts.add(3, silence(silent)),
        (_, None, _) => facts.add(3, whole_seconds(elapsed)),
        (_, Some(speed), None) => facts
            .add(3, per_second(speed))
            .add(1, whole_seconds(elapsed)),
        (_, Some(speed), Some(left)) => facts
            .add(1, per_second(speed))
            .add(3, format!("{} left", until(left, speed))),
    };
    facts.fit(width, share(flow), elapsed)
}

/// The time that so many bytes take, rounded up: "0 s left" would be a promise.
fn until(left: u64, speed: u64) -> String {
    whole_seconds(Duration::from_secs(left.div_ceil(speed.max(1))))
}

fn share(flow: &Flow) -> Option<(u64, u64)> {
    flow.total.map(|total| (flow.done().min(total), total))
}

/// `  ━━━━━╸            27 %  1 min 5 s  converting`
pub(super) fn import(work: &Work, now: Instant, width: usize) -> String {
    let elapsed = now.duration_since(work.started);
    let mut facts = Facts::default();
    if let Some(percent) = work.percent {
        facts.add(4, format!("{percent:>3} %"));
    }
    facts
        .add(3, whole_seconds(elapsed))
        .words(one_line(&work.message));
    facts.fit(
        width,
        work.percent.map(|percent| (percent.into(), 100)),
        elapsed,
    )
}

/// What stands after the bar, each with its rank: the lowest is left out first.
#[derive(Default)]
struct Facts {
    facts: Vec<(u8, String)>,
    words: String,
}

impl Facts {
    fn add(&mut self, rank: u8, fact: String) -> &mut Self {
        self.facts.push((rank, fact));
        self
    }

    /// Words at the end, which may be cut.
    fn words(&mut self, words: String) {
        self.words = words;
    }

    fn columns(&self) -> usize {
        self.facts
            .iter()
            .map(|(_, fact)| fact.chars().count() + 2)
            .sum()
    }

    fn fit(mut self, width: usize, share: Option<(u64, u64)>, elapsed: Duration) -> String {
        while self.facts.len() > 1 && 2 + SHORTEST + self.columns() > width {
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
            2 + self.words.chars().count()
        };
        let room = width.saturating_sub(2 + self.columns() + words);
        let bar = stripe(
            room.clamp(SHORTEST, SHORTEST.max(width / 4)),
            share,
            elapsed,
        );
        let facts: Vec<_> = self
            .facts
            .into_iter()
            .map(|(_, fact)| fact)
            .chain([self.words])
            .collect();
        cut(
            format!("  {bar}  {}", facts.join("  "))
                .trim_end()
                .to_owned(),
            width,
        )
    }
}

/// How wide the terminal is now; people resize it.
fn columns() -> usize {
    console::Term::stderr().size().1.into()
}

/// Keeps a line a line, whatever stands in it.
fn cut(line: String, width: usize) -> String {
    match line.char_indices().nth(width) {
        Some(_) => line
            .chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
        None => line,
    }
}

/// Colours the bar, the only part of a line that has these signs.
fn painted(line: &str, colours: bool) -> String {
    match (line.find(BAR), line.rfind(BAR)) {
        (Some(start), Some(end)) if colours => {
            let end = end + BAR[0].len_utf8();
            format!(
                "{}\x1b[36m{}\x1b[0m{}",
                &line[..start],
                &line[start..end],
                &line[end..]
            )
        }
        _ => line.to_owned(),
    }
}

/// The bar itself, in half columns; a short stripe that wanders when the end is not known.
fn stripe(width: usize, share: Option<(u64, u64)>, elapsed: Duration) -> String {
    let (before, halves) = match share {
        Some((done, total)) => (0, halves(width, done, total)),
        None => (wander(width, elapsed), SHORTEST / 2 * 2),
    };
    let full = "━".repeat(halves / 2) + &"╸".repeat(halves % 2);
    let after = width.saturating_sub(before + halves.div_ceil(2));
    format!("{}{full}{}", " ".repeat(before), " ".repeat(after))
}

fn halves(width: usize, done: u64, total: u64) -> usize {
    let halves = (width as u128 * 2 * u128::from(done)).checked_div(u128::from(total));
    halves
        .and_then(|halves| usize::try_from(halves).ok())
        .unwrap_or(width * 2)
}

/// To and fro, a column a tick.
fn wander(width: usize, elapsed: Duration) -> usize {
    let span = width.saturating_sub(SHORTEST / 2).max(1);
    let tick =
        usize::try_from(elapsed.as_millis() / TICK.as_millis()).unwrap_or_default() % (2 * span);
    tick.min(2 * span - tick)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn at(flow: &Flow, seconds: u64, width: usize) -> String {
        upload(flow, flow.started + Duration::from_secs(seconds), width)
    }

    fn flow(total: Option<u64>) -> Flow {
        Flow::new(total, Instant::now())
    }

    fn sent(flow: &mut Flow, seconds: u64, bytes: u64) {
        flow.acknowledge(bytes, flow.started + Duration::from_secs(seconds));
    }

    #[test]
    fn an_upload_says_as_much_as_fits() {
        let mut flow = flow(Some(150 * MIB));
        sent(&mut flow, 2, 63 * MIB);
        for (width, line) in [
            (
                80,
                "  ━━━━━━━━               42 %  63.0 MiB of 150.0 MiB  31.5 MiB/s  3 s left",
            ),
            (
                65,
                "  ━━━━╸         42 %  63.0 MiB of 150.0 MiB  31.5 MiB/s  3 s left",
            ),
            (
                60,
                "  ━━━━━━            42 %  63.0 MiB of 150.0 MiB  3 s left",
            ),
            (40, "  ━━━━         42 %  3 s left"),
            (20, "  ━━━        42 %"),
            (10, "  ━━━    …"),
        ] {
            assert_eq!(at(&flow, 2, width), line, "{width}");
            assert!(line.chars().count() <= width);
        }
    }

    #[test]
    fn an_upload_lives_while_nothing_comes_back() {
        let mut flow = flow(Some(150 * MIB));
        assert_eq!(
            at(&flow, 0, 80),
            "                          0 %  0 B of 150.0 MiB  0 s"
        );
        assert_eq!(
            at(&flow, 29, 80),
            "                          0 %  0 B of 150.0 MiB  29 s"
        );
        assert_eq!(
            at(&flow, 95, 80),
            "                      0 %  0 B of 150.0 MiB  nothing acknowledged for 1 min 35 s"
        );
        flow.resumed = 50 * MIB;
        sent(&mut flow, 100, 25 * MIB);
        assert_eq!(
            at(&flow, 100, 80),
            "  ━━━━━━━━━━             50 %  75.0 MiB of 150.0 MiB  256.0 KiB/s  5 min left"
        );
        assert_eq!(
            at(&flow, 131, 80),
            "  ━━━━━━━━╸           50 %  75.0 MiB of 150.0 MiB  nothing acknowledged for 31 s"
        );
        sent(&mut flow, 131, 75 * MIB);
        assert!(
            at(&flow, 200, 80).ends_with("100 %  150.0 MiB of 150.0 MiB  finishing  3 min 20 s")
        );
    }

    #[test]
    fn a_stream_has_bytes_and_speed() {
        let mut flow = flow(None);
        sent(&mut flow, 5, 10 * MIB);
        assert_eq!(
            at(&flow, 5, 80),
            "                ━━━━    10.0 MiB  2.0 MiB/s  5 s"
        );
    }

    #[test]
    fn the_speed_is_that_of_the_last_moments() {
        let mut flow = flow(None);
        (1..=60)
            .for_each(|second| sent(&mut flow, second, if second > 40 { MIB } else { 10 * MIB }));
        assert!(at(&flow, 60, 80).contains("  1.0 MiB/s"));
    }

    #[test]
    fn a_long_message_is_cut() {
        let mut work = Work::new(Instant::now());
        let line = |work: &Work, width| import(work, work.started + Duration::from_secs(65), width);
        assert_eq!(line(&work, 40), "    ━━━━      1 min 5 s");
        work.percent = Some(27);
        work.message = "converting\n 変換 the disk of the image".to_owned();
        assert_eq!(line(&work, 40), "  ━━         27 %  1 min 5 s  convertin…");
    }

    #[test]
    fn the_bar_alone_is_coloured() {
        assert_eq!(painted("  ━━╸   50 %", true), "  \x1b[36m━━╸\x1b[0m   50 %");
        assert_eq!(painted("  ━━╸   50 %", false), "  ━━╸   50 %");
        assert_eq!(painted("     0 %", true), "     0 %");
    }

    #[test]
    fn no_width_is_too_odd() {
        let mut flow = flow(Some(0));
        let mut work = Work::new(Instant::now());
        for width in 0..100 {
            for (total, percent) in [
                (Some(0), Some(0)),
                (Some(u64::MAX), Some(100)),
                (None, None),
            ] {
                (flow.total, flow.sent, work.percent) = (total, u64::MAX, percent);
                let lines = [
                    upload(&flow, flow.started, width),
                    import(&work, work.started, width),
                ];
                assert!(
                    lines
                        .iter()
                        .all(|line| line.chars().count() <= width.max(1))
                );
            }
        }
    }
}
