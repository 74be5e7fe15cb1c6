//! What a look at an image comes to: findings, each with its rule, where the rule is
//! written down, and what helps.

use serde::Serialize;

/// How bad it is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// It could not be seen, which says nothing against the image.
    Unseen,
    /// It is taken, but may not work.
    Warning,
    /// It is not taken.
    Refused,
}

/// One line of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    /// A word or two: "boot mode".
    pub rule: &'static str,
    pub text: String,
    pub remedy: Option<String>,
    /// Where the rule is written down.
    pub source: &'static str,
}

/// A rule and where it is written down.
#[derive(Clone, Copy, Debug)]
pub struct Rule(pub &'static str, pub &'static str);

impl Rule {
    pub fn ok(self, text: impl Into<String>) -> Finding {
        self.finding(Level::Ok, text, None)
    }

    pub fn unknown(self, text: impl Into<String>) -> Finding {
        self.finding(Level::Unseen, text, None)
    }

    pub fn warning(self, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Level::Warning, text, Some(remedy.into()))
    }

    pub fn refused(self, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Level::Refused, text, Some(remedy.into()))
    }

    fn finding(self, level: Level, text: impl Into<String>, remedy: Option<String>) -> Finding {
        Finding {
            level,
            rule: self.0,
            text: text.into(),
            remedy: remedy.filter(|remedy| !remedy.is_empty()),
            source: self.1,
        }
    }
}

/// What it comes to for one taker.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The sub-command's word: "aws".
    pub name: &'static str,
    /// As a person calls it.
    #[serde(skip)]
    pub title: &'static str,
    pub verdict: Level,
    pub findings: Vec<Finding>,
}

impl Verdict {
    pub fn new(name: &'static str, title: &'static str, mut findings: Vec<Finding>) -> Self {
        // The worst first, otherwise in the order of the rules.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let worst = findings.first().map_or(Level::Ok, |finding| finding.level);
        Self {
            name,
            title,
            // What was not seen is no verdict.
            verdict: if worst == Level::Unseen {
                Level::Ok
            } else {
                worst
            },
            findings,
        }
    }

    pub fn findings_at(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.level == level)
    }
}

/// Returns text from inside an image without control characters, cut to 2,000 characters.
pub fn printable(text: &str) -> String {
    let printable = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    printable.take(2000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_an_image_are_escaped() {
        assert_eq!(printable("Evil\x1b[2J\n"), "Evil\u{fffd}[2J\u{fffd}");
    }
}
