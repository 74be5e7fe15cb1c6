//! Packer's `{{…}}`, which its post-processors evaluate in each of their texts. Only the time,
//! a UUID, and variables are evaluated; a value that is passed to another function is unknown.
//! Source: `template/interpolate/funcs.go` of hashicorp/packer-plugin-sdk.

use super::time_functions::go_layout;
use super::value::{Deferred, Part, Text};
use crate::config::template::{Token, tokens};

/// Returns the text with each `{{…}}` evaluated; `user` returns the value of a variable.
pub(super) fn expand(
    text: &Text,
    user: &dyn Fn(&str) -> Result<Text, String>,
) -> Result<Text, String> {
    let mut expanded = Text::default();
    for part in text.parts() {
        let mut rest = match part {
            Part::Literal(literal) => literal.as_str(),
            Part::Deferred(deferred) => {
                expanded.append(deferred.clone().into());
                continue;
            }
        };
        while let Some(start) = rest.find("{{") {
            let (tokens, length) =
                tokens(&rest[start..]).ok_or("it has a {{ that is never closed by }}")?;
            expanded.push_str(&rest[..start]);
            let (action, after) = rest[start..].split_at(length);
            expanded.append(value(&tokens, action, user)?);
            rest = after;
        }
        expanded.push_str(rest);
    }
    Ok(expanded)
}

/// Returns the value of one `{{…}}`.
fn value(
    tokens: &[Token],
    action: &str,
    user: &dyn Fn(&str) -> Result<Text, String>,
) -> Result<Text, String> {
    // Packer's own escapes differ from Go's.
    if action.contains('\\') {
        return Err(not_evaluated(action));
    }
    match tokens {
        [Token::Quoted(text)] => Ok(Text::new(text)),
        [Token::Word(name)] if name == "timestamp" => Ok(Deferred::Timestamp.into()),
        [Token::Word(name)] if name == "isotime" => Ok(Deferred::Isotime(None).into()),
        [Token::Word(name)] if name == "uuid" => Ok(Deferred::Uuid.into()),
        [Token::Word(name), Token::Quoted(argument)] => match name.as_str() {
            "user" => user(argument),
            "isotime" => Ok(go_layout(Some(argument.clone()))?.into()),
            "env" => Deferred::environment(argument, None)
                .map(Text::from)
                .ok_or_else(|| format!("it depends on {argument}, which the import does not read")),
            _ => Err(not_evaluated(action)),
        },
        _ => Err(not_evaluated(action)),
    }
}

/// Names an action that is not evaluated. It is not quoted as a whole, because it may contain a
/// secret.
fn not_evaluated(action: &str) -> String {
    let inside = action.trim_matches(['{', '}', '-', ' ']);
    let end = |c: char| c.is_whitespace() || "|\"`('".contains(c);
    let name = inside.split(end).next().unwrap_or_default();
    match name {
        "timestamp" | "isotime" | "uuid" | "user" | "env" => {
            format!(
                "it changes {{{{{name}}}}}, and this program evaluates only {{{{{name}}}}} by itself"
            )
        }
        _ if name.starts_with('.') || name.starts_with("build") => {
            format!("it uses {{{{{name}}}}}, which only a running build knows")
        }
        _ => format!("it uses {{{{{name}}}}}, which this program does not evaluate"),
    }
}
