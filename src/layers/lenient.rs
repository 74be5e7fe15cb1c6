//! Values as people write them: `40`, `"40"`, `true`, `"true"`; a list, or one text
//! with commas. Packer accepts all of these, and so does the settings file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};

/// One scalar of any kind, kept as it was written.
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

/// Anything that can be read from a text.
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

/// A switch, in every way that a flag takes it.
pub fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let text = Scalar::read(deserializer)?;
    super::switch(&text).map(Some).map_err(D::Error::custom)
}

/// One of a row of names, in either case.
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

/// A list, or one text with commas.
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
        Entries::One(entry) => split(&entry.text()),
    }))
}

/// A table of texts, such as tags.
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

/// `a, b` as a list: how a list looks in a variable.
pub fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}
