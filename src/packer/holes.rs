//! Packer's `{{…}}` in ours. What a hole says is found out as far as that goes without
//! Packer: functions of fixed texts are done, functions of the time become layouts.

use super::blocks::Remark;
use super::moving::{isotime, through};
use crate::template::{Template, Token, tokens};

/// What `clean_resource_name` leaves as it is.
const CLEAN: &str = "()[] ./-'@_";

/// Where `{{user}}` and `{{env}}` look.
pub(super) trait Names {
    /// What a variable says, itself translated.
    fn user(&self, name: &str, remarks: &mut Vec<Remark>) -> Result<String, String>;
}

/// The text with our holes.
pub(super) fn translate(
    text: &str,
    names: &dyn Names,
    remarks: &mut Vec<Remark>,
) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("{{") {
        let hole = &rest[start..];
        let Some((tokens, length)) = tokens(hole) else {
            return Err("it has a {{ that is never closed by }}".to_owned());
        };
        out.push_str(&rest[..start]);
        let words = words(tokens);
        let mut words = words.as_slice();
        let said = pipeline(&mut words, &hole[..length], names, remarks)?;
        if !words.is_empty() {
            return Err(unknown(&hole[..length]));
        }
        out.push_str(&said);
        rest = &hole[length..];
    }
    out.push_str(rest);
    Template::parse(&out)?;
    Ok(out)
}

/// A text that needs no Packer any more, as it stands between holes.
fn literal(text: &str) -> String {
    text.replace("{{", "{{\"{{\"}}")
}

#[derive(Debug)]
enum Word {
    Name(String),
    Text(String),
    Pipe,
    Open,
    Close,
}

/// The template's own tokens, with pipes and parentheses on their own.
fn words(tokens: Vec<Token>) -> Vec<Word> {
    let mut words = Vec::new();
    for token in tokens {
        let mut name = match token {
            Token::Quoted(text) => {
                words.push(Word::Text(text));
                continue;
            }
            Token::Word(name) => name,
        };
        while let Some(at) = name.find(['|', '(', ')']) {
            let rest = name.split_off(at + 1);
            let sign = name.pop();
            if !name.is_empty() {
                words.push(Word::Name(name));
            }
            words.push(match sign {
                Some('|') => Word::Pipe,
                Some('(') => Word::Open,
                _ => Word::Close,
            });
            name = rest;
        }
        if !name.is_empty() {
            words.push(Word::Name(name));
        }
    }
    words
}

/// `a b | c`: what one says is the last argument of the next.
fn pipeline(
    words: &mut &[Word],
    hole: &str,
    names: &dyn Names,
    remarks: &mut Vec<Remark>,
) -> Result<String, String> {
    let mut said = None;
    loop {
        let (name, mut arguments) = command(words, hole, names, remarks)?;
        arguments.extend(said.take());
        said = Some(call(name.as_deref(), &arguments, hole, names, remarks)?);
        match words.split_first() {
            Some((Word::Pipe, rest)) => *words = rest,
            _ => return said.ok_or_else(|| unknown(hole)),
        }
    }
}

/// A function with its arguments, or a text alone.
fn command(
    words: &mut &[Word],
    hole: &str,
    names: &dyn Names,
    remarks: &mut Vec<Remark>,
) -> Result<(Option<String>, Vec<String>), String> {
    let mut name = None;
    let mut arguments = Vec::new();
    while let Some((word, rest)) = words.split_first() {
        match word {
            Word::Pipe | Word::Close => break,
            Word::Name(said) if name.is_none() && arguments.is_empty() => name = Some(said.clone()),
            Word::Name(said) => arguments.push(said.clone()),
            Word::Text(text) => arguments.push(literal(text)),
            Word::Open => {
                *words = rest;
                arguments.push(pipeline(words, hole, names, remarks)?);
                let Some((Word::Close, rest)) = words.split_first() else {
                    return Err(unknown(hole));
                };
                *words = rest;
                continue;
            }
        }
        *words = rest;
    }
    Ok((name, arguments))
}

fn call(
    name: Option<&str>,
    arguments: &[String],
    hole: &str,
    names: &dyn Names,
    remarks: &mut Vec<Remark>,
) -> Result<String, String> {
    let moved = |text: &str, function: &dyn Fn(&str) -> String| {
        through(text, function)
            .ok_or_else(|| format!("what {hole} says is not known before the import runs"))
    };
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match (name, arguments.as_slice()) {
        (None, [text]) => Ok((*text).to_owned()),
        (Some("timestamp"), []) => Ok("{{timestamp}}".to_owned()),
        (Some("isotime"), []) => Ok("{{isotime}}".to_owned()),
        (Some("isotime" | "strftime"), [layout]) => Ok(isotime(layout)),
        (Some("uuid"), []) => Ok("{{uuid}}".to_owned()),
        (Some("env"), [name]) => Ok(environment(name, remarks)),
        (Some("user"), [name]) => names.user(name, remarks),
        (Some("upper"), [text]) => moved(text, &str::to_uppercase),
        (Some("lower"), [text]) => moved(text, &str::to_lowercase),
        (Some("clean_resource_name"), [text]) => moved(text, &clean),
        (Some("replace_all"), [old, new, text]) => moved(text, &|text| text.replace(old, new)),
        (Some("replace"), [old, new, count, text]) => match count.parse::<usize>() {
            Ok(count) => moved(text, &|text| text.replacen(old, new, count)),
            Err(_) => moved(text, &|text| text.replace(old, new)),
        },
        _ => Err(unknown(hole)),
    }
}

/// What a name may have, and a hyphen for the rest.
pub(super) fn clean(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || CLEAN.contains(c);
    text.chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect()
}

/// `{{env "NAME"}}`, with the remark that it must be set.
pub(super) fn environment(name: &str, remarks: &mut Vec<Remark>) -> String {
    let remark = Remark::Environment(name.to_owned());
    if !remarks.contains(&remark) {
        remarks.push(remark);
    }
    format!("{{{{env \"{name}\"}}}}")
}

fn unknown(hole: &str) -> String {
    let inside = hole.trim_matches(['{', '}']).trim();
    let name = inside.split_whitespace().next().unwrap_or_default();
    let instead = match name {
        "build_name" | "build_type" | "build" | "packer_version" => "only a running build knows it",
        "template_dir" | "pwd" => "only Packer knows it",
        "consul_key" | "vault" | "aws_secretsmanager" | "aws_secretsmanager_raw" => {
            "it asks a store of secrets"
        }
        _ if name.starts_with('.') => "only a running build knows it",
        _ => "there is no such function here",
    };
    let name = if name.is_empty() { "nothing" } else { name };
    format!("it uses {{{{{name}}}}}, and {instead}")
}
