//! Packer's `{{…}}` in ours. Functions of known texts are done; what is known only when
//! the import runs stays a `{{…}}` of its own, and nothing is done to it.

use super::blocks::Remark;
use crate::template::{Template, Token, tokens};

/// What `clean_resource_name` leaves as it is.
const CLEAN: &str = "()[] ./-'@_";

/// Around a `{{…}}` of ours, so that it is not read as one of Packer's. No text has these
/// two characters: Unicode keeps them for use within a program.
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// A text that is known when the import runs.
pub(super) fn open(function: &str) -> String {
    format!("{}{function}{}", MARKS[0], MARKS[1])
}

/// Whether a part of the text is known only when the import runs.
pub(super) fn is_open(text: &str) -> bool {
    text.contains(MARKS[0])
}

/// `isotime "LAYOUT"`, marked.
pub(super) fn isotime(layout: &str) -> String {
    let layout = layout.replace('\\', "\\\\").replace('"', "\\\"");
    open(&format!("isotime \"{layout}\""))
}

/// A variable that the import reads from the environment, marked. A name that no shell
/// can set, or that is the name of a secret, can't be read.
pub(super) fn environment(name: &str) -> Option<String> {
    const SECRET: [&str; 4] = ["KEY", "SECRET", "TOKEN", "PASSWORD"];
    let upper = name.to_ascii_uppercase();
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let starts = name.starts_with(|c: char| !c.is_ascii_digit());
    let secret = SECRET.iter().any(|word| upper.contains(word));
    (plain && starts && !secret).then(|| open(&format!("env \"{name}\"")))
}

/// Looks up `{{user}}`: a text with `{{…}}` of its own, or why it is not known.
pub(super) type User<'a> = &'a dyn Fn(&str, &mut Vec<Remark>) -> Result<String, String>;

/// The text with `{{…}}` of ours.
pub(super) fn translate(
    text: &str,
    user: User<'_>,
    remarks: &mut Vec<Remark>,
) -> Result<String, String> {
    let unmarked = |text: &str| text.replace(MARKS[0], "{{").replace(MARKS[1], "}}");
    let marked = resolve(text, user, remarks).map_err(|why| unmarked(&why))?;
    for name in marked.split(MARKS[0]).filter_map(|part| {
        let name = part.strip_prefix("env \"")?.split(MARKS[1]).next()?;
        name.strip_suffix('"')
    }) {
        let remark = Remark::Environment(name.to_owned());
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
    let out = unmarked(&marked.replace("{{", "{{\"{{\"}}"));
    Template::parse(&out)?;
    Ok(out)
}

/// The text with marks in the place of what is not known yet.
pub(super) fn resolve(
    text: &str,
    user: User<'_>,
    remarks: &mut Vec<Remark>,
) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("{{") {
        let hole = &rest[start..];
        let Some((tokens, length)) = tokens(hole) else {
            return Err("it has a {{ that is never closed by }}".to_owned());
        };
        out.push_str(&rest[..start]);
        let (hole, rest_of_text) = hole.split_at(length);
        out.push_str(&pipeline(&words(tokens), hole, user, remarks)?);
        rest = rest_of_text;
    }
    out.push_str(rest);
    Ok(out)
}

#[derive(Debug, PartialEq)]
enum Word {
    Name(String),
    Text(String),
    Pipe,
}

/// The template's own tokens, with pipes on their own.
fn words(tokens: Vec<Token>) -> Vec<Word> {
    let mut words = Vec::new();
    for token in tokens {
        match token {
            Token::Quoted(text) => words.push(Word::Text(text)),
            Token::Word(name) => {
                for (at, part) in name.split('|').enumerate() {
                    if at > 0 {
                        words.push(Word::Pipe);
                    }
                    if !part.is_empty() {
                        words.push(Word::Name(part.to_owned()));
                    }
                }
            }
        }
    }
    words
}

/// `a b | c`: what one gives is the last argument of the next.
fn pipeline(
    words: &[Word],
    hole: &str,
    user: User<'_>,
    remarks: &mut Vec<Remark>,
) -> Result<String, String> {
    let mut given = None;
    for command in words.split(|word| *word == Word::Pipe) {
        let (name, arguments) = match command {
            [Word::Name(name), arguments @ ..] => (Some(name.as_str()), arguments),
            arguments => (None, arguments),
        };
        let mut texts: Vec<String> = Vec::new();
        for argument in arguments {
            match argument {
                Word::Text(text) => texts.push(text.clone()),
                // The count of `replace`.
                Word::Name(number) if number.parse::<i64>().is_ok() => texts.push(number.clone()),
                Word::Name(_) | Word::Pipe => return Err(unknown(hole)),
            }
        }
        texts.extend(given.take());
        given = Some(call(name, &texts, hole, user, remarks)?);
    }
    given.ok_or_else(|| unknown(hole))
}

fn call(
    name: Option<&str>,
    arguments: &[String],
    hole: &str,
    user: User<'_>,
    remarks: &mut Vec<Remark>,
) -> Result<String, String> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let time = [open("isotime")];
    let of_the_time = name == Some("clean_resource_name") && arguments == time;
    if name.is_some() && !of_the_time && arguments.iter().any(|text| is_open(text)) {
        return Err(format!(
            "{hole} changes a text that is known only when the import runs"
        ));
    }
    match (name, arguments.as_slice()) {
        (None, [text]) => Ok((*text).to_owned()),
        (Some("timestamp" | "isotime" | "uuid"), []) => Ok(open(name.unwrap_or_default())),
        (Some("isotime"), [layout]) if layout.contains('%') => Err(format!(
            "{hole} has a layout with %, which means something else here"
        )),
        (Some("isotime"), [layout]) => Ok(isotime(layout)),
        (Some("strftime"), [layout]) => Ok(isotime(strftime(layout)?)),
        (Some("env"), [name]) => environment(name)
            .ok_or_else(|| format!("it uses {hole}, which this program does not read")),
        (Some("user"), [name]) => user(name, remarks),
        // The way to use the time in a name (packer-plugin-amazon's template_funcs.go).
        (Some("clean_resource_name"), _) if of_the_time => Ok(isotime("2006-01-02T15-04-05Z")),
        (Some("clean_resource_name"), [text]) => Ok(clean(text)),
        (Some("upper"), [text]) if text.is_ascii() => Ok(text.to_ascii_uppercase()),
        (Some("lower"), [text]) if text.is_ascii() => Ok(text.to_ascii_lowercase()),
        (Some("replace_all"), [old, new, text]) if !old.is_empty() => Ok(text.replace(old, new)),
        (Some("replace"), [old, new, count, text]) if !old.is_empty() => {
            let count = count.parse().unwrap_or(usize::MAX);
            Ok(text.replacen(old, new, count))
        }
        _ => Err(unknown(hole)),
    }
}

/// The layout, if each of its words means the same in Packer's strftime and in ours.
pub(super) fn strftime(layout: &str) -> Result<&str, String> {
    let mut words = layout.split('%');
    words.next();
    let mut escaped = false;
    for word in words {
        if std::mem::take(&mut escaped) {
            continue;
        }
        escaped = word.is_empty();
        if !escaped && !word.starts_with(|c| "AaBbdeFHIjMmpRSTYy".contains(c)) {
            return Err("its layout is not understood".to_owned());
        }
    }
    Ok(layout)
}

/// What a name may have, and a hyphen for the rest.
fn clean(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || CLEAN.contains(c);
    text.chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect()
}

fn unknown(hole: &str) -> String {
    let inside = hole.trim_matches(['{', '}']).trim();
    let name = inside.split_whitespace().next().unwrap_or_default();
    let instead = match name {
        "build_name" | "build_type" | "build" | "packer_version" => "only a running build knows it",
        "template_dir" | "pwd" => "only Packer knows it",
        "consul_key" | "vault" | "aws_secretsmanager" | "aws_secretsmanager_raw" => {
            "it reads a store of secrets"
        }
        _ if name.starts_with('.') => "only a running build knows it",
        _ => "this program has no such function",
    };
    let name = if name.is_empty() { "nothing" } else { name };
    format!("it uses {{{{{name}}}}}, and {instead}")
}
