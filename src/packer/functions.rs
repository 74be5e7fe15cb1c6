//! The functions of HCL templates, as far as they say something before the import runs.
//! `timestamp()` says `{{isotime}}`; what is done to it is done to its layout.

use ::hcl::Value;
use ::hcl::eval::{Context, Func, FuncArgs, FuncDef, ParamType};
use regex::Regex;

use super::moving::{isotime, through};

/// A function with the number of its arguments, all of them texts.
type Fixed = (&'static str, Func, usize);

/// Declares all of them.
pub(super) fn declare(context: &mut Context<'_>) {
    for (name, function, arguments) in TIMES.into_iter().chain(TEXTS) {
        let texts = std::iter::repeat_n(ParamType::String, arguments);
        context.declare_func(name, FuncDef::new(function, texts));
    }
    for (name, function) in LISTS {
        let any = FuncDef::builder().variadic_param(ParamType::Any);
        context.declare_func(name, any.build(function));
    }
}

/// What differs from run to run.
const TIMES: [Fixed; 6] = [
    ("timestamp", |_| Ok("{{isotime}}".into()), 0),
    ("uuidv4", |_| Ok("{{uuid}}".into()), 0),
    ("uuidv1", |_| Ok("{{uuid}}".into()), 0),
    (
        "env",
        |said| Ok(format!("{{{{env \"{}\"}}}}", word(&said, 0)).into()),
        1,
    ),
    (
        "legacy_strftime",
        |said| Ok(isotime(word(&said, 0)).into()),
        1,
    ),
    (
        "formatdate",
        |said| formatdate(word(&said, 0), word(&said, 1)),
        2,
    ),
];

/// What is done to a text.
const TEXTS: [Fixed; 11] = [
    ("lower", |said| moved(&said, &str::to_lowercase), 1),
    ("upper", |said| moved(&said, &str::to_uppercase), 1),
    (
        "trimspace",
        |said| moved(&said, &|text| text.trim().to_owned()),
        1,
    ),
    (
        "trimprefix",
        |said| {
            moved(&said, &|text| {
                text.strip_prefix(word(&said, 1)).unwrap_or(text).to_owned()
            })
        },
        2,
    ),
    (
        "trimsuffix",
        |said| {
            moved(&said, &|text| {
                text.strip_suffix(word(&said, 1)).unwrap_or(text).to_owned()
            })
        },
        2,
    ),
    (
        "trim",
        |said| {
            moved(&said, &|text| {
                text.trim_matches(|sign| word(&said, 1).contains(sign))
                    .to_owned()
            })
        },
        2,
    ),
    ("replace", |said| replace(&said), 3),
    (
        "regex_replace",
        |said| regex_replace(&said, word(&said, 1)),
        3,
    ),
    (
        "clean_resource_name",
        |said| moved(&said, &super::holes::clean),
        1,
    ),
    (
        "basename",
        |said| {
            moved(&said, &|text| {
                text.rsplit('/').next().unwrap_or_default().to_owned()
            })
        },
        1,
    ),
    (
        "split",
        |said| {
            let parts = word(&said, 1).split(word(&said, 0));
            Ok(parts.map(Value::from).collect())
        },
        2,
    ),
];

/// What takes any number of values.
const LISTS: [(&str, Func); 9] = [
    ("legacy_isotime", |said| {
        let plain = || "{{isotime}}".to_owned();
        Ok(said
            .first()
            .and_then(Value::as_str)
            .map_or_else(plain, isotime)
            .into())
    }),
    ("format", format),
    ("join", |said| join(&said)),
    ("concat", |said| {
        Ok(said
            .iter()
            .filter_map(Value::as_array)
            .flatten()
            .cloned()
            .collect())
    }),
    ("merge", |said| {
        let objects = said.iter().filter_map(Value::as_object).flatten();
        Ok(objects
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }),
    ("coalesce", |said| {
        let said = said
            .iter()
            .find(|value| !value.is_null() && value.as_str() != Some(""));
        said.cloned()
            .ok_or_else(|| "all of its arguments are empty".to_owned())
    }),
    ("tostring", |said| {
        Ok(said.first().map(text).unwrap_or_default().into())
    }),
    ("tolist", first),
    ("toset", first),
];

fn first(said: FuncArgs) -> Result<Value, String> {
    said.into_values()
        .into_iter()
        .next()
        .ok_or_else(|| "it has no argument".to_owned())
}

/// The text at this place; the parameters' types say that there is one.
fn word(said: &FuncArgs, at: usize) -> &str {
    said.get(at).and_then(Value::as_str).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The function done to the first argument.
fn moved(said: &FuncArgs, function: &dyn Fn(&str) -> String) -> Result<Value, String> {
    through(word(said, 0), function)
        .map(Value::from)
        .ok_or_else(|| "what it is given is not known before the import runs".to_owned())
}

fn replace(said: &FuncArgs) -> Result<Value, String> {
    let old = word(said, 1);
    match old.strip_prefix('/').and_then(|old| old.strip_suffix('/')) {
        Some(pattern) if !pattern.is_empty() => regex_replace(said, pattern),
        _ => moved(said, &|text| text.replace(old, word(said, 2))),
    }
}

fn regex_replace(said: &FuncArgs, pattern: &str) -> Result<Value, String> {
    let pattern = Regex::new(pattern).map_err(|_| "its pattern is not understood".to_owned())?;
    moved(said, &|text| {
        pattern.replace_all(text, word(said, 2)).into_owned()
    })
}

/// `%s`, `%d`, `%v` and `%q`; anything finer is left alone.
fn format(said: FuncArgs) -> Result<Value, String> {
    let mut arguments = said.into_values().into_iter();
    let spec = arguments.next().as_ref().map(text).unwrap_or_default();
    let mut out = String::new();
    let mut signs = spec.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            out.push(sign);
            continue;
        }
        let missing = || "it has fewer values than places for them".to_owned();
        match signs.next() {
            Some('%') => out.push('%'),
            Some('s' | 'd' | 'v') => out.push_str(&text(&arguments.next().ok_or_else(missing)?)),
            _ => return Err("only %s, %d and %v are understood".to_owned()),
        }
    }
    Ok(out.into())
}

fn join(said: &FuncArgs) -> Result<Value, String> {
    let (between, lists) = said
        .split_first()
        .ok_or_else(|| "it has no argument".to_owned())?;
    let parts = lists.iter().filter_map(Value::as_array).flatten().map(text);
    Ok(parts.collect::<Vec<_>>().join(&text(between)).into())
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

fn formatdate(spec: &str, time: &str) -> Result<Value, String> {
    if time != "{{isotime}}" {
        return Err("only the time of the run can be given to it".to_owned());
    }
    let (mut format, mut rest) = (String::new(), spec);
    while let Some(sign) = rest.chars().next() {
        if let Some(inside) = rest.strip_prefix('\'') {
            let end = inside
                .find('\'')
                .ok_or_else(|| "its quote is never closed".to_owned())?;
            format.push_str(&inside[..end].replace('%', "%%"));
            rest = &inside[end + 1..];
        } else if let Some((word, said)) = DATES.iter().find(|(word, _)| rest.starts_with(word)) {
            format.push_str(said);
            rest = &rest[word.len()..];
        } else if sign.is_alphabetic() {
            return Err("its layout is not understood".to_owned());
        } else {
            format.push_str(if sign == '%' {
                "%%"
            } else {
                &rest[..sign.len_utf8()]
            });
            rest = &rest[sign.len_utf8()..];
        }
    }
    Ok(if format.contains('%') {
        isotime(&format)
    } else {
        format
    }
    .into())
}
