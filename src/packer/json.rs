//! Packer's older language: JSON, with `{{user}}` for variables. Values are kept as they
//! stand in the text, so that each can be shown with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ::toml::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::blocks::{Block, Broken, Entry, Link, Remark, Said, line, sequence};
use super::cloud;
use super::holes::{self, Names};
use crate::template::{Token, tokens};

/// Variables may be made of variables; Packer, too, gives up at some point.
const DEEPEST: usize = 8;

/// The members of an object in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Members)
    }
}

/// A template and its variables.
struct Document<'a> {
    text: &'a str,
    variables: BTreeMap<String, Option<String>>,
    secrets: BTreeSet<String>,
}

/// The import blocks of a template, of a list of post-processors or of one alone.
pub(super) fn read(text: &str) -> Result<Vec<Block>, Broken> {
    // As the documentation shows it: `"post-processors": […]` with nothing around it.
    let wrapped = text.trim_start().starts_with('"');
    let text = &if wrapped {
        format!("{{{text}}}")
    } else {
        text.to_owned()
    };
    let root: &RawValue = serde_json::from_str(text).map_err(|error| Broken {
        line: Some(error.line()),
        why: plain(&error),
    })?;
    let mut document = Document {
        text,
        variables: BTreeMap::new(),
        secrets: BTreeSet::new(),
    };
    if root.get().starts_with('[') {
        return document.post_processors(root);
    }
    let members = document.members(root)?;
    if members.iter().any(|(name, _)| name == "type") {
        let link = document.link(root)?;
        return Ok(sequence(vec![link]));
    }
    if members
        .iter()
        .any(|(name, _)| name == "build" || name == "source")
    {
        return Err(Broken {
            line: None,
            why: "it is HCL written as JSON (.pkr.json), of which only the native form (.pkr.hcl) is read here".to_owned(),
        });
    }
    for (name, value) in &members {
        match name.as_str() {
            "variables" => document.variables = document.defaults(value)?,
            "sensitive-variables" => document.secrets.extend(document.texts(value)),
            _ => {}
        }
    }
    let lists = members.iter().filter(|(name, _)| name == "post-processors");
    let lists: Vec<_> = lists.map(|(_, value)| *value).collect();
    for list in &lists {
        let used = document.secret_variables(list, 0);
        document.secrets.extend(used);
    }
    let mut blocks = Vec::new();
    for list in lists {
        blocks.extend(document.post_processors(list)?);
    }
    Ok(blocks)
}

/// What is wrong with the text, without the place and without the text itself.
fn plain(error: &serde_json::Error) -> String {
    if error.is_data() {
        return "it is not what a template is made of".to_owned();
    }
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    format!("{said} (column {})", error.column())
}

impl Document<'_> {
    fn line(&self, value: &RawValue) -> usize {
        let at = value.get().as_ptr().addr() - self.text.as_ptr().addr();
        line(self.text, at)
    }

    fn broken(&self, value: &RawValue, why: &str) -> Broken {
        Broken {
            line: Some(self.line(value)),
            why: why.to_owned(),
        }
    }

    fn members<'v>(&self, value: &'v RawValue) -> Result<Vec<(String, &'v RawValue)>, Broken> {
        serde_json::from_str::<Members<'_>>(value.get())
            .map(|members| members.0)
            .map_err(|_| self.broken(value, "an object is expected here"))
    }

    fn list<'v>(&self, value: &'v RawValue) -> Result<Vec<&'v RawValue>, Broken> {
        serde_json::from_str(value.get()).map_err(|_| self.broken(value, "a list is expected here"))
    }

    /// The texts of a list, or the one text that stands in its place.
    fn texts(&self, value: &RawValue) -> Vec<String> {
        let list = self.list(value).unwrap_or_else(|_| vec![value]);
        list.into_iter().filter_map(text).collect()
    }

    fn defaults(&self, value: &RawValue) -> Result<BTreeMap<String, Option<String>>, Broken> {
        let members = self.members(value)?;
        let default = |(name, value): (String, &RawValue)| match value.get() {
            "null" => (name, None),
            other => (name, Some(text(value).unwrap_or_else(|| other.to_owned()))),
        };
        Ok(members.into_iter().map(default).collect())
    }

    /// A list of post-processors and of sequences of them.
    fn post_processors(&self, value: &RawValue) -> Result<Vec<Block>, Broken> {
        let mut blocks = Vec::new();
        for entry in self.list(value)? {
            let links = if entry.get().starts_with('[') {
                self.list(entry)?
            } else {
                vec![entry]
            };
            let links = links.into_iter().map(|link| self.link(link));
            blocks.extend(sequence(links.collect::<Result<_, _>>()?));
        }
        Ok(blocks)
    }

    fn link(&self, value: &RawValue) -> Result<Link, Broken> {
        let mut link = Link {
            kind: text(value).unwrap_or_default(),
            name: None,
            line: self.line(value),
            entries: Vec::new(),
            files: Vec::new(),
        };
        if !link.kind.is_empty() {
            return Ok(link);
        }
        let members = self.members(value)?;
        for (key, value) in &members {
            match key.as_str() {
                "type" => link.kind = text(value).unwrap_or_default(),
                "name" => link.name = text(value),
                "files" => link.files = self.files(value),
                _ => {}
            }
        }
        for (key, value) in &members {
            if !matches!(key.as_str(), "type" | "name") {
                self.entries(std::slice::from_ref(key), value, &mut link.entries);
            }
        }
        Ok(link)
    }

    /// The files of an artifice, as far as they are known.
    fn files(&self, value: &RawValue) -> Vec<String> {
        let files = self.texts(value);
        let known = |file: String| holes::translate(&file, self, &mut Vec::new()).ok();
        files.into_iter().filter_map(known).collect()
    }

    /// What stands under this key, each value on its own.
    fn entries(&self, path: &[String], value: &RawValue, entries: &mut Vec<Entry>) {
        let mut push = |value_said| {
            entries.push(Entry {
                path: path.to_vec(),
                line: self.line(value),
                value: value_said,
            });
        };
        if path.len() == 1 && cloud::is_secret(&path[0]) {
            return push(Said::Secret);
        }
        if path.len() > DEEPEST {
            return push(Said::Unclear("it is nested too deeply".to_owned()));
        }
        match value.get().as_bytes().first() {
            Some(b'{') => {
                for (key, value) in self.members(value).unwrap_or_default() {
                    self.entries(&[path, &[key]].concat(), value, entries);
                }
            }
            Some(b'n') => {}
            _ => push(self.value(value)),
        }
    }

    fn value(&self, value: &RawValue) -> Said {
        let mut remarks = Vec::new();
        let said = if value.get().starts_with('[') {
            let list = self.list(value).unwrap_or_default().into_iter();
            let list = list.map(|value| self.scalar(value, &mut remarks));
            list.collect::<Result<_, _>>().map(Value::Array)
        } else {
            self.scalar(value, &mut remarks)
        };
        said.map_or_else(Said::Unclear, |value| Said::Value(value, remarks))
    }

    fn scalar(&self, value: &RawValue, remarks: &mut Vec<Remark>) -> Result<Value, String> {
        if let Some(text) = text(value) {
            return holes::translate(&text, self, remarks).map(Value::String);
        }
        let plain = || "it is not a text, a number, a switch or a list of these".to_owned();
        serde_json::from_str::<Value>(value.get())
            .ok()
            .filter(|value| !value.is_array() && !value.is_table())
            .ok_or_else(plain)
    }

    /// The variables that secrets are read from: theirs are secrets, too.
    fn secret_variables(&self, value: &RawValue, depth: usize) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        if depth > DEEPEST {
            return found;
        }
        for entry in self.list(value).unwrap_or_default() {
            found.extend(self.secret_variables(entry, depth + 1));
        }
        for (key, value) in self.members(value).unwrap_or_default() {
            if cloud::is_secret(&key) {
                found.extend(text(value).iter().flat_map(|text| self.named(text, 0)));
            }
        }
        found
    }

    /// The names in quotes in a text's holes, and in those of the variables so named.
    fn named(&self, text: &str, depth: usize) -> Vec<String> {
        let mut names = Vec::new();
        let holes = text.match_indices("{{");
        for (found, _) in holes.filter_map(|(at, _)| tokens(&text[at..])) {
            for token in found {
                if let (Token::Quoted(name), true) = (token, depth <= DEEPEST) {
                    let inside = self.variables.get(&name).and_then(Option::as_ref);
                    names.extend(inside.iter().flat_map(|text| self.named(text, depth + 1)));
                    names.push(name);
                }
            }
        }
        names
    }
}

impl Names for Document<'_> {
    fn user(&self, name: &str, remarks: &mut Vec<Remark>) -> Result<String, String> {
        let default = self.variables.get(name).and_then(Option::as_ref);
        let default = default.filter(|_| !self.secrets.contains(name));
        let Some(default) = default else {
            return Ok(holes::environment(&format!("PKR_VAR_{name}"), remarks));
        };
        let remark = Remark::Default(name.to_owned());
        if remarks.len() > DEEPEST {
            return Err("its variables are made of each other".to_owned());
        }
        remarks.push(remark);
        holes::translate(default, self, remarks)
    }
}

/// The value, if it is a text.
fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}
