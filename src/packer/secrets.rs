//! The names that a template's secrets are read from.

use super::cloud;
use super::evaluate::names;
use super::node::{Content, Node};
use crate::template::{Token, tokens};

/// `var.x` and `local.y` in the values of secret keys, wherever these stand.
pub(super) fn secret_names(node: &Node) -> Vec<String> {
    let mut found = Vec::new();
    collect(node, &mut found);
    found
}

fn collect(node: &Node, found: &mut Vec<String>) {
    if let Content::List(items) = &node.content {
        for item in items {
            collect(item, found);
        }
    }
    for (key, value) in node.members() {
        if cloud::is_secret(key) {
            for expression in value.expressions() {
                found.extend(names(expression));
                let text = expression.as_str().unwrap_or_default();
                found.extend(users(text).map(|name| format!("var.{name}")));
            }
        }
        collect(value, found);
    }
}

/// The names in the `{{…}}` of a text.
pub(super) fn users(text: &str) -> impl Iterator<Item = String> {
    let holes = text.match_indices("{{");
    let tokens = holes.filter_map(|(at, _)| tokens(&text[at..]));
    let quoted = |token| match token {
        Token::Quoted(name) => Some(name),
        Token::Word(_) => None,
    };
    tokens.flat_map(|(tokens, _)| tokens).filter_map(quoted)
}
