//! Times as AWS writes them.

use time::OffsetDateTime;
use time::macros::format_description;

pub(crate) fn now() -> String {
    format(OffsetDateTime::now_utc())
}

pub(crate) fn in_an_hour() -> String {
    format(OffsetDateTime::now_utc() + time::Duration::HOUR)
}

/// `20130524T000000Z`, as signatures have it.
#[cfg(test)]
pub(crate) fn compact() -> String {
    now().replace(['-', ':'], "").replace(".000", "")
}

fn format(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");
    time.format(format)
        .expect("the format has only fields every moment has")
}
