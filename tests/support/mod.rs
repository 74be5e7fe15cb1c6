//! The stage for the stories: a sandbox with a bucket and a role, a home of its own, the
//! real program. What it prints is compared whole, standard output and standard error.

pub mod commands;
mod relay;
mod system;
mod terminal;
mod tls;

use std::ffi::OsStr;
use std::fs;
use std::io::{PipeReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use imgimport_sandbox::{ImportScript, REGION, Sandbox, sample};
use regex::{Captures, Regex};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

pub use relay::SlowLine;
pub use terminal::Terminal;
pub use tls::{AUTHORITY, tls};

/// Longer than any story takes; a program that hangs fails its story, not the suite.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What a pipe of Linux holds, in bytes.
const PIPE_CAPACITY: usize = 64 << 10;

/// Waits for what can only be looked at.
async fn wait_until(description: &str, condition: impl Fn() -> bool) {
    let look = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(TIMEOUT, look).await;
    waited.unwrap_or_else(|_| panic!("in vain until {description}"));
}

pub use system::{TestSystem, container_command, find_tool};

pub const BUCKET: &str = "importbucket";

/// A file with the certificate of one authority, which has signed nothing.
const NOBODY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/nobody.pem");

/// A cloud, a home and the program.
pub struct TestEnv {
    pub cloud: Sandbox,
    dir: TempDir,
}

impl TestEnv {
    /// A bucket, a role, imports that go through in two polls.
    pub async fn new() -> Self {
        let cloud = Sandbox::start().await.expect("the sandbox starts");
        cloud.s3().create_bucket(BUCKET, REGION);
        cloud.iam().put_import_role("vmimport", BUCKET);
        cloud.import_script(ImportScript::quick());
        let dir = TempDir::new().expect("a directory");
        Self { cloud, dir }
    }

    /// A file in the current directory of the program.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A raw disk of so many megabytes, `disk.raw`.
    pub fn disk(&self, megabytes: usize) -> Vec<u8> {
        let disk = sample::raw(megabytes << 20);
        self.file("disk.raw", &disk);
        disk
    }

    /// The journal's files.
    pub fn journal(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("state/imgimport"))
            .into_iter()
            .flatten();
        let mut paths: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        paths.sort();
        paths
    }

    /// `imgimport ARGS`, in the sandbox's environment and no other.
    pub fn imgimport(&self, args: &str) -> Cmd<'_> {
        self.program(args.split_whitespace())
    }

    /// `imgimport ARGS`, in Alibaba Cloud's environment.
    pub fn alicloud(&self, args: &str) -> Cmd<'_> {
        self.imgimport(args).on_alibaba()
    }

    pub fn program<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Cmd<'_> {
        self.command(env!("CARGO_BIN_EXE_imgimport"), args)
    }

    /// The script as a pipeline runs it, which finds the program on its path.
    pub fn shell(&self, script: &str) -> Cmd<'_> {
        let program = Path::new(env!("CARGO_BIN_EXE_imgimport"));
        let place = program.parent().expect("a directory").display();
        let run = self.command("/bin/sh", ["-e", "-c", script]);
        run.env("PATH", &format!("{place}:/usr/bin:/bin"))
    }

    fn command<'a>(&self, program: &str, args: impl IntoIterator<Item = &'a str>) -> Cmd<'_> {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(self.cloud.environment())
            .env("HOME", self.dir.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("COLUMNS", "100")
            .env("TERM", "xterm")
            // The system's hundred and more are read at each start, and nobody here has one.
            .env("SSL_CERT_FILE", NOBODY)
            .env("SOURCE_DATE_EPOCH", "1767225600")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("IMGIMPORT_POLL_INTERVAL", "10ms")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Cmd { command, env: self }
    }
}

/// A command line, not run yet.
pub struct Cmd<'a> {
    command: Command,
    env: &'a TestEnv,
}

impl<'a> Cmd<'a> {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// A value that need not be text.
    pub fn env_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.command.env(name, OsStr::from_bytes(value));
        self
    }

    /// With the sandbox's key for Alibaba Cloud, and no metadata service behind it.
    pub fn on_alibaba(mut self) -> Self {
        self.command
            .envs(self.env.cloud.alibaba_environment())
            .env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
        self
    }

    /// The sandbox that it runs in.
    pub fn cloud(&self) -> &'a Sandbox {
        &self.env.cloud
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn stdin(mut self, path: &Path) -> Self {
        self.command
            .stdin(fs::File::open(path).expect("a file to read from"));
        self
    }

    /// With standard output written to this file.
    pub fn stdout(mut self, path: &Path) -> Self {
        let file = fs::File::options().append(true).open(path);
        self.command.stdout(file.expect("a file to write to"));
        self
    }

    /// With a pipe for standard output that is full, and that nobody reads.
    pub fn start_with_full_stdout(mut self) -> (RunningCmd<'a>, PipeReader) {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer
            .write_all(&vec![b' '; PIPE_CAPACITY])
            .expect("a full pipe");
        self.command.stdout(writer);
        (self.start(), reader)
    }

    /// With standard error on a terminal of so many columns, as a job of its own.
    pub fn on_terminal(mut self, columns: u16) -> (RunningCmd<'a>, Terminal) {
        let (terminal, end) = Terminal::open(columns);
        self.command.stderr(end).process_group(0);
        (self.start(), terminal)
    }

    pub fn start(mut self) -> RunningCmd<'a> {
        let child = self.command.spawn().expect("the program starts");
        RunningCmd {
            child,
            env: self.env,
        }
    }

    pub async fn output(self) -> Output {
        self.start().output().await
    }
}

/// The program at work.
pub struct RunningCmd<'a> {
    child: Child,
    env: &'a TestEnv,
}

impl RunningCmd<'_> {
    pub fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.expect("kill").success());
    }

    /// Waits until the program listens for signals.
    pub async fn wait_until_listening(&self) {
        let id = self.child.id().expect("it runs");
        let caught = || {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            mask.is_some_and(|mask| mask & 0b10 != 0)
        };
        wait_until("it listens for signals", caught).await;
    }

    /// Waits until the program has been stopped, as by Ctrl-Z.
    pub async fn wait_until_suspended(&self) {
        let id = self.child.id().expect("it runs");
        let state = || fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        wait_until("it stands still", || state().contains("State:\tT")).await;
    }

    /// Waits until it has ended.
    pub async fn wait(&mut self) {
        let ended = tokio::time::timeout(TIMEOUT, self.child.wait()).await;
        ended
            .expect("it ends in time")
            .expect("it can be waited for");
    }

    /// As a power cut ends it.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Waits until standard error says this; what came so far is lost to `ends`.
    pub async fn wait_for_stderr(&mut self, text: &str) -> String {
        let pipe = self.child.stderr.as_mut().expect("standard error");
        let mut heard = String::new();
        let hear = async {
            let mut buffer = [0; 4096];
            while !heard.contains(text) {
                let read = pipe
                    .read(&mut buffer)
                    .await
                    .expect("standard error can be read");
                assert!(read > 0, "it ended without saying {text:?}:\n{heard}");
                heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        };
        tokio::time::timeout(TIMEOUT, hear)
            .await
            .expect("it says so in time");
        heard
    }

    pub async fn output(self) -> Output {
        let env = self.env;
        let output = tokio::time::timeout(TIMEOUT, self.child.wait_with_output());
        let output = output
            .await
            .expect("it ends in time")
            .expect("it can be waited for");
        let text = |bytes: &[u8]| env.normalize(&String::from_utf8_lossy(bytes));
        commands::check(&String::from_utf8_lossy(&output.stderr));
        Output {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            stdout_raw: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            stderr_raw: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// How it ended; what differs from run to run has a name in capitals.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// Standard output as it was.
    pub stdout_raw: String,
    /// Standard error as it was.
    pub stderr_raw: String,
}

impl Output {
    #[track_caller]
    pub fn code(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub fn stdout(&self, expected: &str) -> &Self {
        compare("standard output", &self.stdout, expected);
        self
    }

    #[track_caller]
    pub fn stderr(&self, expected: &str) -> &Self {
        compare("standard error", &self.stderr, expected);
        self
    }
}

/// Indentation common to all lines of `expected` is the story's, not the program's.
#[track_caller]
fn compare(description: &str, actual: &str, expected: &str) {
    let lines: Vec<_> = expected.trim_matches('\n').lines().collect();
    let indent = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = indent
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let expected: Vec<_> = lines
        .iter()
        .map(|line| line.get(indent..).unwrap_or("").trim_end())
        .collect();
    let expected = expected.join("\n");
    assert!(
        actual.trim_end() == expected.trim_end(),
        "{description} differs\n--- expected\n{expected}\n--- got\n{actual}---"
    );
}

/// What differs from run to run, and what it is called.
static VARIABLE_PARTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"import-ami-[0-9a-f]{17}", "import-ami-TASK"),
        (r"import-snap-[0-9a-f]{17}", "import-snap-TASK"),
        (r"(?-u:\b)ami-[0-9a-f]{17}", "ami-ID"),
        (r"snap-[0-9a-f]{17}", "snap-ID"),
        (
            r"(?-u:\b)imgimport-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            "imgimport-TOKEN",
        ),
        (r"(?-u:\b)([mst])-bp1[0-9a-f]{17}", "$1-ID"),
        // The random part of an object's name, and the tag of a custom image.
        (r"-[0-9a-f]{32}(?-u:\b)", "-RANDOM"),
        (r"request [0-9A-Fa-f-]{12,}", "request ID"),
        (r"127\.0\.0\.1:[0-9]+", "HOST"),
        // How far an estimate is when the first part arrives is as it happens.
        (
            r"(?m)^(?:\S+: )? +[0-9]+ % \([^\n]* of about [^\n]*\)\n",
            "",
        ),
        // So are the times of stages, on a terminal.
        (r"(?m) … [0-9]+(\.[0-9])? (s|min)$", ""),
        // Said only of what took a second or longer.
        (
            r"(?m)^((?:\S+: )?(?:Imported|Transferred|Copied) [^\n]*?) in [0-9][^\n]* (?:s|min|h)$",
            "$1",
        ),
        (
            r"(?-u:\b)in ([0-9]+\.[0-9] s|[0-9]+ min[^()\n]*)( \([^)]*/s\))?",
            "in TIME",
        ),
        (r"again in [0-9]+\.[0-9] s", "again in TIME"),
        // What mkfs.ext4 leaves free differs between its versions.
        (r"(Free|Data)        [0-9.]+ [MK]iB", "$1        FREE"),
        (r"[0-9.]+ [MK]iB are free", "FREE are free"),
        (r"--upload-id [^ \n]+", "--upload-id UPLOAD"),
        (r#""(upload|import|total)":[0-9.]+"#, "\"$1\":SECONDS"),
    ];
    patterns
        .map(|(pattern, name)| (Regex::new(pattern).expect("a pattern"), name))
        .to_vec()
});

impl TestEnv {
    pub fn normalize(&self, text: &str) -> String {
        let text = text.replace(&self.dir.path().display().to_string(), "$DIR");
        VARIABLE_PARTS.iter().fold(text, |text, (pattern, name)| {
            let replaced = pattern.replace_all(&text, |found: &Captures<'_>| {
                let mut out = String::new();
                found.expand(name, &mut out);
                out
            });
            replaced.into_owned()
        })
    }
}
