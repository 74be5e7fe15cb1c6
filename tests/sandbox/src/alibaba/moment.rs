//! Times as Alibaba writes and reads them.

use time::format_description::FormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// Clocks may be this far off, in both signature schemes.
const MAX_SKEW: Duration = Duration::minutes(15);

const EXTENDED: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const COMPACT: &[FormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");
const HTTP: &[FormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// `2023-10-26T10:22:32Z`
pub(super) fn extended(time: OffsetDateTime) -> String {
    format_time(time, EXTENDED)
}

/// `20231026T102232Z`
#[cfg(test)]
pub(super) fn compact(time: OffsetDateTime) -> String {
    format_time(time, COMPACT)
}

/// `Thu, 26 Oct 2023 10:22:32 GMT`
pub(super) fn http(time: OffsetDateTime) -> String {
    format_time(time, HTTP)
}

pub(super) fn from_extended(text: &str) -> Option<OffsetDateTime> {
    read(text, EXTENDED)
}

pub(super) fn from_compact(text: &str) -> Option<OffsetDateTime> {
    read(text, COMPACT)
}

pub(super) fn is_fresh(time: OffsetDateTime) -> bool {
    (now() - time).abs() <= MAX_SKEW
}

fn format_time(time: OffsetDateTime, format: &[FormatItem<'_>]) -> String {
    time.format(format)
        .expect("the formats have only fields every moment has")
}

fn read(text: &str, format: &[FormatItem<'_>]) -> Option<OffsetDateTime> {
    Some(PrimitiveDateTime::parse(text, format).ok()?.assume_utc())
}
