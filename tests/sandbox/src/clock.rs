//! Times as AWS writes them.

use time::OffsetDateTime;
use time::macros::format_description;

pub(crate) fn now() -> String {
    written(OffsetDateTime::now_utc())
}

pub(crate) fn in_an_hour() -> String {
    written(OffsetDateTime::now_utc() + time::Duration::HOUR)
}

/// `20130524T000000Z`, as signatures have it.
#[cfg(test)]
pub(crate) fn compact() -> String {
    now().replace(['-', ':'], "").replace(".000", "")
}

fn written(moment: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");
    moment
        .format(format)
        .expect("the format has only fields every moment has")
}
