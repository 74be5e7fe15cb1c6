//! Templates of HCL, in its native syntax or as JSON: variables, locals, and the imports
//! of the builds.

use std::collections::{BTreeMap, BTreeSet};

use ::hcl::Value;
use ::hcl::edit::Decorated;
use ::hcl::edit::expr::{Expression, TraversalOperator};

use super::blocks::{Block, Link, sequence};
use super::builder::{Builder, one};
use super::evaluate::names;
use super::links::link;
use super::node::{Content, Node};
use super::scope::{Scope, Variable};
use super::secrets::secret_names;
use super::variables::{Given, Type};
use super::{cloud, variables};
use crate::error::{Error, Result};

/// The import blocks of the files, whose members are those of `root`.
pub(super) fn read(
    root: &Node,
    folder: Option<&str>,
    files: &[Node],
    given: &Given,
) -> Result<Vec<Block>> {
    let locals = locals(root);
    let secrets = secrets(root, &locals);
    let declared = declarations(root);
    for (name, _) in &given.arguments {
        if !declared.iter().any(|declaration| declaration.name == name) {
            return Err(Error::usage(format!("--var {name} can't be set"))
                .because_of(format!("the template has no variable {name}")));
        }
    }
    let variables = declared
        .iter()
        .map(|declared| declared.settle(files, given, &secrets));
    let mut scope = Scope::new(variables.collect::<Result<_>>()?, folder);
    scope.locals(&locals, &secrets);
    let mut blocks = Vec::new();
    for build in std::iter::once(root).chain(root.blocks("build")) {
        let builders = builders(root, build);
        let built = |only: Option<&[&str]>| one(&builders, only, true)?.file(&scope);
        for (kind, node) in build.members() {
            let sequences: Vec<Vec<Link>> = match kind.as_str() {
                "post-processor" => {
                    let links = links(&scope, node);
                    links.into_iter().map(|link| vec![link]).collect()
                }
                "post-processors" => {
                    let lists = node.items().iter();
                    let inside = lists.map(|list| {
                        let inside = list.all("post-processor");
                        inside.flat_map(|node| links(&scope, node)).collect()
                    });
                    inside.collect()
                }
                _ => continue,
            };
            blocks.extend(sequences.iter().flat_map(|links| sequence(links, &built)));
        }
    }
    Ok(blocks)
}

/// `post-processor "KIND" {…}`, one or several.
fn links(scope: &Scope, node: &Node) -> Vec<Link> {
    let labeled = node.items().iter().flat_map(Node::members);
    let blocks = labeled.flat_map(|(kind, node)| node.items().iter().map(move |node| (kind, node)));
    blocks.map(|(kind, node)| link(scope, kind, node)).collect()
}

/// The builders that a build names.
fn builders<'n>(root: &'n Node, build: &'n Node) -> Vec<Builder<'n>> {
    let mut wanted: Vec<(String, Option<&Node>)> = Vec::new();
    for sources in build.all("sources") {
        wanted.extend(references(sources).into_iter().map(|name| (name, None)));
    }
    let own = build.labeled("source");
    wanted.extend(own.map(|(name, node)| (name.to_owned(), Some(node))));
    let mut builders = Vec::new();
    for (reference, own) in wanted {
        let reference = reference.strip_prefix("source.").unwrap_or(&reference);
        let declared = root.labeled("source").flat_map(|(kind, node)| {
            let named = node.members().iter();
            named.flat_map(move |(name, node)| {
                node.items()
                    .iter()
                    .map(move |node| (kind, name.as_str(), node))
            })
        });
        let found = declared.filter(|(kind, name, _)| format!("{kind}.{name}") == reference);
        builders.extend(found.map(|(kind, name, node)| Builder {
            kind,
            name,
            settings: own.into_iter().chain([node]).collect(),
        }));
    }
    builders
}

/// `["source.qemu.web"]`, or the names without quotes.
fn references(sources: &Node) -> Vec<String> {
    let expressions: Vec<&Expression> = match &sources.content {
        Content::Value(Expression::Array(list)) => list.iter().collect(),
        _ => sources.expressions(),
    };
    let name = |expression: &Expression| match expression {
        Expression::String(name) => name.value().clone(),
        Expression::Traversal(traversal) => {
            let root = traversal
                .expr
                .as_variable()
                .map_or("", |root| root.as_str());
            let rest = traversal.operators.iter().map(Decorated::value);
            let rest = rest.map(|operator| match operator {
                TraversalOperator::GetAttr(name) => name.as_str(),
                _ => "",
            });
            std::iter::once(root)
                .chain(rest)
                .collect::<Vec<_>>()
                .join(".")
        }
        // Nothing has this name, so that no builder is certain.
        _ => String::new(),
    };
    expressions.into_iter().map(name).collect()
}

fn locals(root: &Node) -> BTreeMap<String, Node> {
    let grouped = root.blocks("locals").flat_map(Node::members);
    let grouped = grouped.map(|(name, node)| (name.clone(), node.clone()));
    let single = root
        .labeled("local")
        .filter_map(|(name, node)| Some((name.to_owned(), node.get("expression")?.clone())));
    grouped.chain(single).collect()
}

/// The names that secrets are read from, with those that they are made of, and what is
/// declared as sensitive.
fn secrets(root: &Node, locals: &BTreeMap<String, Node>) -> BTreeSet<String> {
    let mut open = secret_names(root);
    let sensitive = |kind: &'static str, prefix: &'static str| {
        let blocks = root.labeled(kind).filter(|(_, node)| is_sensitive(node));
        blocks.map(move |(name, _)| format!("{prefix}.{name}"))
    };
    let mut secrets: BTreeSet<String> = sensitive("variable", "var").collect();
    secrets.extend(sensitive("local", "local"));
    while let Some(name) = open.pop() {
        let local = name
            .strip_prefix("local.")
            .and_then(|name| locals.get(name));
        if let Some(local) = local.filter(|_| !secrets.contains(&name)) {
            open.extend(local.expressions().into_iter().flat_map(names));
        }
        secrets.insert(name);
    }
    secrets
}

fn is_sensitive(block: &Node) -> bool {
    let said = block.get("sensitive");
    said.is_some_and(|said| {
        said.expressions()
            .iter()
            .any(|said| said.as_bool() != Some(false))
    })
}

/// A variable as it is declared.
struct Declaration<'n> {
    name: &'n str,
    declared: Option<&'n Node>,
    default: Option<&'n Node>,
}

fn declarations(root: &Node) -> Vec<Declaration<'_>> {
    let single = root.labeled("variable").map(|(name, block)| Declaration {
        name,
        declared: block.get("type"),
        default: block.get("default"),
    });
    let grouped = root.blocks("variables").flat_map(Node::members);
    let grouped = grouped.map(|(name, default)| Declaration {
        name,
        declared: None,
        default: Some(default),
    });
    single.chain(grouped).collect()
}

impl Declaration<'_> {
    /// The value that counts.
    fn settle(
        &self,
        files: &[Node],
        given: &Given,
        secrets: &BTreeSet<String>,
    ) -> Result<Variable> {
        let default = self.default.and_then(literal);
        let kind = Type::of(self.declared, default.as_ref());
        let mut variable = Variable {
            name: self.name.to_owned(),
            value: None,
            environment: None,
            is_default: false,
            secret: secrets.contains(&format!("var.{}", self.name)) || cloud::is_secret(self.name),
            kind,
        };
        let unfit = |place: &str| {
            Error::usage(format!("the variable {} can't be set", self.name))
                .because_of(format!("its value in {place} does not fit its type"))
        };
        let last = |values: &[(String, String)]| {
            let value = values.iter().rev().find(|(name, _)| name == self.name);
            value.map(|(_, value)| value.clone())
        };
        let other = variable.kind == Type::Other;
        let text = |value: String, place: &str| match variable.kind.parse(&value) {
            None if !other => Err(unfit(place)),
            value => Ok(value),
        };
        let in_file = files.iter().rev().find_map(|file| file.get(self.name));
        if let Some(value) = last(&given.arguments) {
            variable.value = text(value, "--var")?;
        } else if let Some(node) = in_file {
            variable.value = literal(node).and_then(|value| variable.kind.convert(value));
            if variable.value.is_none() && !other {
                return Err(unfit(&node.place.to_string()));
            }
        } else if let Some(value) = last(&given.environment) {
            variable.value = text(value, &format!("PKR_VAR_{}", self.name))?;
        } else {
            variable.environment = self.default.and_then(environment);
            variable.value = default.and_then(|value| variable.kind.convert(value));
            variable.is_default = true;
        }
        Ok(variable)
    }
}

/// The name in `env("NAME")`.
fn environment(default: &Node) -> Option<String> {
    match &default.content {
        Content::Value(Expression::FuncCall(call)) if call.name.name.as_str() == "env" => {
            Some(call.args.get(0)?.as_str()?.to_owned())
        }
        _ => None,
    }
}

/// The value of a node without variables and functions.
pub(super) fn literal(node: &Node) -> Option<Value> {
    match &node.content {
        Content::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, node)| Some((name.clone(), literal(node)?)));
            Some(Value::Object(members.collect::<Option<_>>()?))
        }
        Content::List(items) => {
            let items = items.iter().map(literal);
            Some(Value::Array(items.collect::<Option<_>>()?))
        }
        Content::Value(expression) => variables::constant(expression),
    }
}
