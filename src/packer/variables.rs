//! The values of a template's variables, and which of several counts: the default, then
//! `PKR_VAR_NAME`, then files `*.auto.pkrvars.hcl` and `*.auto.pkrvars.json`, then
//! `--var-file`, then `--var`, the later over the earlier.
//! Source: <https://developer.hashicorp.com/packer/docs/templates/hcl_templates/variables>.

use ::hcl::edit::expr::Expression;
use ::hcl::edit::parser;
use ::hcl::eval::Context;
use ::hcl::{Map, Number, Value};

use super::evaluate::strict;
use super::node::{Content, Node};

/// Where values of variables come from, beside the template.
#[derive(Debug, Default)]
pub struct Given {
    /// The variables `PKR_VAR_NAME` of the environment, by NAME.
    pub environment: Vec<(String, String)>,
    /// The options `--var`, in their order.
    pub arguments: Vec<(String, String)>,
}

/// The type of a variable, as far as it changes how its values are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    /// None is declared, and no default has one.
    Any,
    Text,
    Number,
    Switch,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    Object(Vec<(String, Type)>),
    /// The default is a list or an object, and no type is declared.
    Inferred,
    /// A type that is not understood here.
    Other,
}

impl Type {
    /// The type that a variable's block declares or its default has.
    pub(super) fn of(declared: Option<&Node>, default: Option<&Value>) -> Self {
        if let Some(node) = declared {
            // JSON has the type in quotes.
            let quoted = node.text().and_then(|text| parser::parse_expr(text).ok());
            return match (&node.content, quoted) {
                (_, Some(expression)) => Self::read(&expression),
                (Content::Value(expression), None) => Self::read(expression),
                _ => Self::Other,
            };
        }
        match default {
            Some(Value::String(_)) => Self::Text,
            Some(Value::Number(_)) => Self::Number,
            Some(Value::Bool(_)) => Self::Switch,
            Some(Value::Array(list)) if !list.is_empty() => Self::Inferred,
            Some(Value::Object(members)) if !members.is_empty() => Self::Inferred,
            _ => Self::Any,
        }
    }

    fn read(expression: &Expression) -> Self {
        match expression {
            Expression::Variable(name) => match name.as_str() {
                "string" => Self::Text,
                "number" => Self::Number,
                "bool" => Self::Switch,
                "any" => Self::Any,
                "list" => Self::List(Box::new(Self::Any)),
                "map" => Self::Map(Box::new(Self::Any)),
                _ => Self::Other,
            },
            Expression::FuncCall(call) if !call.name.is_namespaced() => {
                let inner = call.args.get(0).map_or(Self::Other, |inner| match inner {
                    Expression::Object(fields) => {
                        let field = |(key, value): (
                            &::hcl::edit::expr::ObjectKey,
                            &::hcl::edit::expr::ObjectValue,
                        )| {
                            let name = key.as_ident()?.to_string();
                            Some((name, Self::read(value.expr())))
                        };
                        let fields: Option<Vec<_>> = fields.iter().map(field).collect();
                        fields.map_or(Self::Other, Self::Object)
                    }
                    other => Self::read(other),
                });
                match (call.name.name.as_str(), inner) {
                    ("list", inner) => Self::List(Box::new(inner)),
                    ("set", inner) => Self::Set(Box::new(inner)),
                    ("map", inner) => Self::Map(Box::new(inner)),
                    ("object", Self::Object(fields)) => Self::Object(fields),
                    _ => Self::Other,
                }
            }
            _ => Self::Other,
        }
    }

    /// Whether the environment has the value as it stands.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Any | Self::Text)
    }

    /// The value of an option or a variable of the environment, which Packer reads as a
    /// text or as an expression, depending on the type.
    pub(super) fn parse(&self, text: &str) -> Option<Value> {
        if matches!(self, Self::Any | Self::Text | Self::Number) {
            return self.convert(text.into());
        }
        let expression = parser::parse_expr(text).ok()?;
        self.convert(constant(&expression)?)
    }

    /// The value in this type; nothing if it does not fit or the type is not understood.
    pub(super) fn convert(&self, value: Value) -> Option<Value> {
        if value.is_null() {
            return Some(value);
        }
        let all = |list: Vec<Value>, of: &Self| -> Option<Vec<Value>> {
            list.into_iter().map(|value| of.convert(value)).collect()
        };
        Some(match (self, value) {
            (Self::Any | Self::Inferred, value)
            | (Self::Text, value @ Value::String(_))
            | (Self::Number, value @ Value::Number(_))
            | (Self::Switch, value @ Value::Bool(_)) => value,
            (Self::Text, Value::Bool(switch)) => switch.to_string().into(),
            (Self::Text, Value::Number(number)) if !number.is_f64() => number.to_string().into(),
            (Self::Number, Value::String(text)) => number(&text)?.into(),
            (Self::Switch, Value::String(text)) => match text.as_str() {
                "true" | "1" => true.into(),
                "false" | "0" => false.into(),
                _ => return None,
            },
            (Self::List(of), Value::Array(list)) => all(list, of)?.into(),
            (Self::Set(of), Value::Array(list)) => {
                let list: Option<Vec<_>> = all(list, of)?
                    .iter()
                    .map(|value| value.as_str().map(str::to_owned))
                    .collect();
                let set: std::collections::BTreeSet<_> = list?.into_iter().collect();
                set.into_iter().map(Value::from).collect()
            }
            (Self::Map(of), Value::Object(members)) => {
                let members = members.into_iter();
                let members = members.map(|(key, value)| Some((key, of.convert(value)?)));
                members.collect::<Option<Map<_, _>>>()?.into()
            }
            (Self::Object(fields), Value::Object(mut members)) => {
                let fields = fields.iter().map(|(name, of)| {
                    let value = members.swap_remove(name)?;
                    Some((name.clone(), of.convert(value)?))
                });
                fields.collect::<Option<Map<_, _>>>()?.into()
            }
            _ => return None,
        })
    }
}

fn number(text: &str) -> Option<Number> {
    let integer = text.parse::<i64>().ok().map(Number::from);
    integer.or_else(|| Number::from_f64(text.parse().ok()?))
}

/// The value of an expression without variables and functions.
pub(super) fn constant(expression: &Expression) -> Option<Value> {
    strict(expression, &Context::new()).ok()
}
