//! Packer's older templates: JSON, with `{{user}}` for variables.

use std::collections::BTreeSet;

use ::hcl::Value;

use super::blocks::{Block, sequence};
use super::builder::{Builder, one};
use super::cloud;
use super::links::link;
use super::node::{Broken, Content, Node};
use super::scope::{Scope, Variable};
use super::secrets::{secret_names, users};
use super::variables::{Given, Type};

/// The import blocks of a template, of a list of post-processors, or of one that stands
/// by itself.
pub(super) fn read(root: &Node, files: &[Node], given: &Given) -> Result<Vec<Block>, Broken> {
    let alone = matches!(root.content, Content::List(_)) || root.get("type").is_some();
    let lists: Vec<&Node> = if alone {
        vec![root]
    } else {
        root.all("post-processors").collect()
    };
    let declared = match root.get("variables") {
        Some(variables) => object(variables)?,
        None => &[],
    };
    let secrets = secrets(root, declared);
    let scope = Scope::new(variables(declared, &secrets, files, given), None);
    let mut builders = Vec::new();
    for builder in root.get("builders").map_or(&[][..], Node::items) {
        let kind = builder.get("type").and_then(Node::text).unwrap_or_default();
        builders.push(Builder {
            kind,
            name: builder.get("name").and_then(Node::text).unwrap_or(kind),
            settings: vec![builder],
        });
    }
    let built = |only: Option<&[&str]>| one(&builders, only, false)?.file(&scope);
    let mut blocks = Vec::new();
    for list in lists {
        let entries = match &list.content {
            Content::List(entries) => entries.as_slice(),
            _ if alone => std::slice::from_ref(list),
            _ => return Err(broken(list, "a list is expected here")),
        };
        for entry in entries {
            let mut links = Vec::new();
            for node in entry.items() {
                links.push(match node.text() {
                    // A post-processor without settings.
                    Some(kind) => link(&scope, kind, node),
                    None => {
                        object(node)?;
                        let kind = node.get("type").and_then(Node::text);
                        link(&scope, kind.unwrap_or_default(), node)
                    }
                });
            }
            blocks.extend(sequence(&links, &built));
        }
    }
    Ok(blocks)
}

/// The variables that secrets are read from, with those that they are made of, and what
/// is declared as sensitive.
fn secrets(root: &Node, declared: &[(String, Node)]) -> BTreeSet<String> {
    let names = root.all("sensitive-variables").flat_map(Node::items);
    let names = names.filter_map(|name| Some(format!("var.{}", name.text()?)));
    let mut open: Vec<_> = names.chain(secret_names(root)).collect();
    let mut secrets = BTreeSet::new();
    while let Some(name) = open.pop() {
        let short = name.trim_start_matches("var.");
        if secrets.insert(short.to_owned()) {
            let own = declared.iter().filter(|(other, _)| other == short);
            let texts = own.filter_map(|(_, node)| node.text());
            open.extend(texts.flat_map(users).map(|name| format!("var.{name}")));
        }
    }
    secrets
}

fn broken(node: &Node, why: &str) -> Broken {
    Broken {
        place: node.place.clone(),
        why: why.to_owned(),
    }
}

fn object(node: &Node) -> Result<&[(String, Node)], Broken> {
    match &node.content {
        Content::Object(members) => Ok(members),
        _ => Err(broken(node, "an object is expected here")),
    }
}

/// The variables of the template with the values that count: those of `--var`, of the files,
/// and the defaults. What is declared nowhere may be set, too.
fn variables(
    declared: &[(String, Node)],
    secrets: &BTreeSet<String>,
    files: &[Node],
    given: &Given,
) -> Vec<Variable> {
    let mut variables: Vec<Variable> = Vec::new();
    let mut set = |name: &str, value: Option<String>, is_default: bool| {
        variables.retain(|variable| variable.name != name);
        variables.push(Variable {
            name: name.to_owned(),
            kind: Type::Text,
            value: value.map(Value::from),
            environment: None,
            is_default,
            secret: secrets.contains(name) || cloud::is_secret(name),
        });
    };
    for (name, default) in declared {
        set(name, text(default), true);
    }
    for (name, node) in files.iter().flat_map(Node::members) {
        set(name, text(node), false);
    }
    for (name, value) in &given.arguments {
        set(name, Some(value.clone()), false);
    }
    variables
}

/// A text, or a number or a switch as one.
fn text(node: &Node) -> Option<String> {
    let Content::Value(value) = &node.content else {
        return None;
    };
    let number = || Some(value.as_number()?.to_string());
    let text = value.as_str().map(str::to_owned).or_else(number);
    text.or_else(|| Some(value.as_bool()?.to_string()))
}
