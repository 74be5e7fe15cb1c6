//! Secrets: a text that never prints, and the filter that keeps every secret that this
//! program has read out of everything that it writes.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::{LazyLock, PoisonError, RwLock};

use regex::{Captures, Regex, RegexBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, Error};

/// What stands in place of a secret.
const MASK: &str = "(secret)";

/// Shorter texts are no secret of any cloud, and would hide ordinary words.
const SHORTEST: usize = 8;

/// The names of variables that say that they hold a secret.
const NAMES: [&str; 4] = ["KEY", "SECRET", "TOKEN", "PASSWORD"];

/// Variables that hold a secret by their use, whatever their name: the address of a proxy has a
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
    /// Keeps the text, without white space around it. From here on [`masked`] hides it.
    pub fn new(text: impl Into<String>) -> Self {
        let text: String = text.into();
        let text = text.trim();
        hide(text);
        Self(SecretString::from(text))
    }

    /// The text itself, for the one place that signs or sends it.
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
        match fault(secret.expose()) {
            Some(fault) => Err(D::Error::custom(fault)),
            None => Ok(secret),
        }
    }
}

/// How every answer of [`fault`] begins.
pub const FAULT: &str = "a key or token can't have";

/// Why the text can't be a key or a token, which travel in HTTP headers. The answer does not
/// quote the text.
pub fn fault(text: &str) -> Option<String> {
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
        "{FAULT} {what} in it, this one has it at character {}",
        at + 1
    ))
}

/// Whether a variable of this name holds a secret, by its name or by its use.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    NAMES.iter().any(|word| upper.contains(word)) || BY_USE.contains(&upper.as_str())
}

/// The secrets that were read so far, the longest first.
static KNOWN: RwLock<Vec<(String, Regex)>> = RwLock::new(Vec::new());

/// Signatures in addresses, headers and answers, and who signed.
static SIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = "(?i-u:signature(?:provided)?|credential)";
    let between = r#"\\?"?(?:=|%3[dD]|: ?|>) ?\\?"?"#;
    Regex::new(&format!("({name}{between})[A-Za-z0-9%+/=_.-]{{16,}}")).ok()
});

/// User and password in an address.
static USER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(://)[^/ @"'<>\n]+@"#).ok());

/// Hides this text from now on.
fn hide(text: &str) {
    if text.len() < SHORTEST {
        return;
    }
    let is_known = |known: &[(String, Regex)]| known.iter().any(|(one, _)| one == text);
    if is_known(&KNOWN.read().unwrap_or_else(PoisonError::into_inner)) {
        return;
    }
    let pattern: String = text.chars().map(forms).collect();
    let Ok(pattern) = RegexBuilder::new(&pattern).size_limit(64 << 20).build() else {
        return;
    };
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if !is_known(&known) {
        known.push((text.to_owned(), pattern));
        known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }
}

/// The character as it stands in plain text, addresses (encoded once or more), JSON and XML.
fn forms(sign: char) -> String {
    if sign.is_ascii_alphanumeric() {
        return sign.to_string();
    }
    let plain = regex::escape(&sign.to_string());
    let mut encoded = String::new();
    for byte in sign.to_string().bytes() {
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

/// The text as it may be printed or kept: without the secrets that were read, without
/// signatures, and without users and passwords in addresses.
pub fn masked(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    for (_, pattern) in known.iter() {
        replace(&mut text, pattern, |_| MASK.to_owned());
    }
    if let Some(signed) = &*SIGNED {
        replace(&mut text, signed, |found| format!("{}…", &found[1]));
    }
    if let Some(user) = &*USER {
        replace(&mut text, user, |found| format!("{}…@", &found[1]));
    }
    text
}

fn replace(text: &mut Cow<'_, str>, pattern: &Regex, by: impl Fn(&Captures<'_>) -> String) {
    if pattern.is_match(text) {
        *text = Cow::Owned(pattern.replace_all(text, by).into_owned());
    }
}

/// Whether the text holds a secret that was read.
pub fn holds_secret(text: &str) -> bool {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().any(|(_, pattern)| pattern.is_match(text))
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
                masked(&text),
                "x-amz-security-token:(secret)\nhost:h",
                "{form}"
            );
        }
        assert!(holds_secret(&format!("a{token}b")));
        assert!(!holds_secret("nothing to hide"));
    }

    #[test]
    fn signatures_and_passwords_in_addresses_are_hidden() {
        for (text, said) in [
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
            assert_eq!(masked(text), said);
        }
    }

    #[test]
    fn what_can_t_be_a_header_is_no_secret_and_is_not_quoted() {
        assert_eq!(fault("AKIA+/=\n"), None);
        for (text, why) in [
            ("hush\nhush", "a line break"),
            ("hush hush", "a blank"),
            ("hush\0", "a control character"),
            ("hüsh", "a character that is not ASCII"),
        ] {
            let said = fault(text).expect("a fault");
            assert!(said.contains(why) && !said.contains("sh"), "{said}");
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
