//! The functions of HCL templates that are done here, each for known values and for
//! arguments of the kinds that it has in Packer; whatever else a template uses is left out
//! of the settings and named.
//! Source: <https://developer.hashicorp.com/packer/docs/templates/hcl_templates/functions>.

use ::hcl::eval::{Context, Func, FuncArgs, FuncDef, ParamType};
use ::hcl::{Map, Value};

/// Declares all of them.
pub(super) fn declare(context: &mut Context<'_>) {
    for (name, function, arguments) in TEXTS {
        let texts = std::iter::repeat_n(ParamType::String, arguments);
        context.declare_func(name, FuncDef::new(function, texts));
    }
    for (name, function, kind) in LISTS {
        let many = FuncDef::builder().variadic_param(kind);
        context.declare_func(name, many.build(function));
    }
}

/// A function with the number of its arguments, all of them texts.
const TEXTS: [(&str, Func, usize); 8] = [
    ("lower", |said| ascii(&said, str::to_ascii_lowercase), 1),
    ("upper", |said| ascii(&said, str::to_ascii_uppercase), 1),
    ("trimspace", |said| Ok(word(&said, 0).trim().into()), 1),
    (
        "trimprefix",
        |said| {
            let text = word(&said, 0);
            Ok(text.strip_prefix(word(&said, 1)).unwrap_or(text).into())
        },
        2,
    ),
    (
        "trimsuffix",
        |said| {
            let text = word(&said, 0);
            Ok(text.strip_suffix(word(&said, 1)).unwrap_or(text).into())
        },
        2,
    ),
    (
        "trim",
        |said| {
            let signs: Vec<char> = word(&said, 1).chars().collect();
            Ok(word(&said, 0).trim_matches(signs.as_slice()).into())
        },
        2,
    ),
    ("replace", |said| replace(&said), 3),
    ("split", |said| split(&said), 2),
];

/// A function of any number of arguments of this kind.
const LISTS: [(&str, Func, ParamType); 5] = [
    ("format", format, ParamType::Any),
    ("join", |said| join(&said), ParamType::Any),
    (
        "concat",
        |said| lists(&said).map(Value::from),
        ParamType::Any,
    ),
    ("merge", merge, ParamType::Any),
    ("coalesce", coalesce, ParamType::Any),
];

/// The text at this place; the parameters' types ensure that there is one.
fn word(said: &FuncArgs, at: usize) -> &str {
    said.get(at).and_then(Value::as_str).unwrap_or_default()
}

/// A text, or what reads as one in Packer.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(switch) => Ok(switch.to_string()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        _ => Err("one of its values is no text".to_owned()),
    }
}

/// Go and Rust differ in letters outside ASCII.
fn ascii(said: &FuncArgs, function: fn(&str) -> String) -> Result<Value, String> {
    match word(said, 0) {
        text if text.is_ascii() => Ok(function(text).into()),
        _ => Err("its text has letters outside ASCII".to_owned()),
    }
}

/// A pattern in slashes is a regular expression in the documentation and none in the code.
fn replace(said: &FuncArgs) -> Result<Value, String> {
    let old = word(said, 1);
    if old.is_empty() || (old.len() > 1 && old.starts_with('/') && old.ends_with('/')) {
        return Err("what it replaces is not understood".to_owned());
    }
    Ok(word(said, 0).replace(old, word(said, 2)).into())
}

fn split(said: &FuncArgs) -> Result<Value, String> {
    match word(said, 0) {
        "" => Err("its separator is empty".to_owned()),
        separator => Ok(word(said, 1).split(separator).map(Value::from).collect()),
    }
}

/// `%s`, `%d` and `%v` without flags.
fn format(said: FuncArgs) -> Result<Value, String> {
    let mut arguments = said.into_values().into_iter();
    let Some(Value::String(spec)) = arguments.next() else {
        return Err("its first argument is no text".to_owned());
    };
    let (mut out, mut signs) = (String::new(), spec.chars());
    while let Some(sign) = signs.next() {
        if sign != '%' {
            out.push(sign);
            continue;
        }
        let sign = signs.next();
        if sign == Some('%') {
            out.push('%');
            continue;
        }
        match (sign, arguments.next()) {
            (Some('d'), Some(Value::Number(number))) if !number.is_f64() => {
                out.push_str(&number.to_string());
            }
            (Some('s' | 'v'), Some(value)) => out.push_str(&text(&value)?),
            _ => return Err("only %s, %d and %v are understood, each with its value".to_owned()),
        }
    }
    match arguments.next() {
        Some(_) => Err("it has more values than places for them".to_owned()),
        None => Ok(out.into()),
    }
}

fn lists(said: &[Value]) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for list in said {
        let list = list.as_array().ok_or("one of its arguments is no list")?;
        all.extend(list.iter().cloned());
    }
    Ok(all)
}

fn join(said: &FuncArgs) -> Result<Value, String> {
    let Some((Value::String(between), rest)) = said.split_first() else {
        return Err("its first argument is no text".to_owned());
    };
    let parts: Result<Vec<_>, _> = lists(rest)?.iter().map(text).collect();
    Ok(parts?.join(between).into())
}

fn merge(said: FuncArgs) -> Result<Value, String> {
    let mut all = Map::new();
    for value in said.into_values() {
        match value {
            Value::Object(members) => all.extend(members),
            Value::Null => {}
            _ => return Err("one of its arguments is no object".to_owned()),
        }
    }
    Ok(all.into())
}

fn coalesce(said: FuncArgs) -> Result<Value, String> {
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    let first = said.into_values().into_iter().find(|value| !empty(value));
    first.ok_or_else(|| "all of its arguments are empty".to_owned())
}

/// Words of `formatdate` in strftime's, the longest first.
/// Source: <https://developer.hashicorp.com/packer/docs/templates/hcl_templates/functions/datetime/formatdate>.
const DATES: [(&str, &str); 24] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("M", "%-m"),
    ("DD", "%d"),
    ("D", "%-d"),
    ("EEEE", "%A"),
    ("EEE", "%a"),
    ("hh", "%H"),
    ("h", "%-H"),
    ("HH", "%I"),
    ("H", "%-I"),
    ("AA", "%p"),
    ("aa", "%P"),
    ("mm", "%M"),
    ("m", "%-M"),
    ("ss", "%S"),
    ("s", "%-S"),
    ("ZZZZZ", "+00:00"),
    ("ZZZZ", "+0000"),
    ("ZZZ", "UTC"),
    ("Z", "Z"),
];

/// The layout of `formatdate` in strftime's words, for a time in UTC.
pub(super) fn formatdate(spec: &str) -> Result<String, String> {
    let (mut format, mut rest) = (String::new(), spec);
    while let Some(sign) = rest.chars().next() {
        if let Some(inside) = rest.strip_prefix('\'') {
            let end = inside.find('\'').ok_or("its quote is never closed")?;
            // Two quotes within quotes stand for one.
            if inside[end + 1..].starts_with('\'') {
                return Err("its layout is not understood".to_owned());
            }
            format.push_str(&inside[..end].replace('%', "%%"));
            rest = &inside[end + 1..];
        } else if sign.is_ascii_alphabetic() {
            let run = rest.len() - rest.trim_start_matches(sign).len();
            let word = DATES.iter().find(|(word, _)| *word == &rest[..run]);
            let (_, said) = word.ok_or("its layout is not understood")?;
            format.push_str(said);
            rest = &rest[run..];
        } else {
            let sign = &rest[..sign.len_utf8()];
            format.push_str(if sign == "%" { "%%" } else { sign });
            rest = &rest[sign.len()..];
        }
    }
    Ok(format)
}
