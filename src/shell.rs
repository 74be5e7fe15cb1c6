//! Commands that a person pastes into a shell.
//!
//! Every command that the program prints is a [`Command`]: its fixed words are literals of the
//! source, every other word is quoted. A command is one simple command of the POSIX shell,
//! whatever a file, an object key or a member of an archive is called.

use std::fmt;
use std::fmt::Write as _;
use std::path::{Component, Path};

/// A command line for a POSIX shell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command(String);

impl Command {
    /// Starts with these fixed words: a program, or a program and its subcommand.
    pub fn new(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// Appends fixed words: a subcommand, flags without values.
    #[must_use]
    pub fn words(&self, words: &'static str) -> Self {
        Self(format!("{} {words}", self.0))
    }

    /// Appends a word that cannot be taken for an option, such as a URL or an ID.
    #[must_use]
    pub fn arg(&self, word: impl AsRef<str>) -> Self {
        Self(format!("{} {}", self.0, quote(word.as_ref())))
    }

    /// Appends an operand, after `--` when it begins with a dash.
    #[must_use]
    pub fn operand(&self, word: &str) -> Self {
        let dashes = if word.starts_with('-') { "-- " } else { "" };
        Self(format!("{} {dashes}{}", self.0, quote(word)))
    }

    /// Appends an option and its value, as one word when the value begins with a dash:
    /// the parsers of the AWS CLI and others would take it for another option.
    #[must_use]
    pub fn option(&self, name: &'static str, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        let separator = if value.starts_with('-') { '=' } else { ' ' };
        Self(format!("{} {name}{separator}{}", self.0, quote(value)))
    }

    /// Appends an option if it has a value.
    #[must_use]
    pub fn option_if(&self, name: &'static str, value: Option<&str>) -> Self {
        value.map_or_else(|| self.clone(), |value| self.option(name, value))
    }

    /// Appends the path of a file. See [`quote_path`].
    #[must_use]
    pub fn file(&self, path: &Path) -> Self {
        Self(format!("{} {}", self.0, quote_path(path)))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Command> for String {
    fn from(command: Command) -> Self {
        command.0
    }
}

/// Returns the word as it is, or quoted where a shell would read more into it.
pub fn quote(word: &str) -> String {
    quote_bytes(word.as_bytes())
}

/// Returns the path as one word that programs accept as a file.
///
/// A relative path gets a leading `./` when it begins with a dash, which would make it an
/// option, or when it has a colon before its first slash, which makes it another machine's
/// for `tar` and a protocol's for `qemu-img`.
pub fn quote_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let first = bytes.split(|byte| *byte == b'/').next().unwrap_or_default();
    let is_relative = matches!(path.components().next(), Some(Component::Normal(_)));
    if is_relative && (first.starts_with(b"-") || first.contains(&b':')) {
        quote_bytes(&[b"./", bytes].concat())
    } else {
        quote_bytes(bytes)
    }
}

fn quote_bytes(word: &[u8]) -> String {
    match std::str::from_utf8(word) {
        Ok(text) if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('=') => {
            text.to_owned()
        }
        Ok(text) if text.chars().all(is_visible) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => escape(word),
    }
}

/// What no shell treats specially. A `=` at the beginning names a program in zsh.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "_-./:=@%+,".contains(c)
}

/// Whether a terminal shows the character as it is. Control characters are replaced in all
/// that is printed; the others here hide or reorder text (format characters of Unicode).
pub fn is_visible(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A word with bytes that must not be printed, in octal for `printf`. A shell removes the
/// newlines from the end of a command's output, so those follow in quotes of their own.
fn escape(word: &[u8]) -> String {
    let front = word.len() - word.iter().rev().take_while(|byte| **byte == b'\n').count();
    let (front, newlines) = word.split_at(front);
    let mut escaped = String::new();
    if !front.is_empty() {
        escaped.push_str("\"$(printf -- '");
        for byte in front {
            match byte {
                b'%' => escaped.push_str("%%"),
                // Interactive shells expand `!` within double quotes.
                b'\\' | b'\'' | b'!' => _ = write!(escaped, r"\{byte:03o}"),
                b' '..=b'~' => escaped.push(char::from(*byte)),
                _ => _ = write!(escaped, r"\{byte:03o}"),
            }
        }
        escaped.push_str("')\"");
    }
    if !newlines.is_empty() {
        _ = write!(escaped, "$'{}'", r"\n".repeat(newlines.len()));
    }
    if escaped.is_empty() {
        escaped.push_str("''");
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use proptest::prelude::*;

    use super::*;

    /// The words that a shell makes of a command line.
    fn words(shell: &str, line: &str) -> Vec<Vec<u8>> {
        let script = format!("show() {{ printf '%s\\0' \"$@\"; }}; {line}");
        let output = std::process::Command::new(shell)
            .args(["-c", &script])
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{shell}: {line}");
        let mut words: Vec<_> = output
            .stdout
            .split(|byte| *byte == 0)
            .map(<[u8]>::to_vec)
            .collect();
        words.pop();
        words
    }

    #[test]
    fn only_what_a_shell_would_read_is_quoted() {
        assert_eq!(quote("s3://b/disk-1.raw"), "s3://b/disk-1.raw");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("=ls"), "'=ls'");
        assert_eq!(quote("a\nb!"), r#""$(printf -- 'a\012b\041')""#);
    }

    #[test]
    fn an_option_appears_only_with_a_value() {
        let aws = Command::new("aws").option_if("--profile", Some("my test"));
        let aws = aws.option_if("--endpoint-url", None);
        assert_eq!(aws.to_string(), "aws --profile 'my test'");
    }

    #[test]
    fn a_value_that_begins_with_a_dash_is_no_option() {
        let command = Command::new("aws s3api abort-multipart-upload").option("--key", "-x y");
        assert_eq!(
            command.to_string(),
            "aws s3api abort-multipart-upload --key='-x y'"
        );
    }

    #[test]
    fn a_file_is_neither_an_option_nor_on_another_machine() {
        let path = |path: &str| quote_path(Path::new(path));
        assert_eq!(path("-x.vdi"), "./-x.vdi");
        assert_eq!(path("host:disk 1.ova"), "'./host:disk 1.ova'");
        assert_eq!(path("./a:b"), "./a:b");
        assert_eq!(path("/a:b"), "/a:b");
        assert_eq!(path("a/b:c"), "a/b:c");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_reads_each_word_back(word in proptest::collection::vec(1_u8.., 0..12)) {
            let path = OsString::from_vec([b"/".to_vec(), word.clone()].concat());
            let line = format!("show {}", quote_bytes(&word));
            // dash has no $'..', which only a newline at the end needs.
            let shells: &[&str] = if word.ends_with(b"\n") { &["bash"] } else { &["sh", "bash"] };
            for shell in shells {
                prop_assert_eq!(words(shell, &line), [word.clone()]);
            }
            let line = Command::new("show rm").file(Path::new(&path)).to_string();
            if !word.ends_with(b"\n") {
                prop_assert_eq!(&words("sh", &line)[1], path.as_encoded_bytes());
            }
        }

        #[test]
        fn a_printed_command_has_no_hidden_character(word in ".{0,12}") {
            let text = Command::new("aws s3 rm").arg(&word).option("--key", &word).to_string();
            prop_assert!(text.chars().all(is_visible), "{text:?}");
        }
    }
}
