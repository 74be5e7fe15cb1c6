//! The layouts of `{{isotime}}`: those of Go, as in Packer, and those of strftime.

use jiff::fmt::strtime;
use jiff::{Timestamp, tz::TimeZone};

/// RFC 3339, the layout of `{{isotime}}` without an argument.
pub(super) const RFC_3339: &str = "2006-01-02T15:04:05Z07:00";

/// The words of a Go layout in strftime's. The time is UTC, so time zones are literals. Source:
/// `nextStdChunk` in <https://go.dev/src/time/format.go>; its order matters.
const GO_LAYOUT: [(&str, &str); 34] = [
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("1", "%-m"),
    ("2006", "%Y"),
    ("2", "%-d"),
    ("_2006", "_%Y"),
    ("_2", "%e"),
    ("__2", "%_j"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("-070000", "+000000"),
    ("-07:00:00", "+00:00:00"),
    ("-0700", "+0000"),
    ("-07:00", "+00:00"),
    ("-07", "+00"),
    ("Z070000", "Z"),
    ("Z07:00:00", "Z"),
    ("Z0700", "Z"),
    ("Z07:00", "Z"),
    ("Z07", "Z"),
];

/// 1999-12-31 10:58:59: a time in which no word of a layout formats to itself.
const PROBE_TIME: Timestamp = Timestamp::constant(946_637_939, 123_456_789);

/// Rejects a layout without any word of the time, such as YYYY-MM-DD: it is a mistake.
pub(super) fn check_layout(layout: &str) -> Result<(), String> {
    // No word of a layout formats to itself at this time, so an unchanged text has none.
    if format_time(layout, PROBE_TIME)? == layout {
        return Err(
            "this is no Go layout: write it like 2006-01-02 or, as strftime has it, %Y-%m-%d"
                .to_owned(),
        );
    }
    Ok(())
}

/// Formats the time. A layout with `%` is strftime's, any other one Go's.
pub(super) fn format_time(layout: &str, clock: Timestamp) -> Result<String, String> {
    let format = if layout.contains('%') {
        layout.to_owned()
    } else {
        strftime(layout, clock)
    };
    strtime::format(format, &clock.to_zoned(TimeZone::UTC)).map_err(|error| error.to_string())
}

/// Returns the strftime format that is equivalent to the Go layout.
fn strftime(layout: &str, clock: Timestamp) -> String {
    let mut format = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let (converted, length) = go_layout_word(rest)
            .map(|(layout_word, converted)| (converted.to_owned(), layout_word.len()))
            .or_else(|| fraction(rest, clock))
            .unwrap_or_else(|| (first.to_string(), first.len_utf8()));
        format.push_str(&converted);
        rest = &rest[length..];
    }
    format
}

/// Returns the word that the rest starts with. "Jan" and "Mon" are not words in "Janet" and
/// "Money".
fn go_layout_word(rest: &str) -> Option<(&'static str, &'static str)> {
    GO_LAYOUT.into_iter().find(|(layout_word, _)| {
        let lower = |tail: &str| tail.starts_with(|c: char| c.is_ascii_lowercase());
        rest.strip_prefix(layout_word)
            .is_some_and(|tail| !(matches!(*layout_word, "Jan" | "Mon") && lower(tail)))
    })
}

/// Formats fractions of a second: `.000` or `,000` keeps its digits, `.999` removes the zeros
/// at the end; no further digit may follow.
fn fraction(rest: &str, clock: Timestamp) -> Option<(String, usize)> {
    let tail = rest.strip_prefix(['.', ','])?;
    let digit = tail.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let after = tail.trim_start_matches(digit);
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = tail.len() - after.len();
    let nanos = format!("{:09}", clock.subsec_nanosecond().max(0));
    let digits_text = format!("{}{}", &rest[..1], &nanos[..digits.min(9)]);
    let trimmed = if digit == '9' {
        digits_text
            .trim_end_matches('0')
            .trim_end_matches(['.', ','])
    } else {
        &digits_text
    };
    Some((trimmed.to_owned(), digits + 1))
}
