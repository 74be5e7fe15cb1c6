//! The functions of HCL templates, as far as they say something before the import runs.
//! `timestamp()` says `{{isotime}}`; what is done to it is done to its layout.

use ::hcl::Value;
use ::hcl::eval::{Context, FuncArgs, FuncDef, ParamType};
use regex::Regex;

use super::moving::{isotime, through};

/// Declares all of them.
pub(super) fn declare(context: &mut Context<'_>) {
    use ParamType::{Any, String as Text};
    let fixed: [(&str, ::hcl::eval::Func, usize); 17] = [
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
        ("lower", |said| moved(&said, 0, &str::to_lowercase), 1),
        ("upper", |said| moved(&said, 0, &str::to_uppercase), 1),
        (
            "trimspace",
            |said| moved(&said, 0, &|text| text.trim().to_owned()),
            1,
        ),
        (
            "trimprefix",
            |said| {
                let end = word(&said, 1);
                moved(&said, 0, &|text| {
                    text.strip_prefix(end).unwrap_or(text).to_owned()
                })
            },
            2,
        ),
        (
            "trimsuffix",
            |said| {
                let end = word(&said, 1);
                moved(&said, 0, &|text| {
                    text.strip_suffix(end).unwrap_or(text).to_owned()
                })
            },
            2,
        ),
        (
            "trim",
            |said| {
                let signs: Vec<char> = word(&said, 1).chars().collect();
                moved(&said, 0, &|text| {
                    text.trim_matches(signs.as_slice()).to_owned()
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
            |said| moved(&said, 0, &super::holes::clean),
            1,
        ),
        (
            "basename",
            |said| {
                moved(&said, 0, &|text| {
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
    for (name, function, arguments) in fixed {
        let texts = std::iter::repeat_n(Text, arguments);
        context.declare_func(name, FuncDef::new(function, texts));
    }
    let open: [(&str, ::hcl::eval::Func); 9] = [
        ("legacy_isotime", |said| {
            let plain = || "{{isotime}}".to_owned();
            Ok(said
                .first()
                .and_then(Value::as_str)
                .map_or_else(plain, isotime)
                .into())
        }),
        ("format", format),
        ("join", join),
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
    for (name, function) in open {
        context.declare_func(name, FuncDef::builder().variadic_param(Any).build(function));
    }
}

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

fn moved(said: &FuncArgs, at: usize, function: &dyn Fn(&str) -> String) -> Result<Value, String> {
    through(word(said, at), function)
        .map(Value::from)
        .ok_or_else(|| "what it is given is not known before the import runs".to_owned())
}

fn replace(said: &FuncArgs) -> Result<Value, String> {
    let old = word(said, 1);
    match old.strip_prefix('/').and_then(|old| old.strip_suffix('/')) {
        Some(pattern) if !pattern.is_empty() => regex_replace(said, pattern),
        _ => moved(said, 0, &|text| text.replace(old, word(said, 2))),
    }
}

fn regex_replace(said: &FuncArgs, pattern: &str) -> Result<Value, String> {
    let pattern = Regex::new(pattern).map_err(|_| "its pattern is not understood".to_owned())?;
    moved(said, 0, &|text| {
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

fn join(said: FuncArgs) -> Result<Value, String> {
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
