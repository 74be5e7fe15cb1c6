//! The commands in what the program prints: a line of standard error ends in one, after a
//! colon. Each is run by a shell, with stand-ins for its programs.

use std::sync::LazyLock;

use imgimport_sandbox::shells::{self, Call};
use regex::Regex;

/// A program's name, and what follows it to the end of the line.
static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?:: |^\s*)((?:aws [a-z-]|aliyun [a-z-]|doctl [a-z]|qemu-img [a-z]|tar -|mkdir [a-z]|gzip -|bzip2 -|xz -|zstd -|unzip [^i]|rm [^i]|chmod \d|truncate -|usermod -|imgimport (?:jobs|check|run|aws|alicloud|digitalocean) ).*)$";
    Regex::new(pattern).expect("a pattern")
});

/// The commands that these lines end in.
pub fn printed(text: &str) -> Vec<&str> {
    // Objects of JSON have their own quotes, and clap's usage has placeholders.
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('{') && !line.starts_with("Usage: "));
    let found = lines.filter_map(|line| COMMAND.captures(line));
    let found = found.filter_map(|found| found.get(1));
    found.map(|command| command.as_str()).collect()
}

/// Runs each command: a shell makes calls of it, and no word of a sentence is among them.
#[track_caller]
pub fn check(text: &str) {
    for command in printed(text) {
        let calls = shells::calls("sh", command);
        assert!(!calls.is_empty(), "it calls nothing: {command}");
        let is_prose = |word: &Vec<u8>| word.ends_with(b",") || word == b"and" || word == b"or";
        let prose = calls.iter().flatten().any(is_prose);
        assert!(!prose, "a sentence goes on behind the command: {command}");
    }
}

/// Asserts that these are the commands that the text has, and that every shell makes exactly
/// these calls of them.
#[track_caller]
pub fn are(text: &str, expected: &[Vec<Call>]) {
    let commands = printed(text);
    assert_eq!(commands.len(), expected.len(), "{text}");
    for (command, calls) in commands.iter().zip(expected) {
        shells::all_make(command, calls);
    }
}
