//! The page that a person reads: what is in the image, then a paragraph for each cloud,
//! one line a finding. What is well is one line in all.

use std::env;
use std::io::{self, IsTerminal};

use console::{Style, Term};

use super::Report;
use crate::guest::{Driver, Guest, Kernel, Observed, System, Volume};
use crate::import::finding::{Finding, Level, Verdict, printable};
use crate::import::guest_rules;
use crate::units;

/// Columns where nothing says how many there are, and more than these are not read well.
const DEFAULT_WIDTH: usize = 80;
const MAX_WIDTH: usize = 100;
/// Columns of the words on the left.
const LABEL_WIDTH: usize = 12;
/// Columns of a finding's rule.
const RULE_WIDTH: usize = 16;

/// The whole page.
pub fn render(report: &Report) -> String {
    let mut page = Page::new();
    page.push_head(report);
    for verdict in report.clouds.iter().chain(&report.marketplace) {
        page.push_verdict(verdict);
    }
    page.push_sources();
    page.text.trim_end().to_owned()
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
            columns.unwrap_or(DEFAULT_WIDTH)
        };
        let colours = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            text: String::new(),
            width: width.clamp(40, MAX_WIDTH),
            colours,
            sources: vec![],
        }
    }

    fn styled(&self, style: &Style, text: &str) -> String {
        style
            .clone()
            .force_styling(self.colours)
            .apply_to(text)
            .to_string()
    }

    fn push_line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
    }

    /// A paragraph behind something that has been measured.
    fn push_wrapped(&mut self, start: &str, columns: usize, text: &str) {
        let mut lines =
            wrap(&printable(text), self.width.saturating_sub(columns).max(20)).into_iter();
        let first = lines.next().unwrap_or_default();
        self.text.push_str(format!("{start}{first}").trim_end());
        self.text.push('\n');
        for more in lines {
            self.push_line(format!("{}{more}\n", " ".repeat(columns)));
        }
    }

    fn push_head(&mut self, report: &Report) {
        let name = printable(&report.path().display().to_string());
        let name = self.styled(&Style::new().bold(), &name);
        let what = report.image.describe();
        self.push_line(format!("{name}: {what}\n\n"));
        let data = report.allocated.map(|bytes| {
            (
                "Data",
                format!("{}, the rest is zeros", units::bytes(bytes)),
            )
        });
        for (label, text) in data.into_iter().chain(facts(&report.guest)) {
            let label = format!("  {label:LABEL_WIDTH$}");
            let start = self.styled(&Style::new().dim(), &label);
            self.push_wrapped(&start, LABEL_WIDTH + 2, &text);
        }
    }

    fn push_verdict(&mut self, verdict: &Verdict) {
        let (refused, warnings) = (
            verdict.findings_at(Level::Refused).count(),
            verdict.findings_at(Level::Warning).count(),
        );
        let warned = match warnings {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            many => format!(", {many} warnings"),
        };
        let (style, label) = match verdict.verdict {
            Level::Refused if refused > 1 => (
                Style::new().red().bold(),
                format!("refused for {refused} reasons{warned}"),
            ),
            Level::Refused => (Style::new().red().bold(), format!("refused{warned}")),
            Level::Warning => (Style::new().yellow().bold(), format!("ok{warned}")),
            Level::Ok | Level::Unseen => (Style::new().green().bold(), "ok".to_owned()),
        };
        let title = self.styled(&Style::new().bold(), verdict.title);
        let label = self.styled(&style, &label);
        self.push_line(format!("\n{title}: {label}\n"));
        for level in [Level::Refused, Level::Warning] {
            for finding in verdict.findings_at(level) {
                self.push_finding(finding);
            }
        }
        let passed: Vec<_> = verdict
            .findings_at(Level::Ok)
            .map(|finding| finding.rule)
            .collect();
        if !passed.is_empty() {
            self.push_summary(&Style::new().green(), "✓", &passed.join(", "));
        }
        for finding in verdict.findings_at(Level::Unseen) {
            self.push_summary(
                &Style::new().dim(),
                "?",
                &format!("{}: {}", finding.rule, finding.text),
            );
        }
    }

    fn push_summary(&mut self, style: &Style, mark: &str, text: &str) {
        let start = format!("  {} ", self.styled(style, mark));
        self.push_wrapped(&start, 4, text);
    }

    fn push_finding(&mut self, finding: &Finding) {
        let (style, mark) = match finding.level {
            Level::Refused => (Style::new().red(), "✗"),
            _ => (Style::new().yellow(), "!"),
        };
        let text = match finding.source {
            "" => finding.text.clone(),
            source => format!("{} [{}]", finding.text, self.source_number(source)),
        };
        let start = format!(
            "  {} {:RULE_WIDTH$}",
            self.styled(&style, mark),
            finding.rule
        );
        let columns = RULE_WIDTH + 4;
        self.push_wrapped(&start, columns, &text);
        if let Some(remedy) = &finding.remedy {
            let arrow = self.styled(&Style::new().dim(), "→");
            self.push_wrapped(
                &format!("{}{arrow} ", " ".repeat(columns)),
                columns + 2,
                remedy,
            );
        }
    }

    /// The number of a source on this page.
    fn source_number(&mut self, source: &'static str) -> usize {
        let at = self.sources.iter().position(|listed| *listed == source);
        at.map_or_else(
            || {
                self.sources.push(source);
                self.sources.len()
            },
            |at| at + 1,
        )
    }

    fn push_sources(&mut self) {
        for (number, source) in self.sources.clone().into_iter().enumerate() {
            let gap = if number == 0 { "\n" } else { "" };
            let line = self.styled(&Style::new().dim(), &format!("[{}] {source}", number + 1));
            self.push_line(format!("{gap}{line}\n"));
        }
    }
}

/// Words in lines of so many columns; a longer word has a line of its own.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    for word in text.split(' ') {
        let width = console::measure_text_width(&line);
        if width > 0 && width + 1 + console::measure_text_width(word) > columns {
            lines.push(std::mem::take(&mut line));
        } else if width > 0 {
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
        .map(|architecture| format!(", {}", architecture.name()))
        .unwrap_or_default();
    facts.push((
        "System",
        guest
            .name()
            .map_or("not seen".to_owned(), |name| format!("{name}{processor}")),
    ));
    if let Some(how) = guest_rules::boot_firmware(guest) {
        facts.push(("Starts by", how.to_owned()));
    }
    if !guest.volumes.is_empty() {
        let volume =
            |volume: &Volume| format!("{} {}", volume.name(), units::bytes(volume.partition.size));
        let all: Vec<_> = guest.volumes.iter().map(volume).collect();
        facts.push(("Disk", all.join(", ")));
    }
    if let Some(system) = &guest.system {
        facts.extend(system_facts(system, guest.kernel()));
    }
    facts.extend(
        guest
            .problems
            .iter()
            .map(|problem| ("Not read", problem.clone())),
    );
    facts
}

fn system_facts(system: &System, kernel: Option<&Kernel>) -> Vec<(&'static str, String)> {
    let mut facts = vec![];
    if let Some(kernel) = kernel {
        let has = |names: &[&str]| {
            let drivers = kernel.drivers.as_ref();
            drivers.is_some_and(|drivers| {
                names.iter().all(|name| {
                    drivers
                        .get(name)
                        .is_some_and(|driver| *driver != Driver::Absent)
                })
            })
        };
        let driver_groups = [
            ("virtio", has(&["virtio_blk", "virtio_net", "virtio_pci"])),
            ("NVMe", has(&["nvme"])),
            ("ENA", has(&["ena"])),
        ];
        let names: Vec<_> = driver_groups
            .into_iter()
            .filter(|(_, present)| *present)
            .map(|(name, _)| name)
            .collect();
        let names = if names.is_empty() {
            String::new()
        } else {
            format!(" with {}", names.join(", "))
        };
        facts.push(("Kernel", format!("{}{names}", kernel.version)));
    }
    let yes_no = |present: Option<bool>| match present {
        Some(_) => "none".to_owned(),
        None => "not seen".to_owned(),
    };
    facts.push((
        "cloud-init",
        match &system.cloud_init {
            Observed::Present(found) => {
                let version = found.version.clone().unwrap_or_else(|| "there".to_owned());
                let sources = found
                    .data_sources
                    .as_ref()
                    .map(|list| format!(", looks at {}", list.join(", ")));
                format!("{version}{}", sources.unwrap_or_default())
            }
            other => yes_no(other.is_present()),
        },
    ));
    facts.push((
        "Network",
        match &system.network {
            Observed::Present(network) => network
                .dhcp
                .map_or("no DHCP found".to_owned(), |by| format!("DHCP by {by}")),
            other => yes_no(other.is_present()),
        },
    ));
    facts.push((
        "SSH server",
        match system.sshd {
            Observed::Present(Some(false)) => "there, not started".to_owned(),
            Observed::Present(_) => "there".to_owned(),
            ref other => yes_no(other.is_present()),
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
    fn wrap_breaks_only_between_words() {
        assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(
            wrap("a https://example.com/x b", 6),
            ["a", "https://example.com/x", "b"]
        );
        assert_eq!(wrap("", 6), [""]);
    }
}
