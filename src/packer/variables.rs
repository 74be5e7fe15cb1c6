//! The values of a template's variables. Later sources override earlier ones: the default, then
//! `PKR_VAR_NAME`, then files `*.auto.pkrvars.hcl` and `*.auto.pkrvars.json`, then
//! `--var-file`, then `--var`. Source:
//! <https://developer.hashicorp.com/packer/docs/templates/hcl_templates/variables>.

use std::collections::BTreeSet;

use ::hcl::Number;
use ::hcl::edit::expr::Expression;
use ::hcl::edit::parser;

use super::document::{Content, Node};
use super::evaluate::{evaluate, expression};
use super::keys;
use super::scope::Scope;
use super::value::{Deferred, Text, Value, no_value, read_from_environment};
use crate::error::{Error, Result};

/// The sources of values of variables, in addition to the files.
#[derive(Debug, Default)]
pub struct VariableSources {
    /// The variables `PKR_VAR_NAME` of the environment, by NAME.
    pub environment: Vec<(String, String)>,
    /// The options `--var`, in their order.
    pub options: Vec<(String, String)>,
}

/// A variable as HCL declares it.
pub(super) struct Declaration<'n> {
    pub(super) name: &'n str,
    pub(super) declared: Option<&'n Node>,
    pub(super) default: Option<&'n Node>,
}

impl Declaration<'_> {
    /// Adds the variable with its effective value. A value of another type is an error.
    pub(super) fn define(
        &self,
        scope: &mut Scope,
        files: &[Node],
        sources: &VariableSources,
        secrets: &BTreeSet<String>,
    ) -> Result<()> {
        let name = self.name;
        let full = format!("var.{name}");
        let is_secret = secrets.contains(&full);
        let default = self
            .default
            .and_then(|node| evaluate(node, &Scope::default()).ok());
        let kind = Type::new(self.declared, default.as_ref());
        let fit = |value: Option<Value>, place: &str| match value {
            None if kind != Type::Other => {
                Err(Error::usage(format!("could not set the variable {name}"))
                    .with_cause(format!("its value in {place} does not fit its type")))
            }
            value => Ok(value),
        };
        let last = |values: &[(String, String)]| {
            let value = values.iter().rev().find(|(other, _)| other == name);
            value.map(|(_, value)| value.clone())
        };
        let mut is_default = false;
        let in_file = files.iter().rev().find_map(|file| file.get(name));
        let value = if let Some(value) = last(&sources.options) {
            fit(kind.parse(&value), "--var")?
        } else if let Some(node) = in_file {
            let value = evaluate(node, &Scope::default())
                .ok()
                .and_then(|value| kind.convert(value));
            fit(value, &node.place.to_string())?
        } else if let Some(value) = last(&sources.environment) {
            fit(kind.parse(&value), &format!("PKR_VAR_{name}"))?
        } else {
            is_default = true;
            default.and_then(|value| kind.convert(value))
        };
        let read_from = self.default.and_then(environment);
        if is_secret || keys::is_secret(name) {
            scope.insert(full, Err(secret(name)), BTreeSet::new());
        } else if let Some(value) = value {
            let defaults = is_default.then(|| name.to_owned());
            scope.insert(full, Ok(value), defaults.into_iter().collect());
        } else {
            let carrier = read_from.map_or_else(|| format!("PKR_VAR_{name}"), str::to_owned);
            // The environment contains only texts.
            let deferred = Deferred::environment(&carrier, Some(name))
                .filter(|_| is_default && matches!(kind, Type::Any | Type::Text));
            let value = deferred.map(|deferred| Value::Text(deferred.into()));
            let value = value.ok_or_else(|| match (read_from, kind) {
                (Some(environment), _) => read_from_environment(name, environment),
                (None, Type::Other) => {
                    format!("the variable {name}, whose type this program does not read")
                }
                (None, _) => no_value(name),
            });
            scope.insert(full, value, BTreeSet::new());
        }
        Ok(())
    }
}

/// Returns the message that a variable must not be shown.
pub(super) fn secret(name: &str) -> String {
    format!("the variable {name}, which is secret")
}

/// The name in `env("NAME")`.
fn environment(default: &Node) -> Option<&str> {
    match &default.content {
        Content::Value(Expression::FuncCall(call)) if call.name.name.as_str() == "env" => {
            call.args.get(0)?.as_str()
        }
        _ => None,
    }
}

/// The type of a variable, as far as it changes how its values are read.
#[derive(Clone, Debug, PartialEq)]
enum Type {
    /// No type is declared, and the default has none.
    Any,
    Text,
    Number,
    Bool,
    /// A list or map of texts.
    Collection,
    /// No type is declared, and the default is a list or an object.
    Inferred,
    /// Any other type.
    Other,
}

impl Type {
    /// Returns the type that a variable's block declares, or that of its default.
    fn new(declared: Option<&Node>, default: Option<&Value>) -> Self {
        if let Some(node) = declared {
            // JSON has the type in quotes.
            let quoted = node.text().and_then(|text| parser::parse_expr(text).ok());
            return match (&node.content, &quoted) {
                (_, Some(expression)) | (Content::Value(expression), None) => {
                    Self::read(expression)
                }
                _ => Self::Other,
            };
        }
        match default {
            None | Some(Value::Null) => Self::Any,
            Some(Value::Text(_)) => Self::Text,
            Some(Value::Number(_)) => Self::Number,
            Some(Value::Bool(_)) => Self::Bool,
            Some(Value::List(_) | Value::Object(_)) => Self::Inferred,
        }
    }

    fn read(expression: &Expression) -> Self {
        let name = |expression: &Expression| expression.as_variable().map(ToString::to_string);
        match expression {
            Expression::FuncCall(call) => {
                let of = call.args.get(0).and_then(name);
                match (call.name.name.as_str(), of.as_deref()) {
                    ("list" | "map", Some("string")) => Self::Collection,
                    _ => Self::Other,
                }
            }
            _ => match name(expression).as_deref() {
                Some("string") => Self::Text,
                Some("number") => Self::Number,
                Some("bool") => Self::Bool,
                Some("any") => Self::Any,
                _ => Self::Other,
            },
        }
    }

    /// Parses an option or a variable of the environment, which Packer treats as a text or as
    /// an expression, depending on the type.
    fn parse(&self, text: &str) -> Option<Value> {
        if matches!(self, Self::Any | Self::Text | Self::Number) {
            return self.convert(Value::text(text));
        }
        let parsed = parser::parse_expr(text).ok()?;
        self.convert(expression(&parsed, &Scope::default()).ok()?)
    }

    /// Returns the value in this type; `None` if it does not fit.
    fn convert(&self, value: Value) -> Option<Value> {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        Some(match (self, value) {
            (Self::Other, _) => return None,
            (_, Value::Null) => Value::Null,
            (Self::Any | Self::Inferred, value)
            | (Self::Text, value @ Value::Text(_))
            | (Self::Number, value @ Value::Number(_))
            | (Self::Bool, value @ Value::Bool(_)) => value,
            (Self::Text, value @ (Value::Bool(_) | Value::Number(_))) => {
                Value::Text(value.into_text().ok()?)
            }
            (Self::Number, Value::Text(text)) => Value::Number(number(&text)?),
            (Self::Bool, Value::Text(text)) => match text.known().ok()? {
                "true" | "1" => Value::Bool(true),
                "false" | "0" => Value::Bool(false),
                _ => return None,
            },
            (Self::Collection, Value::List(items)) if items.iter().all(is_text) => {
                Value::List(items)
            }
            (Self::Collection, Value::Object(members))
                if members.iter().all(|(_, value)| is_text(value)) =>
            {
                Value::Object(members)
            }
            _ => return None,
        })
    }
}

fn number(text: &Text) -> Option<Number> {
    let text = text.known().ok()?;
    let integer = text.parse::<i64>().ok().map(Number::from);
    integer.or_else(|| Number::from_f64(text.parse().ok()?))
}
