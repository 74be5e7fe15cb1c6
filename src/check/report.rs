//! The page that a person reads: what is in the image, then a paragraph for each cloud,
//! one line a finding. What is well is one line in all.

use std::env;
use std::io::{self, IsTerminal};

use console::{Style, Term};

use super::finding::{Finding, Level, Verdict};
use super::{Report, common};
use crate::guest::{Driver, Guest, Kernel, Look, System, Volume};
use crate::units;

/// Columns where nothing says how many there are, and more than these are not read well.
const WIDTH: usize = 80;
const WIDEST: usize = 100;
/// Columns of the words on the left.
const LABELS: usize = 12;
/// Columns of a finding's rule.
const RULES: usize = 16;

/// The whole page.
pub fn render(report: &Report) -> String {
    let mut page = Page::new();
    page.head(report);
    for verdict in report.clouds.iter().chain(&report.marketplace) {
        page.verdict(verdict);
    }
    page.sources();
    page.text.trim_end().to_owned()
}

/// Text from inside an image, without anything that a terminal would obey.
pub fn plain(text: &str) -> String {
    let plain = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    plain.take(2000).collect()
}

struct Page {
    text: String,
    width: usize,
    colours: bool,
    sources: Vec<&'static str>,
}

impl Page {
    fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        let columns = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let width = if terminal {
            usize::from(Term::stdout().size().1)
        } else {
            columns.unwrap_or(WIDTH)
        };
        let colours = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            text: String::new(),
            width: width.clamp(40, WIDEST),
            colours,
            sources: vec![],
        }
    }

    fn paint(&self, style: &Style, text: &str) -> String {
        style
            .clone()
            .force_styling(self.colours)
            .apply_to(text)
            .to_string()
    }

    fn put(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
    }

    /// A paragraph behind something that has been measured.
    fn line(&mut self, start: &str, columns: usize, text: &str) {
        let mut lines =
            wrapped(&plain(text), self.width.saturating_sub(columns).max(20)).into_iter();
        let first = lines.next().unwrap_or_default();
        self.text.push_str(format!("{start}{first}").trim_end());
        self.text.push('\n');
        for more in lines {
            self.put(format!("{}{more}\n", " ".repeat(columns)));
        }
    }

    fn head(&mut self, report: &Report) {
        let name = plain(&report.path().display().to_string());
        let name = self.paint(&Style::new().bold(), &name);
        let what = report.image.describe();
        self.put(format!("{name}: {what}\n\n"));
        let data = report.allocated.map(|bytes| {
            (
                "Data",
                format!("{}, the rest is zeros", units::bytes(bytes)),
            )
        });
        for (label, text) in data.into_iter().chain(facts(&report.guest)) {
            let label = format!("  {label:LABELS$}");
            let start = self.paint(&Style::new().dim(), &label);
            self.line(&start, LABELS + 2, &text);
        }
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let (refused, warnings) = (
            verdict.of(Level::Refused).count(),
            verdict.of(Level::Warning).count(),
        );
        let warned = match warnings {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            many => format!(", {many} warnings"),
        };
        let (style, word) = match verdict.verdict {
            Level::Refused if refused > 1 => (
                Style::new().red().bold(),
                format!("refused for {refused} reasons{warned}"),
            ),
            Level::Refused => (Style::new().red().bold(), format!("refused{warned}")),
            Level::Warning => (Style::new().yellow().bold(), format!("ok{warned}")),
            Level::Ok | Level::Unseen => (Style::new().green().bold(), "ok".to_owned()),
        };
        let title = self.paint(&Style::new().bold(), verdict.title);
        let word = self.paint(&style, &word);
        self.put(format!("\n{title}: {word}\n"));
        for level in [Level::Refused, Level::Warning] {
            for finding in verdict.of(level) {
                self.finding(finding);
            }
        }
        let well: Vec<_> = verdict.of(Level::Ok).map(|finding| finding.rule).collect();
        if !well.is_empty() {
            self.sum(&Style::new().green(), "✓", &well.join(", "));
        }
        for finding in verdict.of(Level::Unseen) {
            self.sum(
                &Style::new().dim(),
                "?",
                &format!("{}: {}", finding.rule, finding.text),
            );
        }
    }

    fn sum(&mut self, style: &Style, mark: &str, text: &str) {
        let start = format!("  {} ", self.paint(style, mark));
        self.line(&start, 4, text);
    }

    fn finding(&mut self, finding: &Finding) {
        let (style, mark) = match finding.level {
            Level::Refused => (Style::new().red(), "✗"),
            _ => (Style::new().yellow(), "!"),
        };
        let text = match finding.source {
            "" => finding.text.clone(),
            source => format!("{} [{}]", finding.text, self.source(source)),
        };
        let start = format!("  {} {:RULES$}", self.paint(&style, mark), finding.rule);
        let columns = RULES + 4;
        self.line(&start, columns, &text);
        if let Some(remedy) = &finding.remedy {
            let arrow = self.paint(&Style::new().dim(), "→");
            self.line(
                &format!("{}{arrow} ", " ".repeat(columns)),
                columns + 2,
                remedy,
            );
        }
    }

    /// The number of a source on this page.
    fn source(&mut self, source: &'static str) -> usize {
        let at = self.sources.iter().position(|known| *known == source);
        at.map_or_else(
            || {
                self.sources.push(source);
                self.sources.len()
            },
            |at| at + 1,
        )
    }

    fn sources(&mut self) {
        for (number, source) in self.sources.clone().into_iter().enumerate() {
            let gap = if number == 0 { "\n" } else { "" };
            let line = self.paint(&Style::new().dim(), &format!("[{}] {source}", number + 1));
            self.put(format!("{gap}{line}\n"));
        }
    }
}

/// Words in lines of so many columns; a longer word has a line of its own.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    for word in text.split(' ') {
        let there = console::measure_text_width(&line);
        if there > 0 && there + 1 + console::measure_text_width(word) > columns {
            lines.push(std::mem::take(&mut line));
        } else if there > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// What was seen, label and text.
fn facts(guest: &Guest) -> Vec<(&'static str, String)> {
    let mut facts = vec![];
    let processor = guest
        .architecture
        .map(|known| format!(", {}", known.name()))
        .unwrap_or_default();
    facts.push((
        "System",
        guest
            .name()
            .map_or("not seen".to_owned(), |name| format!("{name}{processor}")),
    ));
    if let Some(how) = common::how(guest) {
        facts.push(("Starts by", how.to_owned()));
    }
    if !guest.volumes.is_empty() {
        let volume =
            |volume: &Volume| format!("{} {}", volume.name(), units::bytes(volume.partition.size));
        let all: Vec<_> = guest.volumes.iter().map(volume).collect();
        facts.push(("Disk", all.join(", ")));
    }
    if let Some(system) = &guest.system {
        facts.extend(inside(system, guest.kernel()));
    }
    facts.extend(
        guest
            .troubles
            .iter()
            .map(|trouble| ("Not read", trouble.clone())),
    );
    facts
}

fn inside(system: &System, kernel: Option<&Kernel>) -> Vec<(&'static str, String)> {
    let mut facts = vec![];
    if let Some(kernel) = kernel {
        let has = |names: &[&str]| {
            let drivers = kernel.drivers.as_ref();
            drivers.is_some_and(|drivers| {
                names.iter().all(|name| {
                    drivers
                        .get(name)
                        .is_some_and(|place| *place != Driver::Absent)
                })
            })
        };
        let known = [
            ("virtio", has(&["virtio_blk", "virtio_net", "virtio_pci"])),
            ("NVMe", has(&["nvme"])),
            ("ENA", has(&["ena"])),
        ];
        let names: Vec<_> = known
            .into_iter()
            .filter(|(_, here)| *here)
            .map(|(name, _)| name)
            .collect();
        let names = if names.is_empty() {
            String::new()
        } else {
            format!(" with {}", names.join(", "))
        };
        facts.push(("Kernel", format!("{}{names}", kernel.version)));
    }
    let word = |here: Option<bool>| match here {
        Some(_) => "none".to_owned(),
        None => "not seen".to_owned(),
    };
    facts.push((
        "cloud-init",
        match &system.cloud_init {
            Look::Here(found) => {
                let version = found.version.clone().unwrap_or_else(|| "there".to_owned());
                let sources = found
                    .data_sources
                    .as_ref()
                    .map(|list| format!(", looks at {}", list.join(", ")));
                format!("{version}{}", sources.unwrap_or_default())
            }
            other => word(other.is_here()),
        },
    ));
    facts.push((
        "Network",
        match &system.network {
            Look::Here(network) => network
                .dhcp
                .map_or("no DHCP found".to_owned(), |by| format!("DHCP by {by}")),
            other => word(other.is_here()),
        },
    ));
    facts.push((
        "SSH server",
        match system.sshd {
            Look::Here(Some(false)) => "there, not started".to_owned(),
            Look::Here(_) => "there".to_owned(),
            ref other => word(other.is_here()),
        },
    ));
    if let Some(free) = system.free {
        facts.push(("Free", units::bytes(free)));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_alone() {
        assert_eq!(wrapped("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(
            wrapped("a https://example.com/x b", 6),
            ["a", "https://example.com/x", "b"]
        );
        assert_eq!(wrapped("", 6), [""]);
    }

    #[test]
    fn nothing_from_an_image_reaches_the_terminal_as_a_command() {
        assert_eq!(plain("Evil\x1b[2J\n"), "Evil\u{fffd}[2J\u{fffd}");
    }
}
