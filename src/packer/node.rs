//! A template as a tree of members, whatever language it is written in. A block of HCL has
//! the shape that it has in HCL's JSON syntax: `source "qemu" "web" {…}` is the member
//! `source`, in it the member `qemu`, in it the member `web`
//! (<https://github.com/hashicorp/hcl/blob/main/json/spec.md>).

use std::fmt;
use std::rc::Rc;

use ::hcl::edit::Span;
use ::hcl::edit::expr::{Expression, ObjectKey};
use ::hcl::edit::parser;
use ::hcl::edit::structure::{BlockLabel, Body, Structure};
use ::hcl::edit::template::StringTemplate;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Lists and objects of JSON that may be in each other; the parser of HCL has a limit of
/// its own.
const DEEPEST: usize = 64;

/// A line of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) file: Rc<str>,
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Why a file is not a template, and where.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) place: Place,
    pub(super) why: String,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The members in their order; a name may occur several times.
    Object(Vec<(String, Node)>),
    /// A list of JSON.
    List(Vec<Node>),
    /// A value of JSON, or an expression of HCL.
    Value(Expression),
}

/// What `${…}` means in a text of JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Texts {
    /// An interpolation, as in HCL.
    Templates,
    /// Nothing.
    Plain,
}

impl Node {
    /// Reads HCL's native syntax.
    pub(super) fn native(file: &str, text: &str) -> Result<Self, Broken> {
        let source = Source::new(file, text);
        // What the parser shows of the line may be a secret.
        let body = parser::parse_body(text).map_err(|error| Broken {
            place: source.line(error.location().line()),
            why: format!(
                "{} (column {})",
                error.message().replace('\n', " "),
                error.location().column()
            ),
        })?;
        Ok(source.body(&body))
    }

    /// Reads JSON.
    pub(super) fn json(file: &str, text: &str, texts: Texts) -> Result<Self, Broken> {
        let source = Source::new(file, text);
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            Broken {
                place: source.line(error.line()),
                why: format!("{said} (column {})", error.column()),
            }
        })?;
        source.json(raw, texts, 0)
    }

    /// The members of an object; nothing for anything else.
    pub(super) fn members(&self) -> &[(String, Self)] {
        match &self.content {
            Content::Object(members) => members,
            _ => &[],
        }
    }

    /// All members of this name.
    pub(super) fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Self> {
        let named = self.members().iter().filter(move |(own, _)| own == name);
        named.map(|(_, node)| node)
    }

    /// The last member of this name, which is the one that counts.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let named = self.members().iter().rev().find(|(own, _)| own == name);
        named.map(|(_, node)| node)
    }

    /// The nodes of a list, or the one node that stands in its place.
    pub(super) fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// The blocks of this kind without a label.
    pub(super) fn blocks<'n>(&'n self, kind: &'n str) -> impl Iterator<Item = &'n Self> {
        self.all(kind).flat_map(Self::items)
    }

    /// The blocks of this kind with one label.
    pub(super) fn labeled<'n>(
        &'n self,
        kind: &'n str,
    ) -> impl Iterator<Item = (&'n str, &'n Self)> {
        let members = self.blocks(kind).flat_map(Self::members);
        members.flat_map(|(label, node)| node.items().iter().map(|node| (label.as_str(), node)))
    }

    /// The text, if it is one without interpolations.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Value(value) => value.as_str(),
            _ => None,
        }
    }

    /// The whole node as one expression.
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

/// A file while it is read.
struct Source<'t> {
    file: Rc<str>,
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'t> Source<'t> {
    fn new(file: &str, text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file: file.into(),
            text,
            lines: std::iter::once(0).chain(ends).collect(),
        }
    }

    fn line(&self, line: usize) -> Place {
        Place {
            file: Rc::clone(&self.file),
            line,
        }
    }

    fn at(&self, byte: usize) -> Place {
        self.line(self.lines.partition_point(|start| *start <= byte))
    }

    fn of(&self, spanned: &impl Span) -> Place {
        self.at(spanned.span().map_or(0, |span| span.start))
    }

    fn body(&self, body: &Body) -> Node {
        let members = body.iter().map(|structure| match structure {
            Structure::Attribute(attribute) => {
                let place = self.of(attribute);
                (
                    attribute.key.to_string(),
                    self.value(place, &attribute.value),
                )
            }
            Structure::Block(block) => {
                let place = self.of(block);
                let inside = Node {
                    place: place.clone(),
                    ..self.body(&block.body)
                };
                let labels = block.labels.iter().rev().map(BlockLabel::as_str);
                let node = labels.fold(inside, |node, label| Node {
                    place: place.clone(),
                    content: Content::Object(vec![(label.to_owned(), node)]),
                });
                (block.ident.to_string(), node)
            }
        });
        Node {
            place: self.line(1),
            content: Content::Object(members.collect()),
        }
    }

    /// An object is taken apart if its keys are known as they stand.
    fn value(&self, place: Place, value: &Expression) -> Node {
        let members = value.as_object().and_then(|object| {
            let members = object.iter().map(|(key, value)| {
                let name = match key {
                    ObjectKey::Ident(name) => name.as_str(),
                    ObjectKey::Expression(key) => key.as_str()?,
                };
                let place = key.span().map_or(place.clone(), |span| self.at(span.start));
                Some((name.to_owned(), self.value(place, value.expr())))
            });
            members.collect::<Option<Vec<_>>>()
        });
        let content = match members {
            Some(members) => Content::Object(members),
            None => Content::Value(value.clone()),
        };
        Node { place, content }
    }

    fn json(&self, raw: &RawValue, texts: Texts, depth: usize) -> Result<Node, Broken> {
        let place = self.at(raw.get().as_ptr().addr() - self.text.as_ptr().addr());
        let broken = |why: String| Broken {
            place: place.clone(),
            why,
        };
        if depth > DEEPEST {
            return Err(broken("it is nested too deeply".to_owned()));
        }
        let content = match raw.get().as_bytes().first() {
            Some(b'{') => {
                let members: Members<'_> = serde_json::from_str(raw.get())
                    .map_err(|_| broken("a key is no text".into()))?;
                let members = members.0.into_iter();
                let members =
                    members.map(|(name, raw)| Ok((name, self.json(raw, texts, depth + 1)?)));
                Content::Object(members.collect::<Result<_, _>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> =
                    serde_json::from_str(raw.get()).map_err(|_| broken("it is no list".into()))?;
                let items = items
                    .into_iter()
                    .map(|raw| self.json(raw, texts, depth + 1));
                Content::List(items.collect::<Result<_, _>>()?)
            }
            _ => Content::Value(scalar(raw.get(), texts).map_err(broken)?),
        };
        Ok(Node { place, content })
    }
}

fn scalar(raw: &str, texts: Texts) -> Result<Expression, String> {
    let value: serde_json::Value =
        serde_json::from_str(raw).map_err(|_| "this value is out of range".to_owned())?;
    Ok(match value {
        serde_json::Value::String(text)
            if texts == Texts::Templates && (text.contains("${") || text.contains("%{")) =>
        {
            let template = parser::parse_template(&text)
                .map_err(|_| "an interpolation in this text can't be read".to_owned())?;
            StringTemplate::from(template).into()
        }
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Bool(switch) => switch.into(),
        serde_json::Value::Null => Expression::null(),
        number => parser::parse_expr(&number.to_string())
            .map_err(|_| "this number can't be read".to_owned())?,
    })
}

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
