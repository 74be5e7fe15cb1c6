//! The values of a template. Parts of a text may be known only to the import.

use std::fmt;

use ::hcl::Number;

use crate::config::template::Template;
use crate::secret::is_secret_name;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text),
    List(Vec<Self>),
    /// The members in their order; the last one of a name counts.
    Object(Vec<(String, Self)>),
}

impl Value {
    /// Returns a text that is known.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(Text::new(text))
    }

    /// Returns a known text.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.known().ok(),
            _ => None,
        }
    }

    /// Returns the value as part of a text.
    pub(super) fn into_text(self) -> Result<Text, String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Bool(value) => Ok(Text::new(&value.to_string())),
            // Go and Rust format other numbers differently.
            Self::Number(number) if !number.is_f64() => Ok(Text::new(&number.to_string())),
            _ => Err("it has something else than a text in the place of a text".to_owned()),
        }
    }

    /// Returns the approximate size of the value in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => 1 + text.size(),
            Self::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Self::Object(members) => {
                let sizes = members.iter().map(|(key, value)| key.len() + value.size());
                1 + sizes.sum::<usize>()
            }
            _ => 1,
        }
    }
}

/// A text in parts; no two literals follow each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Text(Vec<Part>);

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Literal(String),
    Deferred(Deferred),
}

/// A part that the import evaluates when it runs, with one of its own template functions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Deferred {
    /// Seconds since 1970.
    Timestamp,
    /// The time in RFC 3339, or in a layout of Go's or, with `%`, strftime's.
    Isotime(Option<String>),
    Uuid,
    /// A variable of the environment, and the template's variable whose value it is.
    Environment {
        name: String,
        variable: Option<String>,
    },
}

impl Deferred {
    /// Returns the value of a variable of the environment, unless no shell can set the name or
    /// the import would reject it as that of a secret.
    pub(super) fn environment(name: &str, variable: Option<&str>) -> Option<Self> {
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.starts_with(|c: char| !c.is_ascii_digit());
        (is_name && !is_secret_name(name)).then(|| Self::Environment {
            name: name.to_owned(),
            variable: variable.map(str::to_owned),
        })
    }

    /// Returns what the value depends on.
    pub(super) fn source(&self) -> String {
        match self {
            Self::Timestamp | Self::Isotime(_) => "the time of the import".to_owned(),
            Self::Uuid => "a UUID that the import makes".to_owned(),
            Self::Environment { name, variable } => match variable {
                Some(variable) if *name == format!("PKR_VAR_{variable}") => no_value(variable),
                Some(variable) => read_from_environment(variable, name),
                None => format!("{name} in the environment of the import"),
            },
        }
    }
}

impl fmt::Display for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp => f.write_str("{{timestamp}}"),
            Self::Isotime(None) => f.write_str("{{isotime}}"),
            Self::Isotime(Some(layout)) => {
                let layout = layout.replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "{{{{isotime \"{layout}\"}}}}")
            }
            Self::Uuid => f.write_str("{{uuid}}"),
            Self::Environment { name, .. } => write!(f, "{{{{env \"{name}\"}}}}"),
        }
    }
}

/// Returns the message that a variable's default is a variable of the environment.
pub(super) fn read_from_environment(variable: &str, environment: &str) -> String {
    format!(
        "the variable {variable}, which is read from {environment} (--var {variable}=VALUE sets it)"
    )
}

/// Returns the message that a variable has no value.
pub(super) fn no_value(variable: &str) -> String {
    format!(
        "the variable {variable}, which has no value here (--var {variable}=VALUE gives it one)"
    )
}

impl Text {
    /// Returns a text that is known.
    pub(super) fn new(text: &str) -> Self {
        let mut new = Self::default();
        new.push_str(text);
        new
    }

    /// Appends a literal.
    pub(super) fn push_str(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Literal(last)) => last.push_str(text),
            _ => self.0.push(Part::Literal(text.to_owned())),
        }
    }

    /// Appends a text.
    pub(super) fn append(&mut self, text: Self) {
        for part in text.0 {
            match part {
                Part::Literal(text) => self.push_str(&text),
                Part::Deferred(_) => self.0.push(part),
            }
        }
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    fn size(&self) -> usize {
        let sizes = self.0.iter().map(|part| match part {
            Part::Literal(text) => text.len(),
            Part::Deferred(deferred) => deferred.to_string().len(),
        });
        sizes.sum()
    }

    /// Returns the parts that only the import knows.
    pub(super) fn deferred(&self) -> impl Iterator<Item = &Deferred> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Deferred(deferred) => Some(deferred),
        })
    }

    /// Returns the whole text, or an error that names what it depends on.
    pub(super) fn known(&self) -> Result<&str, String> {
        match self.0.as_slice() {
            [] => Ok(""),
            [Part::Literal(text)] => Ok(text),
            _ => {
                let sources = self.deferred().map(Deferred::source);
                let sources: Vec<_> = sources.take(1).collect();
                Err(format!("it depends on {}", sources.join("")))
            }
        }
    }

    /// Returns the text as a template of imgimport.
    pub(super) fn to_template(&self) -> Result<String, String> {
        let parts = self.0.iter().map(|part| match part {
            Part::Literal(text) => text.replace("{{", "{{\"{{\"}}"),
            Part::Deferred(deferred) => deferred.to_string(),
        });
        let template: String = parts.collect();
        Template::parse(&template)?;
        Ok(template)
    }
}

impl From<Deferred> for Text {
    fn from(deferred: Deferred) -> Self {
        Self(vec![Part::Deferred(deferred)])
    }
}
