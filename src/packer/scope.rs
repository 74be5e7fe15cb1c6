//! The names of an HCL template, and what an expression says with them.

use std::collections::{BTreeMap, BTreeSet};

use ::hcl::Value;
use ::hcl::edit::Decorated;
use ::hcl::edit::expr::{Expression, Traversal, TraversalOperator};
use ::hcl::edit::structure::{Block as HclBlock, BlockLabel, Body};
use ::hcl::edit::visit::{Visit, visit_expr, visit_traversal};
use ::hcl::eval::{Context, ErrorKind, Evaluate};

/// `var.x` and `local.x` of one expression.
#[derive(Default)]
pub(super) struct Mentioned(pub(super) BTreeSet<String>);

impl Visit for Mentioned {
    fn visit_expr(&mut self, expression: &Expression) {
        visit_expr(self, expression);
    }

    fn visit_traversal(&mut self, traversal: &Traversal) {
        let first = traversal.operators.first().map(Decorated::value);
        if let (Expression::Variable(root), Some(TraversalOperator::GetAttr(name))) =
            (&traversal.expr, first)
            && matches!(root.as_str(), "var" | "local")
        {
            self.0
                .insert(format!("{}.{}", root.as_str(), name.as_str()));
        }
        visit_traversal(self, traversal);
    }
}

/// What the expression says, or why that is not known: never with a value in it.
pub(super) fn evaluate(expression: &Expression, context: &Context<'_>) -> Result<Value, String> {
    let expression = ::hcl::Expression::from(expression.clone());
    expression
        .evaluate(context)
        .map_err(|error| match error.into_kind() {
            ErrorKind::UndefinedVar(name) => format!("it uses {name}, which only Packer knows"),
            ErrorKind::UndefinedFunc(name) => {
                format!("it uses the function {name}, which is not known here")
            }
            ErrorKind::NoSuchKey(key) => format!("it uses {key}, which only Packer knows"),
            ErrorKind::FuncCall(name, why) if !why.starts_with("expected ") => {
                format!("it uses the function {name}, and {why}")
            }
            ErrorKind::FuncCall(name, _) => {
                format!("it uses the function {name} with something unexpected")
            }
            _ => "it can't be worked out without Packer".to_owned(),
        })
}

/// A variable of Packer's in the environment, as Packer reads it there.
pub(super) fn from_environment(name: &str) -> String {
    format!("{{{{env \"PKR_VAR_{name}\"}}}}")
}

/// Each variable with its default and whether it is a secret.
pub(super) fn variables(body: &Body) -> Vec<(String, Option<&Expression>, bool)> {
    let single = body.get_blocks("variable").filter_map(|block| {
        let default = block
            .body
            .get_attribute("default")
            .map(|default| &default.value);
        Some((label(block)?.to_owned(), default, is_sensitive(block)))
    });
    let grouped = body
        .get_blocks("variables")
        .flat_map(|block| block.body.attributes());
    let grouped =
        grouped.map(|attribute| (attribute.key.to_string(), Some(&attribute.value), false));
    single.chain(grouped).collect()
}

pub(super) fn locals(body: &Body) -> BTreeMap<String, &Expression> {
    let grouped = body
        .get_blocks("locals")
        .flat_map(|block| block.body.attributes());
    let grouped = grouped.map(|attribute| (attribute.key.to_string(), &attribute.value));
    let single = body.get_blocks("local").filter_map(|block| {
        let expression = block.body.get_attribute("expression")?;
        Some((label(block)?.to_owned(), &expression.value))
    });
    grouped.chain(single).collect()
}

pub(super) fn is_sensitive(block: &HclBlock) -> bool {
    let said = block.body.get_attribute("sensitive");
    said.is_some_and(|said| said.value.as_bool() != Some(false))
}

pub(super) fn label(block: &HclBlock) -> Option<&str> {
    block.labels.first().map(BlockLabel::as_str)
}
