//! A settings file before its keys have types: white space around values is removed, and what
//! is empty is as if it were not there. Unknown keys stay, so that they are refused.

use std::borrow::Cow;
use std::mem;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Error};

use super::SettingsFile;
use super::job_entry::JobEntry;
use crate::clouds::{CloudId, with_cloud};
use crate::config::{CloudOptions, OutputArgs, UploadArgs, WaitArgs, fields};

/// The document without white space around values and without known keys that are empty.
pub fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Error> {
    let mut document = DeTable::parse(text)?;
    tidy(document.get_mut(), "");
    Ok(document)
}

/// The keys of the table at this path; none of a table whose keys the user chooses, such as
/// tags, where an empty value says something.
fn known_keys(path: &str) -> &'static [&'static str] {
    match path.strip_prefix("job.").unwrap_or(path) {
        "" => fields::<SettingsFile>(),
        "job" => fields::<JobEntry>(),
        "upload" => fields::<UploadArgs>(),
        "wait" => fields::<WaitArgs>(),
        "output" => fields::<OutputArgs>(),
        path => {
            let (name, table) = path.split_once('.').unwrap_or((path, ""));
            CloudId::find(name).map_or(&[], |id| with_cloud!(id, C => C::known_keys(table)))
        }
    }
}

fn tidy(table: &mut DeTable<'_>, path: &str) {
    let known = known_keys(path);
    let mut emptied = Vec::new();
    for (key, value) in table.iter_mut() {
        let name: &str = key.get_ref();
        let inner = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        trim(value.get_mut(), &inner);
        // An empty table in a job still says which cloud the job is for; an empty name is none.
        let counts = path == "job" && (name == "name" || value.get_ref().is_table());
        if !counts && known.contains(&name) && is_empty(value.get_ref()) {
            emptied.push(key.clone());
        }
    }
    for key in emptied {
        table.remove(&key);
    }
}

fn trim(value: &mut DeValue<'_>, path: &str) {
    match value {
        DeValue::String(text) if text.trim().len() != text.len() => {
            *text = Cow::Owned(text.trim().to_owned());
        }
        DeValue::Array(entries) => {
            for mut entry in mem::replace(entries, DeArray::new()) {
                trim(entry.get_mut(), path);
                if entry.get_ref().as_str() != Some("") {
                    entries.push(entry);
                }
            }
        }
        DeValue::Table(table) => tidy(table, path),
        _ => {}
    }
}

fn is_empty(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => text.is_empty(),
        DeValue::Array(entries) => entries.is_empty(),
        DeValue::Table(table) => table.is_empty(),
        _ => false,
    }
}

/// A value as it would be written into a variable.
pub fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(entries) => {
            let entries: Vec<_> = entries.iter().map(text).collect();
            entries.join(",")
        }
        toml::Value::Table(table) => {
            let pairs = table
                .iter()
                .map(|(key, value)| format!("{key}={}", text(value)));
            pairs.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn empty_known_keys_are_removed() {
        let text = r#"
            image = "  "
            [aws]
            region = " eu-central-1\n"
            ami_users = ["", " "]
            ami_groups = []
            boot_mode = ""
            nonsense = ""
            assume_role = {role_arn = ""}
            tags = {Name = ""}
            [[job]]
            provider = ""
            [job.aws]
            bucket = ""
        "#;
        let document = parse(text).expect("TOML");
        let table = toml::Table::deserialize(toml::Deserializer::from(document)).expect("a table");
        let expected = r#"
            [aws]
            region = "eu-central-1"
            nonsense = ""
            tags = {Name = ""}
            [[job]]
            [job.aws]
        "#;
        assert_eq!(table, expected.parse().expect("TOML"));
    }
}
