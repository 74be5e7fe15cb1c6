//! A post-processor of a template with its entries, each value as the settings have it.

use ::hcl::Value;

use super::blocks::{Entry, Link, Said};
use super::cloud;
use super::holes;
use super::node::{Content, Node, Place};
use super::scope::Scope;

/// Reads the post-processor of this kind.
pub(super) fn link(scope: &Scope, kind: &str, node: &Node) -> Link {
    let mut entries = Vec::new();
    let mut reader = Reader {
        scope,
        entries: &mut entries,
    };
    for (key, value) in node.members() {
        // HCL in JSON has its comments in a member of this name.
        if !["name", "type", "//"].contains(&key.as_str()) {
            reader.member(&[], key, value);
        }
    }
    let name = node.get("name").and_then(|name| scope.evaluate(name).ok());
    let name = name.as_ref().and_then(Value::as_str);
    Link {
        kind: kind.to_owned(),
        name: name
            .filter(|name| !holes::is_open(name) && !name.contains("{{"))
            .map(str::to_owned),
        place: node.place.clone(),
        entries,
    }
}

struct Reader<'s> {
    scope: &'s Scope,
    entries: &'s mut Vec<Entry>,
}

impl Reader<'_> {
    fn push(&mut self, path: &[String], place: &Place, value: Said) {
        self.entries.push(Entry {
            path: path.to_vec(),
            place: place.clone(),
            value,
        });
    }

    fn member(&mut self, path: &[String], key: &str, node: &Node) {
        if path.is_empty() && key == "dynamic" {
            for (label, block) in node.items().iter().flat_map(Node::members) {
                let why = Said::Unclear("it is a dynamic block".to_owned());
                self.push(std::slice::from_ref(label), &block.place, why);
            }
            return;
        }
        if path.is_empty() && key == "tag" {
            for block in node.items() {
                self.tag(block);
            }
            return;
        }
        self.node(&[path, &[key.to_owned()]].concat(), node);
    }

    /// `tag { key = … value = … }`, as the blocks for one tag each.
    fn tag(&mut self, block: &Node) {
        let (Some(key), Some(value)) = (block.get("key"), block.get("value")) else {
            return self.node(&["tag".to_owned()], block);
        };
        match self.scope.evaluate(key) {
            Ok(Value::String(key)) if !holes::is_open(&key) => {
                self.node(&["tags".to_owned(), key], value);
            }
            Ok(_) => self.push(
                &["tag".to_owned()],
                &block.place,
                Said::Unclear("its key is known only when the import runs".to_owned()),
            ),
            Err(why) => self.push(&["tag".to_owned()], &block.place, Said::Unclear(why)),
        }
    }

    fn node(&mut self, path: &[String], node: &Node) {
        if path.len() == 1 && cloud::is_secret(&path[0]) {
            return self.push(path, &node.place, Said::Secret);
        }
        let blocks = |items: &[Node]| {
            let block = |item: &Node| matches!(item.content, Content::Object(_));
            !items.is_empty() && items.iter().all(block)
        };
        match &node.content {
            Content::Object(members) => {
                for (key, value) in members {
                    self.member(path, key, value);
                }
            }
            Content::List(items) if blocks(items) => {
                for item in items {
                    self.node(path, item);
                }
            }
            _ => match self.scope.evaluate(node) {
                Ok(value) => self.value(path, node, value),
                Err(why) => self.push(path, &node.place, Said::Unclear(why)),
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
            // Packer leaves the key unset.
            Value::Null => {}
            value => {
                let mut remarks = self.scope.defaults_in(node);
                let user = |name: &str, remarks: &mut Vec<_>| self.scope.user(name, remarks);
                let said = plain(value, &mut |text| {
                    holes::translate(text, &user, &mut remarks)
                });
                let said = said.map_or_else(Said::Unclear, |value| Said::Value(value, remarks));
                self.push(path, &node.place, said);
            }
        }
    }
}

fn plain(
    value: Value,
    translate: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<::toml::Value, String> {
    Ok(match value {
        Value::String(text) => translate(&text)?.into(),
        Value::Bool(switch) => switch.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => return Err("it is too large a number".to_owned()),
        },
        Value::Array(list) => {
            let list = list.into_iter().map(|value| plain(value, translate));
            list.collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Object(_) | Value::Null => {
            return Err("it is a list of something else than texts".to_owned());
        }
    })
}
