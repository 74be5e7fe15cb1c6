//! Reads Packer's legacy templates: JSON, with `{{user}}` for variables.

use std::collections::BTreeMap;

use super::blocks::{Import, imports};
use super::builder::{Builder, single};
use super::document::{Content, Node, ParseError};
use super::evaluate::evaluate;
use super::keys;
use super::post_processor::post_processor;
use super::references::{secrets, users};
use super::scope::Scope;
use super::templates::expand;
use super::value::{Text, Value};
use super::variables::{VariableSources, secret};

/// Returns the imports of a template, of a list of post-processors, or of a single one.
pub(super) fn read(
    root: &Node,
    files: &[Node],
    sources: &VariableSources,
) -> Result<Vec<Import>, ParseError> {
    let is_part = matches!(root.content, Content::List(_)) || root.get("type").is_some();
    let lists: Vec<&Node> = if is_part {
        vec![root]
    } else {
        let members = root.members().iter();
        let lists = members.filter(|(name, _)| name == "post-processors");
        lists.map(|(_, node)| node).collect()
    };
    let scope = scope(root, files, sources)?;
    let mut builders = Vec::new();
    for builder in root.blocks("builders") {
        let kind = builder.get("type").and_then(Node::text).unwrap_or_default();
        builders.push(Builder {
            kind,
            name: builder.get("name").and_then(Node::text).unwrap_or(kind),
            settings: vec![builder],
        });
    }
    let built = |only: Option<&[&str]>| single(&builders, only, false)?.file(&scope);
    let mut found = Vec::new();
    for list in lists {
        if !is_part && !matches!(list.content, Content::List(_)) {
            return Err(invalid(list, "a list is expected here"));
        }
        for sequence in list.items() {
            let mut post_processors = Vec::new();
            for node in sequence.items() {
                // A post-processor without options is only its type.
                let kind = match node.text() {
                    Some(kind) => Some(kind),
                    None => {
                        object(node)?;
                        node.get("type").and_then(Node::text)
                    }
                };
                post_processors.push(post_processor(&scope, kind.unwrap_or_default(), node));
            }
            found.extend(imports(&post_processors, &built));
        }
    }
    Ok(found)
}

fn invalid(node: &Node, reason: &str) -> ParseError {
    ParseError {
        place: node.place.clone(),
        reason: reason.to_owned(),
    }
}

fn object(node: &Node) -> Result<&[(String, Node)], ParseError> {
    match &node.content {
        Content::Object(members) => Ok(members),
        _ => Err(invalid(node, "an object is expected here")),
    }
}

/// A variable with its effective value.
struct Variable {
    text: Option<String>,
    is_default: bool,
}

/// Reads the variables: those of the template with their defaults, then the files, then
/// `--var`. A variable that the template does not declare may be set, too.
fn scope(root: &Node, files: &[Node], sources: &VariableSources) -> Result<Scope, ParseError> {
    let declared = match root.get("variables") {
        Some(variables) => object(variables)?,
        None => &[],
    };
    let sensitive = root.blocks("sensitive-variables");
    let sensitive = sensitive.filter_map(|name| Some(format!("var.{}", name.text()?)));
    let secrets = secrets(root, sensitive, |name| {
        let mut declared = declared.iter().rev();
        let declared = declared.find(|(own, _)| name.strip_prefix("var.") == Some(own));
        declared.map(|(_, node)| node)
    });
    let defaults = declared.iter().map(|(name, node)| (name, text(node), true));
    let values = files.iter().flat_map(Node::members);
    let values = values.map(|(name, node)| (name, text(node), false));
    let options = sources.options.iter();
    let options = options.map(|(name, value)| (name, Some(value.clone()), false));
    let mut variables = BTreeMap::new();
    for (name, text, is_default) in defaults.chain(values).chain(options) {
        variables.insert(format!("var.{name}"), Variable { text, is_default });
    }
    // A required variable without a value must be undefined for `Scope::user`.
    variables.retain(|name, variable| variable.text.is_some() || secrets.contains(name));
    let mut scope = Scope::with_user();
    scope.insert_all(
        variables,
        |variable| users(variable.text.as_deref().unwrap_or_default()).collect(),
        |scope, full, variable| {
            let name = full.trim_start_matches("var.");
            if secrets.contains(full) || keys::is_secret(name) {
                return (Err(secret(name)), None);
            }
            let text = Text::new(variable.text.as_deref().unwrap_or_default());
            match expand(&text, &|name| scope.user(name)) {
                Ok(text) => {
                    let is_default = variable.is_default && text.known().is_ok();
                    (Ok(Value::Text(text)), is_default.then(|| name.to_owned()))
                }
                Err(reason) => {
                    let unknown = format!("the variable {name}, which is not known ({reason})");
                    (Err(unknown), None)
                }
            }
        },
    );
    Ok(scope)
}

/// Returns a text, or a number or boolean as text.
fn text(node: &Node) -> Option<String> {
    let text = evaluate(node, &Scope::default()).ok()?.into_text().ok()?;
    Some(text.known().ok()?.to_owned())
}
