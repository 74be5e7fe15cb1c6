//! Reads a post-processor of a template, and converts each value to a setting.

use std::collections::BTreeSet;

use super::blocks::{Entry, EntryValue, Known, PostProcessor};
use super::document::{Content, Node, Place};
use super::evaluate::evaluate;
use super::keys;
use super::references::references;
use super::scope::Scope;
use super::templates::expand;
use super::value::{Deferred, Value};

/// Reads the post-processor of this kind.
pub(super) fn post_processor(scope: &Scope, kind: &str, node: &Node) -> PostProcessor {
    let mut reader = Reader {
        scope,
        entries: Vec::new(),
    };
    for (key, value) in node.members() {
        match key.as_str() {
            // HCL in JSON has its comments in a member of this name.
            "name" | "type" | "//" => {}
            "dynamic" => {
                for (label, block) in value.labels() {
                    let unknown = EntryValue::Unknown("it is a dynamic block".to_owned());
                    reader.push(&[label.to_owned()], &block.place, unknown);
                }
            }
            "tag" => {
                for block in value.items() {
                    reader.tag(block);
                }
            }
            _ => reader.node(std::slice::from_ref(key), value),
        }
    }
    let name = node.get("name");
    let name = name.and_then(|name| evaluate(name, scope).ok());
    let name = name.as_ref().and_then(Value::as_str);
    PostProcessor {
        kind: kind.to_owned(),
        name: name.filter(|name| !name.contains("{{")).map(str::to_owned),
        place: node.place.clone(),
        entries: reader.entries,
    }
}

struct Reader<'s> {
    scope: &'s Scope,
    entries: Vec<Entry>,
}

impl Reader<'_> {
    fn push(&mut self, path: &[String], place: &Place, value: EntryValue) {
        self.entries.push(Entry {
            path: path.to_vec(),
            place: place.clone(),
            value,
        });
    }

    /// Reads `tag { key = … value = … }` as one tag.
    fn tag(&mut self, block: &Node) {
        let (Some(key), Some(value)) = (block.get("key"), block.get("value")) else {
            return self.node(&["tag".to_owned()], block);
        };
        let name = evaluate(key, self.scope);
        let name = name.and_then(|name| Ok(name.into_text()?.known()?.to_owned()));
        match name {
            Ok(name) => self.node(&["tags".to_owned(), name], value),
            Err(reason) => self.push(
                &["tag".to_owned()],
                &block.place,
                EntryValue::Unknown(reason),
            ),
        }
    }

    fn node(&mut self, path: &[String], node: &Node) {
        if path.len() == 1 && keys::is_secret(&path[0]) {
            return self.push(path, &node.place, EntryValue::Secret);
        }
        let is_object = |item: &Node| matches!(item.content, Content::Object(_));
        match &node.content {
            Content::Object(members) => {
                for (key, value) in members {
                    self.node(&[path, std::slice::from_ref(key)].concat(), value);
                }
            }
            Content::List(items) if !items.is_empty() && items.iter().all(is_object) => {
                for item in items {
                    self.node(path, item);
                }
            }
            _ => match evaluate(node, self.scope) {
                Ok(value) => self.value(path, node, value),
                Err(reason) => self.push(path, &node.place, EntryValue::Unknown(reason)),
            },
        }
    }

    fn value(&mut self, path: &[String], node: &Node, value: Value) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    self.value(&[path, &[key]].concat(), node, value);
                }
            }
            // In Packer, null leaves the key unset.
            Value::Null => {}
            value => {
                let mut environment = BTreeSet::new();
                // Packer evaluates keys, too; the settings do not.
                let value = if path.iter().any(|key| key.contains("{{")) {
                    Err("its key has a {{…}}".to_owned())
                } else {
                    let has_templates = keys::has_templates(&path[0]);
                    to_toml(value, self.scope, has_templates, &mut environment)
                };
                let value = match value {
                    Ok(value) => EntryValue::Known(Known {
                        value,
                        defaults: self.scope.defaults(&references(node)),
                        environment,
                    }),
                    Err(reason) => EntryValue::Unknown(reason),
                };
                self.push(path, &node.place, value);
            }
        }
    }
}

/// Converts a value to a value of the settings. `has_templates`: the import evaluates `{{…}}`
/// in it; the variables of the environment that it then reads are added to `environment`.
fn to_toml(
    value: Value,
    scope: &Scope,
    has_templates: bool,
    environment: &mut BTreeSet<String>,
) -> Result<::toml::Value, String> {
    Ok(match value {
        Value::Text(text) => {
            let text = expand(&text, &|name| scope.user(name))?;
            if !has_templates {
                return Ok(text.known()?.into());
            }
            for deferred in text.deferred() {
                if let Deferred::Environment { name, .. } = deferred {
                    environment.insert(name.clone());
                }
            }
            text.to_template()?.into()
        }
        Value::Bool(value) => value.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(float)) if number.is_f64() => float.into(),
            _ => return Err("it is too large a number".to_owned()),
        },
        Value::List(items) => {
            // Every list of a post-processor contains texts.
            let items = items.into_iter().map(|item| {
                let item = Value::Text(item.into_text()?);
                to_toml(item, scope, has_templates, environment)
            });
            items.collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Object(_) | Value::Null => return Err("it is not a text".to_owned()),
    })
}
