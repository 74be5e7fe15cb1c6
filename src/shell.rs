//! Commands that a user pastes into a shell.
//!
//! Every command that the program prints is a [`Command`]: its fixed words are literals of the
//! source, every other word is quoted. A command is one simple command of the POSIX shell,
//! whatever the name of a file, an object key or a member of an archive contains.

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
        // As two words, the parser would treat the value as another option.
        let separator = if value.starts_with('-') { '=' } else { ' ' };
        Self(format!("{} {name}{separator}{}", self.0, quote(value)))
    }

    /// Appends an option if it has a value.
    #[must_use]
    pub fn option_if(&self, name: &'static str, value: Option<&str>) -> Self {
        value.map_or_else(|| self.clone(), |value| self.option(name, value))
    }

    /// Appends the path of a file as a word that programs accept as a file: a relative path
    /// gets a leading `./` when it begins with a dash, which would make it an option, or when
    /// it has a colon before its first slash, which would make it a remote path for `tar` and a
    /// protocol for `qemu-img`.
    #[must_use]
    pub fn file(&self, path: &Path) -> Self {
        Self(format!("{} {}", self.0, quote_bytes(&file(path))))
    }

    /// Appends options of an image in the form of qemu-img's `--image-opts`, with the path of
    /// the file as the last one. There, a comma is written as two.
    #[must_use]
    pub fn image_options(&self, options: &'static str, path: &Path) -> Self {
        let mut word = format!("{options},file.filename=").into_bytes();
        for byte in file(path) {
            word.push(byte);
            // In `--image-opts`, a comma is written as two.
            word.extend((byte == b',').then_some(b','));
        }
        Self(format!("{} {}", self.0, quote_bytes(&word)))
    }

    /// Appends another command, which runs only when this one has succeeded.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        Self(format!("{} && {}", self.0, next.0))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The manual steps that remove something. The command comes last, so that it can be copied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Removal {
    command: Command,
    /// The operation that removes what the command lists.
    operation: Option<&'static str>,
}

impl Removal {
    /// Creates a hint with a command that lists what may exist, and the operation that removes
    /// it.
    pub fn of_listed(list: Command, operation: &'static str) -> Self {
        let operation = Some(operation);
        Self {
            command: list,
            operation,
        }
    }
}

impl From<Command> for Removal {
    fn from(command: Command) -> Self {
        let operation = None;
        Self { command, operation }
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Some(operation) => write!(
                f,
                "remove it with {operation} if this lists it: {}",
                self.command
            ),
            None => write!(f, "remove it with: {}", self.command),
        }
    }
}

/// Returns `NAME=VALUE` in the form that precedes a command.
pub fn variable(name: &str, value: &str) -> String {
    format!("{name}={}", quote(value))
}

/// Returns the word, quoted if a shell would interpret it.
fn quote(word: &str) -> String {
    quote_bytes(word.as_bytes())
}

/// Returns the bytes of a path that programs accept as a file. See [`Command::file`].
fn file(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_encoded_bytes();
    // A colon after the first slash is harmless.
    let first = bytes.split(|byte| *byte == b'/').next().unwrap_or_default();
    let is_relative = matches!(path.components().next(), Some(Component::Normal(_)));
    if is_relative && (first.starts_with(b"-") || first.contains(&b':')) {
        [b"./", bytes].concat()
    } else {
        bytes.to_vec()
    }
}

fn quote_bytes(word: &[u8]) -> String {
    match std::str::from_utf8(word) {
        Ok(text)
            if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with(['=', '%']) =>
        {
            text.to_owned()
        }
        Ok(text) if text.chars().all(is_visible) && !is_escaped(text) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => escape(word),
    }
}

/// Reports whether fish interprets the text in single quotes: there, a backslash escapes a
/// backslash and a quote.
fn is_escaped(text: &str) -> bool {
    text.ends_with('\\') || text.contains(r"\\") || text.contains(r"\'")
}

/// Reports whether no shell treats the character specially. At the beginning, a `=` names a
/// program in zsh and a `%` a job.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "_-./:=@%+,".contains(c)
}

/// Reports whether a terminal shows the character as it is. Control characters are replaced in
/// all output; the others here hide or reorder text (format characters of Unicode).
pub fn is_visible(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns a word with bytes that must not be printed, in octal for `printf`. A shell removes
/// the newlines from the end of a command's output, so those follow in separate quotes.
fn escape(word: &[u8]) -> String {
    // A shell removes the newlines from the end of a command's output: they are written
    // separately.
    let front = word.len() - word.iter().rev().take_while(|byte| **byte == b'\n').count();
    let (front, newlines) = word.split_at(front);
    let mut escaped = String::new();
    if !front.is_empty() {
        escaped.push_str("\"$(printf '");
        for (at, byte) in front.iter().enumerate() {
            match byte {
                b'%' => escaped.push_str("%%"),
                // It would be an option, and not every printf supports `--`.
                b'-' if at == 0 => escaped.push_str(r"\055"),
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
    use imgimport_sandbox::shells;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_special_characters_are_quoted() {
        assert_eq!(quote("s3://b/disk-1.raw"), "s3://b/disk-1.raw");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("=ls"), "'=ls'");
        assert_eq!(quote("a\nb!"), r#""$(printf 'a\012b\041')""#);
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
        let path = |path: &str| Command::new("rm").file(Path::new(path)).to_string();
        assert_eq!(path("-x.vdi"), "rm ./-x.vdi");
        assert_eq!(path("host:disk 1.ova"), "rm './host:disk 1.ova'");
        assert_eq!(path("./a:b"), "rm ./a:b");
        assert_eq!(path("/a:b"), "rm /a:b");
        assert_eq!(path("a/b:c"), "rm a/b:c");
        let options = Command::new("qemu-img info --image-opts");
        assert_eq!(
            options
                .image_options("driver=vpc", Path::new("a:b, c.vhd"))
                .to_string(),
            "qemu-img info --image-opts 'driver=vpc,file.filename=./a:b,, c.vhd'"
        );
    }

    /// Returns a command with every kind of word.
    fn example(name: &str) -> (Command, Vec<&'static str>, Vec<String>) {
        let path = Path::new(name);
        let file = String::from_utf8(file(path)).expect("a name of text");
        let command = Command::new("aws s3api list-parts")
            .option_if("--profile", Some(name))
            .option("--key", name)
            .words("--force")
            .file(path)
            .image_options("driver=vpc", path)
            .operand(name);
        let dashed = |option: &str| {
            if name.starts_with('-') {
                vec![format!("{option}={name}")]
            } else {
                vec![option.to_owned(), name.to_owned()]
            }
        };
        let separator = name.starts_with('-').then(|| "--".to_owned());
        let words = dashed("--profile").into_iter().chain(dashed("--key"));
        let options = format!("driver=vpc,file.filename={}", file.replace(',', ",,"));
        let words = words.chain(["--force".to_owned(), file, options]);
        let words = words.chain(separator).chain([name.to_owned()]).collect();
        (command, vec!["aws", "s3api", "list-parts"], words)
    }

    #[test]
    fn every_shell_makes_one_call_of_a_command_whatever_the_names_are() {
        for name in shells::HOSTILE {
            let (command, fixed, words) = example(name);
            let fixed = fixed.into_iter().map(|word| word.as_bytes().to_vec());
            let words = words.into_iter().map(String::into_bytes);
            let call: Vec<_> = fixed.chain(words).collect();
            let line = command
                .then(&Command::new("rm").file(Path::new("b")))
                .to_string();
            assert!(line.chars().all(is_visible), "{line:?}");
            let next = vec![b"rm".to_vec(), b"b".to_vec()];
            shells::all_make(&line, &[call, next]);
        }
    }

    #[test]
    fn a_removal_ends_in_its_command() {
        let remove = Removal::from(Command::new("aws s3 rm").arg("s3://b/k 1"));
        assert_eq!(remove.to_string(), "remove it with: aws s3 rm 's3://b/k 1'");
        let list = Command::new("aws ec2 describe-images").option("--region", "eu-west-1");
        assert_eq!(
            Removal::of_listed(list, "deregister-image").to_string(),
            "remove it with deregister-image if this lists it: aws ec2 describe-images --region eu-west-1"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_shell_parses_each_quoted_word_back(word in proptest::collection::vec(1_u8.., 0..12)) {
            // dash and fish do not support $'..', which is used only for a newline at the end.
            let line = format!("rm {}", quote_bytes(&word));
            let expected = [b"rm".to_vec(), word.clone()];
            let is_text = std::str::from_utf8(&word).is_ok();
            for shell in shells::installed() {
                let needs = !is_text && shell == "fish" || word.ends_with(b"\n") && shell != "bash";
                if !needs {
                    prop_assert_eq!(shells::calls(shell, &line), [expected.clone()], "{}", shell);
                }
            }
        }

        #[test]
        fn a_printed_command_has_no_hidden_character(word in ".{0,12}") {
            let text = Command::new("aws s3 rm").arg(&word).option("--key", &word).to_string();
            prop_assert!(text.chars().all(is_visible), "{text:?}");
        }
    }
}
