//! The deprecation of the AMI: at a time, or after a duration. EC2 shows a deprecated AMI only
//! to its owner, who can still launch it.

use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan};

/// EnableImageDeprecation, "DeprecateAt": the furthest date, and that of a public AMI.
const MAX_YEARS: i64 = 10;
const MAX_YEARS_PUBLIC: i64 = 2;

/// AWS counts minutes; what is nearer than one may have passed when it is asked.
const MIN_AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// As the user says it.
#[derive(Clone, Copy, Debug)]
pub enum DeprecateAt {
    /// `2030-01-01T00:00:00Z`.
    At(Timestamp),
    /// `90d`, `2y`.
    After(Span),
}

impl FromStr for DeprecateAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let timestamp = || text.parse().map(Self::At);
        let after = || text.parse().map(Self::After);
        timestamp().or_else(|_: jiff::Error| after()).map_err(|_| {
            format!("{text:?} is neither a moment nor a time from now: write it like 2030-01-01T00:00:00Z, 90d or 2y")
        })
    }
}

impl DeprecateAt {
    /// The moment, seen from `now`, if AWS takes it for such an AMI.
    pub fn resolve(self, now: Timestamp, public: bool) -> Result<Timestamp, String> {
        let (years, which) = if public {
            (MAX_YEARS_PUBLIC, "a public AMI")
        } else {
            (MAX_YEARS, "an AMI")
        };
        let last = add_to(now, years.years());
        let timestamp = match self {
            Self::At(timestamp) => Some(timestamp),
            Self::After(span) => add_to(now, span),
        };
        match timestamp {
            Some(timestamp) if timestamp.duration_since(now) < MIN_AHEAD => Err(format!(
                "{timestamp:.0} has passed: an AMI is deprecated in the future"
            )),
            Some(timestamp) if last.is_some_and(|last| timestamp <= last) => Ok(timestamp),
            _ => Err(format!(
                "{which} is deprecated within {years} years at most"
            )),
        }
    }
}

/// Years and months have no fixed length: UTC's calendar says it.
fn add_to(now: Timestamp, span: Span) -> Option<Timestamp> {
    let then = now.to_zoned(TimeZone::UTC).checked_add(span);
    then.ok().map(|then| then.timestamp())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn resolve_text(text: &str, public: bool) -> Result<String, String> {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let parsed: DeprecateAt = text.parse()?;
        parsed
            .resolve(now, public)
            .map(|timestamp| timestamp.to_string())
    }

    #[test]
    fn parses_timestamps_and_spans() {
        for (text, expected) in [
            ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
            ("2030-01-01T02:00:00+02:00", "2030-01-01T00:00:00Z"),
            ("90d", "2026-05-01T12:00:00Z"),
            ("1mo", "2026-02-28T12:00:00Z"),
            ("2y", "2028-01-31T12:00:00Z"),
            ("10y", "2036-01-31T12:00:00Z"),
            (" 1y 6mo ", "2027-07-31T12:00:00Z"),
        ] {
            assert_eq!(resolve_text(text, false).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn rejects_past_and_distant_dates() {
        for (text, public) in [
            ("2026-01-31T12:00:30Z", false),
            ("2020-01-01T00:00:00Z", false),
            ("-90d", false),
            ("0s", false),
            ("10y 1d", false),
            ("9999y", false),
            ("3y", true),
            ("tomorrow", false),
            ("90", false),
            ("", false),
        ] {
            assert!(resolve_text(text, public).is_err(), "{text}");
        }
        assert!(resolve_text("2y", true).is_ok());
    }
}
