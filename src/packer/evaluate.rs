//! What an expression of HCL gives when everything in it is known. The evaluation is
//! hcl-rs's; where that differs from Packer's, nothing is claimed.

use std::collections::BTreeSet;

use ::hcl::Value;
use ::hcl::edit::Decorated;
use ::hcl::edit::expr::{
    BinaryOp, BinaryOperator, Expression, ForExpr, Traversal, TraversalOperator, UnaryOp,
    UnaryOperator,
};
use ::hcl::edit::template::ForTemplateExpr;
use ::hcl::edit::visit::{
    Visit, visit_binary_op, visit_expr, visit_for_expr, visit_for_template_expr, visit_traversal,
    visit_unary_op,
};
use ::hcl::eval::{Context, ErrorKind, Evaluate};

/// The functions whose value only the import knows; nothing may be done with it.
const AT_RUN_TIME: [&str; 6] = [
    "env",
    "formatdate",
    "legacy_isotime",
    "legacy_strftime",
    "timestamp",
    "uuidv4",
];

/// What the expression gives, or why that is not known: never with a value in it. The
/// context has only what is known, so a name that is not known makes it an error.
pub(super) fn strict(expression: &Expression, context: &Context<'_>) -> Result<Value, String> {
    let mut differs = Differs { context, why: None };
    differs.visit_expr(expression);
    if let Some(why) = differs.why {
        return Err(why.to_owned());
    }
    let expression = ::hcl::Expression::from(expression.clone());
    expression
        .evaluate(context)
        .map_err(|error| match error.into_kind() {
            ErrorKind::UndefinedVar(name) => format!("it uses {name}, which only Packer knows"),
            ErrorKind::UndefinedFunc(name) if AT_RUN_TIME.contains(&name.name.as_str()) => {
                format!("it uses what {name} gives, which is known only when the import runs")
            }
            ErrorKind::UndefinedFunc(name) => {
                format!("it uses the function {name}, which this program does not have")
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

/// `var.x` and `local.x` of an expression.
pub(super) fn names(expression: &Expression) -> BTreeSet<String> {
    let mut names = Names::default();
    names.visit_expr(expression);
    names.0
}

/// The two words of `var.x`, `local.x` or another name in two parts.
pub(super) fn name(traversal: &Traversal) -> Option<String> {
    let first = traversal.operators.first().map(Decorated::value);
    match (&traversal.expr, first) {
        (Expression::Variable(root), Some(TraversalOperator::GetAttr(name))) => {
            Some(format!("{}.{}", root.as_str(), name.as_str()))
        }
        _ => None,
    }
}

#[derive(Default)]
struct Names(BTreeSet<String>);

impl Visit for Names {
    fn visit_expr(&mut self, expression: &Expression) {
        visit_expr(self, expression);
    }

    fn visit_traversal(&mut self, traversal: &Traversal) {
        let name = name(traversal);
        let own = |name: &String| name.starts_with("var.") || name.starts_with("local.");
        self.0.extend(name.filter(own));
        visit_traversal(self, traversal);
    }
}

/// Looks for what hcl-rs does otherwise than Packer.
struct Differs<'c> {
    context: &'c Context<'c>,
    why: Option<&'static str>,
}

impl Differs<'_> {
    /// Packer goes through an object by its sorted keys, hcl-rs in the order in which it
    /// is written.
    fn collection(&mut self, collection: &Expression) {
        let known = strict(collection, self.context);
        if !known.is_ok_and(|value| value.is_array()) {
            self.why = Some("it goes through something else than a list");
        }
    }
}

impl Visit for Differs<'_> {
    fn visit_for_expr(&mut self, node: &ForExpr) {
        self.collection(&node.intro.collection_expr);
        visit_for_expr(self, node);
    }

    fn visit_for_template_expr(&mut self, node: &ForTemplateExpr) {
        self.collection(&node.collection_expr);
        visit_for_template_expr(self, node);
    }

    // Packer's numbers have any size and precision.
    fn visit_binary_op(&mut self, node: &BinaryOp) {
        use BinaryOperator::{Div, Minus, Mod, Mul, Plus};
        if matches!(node.operator.value(), Plus | Minus | Mul | Div | Mod) {
            self.why = Some("it computes with numbers");
        }
        visit_binary_op(self, node);
    }

    fn visit_unary_op(&mut self, node: &UnaryOp) {
        if *node.operator.value() == UnaryOperator::Neg {
            self.why = Some("it computes with numbers");
        }
        visit_unary_op(self, node);
    }
}
