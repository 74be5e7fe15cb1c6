//! Deserializes values in all usual spellings: `40`, `"40"`, `true`, `"true"`; a list, or one
//! text with commas. Packer accepts all of these, and so does the settings file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};

use crate::net::endpoint;

/// One scalar of any kind, as it was written.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Integer(i64),
    Float(f64),
    Switch(bool),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Switch(switch) => switch.to_string(),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Self::deserialize(deserializer)
            .map(Self::text)
            .map_err(|_| D::Error::custom("expected a text, a number or true/false"))
    }
}

/// Deserializes anything that can be parsed from a text.
pub fn value<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    Scalar::read(deserializer)?
        .parse()
        .map(Some)
        .map_err(D::Error::custom)
}

/// Deserializes a switch, in every spelling that a flag accepts.
pub fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let text = Scalar::read(deserializer)?;
    super::switch(&text).map(Some).map_err(D::Error::custom)
}

/// Deserializes one of a set of names, ignoring case.
pub fn choice<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: clap::ValueEnum,
{
    let text = Scalar::read(deserializer)?;
    T::from_str(&text, true).map(Some).map_err(|_| {
        let names: Vec<_> = T::value_variants()
            .iter()
            .filter_map(T::to_possible_value)
            .collect();
        let names: Vec<_> = names
            .iter()
            .map(|name| format!("`{}`", name.get_name()))
            .collect();
        D::Error::custom(format!("`{text}` is not one of {}", names.join(", ")))
    })
}

/// Deserializes a list, or one text with commas.
pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Entries {
        Many(Vec<Scalar>),
        One(Scalar),
    }
    let entries =
        Entries::deserialize(deserializer).map_err(|_| D::Error::custom("expected a list"))?;
    Ok(Some(match entries {
        Entries::Many(entries) => entries.into_iter().map(Scalar::text).collect(),
        Entries::One(entry) => split(&entry.text()).map_err(D::Error::custom)?,
    }))
}

/// Deserializes a table of texts, such as tags.
pub fn pairs<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<(String, String)>>, D::Error> {
    let table = BTreeMap::<String, Scalar>::deserialize(deserializer)?;
    Ok(Some(
        table
            .into_iter()
            .map(|(key, value)| (key, value.text()))
            .collect(),
    ))
}

/// Deserializes the name of a region.
pub fn region<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Scalar::read(deserializer)?;
    endpoint::region(&text).map(Some).map_err(D::Error::custom)
}

/// Deserializes a list of regions.
pub fn regions<'de, D>(deserializer: D) -> Result<Option<Vec<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    let names = list(deserializer)?;
    let names = names.iter().flatten().map(|name| endpoint::region(name));
    let names: Result<_, _> = names.collect();
    names.map(Some).map_err(D::Error::custom)
}

/// Splits a list in a variable, or in one text of the file: entries are separated by commas or
/// lines. An entry with a comma is in double quotes, in which a double quote is written twice,
/// as in CSV (RFC 4180). White space around entries and empty ones are ignored.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut entries = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut entry = String::new();
        if let Some(inside) = rest.strip_prefix('"') {
            let (quoted, after) = parse_quoted(inside).ok_or("a double quote is never closed")?;
            entry = quoted;
            rest = after;
        }
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        entry.push_str(rest[..end].trim_end());
        rest = rest[end..].trim_start_matches([',', '\n']).trim_start();
        let entry = entry.trim();
        if !entry.is_empty() {
            entries.push(entry.to_owned());
        }
    }
    Ok(entries)
}

/// Returns the text up to the closing quote, and what follows.
fn parse_quoted(body: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut rest = body;
    loop {
        let (before, after) = rest.split_once('"')?;
        text.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                text.push('"');
                rest = more;
            }
            None => return Some((text, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_as_csv() {
        for (text, entries) in [
            ("", &[][..]),
            (" , ,,", &[]),
            ("a", &["a"]),
            (" a , b,,c ", &["a", "b", "c"]),
            ("a\nb\r\n", &["a", "b"]),
            (r#""a=1,2",b=3"#, &["a=1,2", "b=3"]),
            (r#" "a=1,2" , "b=3""#, &["a=1,2", "b=3"]),
            (r#""say ""hi"", you",b"#, &[r#"say "hi", you"#, "b"]),
            (r#"a="x",b"#, &[r#"a="x""#, "b"]),
            (r#""", a"#, &["a"]),
        ] {
            let split = split(text);
            assert_eq!(
                split.as_deref(),
                Ok(&entries.iter().map(|&e| e.to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
        assert!(split(r#""a=1,2"#).is_err());
    }
}
