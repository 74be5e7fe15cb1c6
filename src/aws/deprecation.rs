//! When the AMI is deprecated: a moment, or a time from now. EC2 shows a deprecated AMI
//! to its owner alone, and goes on launching it.

use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan};

/// EnableImageDeprecation, "DeprecateAt": the furthest date, and that of a public AMI.
const YEARS: i64 = 10;
const YEARS_PUBLIC: i64 = 2;

/// AWS counts minutes; what is nearer than one may have passed when it is asked.
const NEAREST: SignedDuration = SignedDuration::from_secs(60);

/// As the user says it.
#[derive(Clone, Copy, Debug)]
pub enum DeprecateAt {
    /// `2030-01-01T00:00:00Z`.
    Moment(Timestamp),
    /// `90d`, `2y`.
    After(Span),
}

impl FromStr for DeprecateAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let moment = || text.parse().map(Self::Moment);
        let after = || text.parse().map(Self::After);
        moment().or_else(|_: jiff::Error| after()).map_err(|_| {
            format!("{text:?} is neither a moment nor a time from now: write it like 2030-01-01T00:00:00Z, 90d or 2y")
        })
    }
}

impl DeprecateAt {
    /// The moment, seen from `now`, if AWS takes it for such an AMI.
    pub fn resolve(self, now: Timestamp, public: bool) -> Result<Timestamp, String> {
        let (years, which) = if public {
            (YEARS_PUBLIC, "a public AMI")
        } else {
            (YEARS, "an AMI")
        };
        let last = later(now, years.years());
        let moment = match self {
            Self::Moment(moment) => Some(moment),
            Self::After(span) => later(now, span),
        };
        match moment {
            Some(moment) if moment.duration_since(now) < NEAREST => Err(format!(
                "{moment:.0} has passed: an AMI is deprecated in the future"
            )),
            Some(moment) if last.is_some_and(|last| moment <= last) => Ok(moment),
            _ => Err(format!(
                "{which} is deprecated within {years} years at most"
            )),
        }
    }
}

/// Years and months have no fixed length: UTC's calendar says it.
fn later(now: Timestamp, span: Span) -> Option<Timestamp> {
    let then = now.to_zoned(TimeZone::UTC).checked_add(span);
    then.ok().map(|then| then.timestamp())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(text: &str, public: bool) -> Result<String, String> {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let asked: DeprecateAt = text.parse()?;
        asked.resolve(now, public).map(|moment| moment.to_string())
    }

    #[test]
    fn a_moment_or_a_time_from_now() {
        for (said, meant) in [
            ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
            ("2030-01-01T02:00:00+02:00", "2030-01-01T00:00:00Z"),
            ("90d", "2026-05-01T12:00:00Z"),
            ("1mo", "2026-02-28T12:00:00Z"),
            ("2y", "2028-01-31T12:00:00Z"),
            ("10y", "2036-01-31T12:00:00Z"),
            (" 1y 6mo ", "2027-07-31T12:00:00Z"),
        ] {
            assert_eq!(found(said, false).as_deref(), Ok(meant), "{said}");
        }
    }

    #[test]
    fn the_past_and_what_is_too_far_are_refused() {
        for (said, public) in [
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
            assert!(found(said, public).is_err(), "{said}");
        }
        assert!(found("2y", true).is_ok());
    }
}
