//! `{{timestamp}}` and other functions in names, keys, descriptions and tags. A template is
//! parsed completely before anything happens; rendering can then fail only for a variable that
//! is unset or may be secret. Which options may contain a template is defined by the clouds.

use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

use super::time_layout::{RFC_3339, check_layout, format_time};
use crate::error::{Error, Result};

/// Every function, with its syntax.
const FUNCTIONS: [(&str, &str); 6] = [
    ("timestamp", "{{timestamp}}"),
    ("isotime", "{{isotime}} or {{isotime \"2006-01-02\"}}"),
    ("uuid", "{{uuid}}"),
    ("env", "{{env \"NAME\"}}"),
    ("file_stem", "{{file_stem}}"),
    ("format", "{{format}}"),
];

/// A text with placeholders.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template(Vec<Piece>);

/// The values of the placeholders.
pub struct Values<'a> {
    /// The time of the run.
    pub clock: Timestamp,
    /// The image's file name without its extension.
    pub file_stem: &'a str,
    /// The format of what is uploaded.
    pub format: &'a str,
    /// Returns the value of a variable of the environment, or the reason that it cannot be
    /// used.
    pub env: &'a dyn Fn(&str) -> Result<String, String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(String),
    Timestamp,
    Isotime(String),
    Uuid,
    Env(String),
    FileStem,
    Format,
}

impl Template {
    /// Parses a template; the error describes the problem.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            pieces.push(Piece::Text(rest[..start].to_owned()));
            let hole = &rest[start..];
            let (tokens, length) =
                tokens(hole).ok_or_else(|| unclosed_error(text, text.len() - hole.len()))?;
            pieces.push(parse_piece(&tokens, &hole[..length])?);
            rest = &hole[length..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// Renders the template; the error names the variable that cannot be used.
    pub fn render(&self, values: &Values) -> Result<String, String> {
        self.0.iter().map(|piece| piece.render(values)).collect()
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Piece {
    fn render(&self, values: &Values) -> Result<String, String> {
        Ok(match self {
            Self::Text(text) => text.clone(),
            Self::Timestamp => values.clock.as_second().to_string(),
            Self::Isotime(layout) => format_time(layout, values.clock)?,
            Self::Uuid => Uuid::new_v4().to_string(),
            Self::Env(name) => (values.env)(name)?,
            Self::FileStem => values.file_stem.to_owned(),
            Self::Format => values.format.to_owned(),
        })
    }
}

fn unclosed_error(text: &str, at: usize) -> String {
    let position = text[..at].chars().count() + 1;
    format!(
        "the {{{{ at character {position} is never closed by }}}}; write {{{{\"{{{{\"}}}} where the text itself has {{{{"
    )
}

/// A word of a placeholder, or a text in quotes.
pub enum Token {
    /// A word as written.
    Word(String),
    /// A text without its quotes.
    Quoted(String),
}

/// Returns the words and quoted texts of the placeholder that starts here, and its length.
pub fn tokens(hole: &str) -> Option<(Vec<Token>, usize)> {
    let mut tokens = Vec::new();
    let mut at = 2;
    loop {
        let rest = hole.get(at..)?;
        let first = rest.chars().next()?;
        let length = match first {
            '}' if rest.starts_with("}}") => return Some((tokens, at + 2)),
            '"' => parse_quoted(rest, &mut tokens)?,
            '`' => {
                let inside = &rest[1..][..rest[1..].find('`')?];
                tokens.push(Token::Quoted(inside.to_owned()));
                inside.len() + 2
            }
            _ if first.is_whitespace() => first.len_utf8(),
            _ => {
                let text = scan_word(rest);
                tokens.push(Token::Word(text.to_owned()));
                text.len()
            }
        };
        at += length;
    }
}

/// Parses a text in double quotes, where a backslash escapes the next character.
fn parse_quoted(rest: &str, tokens: &mut Vec<Token>) -> Option<usize> {
    let mut inside = String::new();
    let mut chars = rest.char_indices().skip(1);
    loop {
        match chars.next()? {
            (at, '"') => {
                tokens.push(Token::Quoted(inside));
                return Some(at + 1);
            }
            (_, '\\') => inside.push(chars.next()?.1),
            (_, c) => inside.push(c),
        }
    }
}

/// Returns everything up to a space, a quote or the end of the placeholder; at least one
/// character.
fn scan_word(rest: &str) -> &str {
    let ends = |at: usize, c: char| {
        c.is_whitespace() || c == '"' || c == '`' || rest[at..].starts_with("}}")
    };
    let end = rest.char_indices().skip(1).find(|&(at, c)| ends(at, c));
    &rest[..end.map_or(rest.len(), |(at, _)| at)]
}

fn parse_piece(tokens: &[Token], hole: &str) -> Result<Piece, String> {
    let (name, arguments) = match tokens {
        [] => return Err(format!("{hole} is empty: {}", function_list())),
        [Token::Quoted(text)] => return Ok(Piece::Text(text.clone())),
        [Token::Quoted(_), ..] => {
            return Err(format!(
                "{hole} does not start with a function: {}",
                function_list()
            ));
        }
        [Token::Word(name), arguments @ ..] => (name.as_str(), arguments),
    };
    match (name, arguments) {
        ("timestamp", []) => Ok(Piece::Timestamp),
        ("isotime", []) => Ok(Piece::Isotime(RFC_3339.to_owned())),
        ("isotime", [Token::Quoted(layout)]) => {
            check_layout(layout).map_err(|why| format!("{hole}: {why}"))?;
            Ok(Piece::Isotime(layout.clone()))
        }
        ("uuid", []) => Ok(Piece::Uuid),
        ("env", [Token::Quoted(name)]) if !name.is_empty() => Ok(Piece::Env(name.clone())),
        ("file_stem", []) => Ok(Piece::FileStem),
        ("format", []) => Ok(Piece::Format),
        _ => Err(suggestion(name, hole)),
    }
}

/// Returns the proposed replacement for an unknown function.
fn suggestion(name: &str, hole: &str) -> String {
    if let Some((_, example)) = FUNCTIONS.iter().find(|(function, _)| *function == name) {
        return format!("{hole} is not understood: write {example}");
    }
    let instead = match name {
        "user" | "consul_key" | "vault" | "aws_secretsmanager" => {
            "Packer's variables are not here: put the value into the environment and write {{env \"NAME\"}}".to_owned()
        }
        _ if name.starts_with('.') || matches!(name, "build" | "build_name" | "build_type") => {
            "there is no Packer build to ask: {{file_stem}} and {{format}} tell of the image, {{env \"NAME\"}} of the rest"
                .to_owned()
        }
        "clean_resource_name" => "names are used as they are: write one that the cloud allows".to_owned(),
        "strftime" => "write {{isotime \"%Y-%m-%d\"}}".to_owned(),
        _ => nearest(name).map_or_else(function_list, |near| format!("did you mean {near}?")),
    };
    format!("{hole} is not known: {instead}")
}

fn nearest(name: &str) -> Option<&'static str> {
    let near = FUNCTIONS
        .iter()
        .map(|(function, example)| (strsim::jaro_winkler(name, function), example));
    near.filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, example)| *example)
}

fn function_list() -> String {
    format!(
        "write {}",
        FUNCTIONS
            .map(|(name, _)| format!("{{{{{name}}}}}"))
            .join(", ")
    )
}

/// Returns the time of the run: now, or the value of `SOURCE_DATE_EPOCH`
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
pub fn clock() -> Result<Timestamp> {
    match std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()) {
        Some(value) => parse_epoch(&value.to_string_lossy()),
        None => Ok(Timestamp::now()),
    }
}

fn parse_epoch(value: &str) -> Result<Timestamp> {
    let seconds = value
        .trim()
        .parse()
        .ok()
        .filter(|seconds: &i64| *seconds >= 0);
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or_else(|| {
            Error::usage(format!(
                "SOURCE_DATE_EPOCH is not a number of seconds since 1970: {value:?}"
            ))
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(text: &str) -> Result<String, String> {
        let env = |name: &str| match name {
            "BUILD" => Ok("417".to_owned()),
            name => Err(format!(
                "{{{{env \"{name}\"}}}}: the variable {name} is not set"
            )),
        };
        let clock = "2024-02-05T03:04:09.012Z".parse().unwrap();
        Template::parse(text)?.render(&Values {
            clock,
            file_stem: "disk",
            format: "ova",
            env: &env,
        })
    }

    #[test]
    fn renders_every_function() {
        for (text, expected) in [
            ("", ""),
            ("no holes }} here { {", "no holes }} here { {"),
            ("a-{{timestamp}}.{{format}}", "a-1707102249.ova"),
            ("{{ file_stem }}{{file_stem}}", "diskdisk"),
            ("{{isotime}}", "2024-02-05T03:04:09Z"),
            (r#"{{env "BUILD"}} {{env`BUILD`}}"#, "417 417"),
            (r#"{{"{{"}} {{"a\"}}"}}"#, "{{ a\"}}"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn renders_go_and_strftime_layouts() {
        for (layout, expected) in [
            ("2006-01-02T15:04:05Z07:00", "2024-02-05T03:04:09Z"),
            (
                "Mon, 02 Jan 2006 15:04:05 MST",
                "Mon, 05 Feb 2024 03:04:09 UTC",
            ),
            (
                "Monday January 2 _2 06 3:4:5pm PM 03",
                "Monday February 5  5 24 3:4:9am AM 03",
            ),
            ("1/2 002 __2 _2006", "2/5 036  36 _2024"),
            (
                "-0700 -07:00 -07 -070000 -07:00:00",
                "+0000 +00:00 +00 +000000 +00:00:00",
            ),
            ("Z0700 Z07:00 Z07 Z070000 Z07:00:00", "Z Z Z Z Z"),
            (
                "05.000 05,999 05.999999999 05.9 02.01.2006",
                "09.012 09,012 09.012 09 05.02.2024",
            ),
            (
                "20060102 Janet Money Januarys",
                "20240205 Janet Money Februarys",
            ),
            ("01", "02"),
            ("%Y%m%d-%H%M%S", "20240205-030409"),
        ] {
            assert_eq!(
                render(&format!("{{{{isotime \"{layout}\"}}}}")).as_deref(),
                Ok(expected),
                "{layout}"
            );
        }
    }

    #[test]
    fn each_uuid_is_different() {
        let text = render("{{uuid}} {{uuid}}").unwrap();
        let (one, other) = text.split_once(' ').unwrap();
        assert_ne!(one.parse::<Uuid>().unwrap(), other.parse::<Uuid>().unwrap());
    }

    #[test]
    fn unknown_function_lists_known_ones() {
        for (text, answer) in [
            (
                "{{timestmp}}",
                "{{timestmp}} is not known: did you mean {{timestamp}}?",
            ),
            (
                "{{ filestem}}",
                "{{ filestem}} is not known: did you mean {{file_stem}}?",
            ),
            (
                "{{zzz}}",
                "{{zzz}} is not known: write {{timestamp}}, {{isotime}}, {{uuid}}, {{env}}, {{file_stem}}, {{format}}",
            ),
            (
                "{{env NAME}}",
                r#"{{env NAME}} is not understood: write {{env "NAME"}}"#,
            ),
            (
                "{{timestamp 5}}",
                "{{timestamp 5}} is not understood: write {{timestamp}}",
            ),
            (
                "{{user `x`}}",
                "{{user `x`}} is not known: Packer's variables are not here: put the value into the environment and write {{env \"NAME\"}}",
            ),
            (
                "{{ .SourceAMI }}",
                "{{ .SourceAMI }} is not known: there is no Packer build to ask: {{file_stem}} and {{format}} tell of the image, {{env \"NAME\"}} of the rest",
            ),
            (
                "{{clean_resource_name `a`}}",
                "{{clean_resource_name `a`}} is not known: names are used as they are: write one that the cloud allows",
            ),
            (
                "{{isotime `YYYY-MM-DD`}}",
                "{{isotime `YYYY-MM-DD`}}: this is no Go layout: write it like 2006-01-02 or, as strftime has it, %Y-%m-%d",
            ),
            (
                "{{env `NONE`}}",
                "{{env \"NONE\"}}: the variable NONE is not set",
            ),
        ] {
            assert_eq!(render(text).unwrap_err(), answer);
        }
        assert!(
            render("{{build `ID`}}")
                .unwrap_err()
                .contains("no Packer build")
        );
        assert!(
            render("{{isotime `%!`}}")
                .unwrap_err()
                .starts_with("{{isotime `%!`}}: ")
        );
    }

    #[test]
    fn unclosed_hole_is_an_error() {
        for text in [
            "ä-{{",
            "ä-{{timestamp",
            "ä-{{timestamp}",
            "ä-{{env \"}}",
            "ä-{{env `}}",
            "ä-{{\"\\",
        ] {
            assert_eq!(
                render(text).unwrap_err(),
                "the {{ at character 3 is never closed by }}; write {{\"{{\"}} where the text itself has {{",
                "{text}"
            );
        }
    }

    #[test]
    fn source_date_epoch_sets_the_clock() {
        assert_eq!(
            parse_epoch("1707102249").unwrap().as_second(),
            1_707_102_249
        );
        for value in ["tomorrow", "-1", "99999999999999999999", "9999999999999"] {
            assert_eq!(
                parse_epoch(value).unwrap_err().to_string(),
                format!(
                    "error: SOURCE_DATE_EPOCH is not a number of seconds since 1970: {value:?}"
                )
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parsing_arbitrary_text_does_not_panic(text in any::<String>(), tail in "[{}\"`\\\\ a-zé%YJM.,09_12Z:-]{0,40}") {
            for text in [format!("{{{{isotime `{tail}`}}}}"), format!("{text}{{{{{tail}}}}}"), text, tail] {
                let _ = render(&text);
            }
        }

        #[test]
        fn text_without_braces_is_unchanged(text in "[^{]*") {
            prop_assert_eq!(render(&text), Ok(text));
        }
    }
}
