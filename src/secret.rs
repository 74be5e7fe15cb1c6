//! Secrets: a text that is never printed, and the filter that removes every secret that this
//! program has read from everything that it writes.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::{LazyLock, PoisonError, RwLock};

use regex::{Captures, Regex, RegexBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, Error};

/// The replacement for a secret.
const MASK: &str = "(secret)";

/// The shortest secret: no cloud has shorter ones, and hiding a shorter text would hide
/// ordinary words.
const MIN_LENGTH: usize = 8;

/// Parts of the names of variables that contain a secret.
const SECRET_NAME_PARTS: [&str; 4] = ["KEY", "SECRET", "TOKEN", "PASSWORD"];

/// Variables that may contain a secret independently of their name: a proxy's address has a
/// password in it, an address of credentials may have one.
const BY_USE: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "FTP_PROXY",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "ALIBABA_CLOUD_CREDENTIALS_URI",
];

/// An access key, its secret half, a token, a password.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Stores the text, without white space around it. From now on [`mask`] hides it.
    pub fn new(text: impl Into<String>) -> Self {
        let text: String = text.into();
        let text = text.trim();
        // Before anything else can print the text.
        register(text);
        Self(SecretString::from(text))
    }

    /// Returns the text itself, for the code that signs or sends it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own message would quote the value.
        let text = String::deserialize(deserializer)
            .map_err(|_| D::Error::custom("expected a text in quotes"))?;
        let secret = Self::new(text);
        match header_problem(secret.expose()) {
            Some(fault) => Err(D::Error::custom(fault)),
            None => Ok(secret),
        }
    }
}

/// The beginning of every result of [`header_problem`].
pub const INVALID_IN_HEADER: &str = "a key or token can't have";

/// Returns the reason that the text cannot be a key or a token, which are sent in HTTP headers.
/// The reason does not quote the text.
pub fn header_problem(text: &str) -> Option<String> {
    let (at, sign) = text
        .trim()
        .chars()
        .enumerate()
        .find(|(_, sign)| !sign.is_ascii_graphic())?;
    let what = match sign {
        '\n' | '\r' => "a line break",
        ' ' | '\t' => "a blank",
        sign if sign.is_control() => "a control character",
        sign if sign.is_ascii() => "a sign",
        _ => "a character that is not ASCII",
    };
    Some(format!(
        "{INVALID_IN_HEADER} {what} in it, this one has it at character {}",
        at + 1
    ))
}

/// Reports whether a variable of this name contains a secret, by its name or by its use.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET_NAME_PARTS.iter().any(|word| upper.contains(word)) || BY_USE.contains(&upper.as_str())
}

/// The secrets that were read so far, the longest first.
static REGISTERED: RwLock<Vec<(String, Regex)>> = RwLock::new(Vec::new());

/// Signatures in addresses, headers and responses, and the key IDs.
static SIGNATURE_PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = "(?i-u:signature(?:provided)?|credential)";
    let between = r#"\\?"?(?:=|%3[dD]|: ?|>) ?\\?"?"#;
    Regex::new(&format!("({name}{between})[A-Za-z0-9%+/=_.-]{{16,}}")).ok()
});

/// User and password in an address.
static USERINFO_PATTERN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(://)[^/ @"'<>\n]+@"#).ok());

/// Hides this text from now on.
fn register(text: &str) {
    if text.len() < MIN_LENGTH {
        return;
    }
    let is_known = |registered: &[(String, Regex)]| registered.iter().any(|(one, _)| one == text);
    if is_known(&REGISTERED.read().unwrap_or_else(PoisonError::into_inner)) {
        return;
    }
    let pattern: String = text.chars().map(escaped_forms).collect();
    let Ok(pattern) = RegexBuilder::new(&pattern).size_limit(64 << 20).build() else {
        return;
    };
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have added it between the two locks.
    if !is_known(&registered) {
        registered.push((text.to_owned(), pattern));
        // The longest first, so that a secret inside another one does not leave the rest
        // visible.
        registered.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }
}

/// Returns the pattern of a character in plain text, addresses (encoded once or more), JSON and
/// XML.
fn escaped_forms(sign: char) -> String {
    if sign.is_ascii_alphanumeric() {
        return sign.to_string();
    }
    let plain = regex::escape(&sign.to_string());
    let mut encoded = String::new();
    for byte in sign.to_string().bytes() {
        // `%25` is an encoded `%`: an address within an address is encoded twice.
        let _ = write!(encoded, "%(?:25)*(?i-u:{byte:02x})");
    }
    let number = u32::from(sign);
    let named = match sign {
        '&' => "|&amp;",
        '<' => "|&lt;",
        '>' => "|&gt;",
        '"' => "|&quot;",
        '\'' => "|&apos;",
        _ => "",
    };
    format!(
        r"(?:{plain}|{encoded}|\\+{plain}|\\+u(?i-u:{number:04x})|&#{number};|&#[xX]0*(?i-u:{number:x});{named})"
    )
}

/// Returns the text in a form that may be printed or stored: without the secrets that were
/// read, without signatures, and without users and passwords in addresses.
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    for (_, pattern) in registered.iter() {
        replace_matches(&mut text, pattern, |_| MASK.to_owned());
    }
    if let Some(signed) = &*SIGNATURE_PATTERN {
        replace_matches(&mut text, signed, |found| format!("{}…", &found[1]));
    }
    if let Some(user) = &*USERINFO_PATTERN {
        replace_matches(&mut text, user, |found| format!("{}…@", &found[1]));
    }
    text
}

fn replace_matches(text: &mut Cow<'_, str>, pattern: &Regex, by: impl Fn(&Captures<'_>) -> String) {
    if pattern.is_match(text) {
        *text = Cow::Owned(pattern.replace_all(text, by).into_owned());
    }
}

/// Reports whether the text contains a secret that was read.
pub fn contains_secret(text: &str) -> bool {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    registered.iter().any(|(_, pattern)| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let token = "IQoJb3JpZ2lu+wE/x==\"&'<9";
        let secret = Secret::new(format!(" {token}\n"));
        assert_eq!(secret.expose(), token);
        let json = serde_json::to_string(token).expect("JSON");
        for form in [
            token.to_owned(),
            json[1..json.len() - 1].to_owned(),
            token.replace('/', r"\/"),
            "IQoJb3JpZ2lu%2BwE%2Fx%3D%3D%22%26%27%3C9".to_owned(),
            "IQoJb3JpZ2lu%2bwE%2fx%3d%3d%22%26%27%3c9".to_owned(),
            "IQoJb3JpZ2lu%252BwE%252Fx%253D%253D%2522%2526%2527%253C9".to_owned(),
            r"IQoJb3JpZ2lu\u002bwE/x\u003d\u003D\u0022\u0026\u0027\u003c9".to_owned(),
            "IQoJb3JpZ2lu&#43;wE&#x2F;x==&quot;&amp;&apos;&lt;9".to_owned(),
        ] {
            let text = format!("x-amz-security-token:{form}\nhost:h");
            assert_eq!(
                mask(&text),
                "x-amz-security-token:(secret)\nhost:h",
                "{form}"
            );
        }
        assert!(contains_secret(&format!("a{token}b")));
        assert!(!contains_secret("nothing to hide"));
    }

    #[test]
    fn signatures_and_passwords_in_addresses_are_hidden() {
        for (text, masked_text) in [
            (
                r#"{"url":"https://s/k?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F1&X-Amz-Signature=0af90af90af90af9&x=1"}"#,
                r#"{"url":"https://s/k?X-Amz-Credential=…&X-Amz-Signature=…&x=1"}"#,
            ),
            (
                "<SignatureProvided>0af90af90af90af9</SignatureProvided>",
                "<SignatureProvided>…</SignatureProvided>",
            ),
            ("?Signature%3D0af90af90af90af9%26x", "?Signature%3D…"),
            ("proxy http://me:pass@host:1/", "proxy http://…@host:1/"),
            ("nothing to hide", "nothing to hide"),
            ("the signature: none", "the signature: none"),
        ] {
            assert_eq!(mask(text), masked_text);
        }
    }

    #[test]
    fn a_secret_with_control_characters_is_rejected_and_not_quoted() {
        assert_eq!(header_problem("AKIA+/=\n"), None);
        for (text, why) in [
            ("hush\nhush", "a line break"),
            ("hush hush", "a blank"),
            ("hush\0", "a control character"),
            ("hüsh", "a character that is not ASCII"),
        ] {
            let problem = header_problem(text).expect("a fault");
            assert!(
                problem.contains(why) && !problem.contains("sh"),
                "{problem}"
            );
        }
    }

    #[test]
    fn names_tell_secrets() {
        for name in [
            "DB_PASSWORD",
            "my_token",
            "AWS_SECRET_ACCESS_KEY",
            "https_proxy",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["BUILD", "GITHUB_RUN_ID", "USER"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
