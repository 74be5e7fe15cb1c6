//! The lines under way on a terminal: a bar and what is known. Says as much as fits.

use std::time::{Duration, Instant};

use super::Paint;
use super::columns::{cut, one_line, width};
use super::event::{about, per_second, silence, whole_seconds};
use super::state::{Flow, Work};
use crate::units;

/// A column of the wandering stripe for each of these.
const STEP: Duration = Duration::from_millis(100);

/// What the bar is made of: whole columns, a half one, and what is to come.
const BAR: [&str; 3] = ["━", "╸", "─"];

/// Columns of the bar itself; facts are left out before it gets shorter.
const SHORTEST: usize = 8;

/// `  ━━━━━━━━╸         42 %  62.8 MiB of 149.6 MiB  45.1 MiB/s  2 s left`
pub(super) fn upload(flow: &Flow, now: Instant, width: usize, paint: Paint) -> String {
    let elapsed = now.duration_since(flow.started);
    let done = units::bytes(flow.done());
    let mut facts = Facts::default();
    if let (Some(percent), Some(total)) = (flow.percent(), flow.total) {
        facts.add(4, format!("{percent:>3} %")).add(2, {
            let about = about(flow.estimated());
            format!("{done} of {about}{}", units::bytes(total))
        });
    } else {
        facts.add(4, done);
    }
    let left = flow.total.map(|total| total.saturating_sub(flow.done()));
    let remaining = flow.remaining.seconds();
    match (flow.silent(now), flow.speed.at(now), left) {
        (_, _, Some(0)) => facts
            .add(3, "finishing".to_owned())
            .add(1, whole_seconds(elapsed)),
        (Some(silent), _, _) => facts.add(3, silence(silent)),
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
    facts.fit(width, share(flow), elapsed, paint)
}

fn share(flow: &Flow) -> Option<(u64, u64)> {
    flow.total.map(|total| (flow.done().min(total), total))
}

/// `  ━━━━━╸            27 %  1 min 5 s  converting`
pub(super) fn import(work: &Work, now: Instant, width: usize, paint: Paint) -> String {
    let elapsed = now.duration_since(work.started);
    let mut facts = Facts::default();
    if let Some(percent) = work.percent {
        facts.add(4, format!("{percent:>3} %"));
    }
    facts
        .add(3, whole_seconds(elapsed))
        .words(one_line(&work.message));
    let share = work.percent.map(|percent| (percent.into(), 100));
    facts.fit(width, share, elapsed, paint)
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
        self.facts.iter().map(|(_, fact)| width(fact) + 2).sum()
    }

    fn fit(
        mut self,
        columns: usize,
        share: Option<(u64, u64)>,
        elapsed: Duration,
        paint: Paint,
    ) -> String {
        while self.facts.len() > 1 && 2 + SHORTEST + self.columns() > columns {
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
            room.clamp(SHORTEST, SHORTEST.max(columns / 4)),
            share,
            elapsed,
            paint,
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
fn stripe(columns: usize, share: Option<(u64, u64)>, elapsed: Duration, paint: Paint) -> String {
    let (before, halves) = match share {
        Some((done, total)) => (0, halves(columns, done, total)),
        None => (wander(columns, elapsed), SHORTEST / 2 * 2),
    };
    let [whole, half, rest] = BAR;
    let after = columns.saturating_sub(before + halves.div_ceil(2));
    [
        paint.dim(&rest.repeat(before)),
        paint.cyan(&(whole.repeat(halves / 2) + &half.repeat(halves % 2))),
        paint.dim(&rest.repeat(after)),
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
fn wander(width: usize, elapsed: Duration) -> usize {
    let span = width.saturating_sub(SHORTEST / 2).max(1);
    let tick =
        usize::try_from(elapsed.as_millis() / STEP.as_millis()).unwrap_or_default() % (2 * span);
    tick.min(2 * span - tick)
}

#[cfg(test)]
mod tests {
    use super::super::output_rate::Rhythm;
    use super::*;

    const MIB: u64 = 1 << 20;

    fn at(flow: &Flow, seconds: u64, width: usize) -> String {
        upload(
            flow,
            flow.started + Duration::from_secs(seconds),
            width,
            Paint::default(),
        )
    }

    fn flow(total: Option<u64>) -> Flow {
        Flow::new(total, Rhythm::LINES, Instant::now())
    }

    fn sent(flow: &mut Flow, seconds: u64, bytes: u64) {
        let now = flow.started + Duration::from_secs(seconds);
        flow.moved(bytes, bytes, now);
        flow.acknowledge(bytes, now);
    }

    #[test]
    fn an_upload_says_as_much_as_fits() {
        let mut flow = flow(Some(150 * MIB));
        sent(&mut flow, 0, MIB);
        sent(&mut flow, 1, 31 * MIB);
        sent(&mut flow, 2, 31 * MIB);
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
            assert_eq!(at(&flow, 2, width), line, "{width}");
            assert!(super::width(line) <= width);
        }
    }

    #[test]
    fn an_upload_lives_while_nothing_comes_back() {
        let mut flow = flow(Some(150 * MIB));
        assert_eq!(
            at(&flow, 0, 80),
            "  ────────────────────    0 %  0 B of 150.0 MiB  0 s"
        );
        assert_eq!(
            at(&flow, 29, 80),
            "  ────────────────────    0 %  0 B of 150.0 MiB  29 s"
        );
        assert_eq!(
            at(&flow, 95, 80),
            "  ────────────────    0 %  0 B of 150.0 MiB  nothing acknowledged for 1 min 35 s"
        );
        flow.resumed = 50 * MIB;
        sent(&mut flow, 100, 25 * MIB);
        assert_eq!(
            at(&flow, 100, 80),
            "  ━━━━━━━━━━──────────   50 %  75.0 MiB of 150.0 MiB  1 min 40 s"
        );
        assert_eq!(
            at(&flow, 131, 80),
            "  ━━━━━━━━╸────────   50 %  75.0 MiB of 150.0 MiB  nothing acknowledged for 31 s"
        );
        sent(&mut flow, 131, 75 * MIB);
        assert!(
            at(&flow, 200, 80).ends_with("100 %  150.0 MiB of 150.0 MiB  finishing  3 min 20 s")
        );
    }

    #[test]
    fn a_stream_has_bytes_and_speed() {
        let mut flow = flow(None);
        sent(&mut flow, 1, 2 * MIB);
        sent(&mut flow, 2, 2 * MIB);
        sent(&mut flow, 5, 6 * MIB);
        assert_eq!(
            at(&flow, 5, 80),
            "  ──────────────━━━━──  10.0 MiB  2.0 MiB/s  5 s"
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
        let mut work = Work::new(Rhythm::LINES, Instant::now());
        let line = |work: &Work, width| {
            import(
                work,
                work.started + Duration::from_secs(65),
                width,
                Paint::default(),
            )
        };
        assert_eq!(line(&work, 40), "  ──━━━━────  1 min 5 s");
        work.percent = Some(27);
        work.message = "converting\n 変換 the disk of the image".to_owned();
        assert_eq!(line(&work, 40), "  ━━──────   27 %  1 min 5 s  convertin…");
    }

    #[test]
    fn the_bar_alone_is_coloured() {
        let mut work = Work::new(Rhythm::LINES, Instant::now());
        work.percent = Some(50);
        assert_eq!(
            import(&work, work.started, 40, Paint::COLOURS),
            "  \x1b[36m━━━━━\x1b[0m\x1b[2m─────\x1b[0m   50 %  0 s"
        );
    }

    #[test]
    fn no_width_is_too_odd() {
        let mut flow = flow(Some(0));
        let mut work = Work::new(Rhythm::LINES, Instant::now());
        for columns in 0..100 {
            for (total, percent) in [
                (Some(0), Some(0)),
                (Some(u64::MAX), Some(100)),
                (None, None),
            ] {
                (flow.total, flow.sent, work.percent) = (total, u64::MAX, percent);
                let lines = [
                    upload(&flow, flow.started, columns, Paint::default()),
                    import(&work, work.started, columns, Paint::default()),
                ];
                assert!(lines.iter().all(|line| width(line) <= columns.max(1)));
            }
        }
    }
}
