//! Durations, sizes and rates in the form that people write and read. The newtypes are the
//! values of flags, variables and TOML keys; an error is a sentence that can follow the flag's
//! name. The limits of a value are checked by its users.

use std::fmt;
use std::str::FromStr;
use std::time::Duration as Span;

use jiff::SignedDuration;
use jiff::fmt::friendly::{Spacing, SpanPrinter};

/// Names of the powers of 1024 in the output.
const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Names of the powers of 1000.
const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// A positive duration: `300ms`, `90s`, `2h30m`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Duration(pub Span);

/// A number of bytes, at least one: `5MiB`, `1GB`, `4096`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Size(pub u64);

/// Bytes per second, at least one: `20MB/s`, `50MiB/s`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rate(pub u64);

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<Size> for u64 {
    fn from(size: Size) -> Self {
        size.0
    }
}

impl From<Rate> for u64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!(
                "{text:?} has no unit: write {text}s for seconds or {text}m for minutes"
            ));
        }
        let signed: SignedDuration = text.parse().map_err(|_| {
            format!("{text:?} is not a duration: write it like 300ms, 90s or 2h30m")
        })?;
        match Span::try_from(signed) {
            Ok(span) if !span.is_zero() => Ok(Self(span)),
            _ => Err(format!(
                "{text:?} is not longer than nothing: write it like 300ms, 90s or 2h30m"
            )),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        parse_count(text)
            .map(Self)
            .map_err(|why| why.explain(text, "a size", "5MiB or 1GB"))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let amount = text.strip_suffix("/s").unwrap_or(text).trim_end();
        if !amount.is_empty() && amount.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!(
                "{text:?} has no unit: write {amount}MB/s or {amount}kB/s"
            ));
        }
        if ["Kb", "Mb", "Gb", "Tb"]
            .iter()
            .any(|bits| amount.ends_with(bits))
            || amount.ends_with("bit")
        {
            return Err(format!(
                "{text:?} reads as bits: a rate is in bytes, like 20MB/s or 50MiB/s"
            ));
        }
        parse_count(amount)
            .map(Self)
            .map_err(|why| why.explain(text, "a rate", "20MB/s or 50MiB/s"))
    }
}

/// The reason that a text is not a number of bytes.
enum ParseProblem {
    Unreadable,
    TooLarge,
    Zero,
}

impl ParseProblem {
    fn explain(&self, text: &str, what: &str, like: &str) -> String {
        match self {
            Self::Unreadable => format!("{text:?} is not {what}: write it like {like}"),
            Self::TooLarge => format!("{text:?} is too large for {what}: write it like {like}"),
            Self::Zero => format!("{text:?} is less than one byte: write it like {like}"),
        }
    }
}

/// Parses `1.5GiB` with integers only, so that no byte is lost to rounding.
fn parse_count(text: &str) -> Result<u64, ParseProblem> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit_bytes(unit.trim_start()).ok_or(ParseProblem::Unreadable)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let scale = u32::try_from(fraction.len())
        .ok()
        .and_then(|digits| 10_u128.checked_pow(digits))
        .ok_or(ParseProblem::Unreadable)?;
    let bytes = parse_digits(whole)?
        .checked_mul(unit)
        .ok_or(ParseProblem::TooLarge)?;
    let rest = parse_digits(fraction)?
        .checked_mul(unit)
        .ok_or(ParseProblem::TooLarge)?
        / scale;
    match u64::try_from(bytes.saturating_add(rest)) {
        Ok(0) => Err(ParseProblem::Zero),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(ParseProblem::TooLarge),
    }
}

fn parse_digits(text: &str) -> Result<u128, ParseProblem> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseProblem::Unreadable);
    }
    text.parse().map_err(|_| ParseProblem::TooLarge)
}

/// Returns the bytes of a unit. A single letter is binary, as in dd, split and curl.
fn unit_bytes(unit: &str) -> Option<u128> {
    let unit = unit.to_ascii_lowercase();
    if matches!(unit.as_str(), "" | "b") {
        return Some(1);
    }
    let (letter, tail) = unit.split_at_checked(1)?;
    let power = u32::try_from("kmgtpe".find(letter)?).ok()? + 1;
    match tail {
        "" | "i" | "ib" => Some(u128::pow(1024, power)),
        "b" => Some(u128::pow(1000, power)),
        _ => None,
    }
}

/// Returns the shortest text for exactly this many bytes.
fn format_exact(bytes: u64) -> String {
    let divides = |base: u64| {
        (1..=6)
            .rev()
            .find(|&power| bytes != 0 && bytes.is_multiple_of(base.pow(power)))
    };
    match (divides(1024), divides(1000)) {
        (Some(two), ten) if ten.is_none_or(|ten| ten <= two) => {
            format!("{}{}", bytes / 1024_u64.pow(two), BINARY[two as usize])
        }
        (_, Some(ten)) => format!("{}{}", bytes / 1000_u64.pow(ten), DECIMAL[ten as usize]),
        _ => format!("{bytes}B"),
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &SpanPrinter::new()
                .spacing(Spacing::None)
                .unsigned_duration_to_string(&self.0),
        )
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_exact(self.0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", format_exact(self.0))
    }
}

/// Formats a number of bytes for people: "149.6 MiB".
pub fn bytes(n: u64) -> String {
    let mut unit = 1_u128;
    let mut name = BINARY[0];
    for next in &BINARY[1..] {
        if tenths(n, unit) < 10_240 {
            break;
        }
        unit *= 1024;
        name = next;
    }
    match (unit, tenths(n, unit)) {
        (1, _) => format!("{n} {name}"),
        (_, tenths) => format!("{}.{} {name}", tenths / 10, tenths % 10),
    }
}

/// Returns "1 part" or "2 parts".
pub fn pluralize(n: u64, thing: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{n} {thing}{ending}")
}

/// Returns tenths of the unit, rounded, so that 1023.96 KiB is 1.0 MiB and never 1024.0 KiB.
fn tenths(n: u64, unit: u128) -> u128 {
    (u128::from(n) * 10 + unit / 2) / unit
}

/// Joins words in a sentence: "a", "a and b", "a, b and c".
pub fn join_with_and(words: &[&str]) -> String {
    match words {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => words.concat(),
    }
}

/// Formats a duration for people: "3.2 s", "4 min 10 s", "1 h 2 min".
pub fn seconds(span: Span) -> String {
    let tenths = span.as_millis().saturating_add(50) / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = tenths.saturating_add(5) / 10;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// Formats the delay before a retry: "0.0 s" would look like a mistake.
pub fn format_delay(span: Span) -> String {
    seconds(span.max(Span::from_millis(100)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse_error<T: FromStr<Err = String> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err()
    }

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("300ms", 300),
            ("90s", 90_000),
            ("2h30m", 9_000_000),
            (" 1.5h ", 5_400_000),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Duration(Span::from_millis(millis))),
                "{text}"
            );
        }
    }

    #[test]
    fn an_invalid_duration_names_the_syntax() {
        assert_eq!(
            parse_error::<Duration>("90"),
            r#""90" has no unit: write 90s for seconds or 90m for minutes"#
        );
        assert_eq!(
            parse_error::<Duration>("soon"),
            r#""soon" is not a duration: write it like 300ms, 90s or 2h30m"#
        );
        for nothing in ["0s", "-5s", "5s ago"] {
            assert_eq!(
                parse_error::<Duration>(nothing),
                format!(
                    "{nothing:?} is not longer than nothing: write it like 300ms, 90s or 2h30m"
                )
            );
        }
        assert!(parse_error::<Duration>("").contains("is not a duration"));
        assert!(parse_error::<Duration>("99999999999999999999h").contains("is not a duration"));
    }

    #[test]
    fn sizes_are_read() {
        let sizes = [
            ("4096", 4096),
            ("7b", 7),
            ("5MiB", 5 << 20),
            ("5 mib", 5 << 20),
            ("5M", 5 << 20),
            ("5Mi", 5 << 20),
            ("1GB", 1_000_000_000),
            ("1.5KiB", 1536),
            ("15EiB", 15 << 60),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in sizes {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn an_invalid_size_names_the_syntax() {
        assert_eq!(
            parse_error::<Size>("5 apples"),
            r#""5 apples" is not a size: write it like 5MiB or 1GB"#
        );
        assert_eq!(
            parse_error::<Size>("16EiB"),
            r#""16EiB" is too large for a size: write it like 5MiB or 1GB"#
        );
        assert_eq!(
            parse_error::<Size>("0MiB"),
            r#""0MiB" is less than one byte: write it like 5MiB or 1GB"#
        );
        for text in [
            "", "MiB", "-5MiB", "1.MiB", ".5MiB", "1.2.3MiB", "5ib", "5i", "5bb", "٥MiB", "5MiB/s",
            "+5",
        ] {
            assert!(
                parse_error::<Size>(text).contains("is not a size"),
                "{text}"
            );
        }
    }

    #[test]
    fn rates_are_read() {
        for (text, bytes) in [
            ("20MB/s", 20_000_000),
            ("50MiB/s", 50 << 20),
            ("1.5 MB/s", 1_500_000),
            ("20mb", 20_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Rate(bytes)), "{text}");
        }
    }

    #[test]
    fn an_invalid_rate_names_the_syntax() {
        assert_eq!(
            parse_error::<Rate>("20"),
            r#""20" has no unit: write 20MB/s or 20kB/s"#
        );
        assert_eq!(
            parse_error::<Rate>("20Mb/s"),
            r#""20Mb/s" reads as bits: a rate is in bytes, like 20MB/s or 50MiB/s"#
        );
        assert_eq!(
            parse_error::<Rate>("fast"),
            r#""fast" is not a rate: write it like 20MB/s or 50MiB/s"#
        );
        assert_eq!(
            parse_error::<Rate>("0MB/s"),
            r#""0MB/s" is less than one byte: write it like 20MB/s or 50MiB/s"#
        );
    }

    #[test]
    fn bytes_are_printed_for_people() {
        let printed = [0, 1023, 1024, 156_867_379, (1 << 20) - 1, u64::MAX].map(bytes);
        assert_eq!(
            printed,
            [
                "0 B",
                "1023 B",
                "1.0 KiB",
                "149.6 MiB",
                "1.0 MiB",
                "16.0 EiB"
            ]
        );
    }

    #[test]
    fn seconds_are_printed_for_people() {
        let printed = [3_210, 0, 59_949, 59_950, 250_000, 3_599_600, 3_720_000]
            .map(|ms| seconds(Span::from_millis(ms)));
        assert_eq!(
            printed,
            [
                "3.2 s",
                "0.0 s",
                "59.9 s",
                "1 min",
                "4 min 10 s",
                "1 h",
                "1 h 2 min"
            ]
        );
        assert_eq!(seconds(Span::MAX), "5124095576030431 h");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn formatted_values_parse_back(n in 1_u64.., power in 0_u32..40) {
            let n = n >> power << (power / 2);
            prop_assume!(n > 0);
            prop_assert_eq!(Size(n).to_string().parse(), Ok(Size(n)));
            prop_assert_eq!(Rate(n).to_string().parse(), Ok(Rate(n)));
            let duration = Duration(Span::from_millis(n >> 24 | 1));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn no_text_is_too_odd(text in any::<String>(), tail in "[0-9.]{0,60}[kmgKMGTPEib/s ]{0,6}") {
            for text in [text, tail] {
                let _ = (text.parse::<Size>(), text.parse::<Rate>(), text.parse::<Duration>());
            }
        }
    }
}
