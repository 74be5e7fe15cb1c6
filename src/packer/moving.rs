//! A function of a text that has the time in it: `lower("web-{{isotime}}")`. The function
//! is done to the layouts and to the words between them, and whether that says the same is
//! tried with several times; where it does not, nothing is claimed.

use jiff::Timestamp;

use crate::template::{Template, Values};

/// What `{{isotime}}` alone says, as a Go layout in UTC.
const PLAIN: &str = "2006-01-02T15:04:05Z";

/// Times whose digits, names and lengths differ.
const TIMES: [&str; 4] = [
    "2024-02-05T03:04:09Z",
    "1999-12-31T23:58:59Z",
    "2031-10-20T12:00:00Z",
    "2008-05-17T10:21:38Z",
];

/// The text after the function, if that can be told before the time is known.
pub(super) fn through(text: &str, function: &dyn Fn(&str) -> String) -> Option<String> {
    if !text.contains("{{") {
        return Some(function(text));
    }
    let moved = move_pieces(text, function)?;
    let same = TIMES.iter().all(|time| {
        let said = at(text, time).map(|text| function(&text));
        said.is_some() && said == at(&moved, time)
    });
    same.then_some(moved)
}

/// The function done to each word and each layout.
fn move_pieces(text: &str, function: &dyn Fn(&str) -> String) -> Option<String> {
    let (mut moved, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("{{") {
        let end = start + rest[start..].find("}}")? + 2;
        moved.push_str(&function(&rest[..start]));
        moved.push_str(&hole(rest[start + 2..end - 2].trim(), function)?);
        rest = &rest[end..];
    }
    Some(moved + &function(rest))
}

fn hole(inside: &str, function: &dyn Fn(&str) -> String) -> Option<String> {
    if inside == "timestamp" {
        return Some("{{timestamp}}".to_owned());
    }
    let layout = inside.strip_prefix("isotime")?.trim();
    let layout = match layout.get(1..layout.len().saturating_sub(1)) {
        Some(said) if said.len() + 2 == layout.len() => said,
        _ => PLAIN,
    };
    Some(isotime(&function(layout)))
}

/// `{{isotime "LAYOUT"}}`.
pub(super) fn isotime(layout: &str) -> String {
    format!(
        "{{{{isotime \"{}\"}}}}",
        layout.replace('\\', "\\\\").replace('"', "\\\"")
    )
}

fn at(text: &str, time: &str) -> Option<String> {
    let values = Values {
        clock: time.parse::<Timestamp>().ok()?,
        file_stem: "",
        format: "",
        env: &|name| Err(format!("the variable {name} is not set")),
    };
    Template::parse(text).ok()?.render(&values).ok()
}
