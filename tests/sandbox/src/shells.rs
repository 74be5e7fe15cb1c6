//! The shells of this machine: they run a printed command with stand-ins for its programs,
//! which note the words that they were called with.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A command's words, the program's name first.
pub type Call = Vec<Vec<u8>>;

/// The programs that a printed command may call.
const PROGRAMS: [&str; 16] = [
    "aliyun",
    "aws",
    "bzip2",
    "chmod",
    "doctl",
    "gzip",
    "imgimport",
    "mkdir",
    "qemu-img",
    "rm",
    "tar",
    "truncate",
    "unzip",
    "usermod",
    "xz",
    "zstd",
];

/// What reads a command from standard input as if it was pasted, with its options.
const SHELLS: [(&str, &[&str]); 5] = [
    ("sh", &[]),
    // With the history, which interactive shells expand `!` from.
    ("bash", &["--norc", "-o", "history", "-o", "histexpand"]),
    ("dash", &[]),
    ("zsh", &["-f"]),
    ("fish", &["--no-config"]),
];

/// Names that a shell would read more into, or a program: each can be that of a file.
pub const HOSTILE: [&str; 33] = [
    "my disk.img",
    "it's.img",
    "'",
    "\"a\".img",
    "$(touch pwned).img",
    "${HOME}$HOME.img",
    "`touch pwned`.img",
    "a;touch pwned;.img",
    "a&touch pwned&.img",
    "a|b<c>d.img",
    "-rf.img",
    "--to-command=touch pwned",
    "*",
    "?.img",
    "[a-z].img",
    "{a,b}.img",
    "~",
    "~root.img",
    "!!.img",
    "a!x.img",
    "=ls",
    "%1.img",
    "#a.img",
    "^a^b.img",
    "a\\b.img",
    "a\\\\b\\",
    "a\\'b.img",
    "host:disk.img",
    "json:{}.img",
    "a,b=c.img",
    "Ünïcödé \u{1f4be}.img",
    "\u{202e}gmi.ksid",
    "a\nb\tc\u{1b}[31m.img",
];

/// The shells that are installed.
pub fn installed() -> impl Iterator<Item = &'static str> {
    let names = SHELLS.iter().map(|(name, _)| *name);
    names.filter(|name| place(name).is_some())
}

/// Where a shell is.
fn place(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|directory| directory.join(name));
    places.find(|place| place.is_file())
}

/// Returns the calls that this shell makes of a line, in a directory that holds some files.
///
/// # Panics
///
/// If the shell fails, or says anything.
#[track_caller]
pub fn calls(shell: &str, line: &str) -> Vec<Call> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    stand_ins(path);
    let here = path.join("here");
    fs::create_dir(&here).expect("a directory");
    for name in ["a", "b", "c.img"] {
        fs::write(here.join(name), "").expect("a file");
    }
    let options = SHELLS.iter().find(|(name, _)| *name == shell);
    let options = options.map_or(&[][..], |(_, options)| options);
    let mut running = Command::new(place(shell).expect("a shell"))
        .args(options)
        .env_clear()
        .env("HOME", path)
        .env("PATH", path.join("programs"))
        .env("CALLS", path.join("calls"))
        .current_dir(&here)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut input = running.stdin.take().expect("its standard input");
    writeln!(input, "{line}").expect("it reads");
    drop(input);
    let ended = running.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        ended.status.success() && said.is_empty() && ended.stdout.is_empty(),
        "{shell} fails on {line}\n{said}"
    );
    let files = fs::read_dir(&here).expect("a directory").count();
    assert_eq!(files, 3, "{shell} runs more than the programs of {line}");
    read(&fs::read(path.join("calls")).unwrap_or_default())
}

/// Asserts that every shell of this machine makes exactly these calls of a line.
///
/// # Panics
///
/// If one of them makes others.
#[track_caller]
pub fn all_make(line: &str, expected: &[Call]) {
    let shown = |calls: &[Call]| -> Vec<Vec<String>> {
        let words = |call: &Call| {
            call.iter()
                .map(|word| word.escape_ascii().to_string())
                .collect()
        };
        calls.iter().map(words).collect()
    };
    for shell in installed() {
        assert_eq!(
            shown(&calls(shell, line)),
            shown(expected),
            "{shell}: {line}"
        );
    }
}

/// Programs that write down the number of their words, and the words.
fn stand_ins(directory: &Path) {
    let script = "#!/bin/sh\nprintf '%s\\0' \"$#\" \"${0##*/}\" \"$@\" >>\"$CALLS\"\n";
    let programs: PathBuf = directory.join("programs");
    fs::create_dir(&programs).expect("a directory");
    for name in PROGRAMS {
        let path = programs.join(name);
        fs::write(&path, script).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    }
}

fn read(calls: &[u8]) -> Vec<Call> {
    let mut words = calls.split(|byte| *byte == 0).map(<[u8]>::to_vec);
    let mut found = Vec::new();
    while let Some(count) = words.next().filter(|count| !count.is_empty()) {
        let count = String::from_utf8(count)
            .ok()
            .and_then(|count| count.parse().ok());
        let count: usize = count.expect("the number of words");
        found.push(words.by_ref().take(count + 1).collect());
    }
    found
}
