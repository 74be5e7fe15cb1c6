//! A template as a tree of members, for both languages. A block of HCL has the shape of HCL's
//! JSON syntax: `source "qemu" "web" {…}` is the member `source`, in it the member `qemu`, in
//! it the member `web` (<https://github.com/hashicorp/hcl/blob/main/json/spec.md>).

use std::fmt;
use std::rc::Rc;

use ::hcl::edit::expr::{Expression, ObjectKey};

/// A line of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) file: Rc<str>,
    /// The number of the line, from 1.
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The reason that a file is not a template, with its place. It never quotes the file, which
/// may contain secrets.
#[derive(Debug)]
pub(super) struct ParseError {
    pub(super) place: Place,
    pub(super) reason: String,
}

/// A value or block of a template with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

/// The content of a node.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The members in their order; a name may occur several times.
    Object(Vec<(String, Node)>),
    /// The items of a list.
    List(Vec<Node>),
    /// Any other value of JSON or expression of HCL.
    Value(Expression),
}

impl Node {
    /// Returns the members of an object, and none for anything else.
    pub(super) fn members(&self) -> &[(String, Self)] {
        match &self.content {
            Content::Object(members) => members,
            _ => &[],
        }
    }

    /// Returns the last member of this name, which is the one that counts.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let mut members = self.members().iter().rev();
        let member = members.find(|(member, _)| member == name);
        member.map(|(_, node)| node)
    }

    /// Returns the items of a list, or the node itself as the only item.
    pub(super) fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// Returns the blocks of this kind that have no label.
    pub(super) fn blocks<'n>(&'n self, kind: &'n str) -> impl Iterator<Item = &'n Self> {
        let members = self.members().iter().filter(move |(name, _)| name == kind);
        members.flat_map(|(_, node)| node.items())
    }

    /// Returns the blocks in this node by their labels.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &Self)> {
        let members = self.items().iter().flat_map(Self::members);
        members.flat_map(|(label, node)| node.items().iter().map(|node| (label.as_str(), node)))
    }

    /// Returns the blocks of this kind that have one label.
    pub(super) fn labeled<'n>(
        &'n self,
        kind: &'n str,
    ) -> impl Iterator<Item = (&'n str, &'n Self)> {
        self.blocks(kind).flat_map(Self::labels)
    }

    /// Returns the text of a node that is a text without interpolations.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Value(value) => value.as_str(),
            _ => None,
        }
    }

    /// Returns all expressions of the node, at any depth.
    pub(super) fn expressions(&self) -> Vec<&Expression> {
        match &self.content {
            Content::Object(members) => {
                let nodes = members.iter().map(|(_, node)| node);
                nodes.flat_map(Self::expressions).collect()
            }
            Content::List(items) => items.iter().flat_map(Self::expressions).collect(),
            Content::Value(value) => vec![value],
        }
    }
}

/// Returns the key of an object, unless it is an expression.
pub(super) fn literal_key(key: &ObjectKey) -> Option<&str> {
    match key {
        ObjectKey::Ident(name) => Some(name.as_str()),
        ObjectKey::Expression(key) => key.as_str(),
    }
}
