//! The names that an expression or a text refers to, and those that hold secrets.

use std::collections::BTreeSet;

use ::hcl::edit::Decorated;
use ::hcl::edit::expr::{Expression, Traversal, TraversalOperator};
use ::hcl::edit::visit::{Visit, visit_traversal};

use super::document::{Content, Node};
use super::keys;
use crate::config::template::{Token, tokens};

/// Returns the first two words of `var.x`, `local.x` or another name of two words.
pub(super) fn name(traversal: &Traversal) -> Option<String> {
    let first = traversal.operators.first().map(Decorated::value);
    match (&traversal.expr, first) {
        (Expression::Variable(root), Some(TraversalOperator::GetAttr(name))) => {
            Some(format!("{}.{}", root.as_str(), name.as_str()))
        }
        _ => None,
    }
}

/// Returns the names in all expressions of a node, and `var.x` for each `{{user "x"}}` of
/// its texts.
pub(super) fn references(node: &Node) -> BTreeSet<String> {
    let mut found = References::default();
    for expression in node.expressions() {
        found.visit_expr(expression);
        let text = expression.as_str().unwrap_or_default();
        found.0.extend(users(text));
    }
    found.0
}

#[derive(Default)]
struct References(BTreeSet<String>);

impl Visit for References {
    fn visit_traversal(&mut self, traversal: &Traversal) {
        self.0.extend(name(traversal));
        visit_traversal(self, traversal);
    }
}

/// Returns `var.x` for each quoted word in the `{{…}}` of a text.
pub(super) fn users(text: &str) -> impl Iterator<Item = String> {
    let actions = text.match_indices("{{");
    let tokens = actions.filter_map(|(at, _)| tokens(&text[at..]));
    tokens
        .flat_map(|(tokens, _)| tokens)
        .filter_map(|token| match token {
            Token::Quoted(name) => Some(format!("var.{name}")),
            Token::Word(_) => None,
        })
}

/// Returns the names whose values are secret: the given ones, those that the values of secret
/// keys refer to, anywhere in the template, and those that their definitions refer to.
pub(super) fn secrets<'n>(
    template: &Node,
    sensitive: impl Iterator<Item = String>,
    definition: impl Fn(&str) -> Option<&'n Node>,
) -> BTreeSet<String> {
    let mut pending: Vec<String> = sensitive.collect();
    collect(template, &mut pending);
    let mut secrets = BTreeSet::new();
    while let Some(name) = pending.pop() {
        if secrets.insert(name.clone()) {
            pending.extend(definition(&name).into_iter().flat_map(references));
        }
    }
    secrets
}

/// Collects the names that the values of secret keys refer to.
fn collect(node: &Node, found: &mut Vec<String>) {
    if let Content::List(items) = &node.content {
        for item in items {
            collect(item, found);
        }
    }
    for (key, value) in node.members() {
        if keys::is_secret(key) {
            found.extend(references(value));
        }
        collect(value, found);
    }
}
