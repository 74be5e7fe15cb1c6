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
pub(super) fn extended(moment: OffsetDateTime) -> String {
    written(moment, EXTENDED)
}

/// `20231026T102232Z`
#[cfg(test)]
pub(super) fn compact(moment: OffsetDateTime) -> String {
    written(moment, COMPACT)
}

/// `Thu, 26 Oct 2023 10:22:32 GMT`
pub(super) fn http(moment: OffsetDateTime) -> String {
    written(moment, HTTP)
}

pub(super) fn from_extended(text: &str) -> Option<OffsetDateTime> {
    read(text, EXTENDED)
}

pub(super) fn from_compact(text: &str) -> Option<OffsetDateTime> {
    read(text, COMPACT)
}

pub(super) fn is_fresh(moment: OffsetDateTime) -> bool {
    (now() - moment).abs() <= MAX_SKEW
}

fn written(moment: OffsetDateTime, format: &[FormatItem<'_>]) -> String {
    moment
        .format(format)
        .expect("the formats have only fields every moment has")
}

fn read(text: &str, format: &[FormatItem<'_>]) -> Option<OffsetDateTime> {
    Some(PrimitiveDateTime::parse(text, format).ok()?.assume_utc())
}
