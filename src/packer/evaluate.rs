//! Evaluates literals, names, plain interpolations, and conditions on known values.
//!
//! An unknown value may only be interpolated into a text or be the whole value. Any other use
//! of it, and every other function, is an error with the reason. Errors never quote a value,
//! which may be secret.

use ::hcl::edit::expr::{
    BinaryOp, BinaryOperator, Conditional, Expression, FuncCall, Traversal, TraversalOperator,
    UnaryOperator,
};
use ::hcl::edit::template::{Element, HeredocTemplate, StringTemplate};
use ::hcl::template::Strip;

use super::document::{Content, Node, literal_key};
use super::references::name;
use super::scope::Scope;
use super::time_functions;
use super::value::{Text, Value};

/// Evaluates a node with the names of a scope.
pub(super) fn evaluate(node: &Node, scope: &Scope) -> Result<Value, String> {
    match &node.content {
        Content::Object(members) => {
            let members = members.iter();
            let members = members.map(|(key, node)| Ok((key.clone(), evaluate(node, scope)?)));
            Ok(Value::Object(members.collect::<Result<_, String>>()?))
        }
        Content::List(items) => {
            let items = items.iter().map(|item| evaluate(item, scope));
            Ok(Value::List(items.collect::<Result<_, _>>()?))
        }
        Content::Value(value) => expression(value, scope),
    }
}

/// Evaluates an expression with the names of a scope.
pub(super) fn expression(expression: &Expression, scope: &Scope) -> Result<Value, String> {
    // Recursion is safe: the parser limits how deeply expressions are nested.
    let inner = |inner: &Expression| self::expression(inner, scope);
    Ok(match expression {
        Expression::Null(_) => Value::Null,
        Expression::Bool(value) => Value::Bool(*value.value()),
        Expression::Number(number) => Value::Number(*number.value()),
        Expression::String(text) => Value::text(text.value()),
        Expression::Parenthesis(parenthesis) => inner(parenthesis.inner())?,
        Expression::Array(list) => Value::List(list.iter().map(inner).collect::<Result<_, _>>()?),
        Expression::Object(object) => {
            let members = object.iter().map(|(key, value)| {
                let key = literal_key(key).ok_or("one of its keys is an expression")?;
                Ok((key.to_owned(), inner(value.expr())?))
            });
            Value::Object(members.collect::<Result<_, String>>()?)
        }
        Expression::StringTemplate(own) => template(own, scope)?,
        Expression::HeredocTemplate(own) => heredoc(own)?,
        Expression::Traversal(own) => traversal(own, scope)?,
        Expression::Conditional(own) => conditional(own, scope)?,
        Expression::BinaryOp(own) => Value::Bool(comparison(own, scope)?),
        Expression::UnaryOp(own) if *own.operator.value() == UnaryOperator::Not => {
            Value::Bool(!bool(&own.expr, scope)?)
        }
        Expression::FuncCall(own) => call(own, scope)?,
        Expression::Variable(name) => {
            return Err(format!(
                "it uses {}, which only Packer knows",
                name.as_str()
            ));
        }
        Expression::UnaryOp(_) => return Err("it calculates with numbers".to_owned()),
        Expression::ForExpr(_) => {
            return Err("it uses for, which this program does not evaluate".to_owned());
        }
    })
}

/// Evaluates a text. This is the only place where an unknown value becomes part of another one.
fn template(template: &StringTemplate, scope: &Scope) -> Result<Value, String> {
    if let Some(Element::Interpolation(whole)) = template.as_single_element() {
        return expression(&whole.expr, scope);
    }
    let mut text = Text::default();
    for element in template {
        match element {
            Element::Literal(literal) => text.push_str(literal),
            Element::Interpolation(part) if part.strip == Strip::None => {
                text.append(expression(&part.expr, scope)?.into_text()?);
            }
            Element::Interpolation(_) => {
                return Err("it uses ${~ }, which this program does not evaluate".to_owned());
            }
            Element::Directive(_) => {
                return Err("it uses %{ }, which this program does not evaluate".to_owned());
            }
        }
    }
    Ok(Value::Text(text))
}

/// Evaluates a heredoc without interpolations. Packer and hcl-edit count the indentation of
/// empty lines differently.
fn heredoc(heredoc: &HeredocTemplate) -> Result<Value, String> {
    match heredoc.template.as_single_element() {
        Some(Element::Literal(text))
            if !text.contains('\r') && text.lines().all(|line| !line.trim().is_empty()) =>
        {
            Ok(Value::text(text))
        }
        _ => Err("it is a heredoc with interpolations or empty lines".to_owned()),
    }
}

/// Evaluates `var.x`, or parts of it selected by literals.
fn traversal(traversal: &Traversal, scope: &Scope) -> Result<Value, String> {
    let Some(name) = name(traversal) else {
        expression(&traversal.expr, scope)?;
        return Err("it uses a part of an expression".to_owned());
    };
    let mut value = scope.get(&name)?;
    for operator in traversal.operators.iter().skip(1) {
        let key = match operator.value() {
            TraversalOperator::GetAttr(key) => Some(key.as_str()),
            TraversalOperator::Index(Expression::String(key)) => Some(key.value().as_str()),
            _ => None,
        };
        let part = match (value, key, operator.value()) {
            (Value::Object(members), Some(key), _) => {
                let mut members = members.into_iter().rev();
                let member = members.find(|(name, _)| name == key);
                member.map(|(_, value)| value)
            }
            (Value::List(items), _, TraversalOperator::Index(Expression::Number(at))) => {
                let at = at.value().as_u64().and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| items.into_iter().nth(at))
            }
            _ => None,
        };
        value = part.ok_or_else(|| {
            format!("it uses a part of {name}, which this program does not evaluate")
        })?;
    }
    Ok(value)
}

fn call(call: &FuncCall, scope: &Scope) -> Result<Value, String> {
    let function = call.name.name.as_str();
    if !time_functions::is_evaluated(function) || call.name.is_namespaced() {
        return Err(format!(
            "it uses the function {function}, which this program does not evaluate"
        ));
    }
    let arguments = call.args.iter().map(|argument| expression(argument, scope));
    time_functions::call(function, &arguments.collect::<Result<Vec<_>, _>>()?)
}

/// Evaluates `a ? b : c`. Packer converts both sides to one type, so both must be known.
fn conditional(condition: &Conditional, scope: &Scope) -> Result<Value, String> {
    let is_true = bool(&condition.cond_expr, scope)?;
    let sides = [&condition.true_expr, &condition.false_expr].map(|side| expression(side, scope));
    let [first, second] = sides;
    let (first, second) = (first?, second?);
    let is_text = |item: &Value| matches!(item, Value::Text(_));
    match (&first, &second) {
        (Value::Text(_), Value::Text(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_)) => {}
        (Value::List(first), Value::List(second)) if first.iter().chain(second).all(is_text) => {}
        _ => return Err("its condition chooses between different types".to_owned()),
    }
    Ok(if is_true { first } else { second })
}

/// Compares texts and booleans. Packer has its own conversions of other types.
fn comparison(operation: &BinaryOp, scope: &Scope) -> Result<bool, String> {
    let (left, right) = (&operation.lhs_expr, &operation.rhs_expr);
    let is_equal = || match (expression(left, scope)?, expression(right, scope)?) {
        (Value::Text(left), Value::Text(right)) => Ok(left.known()? == right.known()?),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        _ => Err("it compares something else than two texts".to_owned()),
    };
    match operation.operator.value() {
        BinaryOperator::And => Ok(bool(left, scope)? & bool(right, scope)?),
        BinaryOperator::Or => Ok(bool(left, scope)? | bool(right, scope)?),
        BinaryOperator::Eq => is_equal(),
        BinaryOperator::NotEq => Ok(!is_equal()?),
        _ => Err("it calculates with numbers".to_owned()),
    }
}

fn bool(value: &Expression, scope: &Scope) -> Result<bool, String> {
    match expression(value, scope)? {
        Value::Bool(value) => Ok(value),
        value => {
            if let Value::Text(text) = value {
                text.known()?;
            }
            Err("its condition is neither true nor false".to_owned())
        }
    }
}
