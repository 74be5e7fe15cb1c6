//! The functions of HCL that return the time of the run.

use super::value::{Deferred, Text, Value};

/// The functions that are evaluated; a call of any other is omitted.
const FUNCTIONS: [&str; 5] = [
    "timestamp",
    "formatdate",
    "legacy_isotime",
    "regex_replace",
    "uuidv4",
];

/// Reports whether this program evaluates the function.
pub(super) fn is_evaluated(function: &str) -> bool {
    FUNCTIONS.contains(&function)
}

/// Returns the value of a function, or the reason that it is unknown.
pub(super) fn call(function: &str, arguments: &[Value]) -> Result<Value, String> {
    let time = Value::Text(Deferred::Isotime(None).into());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let value: Text = match (function, arguments) {
        ("timestamp" | "legacy_isotime", []) => Deferred::Isotime(None).into(),
        ("uuidv4", []) => Deferred::Uuid.into(),
        ("legacy_isotime", [layout]) => go_layout(text(layout))?.into(),
        ("formatdate", [layout, value]) if *value == time => formatdate(text(layout))?,
        // `packer hcl2_upgrade` writes `{{timestamp}}` like this.
        ("regex_replace", [value, pattern, with])
            if *value == time
                && pattern.as_str() == Some("[- TZ:]")
                && with.as_str() == Some("") =>
        {
            Deferred::Isotime(Some("20060102150405".to_owned())).into()
        }
        _ => {
            return Err(format!(
                "it uses the function {function} in a way that this program does not evaluate"
            ));
        }
    };
    Ok(Value::Text(value))
}

/// Returns the time in a layout of Go. A `%` would turn it into strftime's for the import, and
/// Packer would interpret a brace.
pub(super) fn go_layout(layout: Option<String>) -> Result<Deferred, String> {
    match layout {
        Some(layout) if !layout.contains(['%', '{', '}']) => Ok(Deferred::Isotime(Some(layout))),
        _ => Err("it uses a layout of the time that this program does not read".to_owned()),
    }
}

/// Words of `formatdate` in strftime's.
/// Source: <https://developer.hashicorp.com/packer/docs/templates/hcl_templates/functions/datetime/formatdate>.
const DATES: [(&str, &str); 24] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("M", "%-m"),
    ("DD", "%d"),
    ("D", "%-d"),
    ("EEEE", "%A"),
    ("EEE", "%a"),
    ("hh", "%H"),
    ("h", "%-H"),
    ("HH", "%I"),
    ("H", "%-I"),
    ("AA", "%p"),
    ("aa", "%P"),
    ("mm", "%M"),
    ("m", "%-M"),
    ("ss", "%S"),
    ("s", "%-S"),
    ("ZZZZZ", "+00:00"),
    ("ZZZZ", "+0000"),
    ("ZZZ", "UTC"),
    ("Z", "Z"),
];

/// Returns the time in a layout of `formatdate`.
fn formatdate(layout: Option<String>) -> Result<Text, String> {
    let unknown = || "it uses a layout of formatdate that this program does not read".to_owned();
    let layout = layout.filter(|layout| !layout.contains(['{', '}']));
    let layout = layout.ok_or_else(unknown)?;
    let (mut format, mut rest) = (String::new(), layout.as_str());
    while let Some(first) = rest.chars().next() {
        let (word, length) = if let Some(inside) = rest.strip_prefix('\'') {
            let end = inside.find('\'').ok_or_else(unknown)?;
            // Two quotes within quotes stand for one.
            if inside[end + 1..].starts_with('\'') {
                return Err(unknown());
            }
            (inside[..end].replace('%', "%%"), end + 2)
        } else if first.is_ascii_alphabetic() {
            let length = rest.len() - rest.trim_start_matches(first).len();
            let word = DATES.iter().find(|(word, _)| *word == &rest[..length]);
            (word.ok_or_else(unknown)?.1.to_owned(), length)
        } else {
            (first.to_string().replace('%', "%%"), first.len_utf8())
        };
        format.push_str(&word);
        rest = &rest[length..];
    }
    Ok(if format.contains('%') {
        Deferred::Isotime(Some(format)).into()
    } else {
        Text::new(&format)
    })
}
