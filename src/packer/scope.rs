//! What the names of a template stand for, and what an expression with them gives. A value
//! that is not known may only be interpolated into a text; whatever else is done with it
//! is not known either.

use std::collections::{BTreeMap, BTreeSet};

use ::hcl::edit::expr::{Expression, FuncCall, ObjectKey, TraversalOperator};
use ::hcl::edit::template::{Element, StringTemplate};
use ::hcl::eval::Context;
use ::hcl::template::Strip;
use ::hcl::{Map, Value};

use super::blocks::Remark;
use super::evaluate::{name, names, strict};
use super::functions::{self, formatdate};
use super::holes;
use super::node::{Content, Node};
use super::variables::Type;

/// Variables of JSON templates may be made of variables; Packer, too, gives up at some point.
const DEEPEST: usize = 8;

/// What a name stands for.
#[derive(Clone, Debug)]
enum State {
    Known(Value),
    /// Texts that the import completes when it runs, and what is not known before.
    Open(Value, String),
    /// What is not known.
    Unknown(String),
}

/// The names of a template.
#[derive(Default)]
pub(super) struct Scope {
    /// What is known; the rest is missing here, and so an error for whoever uses it.
    context: Context<'static>,
    /// `var.x` and `local.y`.
    names: BTreeMap<String, State>,
    /// The variables that a local is made of.
    sources: BTreeMap<String, BTreeSet<String>>,
    /// The variables whose default counts.
    defaults: BTreeSet<String>,
}

/// A variable with all that is known of it.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) kind: Type,
    pub(super) value: Option<Value>,
    /// The variable of the environment that the default is read from.
    pub(super) environment: Option<String>,
    pub(super) is_default: bool,
    pub(super) secret: bool,
}

impl Scope {
    /// The names of the variables; `root` is the template's folder, `path.root`.
    pub(super) fn new(variables: Vec<Variable>, root: Option<&str>) -> Self {
        let mut scope = Self::default();
        functions::declare(&mut scope.context);
        if let Some(root) = root {
            let path = Map::from_iter([("root".to_owned(), Value::from(root))]);
            scope.context.declare_var("path", path);
        }
        let mut known = Map::new();
        for variable in variables {
            let state = state(&variable);
            if let State::Known(value) = &state {
                known.insert(variable.name.clone(), value.clone());
                if variable.is_default {
                    scope.defaults.insert(variable.name.clone());
                }
            }
            scope.names.insert(format!("var.{}", variable.name), state);
        }
        scope.context.declare_var("var", known);
        scope
            .context
            .declare_var("local", Map::<String, Value>::new());
        scope
    }

    /// Adds the locals, each after those that it is made of.
    pub(super) fn locals(&mut self, locals: &BTreeMap<String, Node>, secrets: &BTreeSet<String>) {
        let mut known = Map::<String, Value>::new();
        let mut open: BTreeMap<_, _> = locals.iter().collect();
        while !open.is_empty() {
            let waits = |node: &Node| {
                let names = node.expressions().into_iter().flat_map(names);
                let mut locals =
                    names.filter_map(|name| Some(name.strip_prefix("local.")?.to_owned()));
                locals.any(|name| open.contains_key(&name))
            };
            let ready = open.iter().find(|(_, node)| !waits(node));
            let Some((local, node)) = ready.or_else(|| open.iter().next()) else {
                return;
            };
            let (local, node) = ((*local).clone(), *node);
            let full = format!("local.{local}");
            let state = if secrets.contains(&full) {
                State::Unknown(format!("{full}, which is secret"))
            } else {
                match self.evaluate(node) {
                    Ok(value) if is_open(&value) => State::Open(
                        value,
                        format!("{full}, which is known only when the import runs"),
                    ),
                    Ok(value) => State::Known(value),
                    Err(why) => State::Unknown(format!("{full}, which is not known ({why})")),
                }
            };
            if let State::Known(value) = &state {
                known.insert(local.clone(), value.clone());
                self.context.declare_var("local", known.clone());
            }
            self.sources.insert(full.clone(), self.variables_of(node));
            self.names.insert(full, state);
            open.remove(&local);
        }
    }

    /// The variables whose defaults are in a value.
    pub(super) fn defaults_in(&self, node: &Node) -> Vec<Remark> {
        let variables = self.variables_of(node).into_iter();
        let defaults = variables.filter(|name| self.defaults.contains(name));
        defaults.map(Remark::Default).collect()
    }

    fn variables_of(&self, node: &Node) -> BTreeSet<String> {
        let mut variables = BTreeSet::new();
        for name in node.expressions().into_iter().flat_map(names) {
            match name.strip_prefix("var.") {
                Some(variable) => drop(variables.insert(variable.to_owned())),
                None => variables.extend(self.sources.get(&name).into_iter().flatten().cloned()),
            }
        }
        variables
    }

    /// What `{{user}}` gives: a text with marks, translated itself.
    pub(super) fn user(&self, name: &str, remarks: &mut Vec<Remark>) -> Result<String, String> {
        self.user_within(name, remarks, 0)
    }

    fn user_within(
        &self,
        name: &str,
        remarks: &mut Vec<Remark>,
        depth: usize,
    ) -> Result<String, String> {
        if depth > DEEPEST {
            return Err("its variables are made of each other".to_owned());
        }
        let text = match self.names.get(&format!("var.{name}")) {
            Some(State::Known(Value::Number(number))) => Some(number.to_string()),
            Some(State::Known(value) | State::Open(value, _)) => value.as_str().map(str::to_owned),
            Some(State::Unknown(why)) => return Err(format!("it depends on {why}")),
            None => holes::environment(&format!("PKR_VAR_{name}")),
        };
        let text = text.ok_or_else(|| format!("it depends on {}", no_value(name)))?;
        if self.defaults.contains(name) {
            remarks.push(Remark::Default(name.to_owned()));
        }
        let inner =
            |name: &str, remarks: &mut Vec<Remark>| self.user_within(name, remarks, depth + 1);
        holes::resolve(&text, &inner, remarks)
    }

    /// What a node gives: texts may have marks, see `holes`.
    pub(super) fn evaluate(&self, node: &Node) -> Result<Value, String> {
        match &node.content {
            Content::Object(members) => {
                let members = members.iter();
                let members = members.map(|(name, node)| Ok((name.clone(), self.evaluate(node)?)));
                Ok(Value::Object(members.collect::<Result<_, String>>()?))
            }
            Content::List(items) => {
                let items = items.iter().map(|item| self.evaluate(item));
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            Content::Value(expression) => self.expression(expression),
        }
    }

    fn expression(&self, expression: &Expression) -> Result<Value, String> {
        match expression {
            Expression::Parenthesis(inner) => self.expression(inner.inner()),
            Expression::Array(list) => {
                let items = list.iter().map(|item| self.expression(item));
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            Expression::Object(object) => {
                let members = object
                    .iter()
                    .map(|(key, value)| Ok((self.key(key)?, self.expression(value.expr())?)));
                Ok(Value::Object(members.collect::<Result<_, String>>()?))
            }
            Expression::StringTemplate(template) if is_plain(template) => self.template(template),
            Expression::Conditional(condition) => {
                match self.strict(&condition.cond_expr)?.as_bool() {
                    Some(true) => self.expression(&condition.true_expr),
                    Some(false) => self.expression(&condition.false_expr),
                    None => Err("its condition is neither true nor false".to_owned()),
                }
            }
            Expression::FuncCall(call) => match self.at_run_time(call)? {
                Some(text) => Ok(text.into()),
                None => self.strict(expression),
            },
            Expression::Traversal(traversal) if traversal.operators.len() == 1 => {
                let state = name(traversal).and_then(|name| self.names.get(&name));
                match (state, traversal.operators[0].value()) {
                    (Some(State::Open(value, _)), TraversalOperator::GetAttr(_)) => {
                        Ok(value.clone())
                    }
                    _ => self.strict(expression),
                }
            }
            _ => self.strict(expression),
        }
    }

    fn strict(&self, expression: &Expression) -> Result<Value, String> {
        strict(expression, &self.context).map_err(|error| {
            let unknown = |name: String| match self.names.get(&name) {
                Some(State::Known(_)) => None,
                Some(State::Open(_, why) | State::Unknown(why)) => {
                    Some(format!("it depends on {why}"))
                }
                None => Some(format!(
                    "it uses {name}, which the template does not declare"
                )),
            };
            names(expression)
                .into_iter()
                .find_map(unknown)
                .unwrap_or(error)
        })
    }

    fn key(&self, key: &ObjectKey) -> Result<String, String> {
        match key {
            ObjectKey::Ident(name) => Ok(name.as_str().to_owned()),
            ObjectKey::Expression(key) => match self.strict(key)? {
                Value::String(name) => Ok(name),
                _ => Err("one of its keys is no text".to_owned()),
            },
        }
    }

    /// The one place where a value that is not known may go: between texts.
    fn template(&self, template: &StringTemplate) -> Result<Value, String> {
        if let Some(Element::Interpolation(whole)) = template.as_single_element() {
            return self.expression(&whole.expr);
        }
        let mut text = String::new();
        for element in template {
            match element {
                Element::Literal(literal) => text.push_str(literal),
                Element::Interpolation(part) => match self.expression(&part.expr)? {
                    Value::String(part) => text.push_str(&part),
                    Value::Bool(part) => text.push_str(&part.to_string()),
                    Value::Number(part) => text.push_str(&part.to_string()),
                    _ => return Err("it has something else than a text in a text".to_owned()),
                },
                Element::Directive(_) => {}
            }
        }
        Ok(text.into())
    }

    /// The functions whose value only the import knows.
    fn at_run_time(&self, call: &FuncCall) -> Result<Option<String>, String> {
        let function = call.name.name.as_str();
        if call.name.is_namespaced() || call.args.expand_final() {
            return Ok(None);
        }
        let arguments: Vec<_> = call.args.iter().collect();
        let text = |argument: &Expression| match self.strict(argument)? {
            Value::String(text) => Ok(text),
            _ => Err(format!(
                "it uses the function {function} with something unexpected"
            )),
        };
        let failed = |why: String| format!("it uses the function {function}, and {why}");
        Ok(Some(match (function, arguments.as_slice()) {
            ("timestamp" | "legacy_isotime", []) => holes::open("isotime"),
            ("uuidv4", []) => holes::open("uuid"),
            ("env", [name]) => {
                let name = text(name)?;
                holes::environment(&name)
                    .ok_or_else(|| failed(format!("this program does not read {name}")))?
            }
            ("legacy_isotime", [layout]) => match text(layout)? {
                layout if layout.contains('%') => {
                    return Err(failed("its layout is not understood".to_owned()));
                }
                layout => holes::isotime(&layout),
            },
            ("legacy_strftime", [layout]) => {
                holes::isotime(holes::strftime(&text(layout)?).map_err(failed)?)
            }
            ("formatdate", [layout, time]) => {
                if self.expression(time)?.as_str() != Some(holes::open("isotime").as_str()) {
                    return Err(failed(
                        "only the time of the run can be given to it".to_owned(),
                    ));
                }
                let layout = formatdate(&text(layout)?).map_err(failed)?;
                if layout.contains('%') {
                    holes::isotime(&layout)
                } else {
                    layout
                }
            }
            // As `packer hcl2_upgrade` writes it.
            ("regex_replace", [time, pattern, with])
                if pattern.as_str() == Some("[- TZ:]")
                    && with.as_str() == Some("")
                    && self.expression(time)?.as_str() == Some(holes::open("isotime").as_str()) =>
            {
                holes::isotime("20060102150405")
            }
            _ => return Ok(None),
        }))
    }
}

/// What a variable stands for. A text that is not known, or that must not be written down,
/// is read from the environment by the import.
fn state(variable: &Variable) -> State {
    let name = &variable.name;
    if let (Some(value), false) = (&variable.value, variable.secret) {
        return State::Known(value.clone());
    }
    let why = if variable.secret {
        format!("the variable {name}, which is secret")
    } else if let Some(environment) = &variable.environment {
        format!(
            "the variable {name}, which is read from {environment} (--var {name}=VALUE sets it)"
        )
    } else {
        no_value(name)
    };
    let carrier = match &variable.environment {
        Some(environment) => environment.clone(),
        None => format!("PKR_VAR_{name}"),
    };
    let text = holes::environment(&carrier).filter(|_| variable.kind.is_text());
    match text {
        Some(text) => State::Open(text.into(), why),
        None => State::Unknown(why),
    }
}

fn no_value(name: &str) -> String {
    format!("the variable {name}, which has no value here (--var {name}=VALUE gives it one)")
}

/// Only texts and interpolations, as they stand.
fn is_plain(template: &StringTemplate) -> bool {
    template.iter().all(|element| match element {
        Element::Literal(_) => true,
        Element::Interpolation(part) => part.strip == Strip::None,
        Element::Directive(_) => false,
    })
}

fn is_open(value: &Value) -> bool {
    match value {
        Value::String(text) => holes::is_open(text),
        Value::Array(list) => list.iter().any(is_open),
        Value::Object(members) => members.values().any(is_open),
        _ => false,
    }
}
