//! Reads templates of HCL, in its native syntax or as JSON: variables, locals, and the
//! imports of the builds.

use std::collections::{BTreeMap, BTreeSet};

use ::hcl::edit::Decorated;
use ::hcl::edit::expr::{Expression, TraversalOperator};

use super::blocks::{Import, PostProcessor, imports};
use super::builder::{Builder, single};
use super::document::{Content, Node};
use super::evaluate::evaluate;
use super::post_processor::post_processor;
use super::references::{name, references, secrets};
use super::scope::Scope;
use super::value::Value;
use super::variables::{Declaration, VariableSources};
use crate::error::{Error, Result};

/// Returns the imports of the files, whose members are those of `root`.
pub(super) fn read(
    root: &Node,
    folder: Option<&str>,
    files: &[Node],
    sources: &VariableSources,
) -> Result<Vec<Import>> {
    let scope = scope(root, folder, files, sources)?;
    let mut found = Vec::new();
    for build in std::iter::once(root).chain(root.blocks("build")) {
        let builders = builders(root, build);
        let built = |only: Option<&[&str]>| single(&builders, only, true)?.file(&scope);
        for (kind, node) in build.members() {
            let sequences: Vec<Vec<PostProcessor>> = match kind.as_str() {
                "post-processor" => {
                    let single = post_processors(&scope, node).into_iter();
                    single.map(|post_processor| vec![post_processor]).collect()
                }
                "post-processors" => {
                    let lists = node.items().iter();
                    let lists = lists.map(|list| {
                        let nodes = list.members().iter();
                        let nodes = nodes.filter(|(kind, _)| kind == "post-processor");
                        nodes
                            .flat_map(|(_, node)| post_processors(&scope, node))
                            .collect()
                    });
                    lists.collect()
                }
                _ => continue,
            };
            found.extend(
                sequences
                    .iter()
                    .flat_map(|sequence| imports(sequence, &built)),
            );
        }
    }
    Ok(found)
}

/// Reads `post-processor "KIND" {…}`, one or several.
fn post_processors(scope: &Scope, node: &Node) -> Vec<PostProcessor> {
    let blocks = node.labels();
    blocks
        .map(|(kind, node)| post_processor(scope, kind, node))
        .collect()
}

/// Reads the variables and locals.
fn scope(
    root: &Node,
    folder: Option<&str>,
    files: &[Node],
    sources: &VariableSources,
) -> Result<Scope> {
    let grouped = root.blocks("locals").flat_map(Node::members);
    let grouped = grouped.map(|(name, node)| (name.as_str(), node));
    let labeled = root.labeled("local");
    let labeled = labeled.filter_map(|(name, node)| Some((name, node.get("expression")?)));
    let locals = grouped.chain(labeled);
    let locals: BTreeMap<String, &Node> = locals
        .map(|(name, node)| (format!("local.{name}"), node))
        .collect();
    let variables = declarations(root);
    for (name, _) in &sources.options {
        if !variables.iter().any(|variable| variable.name == name) {
            return Err(Error::usage(format!("could not set --var {name}"))
                .with_cause(format!("the template has no variable {name}")));
        }
    }
    let sensitive = [("variable", "var"), ("local", "local")].map(|(kind, prefix)| {
        let blocks = root.labeled(kind).filter(|(_, node)| is_sensitive(node));
        blocks.map(move |(name, _)| format!("{prefix}.{name}"))
    });
    let sensitive = sensitive.into_iter().flatten();
    let secrets = secrets(root, sensitive, |name| locals.get(name).copied());
    let mut scope = Scope::default();
    if let Some(folder) = folder {
        let folder = Value::text(folder);
        scope.insert("path.root".to_owned(), Ok(folder), BTreeSet::new());
    }
    for variable in variables {
        variable.define(&mut scope, files, sources, &secrets)?;
    }
    scope.insert_all(
        locals,
        |node| references(node),
        |scope, name, node| {
            if secrets.contains(name) {
                return (Err(format!("{name}, which is secret")), None);
            }
            let value = evaluate(node, scope);
            let unknown = |reason| format!("{name}, which is not known ({reason})");
            (value.map_err(unknown), None)
        },
    );
    Ok(scope)
}

fn declarations(root: &Node) -> Vec<Declaration<'_>> {
    let labeled = root.labeled("variable").map(|(name, block)| Declaration {
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
    labeled.chain(grouped).collect()
}

fn is_sensitive(block: &Node) -> bool {
    let Some(sensitive) = block.get("sensitive") else {
        return false;
    };
    let mut values = sensitive.expressions().into_iter();
    values.any(|value| value.as_bool() != Some(false))
}

/// Returns the builders that a build names.
fn builders<'n>(root: &'n Node, build: &'n Node) -> Vec<Builder<'n>> {
    let listed = build.blocks("sources").map(|item| (reference(item), None));
    let own = build.labeled("source");
    let own = own.map(|(name, node)| (name.to_owned(), Some(node)));
    let declared = || {
        let kinds = root.labeled("source");
        kinds.flat_map(|(kind, node)| node.labels().map(move |(name, node)| (kind, name, node)))
    };
    let builders = listed.chain(own).flat_map(|(reference, own)| {
        let reference = reference
            .strip_prefix("source.")
            .unwrap_or(&reference)
            .to_owned();
        let found = declared().filter(move |(kind, name, _)| format!("{kind}.{name}") == reference);
        found.map(move |(kind, name, node)| Builder {
            kind,
            name,
            settings: own.into_iter().chain([node]).collect(),
        })
    });
    builders.collect()
}

/// Returns `source.qemu.web`, written with quotes or without; for anything else a name that
/// matches no builder.
fn reference(source: &Node) -> String {
    match &source.content {
        Content::Value(Expression::String(name)) => name.value().clone(),
        Content::Value(Expression::Traversal(traversal)) => {
            let rest = traversal.operators.iter().skip(1).map(Decorated::value);
            let rest = rest.map(|operator| match operator {
                TraversalOperator::GetAttr(name) => name.as_str(),
                _ => "",
            });
            let first = name(traversal).unwrap_or_default();
            std::iter::once(first.as_str())
                .chain(rest)
                .collect::<Vec<_>>()
                .join(".")
        }
        _ => String::new(),
    }
}
