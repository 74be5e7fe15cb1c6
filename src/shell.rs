//! Commands that a person pastes into a shell.

use std::fmt;

/// The word as it is, or in quotes where a shell would read more into it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A provider's own program, with what it must be told to reach the account that this run
/// reaches.
#[derive(Clone, Debug)]
pub struct Cli(String);

impl Cli {
    pub fn of(program: &str) -> Self {
        Self(program.to_owned())
    }

    /// With a flag, if it has a value.
    #[must_use]
    pub fn with(self, flag: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => Self(format!("{self} {flag} {}", quote(value))),
            None => self,
        }
    }
}

impl fmt::Display for Cli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cli, quote};

    #[test]
    fn only_what_a_shell_would_read_is_quoted() {
        assert_eq!(quote("s3://b/disk-1.raw"), "s3://b/disk-1.raw");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn a_program_is_told_what_has_a_value() {
        let aws = Cli::of("aws").with("--profile", Some("my test"));
        let told = aws.with("--endpoint-url", None).to_string();
        assert_eq!(told, "aws --profile 'my test'");
    }
}
