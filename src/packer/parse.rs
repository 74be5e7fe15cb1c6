//! Reads HCL's native syntax and JSON into the same tree.

use std::collections::HashMap;
use std::rc::Rc;

use ::hcl::edit::Span;
use ::hcl::edit::expr::Expression;
use ::hcl::edit::parser;
use ::hcl::edit::structure::{BlockLabel, Body, Structure};
use ::hcl::edit::template::StringTemplate;
use serde_json::value::RawValue;

use super::document::{Content, Node, ParseError, Place, literal_key};

/// The deepest nesting of lists and objects in JSON; the parser of HCL has its own limit.
const DEEPEST: usize = 64;

/// The meaning of `${…}` in a text of JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Texts {
    /// An interpolation, as in HCL.
    Templates,
    /// No meaning.
    Plain,
}

/// Parses HCL's native syntax.
pub(super) fn parse_hcl(file: &str, text: &str) -> Result<Node, ParseError> {
    let source = Source::new(file, text);
    // The parser's error would quote the line, which may contain a secret.
    let body = parser::parse_body(text).map_err(|error| ParseError {
        place: source.line(error.location().line()),
        reason: format!(
            "{} (column {})",
            error.message().replace('\n', " "),
            error.location().column()
        ),
    })?;
    Ok(source.body(&body))
}

/// Parses JSON.
pub(super) fn parse_json(file: &str, text: &str, texts: Texts) -> Result<Node, ParseError> {
    let source = Source::new(file, text);
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        ParseError {
            place: source.line(error.line()),
            reason: format!("{message} (column {})", error.column()),
        }
    })?;
    source.json(raw, texts, 0)
}

/// A file that is being parsed.
struct Source<'t> {
    file: Rc<str>,
    text: &'t str,
    /// The offset of the beginning of each line.
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

    fn place(&self, spanned: &impl Span) -> Option<Place> {
        spanned.span().map(|span| self.at(span.start))
    }

    fn body(&self, body: &Body) -> Node {
        let members = body.iter().map(|structure| match structure {
            Structure::Attribute(attribute) => {
                let place = self.place(attribute).unwrap_or_else(|| self.line(1));
                let value = self.value(place, &attribute.value);
                (attribute.key.to_string(), value)
            }
            Structure::Block(block) => {
                let place = self.place(block).unwrap_or_else(|| self.line(1));
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

    /// Splits lists, and objects whose keys are literals.
    fn value(&self, place: Place, value: &Expression) -> Node {
        let here = |spanned: Option<Place>| spanned.unwrap_or_else(|| place.clone());
        let content = match value {
            Expression::Array(list) => {
                let items = list.iter();
                let items = items.map(|item| self.value(here(self.place(item)), item));
                Some(Content::List(items.collect()))
            }
            Expression::Object(object) => {
                let members = object.iter().map(|(key, value)| {
                    let name = literal_key(key)?.to_owned();
                    Some((name, self.value(here(self.place(key)), value.expr())))
                });
                members.collect::<Option<_>>().map(Content::Object)
            }
            _ => None,
        };
        Node {
            content: content.unwrap_or_else(|| Content::Value(value.clone())),
            place,
        }
    }

    fn json(&self, raw: &RawValue, texts: Texts, depth: usize) -> Result<Node, ParseError> {
        let raw = raw.get();
        let place = self.at(raw.as_ptr().addr() - self.text.as_ptr().addr());
        let invalid = |reason: &str| ParseError {
            place: place.clone(),
            reason: reason.to_owned(),
        };
        if depth > DEEPEST {
            return Err(invalid("it is nested too deeply"));
        }
        let content = match raw.as_bytes().first() {
            Some(b'{') => {
                let members: HashMap<String, &RawValue> =
                    serde_json::from_str(raw).map_err(|_| invalid("it is no object"))?;
                let mut members: Vec<_> = members.into_iter().collect();
                members.sort_by_key(|(_, raw)| raw.get().as_ptr());
                let members = members.into_iter();
                let members =
                    members.map(|(name, raw)| Ok((name, self.json(raw, texts, depth + 1)?)));
                Content::Object(members.collect::<Result<_, _>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> =
                    serde_json::from_str(raw).map_err(|_| invalid("it is no list"))?;
                let items = items.into_iter();
                let items = items.map(|raw| self.json(raw, texts, depth + 1));
                Content::List(items.collect::<Result<_, _>>()?)
            }
            _ => Content::Value(scalar(raw, texts).map_err(invalid)?),
        };
        Ok(Node { place, content })
    }
}

fn scalar(raw: &str, texts: Texts) -> Result<Expression, &'static str> {
    use serde_json::Value;
    let value: Value = serde_json::from_str(raw).map_err(|_| "this value is out of range")?;
    Ok(match value {
        Value::String(text)
            if texts == Texts::Templates && (text.contains("${") || text.contains("%{")) =>
        {
            let template = parser::parse_template(&text)
                .map_err(|_| "an interpolation in this text is not valid")?;
            StringTemplate::from(template).into()
        }
        Value::String(text) => text.into(),
        Value::Bool(value) => value.into(),
        Value::Null => Expression::null(),
        number => {
            parser::parse_expr(&number.to_string()).map_err(|_| "this number is not valid")?
        }
    })
}
