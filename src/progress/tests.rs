//! The faces, whole output, on a clock that the test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::TermLike;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::error::Error;

const MIB: u64 = 1 << 20;

/// A run whose standard error is kept.
struct TestProgress {
    progress: Progress,
    written: Arc<Mutex<Vec<u8>>>,
    millis: Arc<AtomicU64>,
}

/// What is written, shared with the test.
struct CapturedOutput(Arc<Mutex<Vec<u8>>>);

impl Write for CapturedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A standard error that nobody reads any more.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

impl TestProgress {
    fn new(face: Renderer, quiet: bool) -> Self {
        let (written, millis) = (Arc::default(), Arc::new(AtomicU64::new(0)));
        let (start, passed) = (Instant::now(), Arc::clone(&millis));
        let clock = move || start + Duration::from_millis(passed.load(Ordering::SeqCst));
        let progress = Progress::with(
            face,
            quiet,
            Style::default(),
            Box::new(CapturedOutput(Arc::clone(&written))),
            Arc::new(clock),
        );
        Self {
            progress,
            written,
            millis,
        }
    }

    fn plain() -> Self {
        Self::new(Renderer::Plain, false)
    }

    fn json() -> Self {
        Self::new(Renderer::Json, false)
    }

    fn advance(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    #[track_caller]
    fn assert_written(&self, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&lock(&self.written)), expected);
    }
}

/// The same story for both faces.
fn story(test: &TestProgress) {
    test.progress.stage("Uploading to s3://b/k");
    test.progress.note("5 parts of 2.0 MiB");
    let transfer = test.progress.upload(Some(10 * MIB));
    for _ in 0..5 {
        test.advance(500);
        transfer.acknowledged(2 * MIB);
    }
    transfer.finish();
    test.progress.stage("Importing");
    let remote = test.progress.import();
    for (percent, message) in [
        (None, "pending"),
        (Some(19), "converting"),
        (Some(19), "converting"),
        (Some(27), "converting"),
    ] {
        test.advance(5000);
        remote.set(percent, message);
    }
    test.progress.warn("the role is new\nit may take a while");
    remote.finish("Imported as ami-0abc");
}

#[test]
fn a_pipe_gets_lines() {
    let run = TestProgress::plain();
    story(&run);
    run.assert_written(
        "Uploading to s3://b/k
  5 parts of 2.0 MiB
  20 % (2.0 MiB of 10.0 MiB)
Uploaded 10.0 MiB in 2.5 s (4.0 MiB/s)
Importing
  pending
  19 % converting
warning: the role is new
  it may take a while
Imported as ami-0abc in 20.0 s
",
    );
}

#[test]
fn a_program_gets_json() {
    let run = TestProgress::json();
    story(&run);
    run.assert_written(
        r#"{"event":"stage","message":"Uploading to s3://b/k"}
{"event":"note","message":"5 parts of 2.0 MiB"}
{"event":"upload","bytes":2097152,"total":10485760,"estimated":false,"resumed":0}
{"event":"upload","bytes":6291456,"total":10485760,"estimated":false,"resumed":0}
{"event":"upload","bytes":10485760,"total":10485760,"estimated":false,"resumed":0}
{"event":"uploaded","bytes":10485760,"resumed":0,"seconds":2.5}
{"event":"stage","message":"Importing"}
{"event":"import","percent":null,"message":"pending"}
{"event":"import","percent":19,"message":"converting"}
{"event":"import","percent":27,"message":"converting"}
{"event":"warning","message":"the role is new\nit may take a while"}
{"event":"imported","message":"Imported as ami-0abc","seconds":20.0}
"#,
    );
}

#[test]
fn a_log_gets_the_first_line_at_once_and_then_one_in_ten_seconds() {
    let run = TestProgress::plain();
    let transfer = run.progress.upload(Some(100 * MIB));
    for _ in 0..99 {
        run.advance(250);
        transfer.acknowledged(MIB);
    }
    transfer.finish();
    run.assert_written(
        "  10 % (10.0 MiB of 100.0 MiB)
  50 % (50.0 MiB of 100.0 MiB)
  90 % (90.0 MiB of 100.0 MiB)
Uploaded 99.0 MiB in 24.8 s (4.0 MiB/s)
",
    );
}

#[test]
fn fast_status_changes_are_limited_in_a_log() {
    let run = TestProgress::plain();
    let remote = run.progress.import();
    for words in ["pending", "validating", "validated", "converting"] {
        remote.set(None, words);
        run.advance(1000);
        remote.heartbeat();
    }
    for _ in 0..10 {
        run.advance(1000);
        remote.heartbeat();
    }
    remote.finish("Imported as ami-0abc");
    run.assert_written("  pending\n  converting\nImported as ami-0abc in 14.0 s\n");
}

#[test]
fn a_flood_of_retries_is_counted() {
    for (run, lines) in [
        (TestProgress::plain(), 5 + 1 + 5 + 1 + 1),
        (TestProgress::json(), 200 + 1),
    ] {
        let transfer = run.progress.upload(Some(MIB));
        for part in 0..200 {
            if part == 100 {
                run.advance(10_000);
            }
            transfer.note(&format!("part {part}, try 2: no route; again in 0.5 s"));
        }
        transfer.finish();
        let written = String::from_utf8_lossy(&lock(&run.written)).into_owned();
        assert_eq!(written.lines().count(), lines, "{written}");
        let counted = written.matches("  and 95 more like that\n").count();
        assert_eq!(counted, if lines > 100 { 0 } else { 2 }, "{written}");
    }
}

#[test]
fn a_guessed_whole_is_called_so() {
    for (run, expected) in [
        (
            TestProgress::plain(),
            "  20 % (2.0 MiB of about 10.0 MiB)\nUploaded 2.0 MiB in 0.0 s\n",
        ),
        (
            TestProgress::json(),
            "{\"event\":\"upload\",\"bytes\":2097152,\"total\":10485760,\"estimated\":true,\"resumed\":0}
{\"event\":\"uploaded\",\"bytes\":2097152,\"resumed\":0,\"seconds\":0.0}\n",
        ),
    ] {
        let transfer = run.progress.upload_with_estimate(|| Some(10 * MIB));
        transfer.acknowledged(2 * MIB);
        transfer.finish();
        run.assert_written(expected);
    }
}

#[test]
fn a_growing_estimate_never_lowers_the_percentage() {
    let (run, all) = (TestProgress::plain(), Arc::new(AtomicU64::new(10 * MIB)));
    let guess = Arc::clone(&all);
    let transfer = run
        .progress
        .upload_with_estimate(move || Some(guess.load(Ordering::SeqCst)));
    transfer.acknowledged(5 * MIB);
    all.store(1 << 40, Ordering::SeqCst);
    run.advance(30_000);
    transfer.heartbeat();
    all.store(MIB, Ordering::SeqCst);
    run.advance(30_000);
    transfer.heartbeat();
    run.assert_written(
        "  50 % (5.0 MiB of about 10.0 MiB)
  50 % (5.0 MiB of about 10.0 MiB), nothing acknowledged for 30 s
 100 % (5.0 MiB of about 5.0 MiB)\n",
    );
}

#[test]
fn jobs_are_labelled() {
    for (run, expected) in [
        (
            TestProgress::plain(),
            "web: Uploading to s3://b/k\nweb us-east-1:   copying\nweb: error: no\nweb:   hint: ask\n",
        ),
        (
            TestProgress::json(),
            r#"{"event":"stage","message":"Uploading to s3://b/k","job":"web"}
{"event":"import","percent":null,"message":"copying","job":"web us-east-1"}
{"cause":null,"event":"error","hint":"ask","job":"web","kind":"failed","left_behind":[],"message":"no"}
"#,
        ),
    ] {
        let web = run.progress.named("web");
        web.stage("Uploading to s3://b/k");
        web.named("us-east-1").import().set(None, "copying");
        web.error(&Error::failed("no").hint("ask"));
        run.assert_written(expected);
    }
}

#[test]
fn resumed_bytes_do_not_count_for_the_speed() {
    let run = TestProgress::plain();
    let transfer = run.progress.upload(Some(150 * MIB));
    transfer.resumed(100 * MIB);
    run.advance(2000);
    transfer.acknowledged(50 * MIB);
    transfer.note("part 3 is sent again");
    transfer.finish();
    run.assert_written(
        " 100 % (150.0 MiB of 150.0 MiB)
  part 3 is sent again
Uploaded 150.0 MiB in 2.0 s (25.0 MiB/s), 100.0 MiB of it in an earlier run
",
    );
}

#[test]
fn a_complete_upload_is_reported() {
    let run = TestProgress::plain();
    let transfer = run.progress.upload(Some(MIB));
    transfer.resumed(MIB);
    transfer.finish();
    run.progress.upload(Some(0)).finish();
    run.assert_written("Uploaded 1.0 MiB, all of it in an earlier run\nUploaded 0 B in 0.0 s\n");
}

#[test]
fn half_a_minute_of_silence_is_worth_a_line() {
    let run = TestProgress::plain();
    let (upload, stream) = (
        run.progress.upload(Some(10 * MIB)),
        run.progress.upload(None),
    );
    for _ in 0..4 {
        run.advance(20_000);
        upload.heartbeat();
    }
    stream.acknowledged(3 * MIB);
    stream.finish();
    run.assert_written(
        "   0 % (0 B of 10.0 MiB), nothing acknowledged for 40 s
   0 % (0 B of 10.0 MiB), nothing acknowledged for 1 min 20 s
  3.0 MiB
Uploaded 3.0 MiB in 1 min 20 s (38.4 KiB/s)
",
    );
}

#[test]
fn a_stalled_import_is_reported_after_30_seconds() {
    let run = TestProgress::plain();
    let remote = run.progress.import();
    for _ in 0..5 {
        remote.set(Some(255), "  booting\r\n\x1b[2Jtwice ");
        run.advance(10_000);
    }
    run.assert_written(" 100 % booting [2Jtwice\n 100 % booting [2Jtwice\n");
}

#[test]
fn quiet_leaves_warnings_and_the_log() {
    for (face, expected) in [
        (Renderer::Plain, "warning: low\nDEBUG request\n"),
        (
            Renderer::Json,
            "{\"event\":\"warning\",\"message\":\"low\"}\n{\"event\":\"log\",\"message\":\"DEBUG request\"}\n",
        ),
    ] {
        let run = TestProgress::new(face, true);
        run.progress.stage("Uploading");
        run.progress.note("parts");
        run.progress.warn("low");
        let transfer = run.progress.upload(Some(1));
        transfer.acknowledged(1);
        transfer.finish();
        run.progress.import().finish("Imported");
        run.progress
            .log_writer()
            .make_writer()
            .write_all(b"DEBUG request\n")
            .unwrap();
        run.assert_written(expected);
    }
}

#[test]
fn a_warning_of_the_log_is_a_warning() {
    let run = TestProgress::plain();
    let say = |line: &[u8]| run.progress.log_writer().make_writer().write_all(line);
    say(b" WARN the journal can't be written\n").unwrap();
    say(b"\x1b[33m WARN\x1b[0m low\n").unwrap();
    say(b"DEBUG WARN\n").unwrap();
    run.assert_written("warning: the journal can't be written\nwarning: low\nDEBUG WARN\n");
}

#[test]
fn a_closed_standard_error_is_no_reason_to_fail() {
    let progress = Progress::with(
        Renderer::Plain,
        false,
        Style::default(),
        Box::new(Closed),
        Arc::new(Instant::now),
    );
    progress.stage("Uploading");
    let transfer = progress.upload(Some(1));
    transfer.acknowledged(u64::MAX);
    transfer.acknowledged(u64::MAX);
    transfer.finish();
}

#[test]
fn the_handles_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Progress>();
    shared::<UploadProgress>();
    shared::<TaskProgress>();
    shared::<Log>();
}

/// Every event once, and one of them with a name.
#[test]
fn the_readme_lists_every_field_of_every_event() {
    let run = TestProgress::json();
    story(&run);
    run.progress.named("web").note("a note");
    drop(
        run.progress
            .log_writer()
            .make_writer()
            .write_all(b"request"),
    );
    run.progress.error(&Error::failed("no"));
    let mut emitted = BTreeMap::<String, BTreeSet<String>>::new();
    for line in String::from_utf8_lossy(&lock(&run.written)).lines() {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).unwrap();
        let event = object["event"].as_str().unwrap().to_owned();
        let fields = object.into_iter().map(|(field, _)| field);
        let fields = fields.filter(|field| field != "event" && field != "job");
        emitted.entry(event).or_default().extend(fields);
    }
    let readme = include_str!("../../README.md");
    let section = readme.split("### Progress as JSON").nth(1).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| `"));
    let listed = rows.take_while(|line| line.starts_with('|')).map(|row| {
        let cells: Vec<_> = row.split('|').collect();
        let quoted = |cell: &str| {
            let words = cell.split('`').skip(1).step_by(2);
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        (
            quoted(cells[1])[0].clone(),
            quoted(cells[2]).into_iter().collect(),
        )
    });
    assert_eq!(emitted, listed.collect());
}

/// A terminal that wraps long lines, and wraps them again when it is resized.
#[derive(Clone, Debug)]
pub(super) struct TestTerminal(Arc<Mutex<TerminalState>>);

#[derive(Debug)]
pub(super) struct TerminalState {
    grid: Grid,
    /// Columns and rows, as the program is told.
    size: (usize, usize),
    /// All that was written, one entry for each write.
    writes: Vec<String>,
}

impl TestTerminal {
    pub(super) fn new(columns: usize) -> Self {
        Self(Arc::new(Mutex::new(TerminalState {
            grid: Grid::new(columns),
            size: (columns, 24),
            writes: Vec::new(),
        })))
    }

    pub(super) fn text(&self) -> String {
        lock(&self.0).text()
    }
}

impl TerminalState {
    fn text(&self) -> String {
        let rows = self.grid.rows.iter().enumerate();
        let text = rows.map(|(at, row)| {
            let last = at + 1 == self.grid.rows.len();
            let end = if row.ends && !last { "\n" } else { "" };
            row.text() + end
        });
        text.collect()
    }

    /// The program hears of it some time later.
    fn report_size(&mut self) {
        self.size.0 = self.grid.columns;
    }
}

/// Rows of a terminal, and where its cursor is.
#[derive(Debug, Default)]
struct Grid {
    rows: Vec<Row>,
    at: (usize, usize),
    columns: usize,
    unbroken: bool,
}

/// A cell for each column; the second of a wide sign is empty. Its line ends there or not.
#[derive(Debug)]
struct Row {
    cells: Vec<Option<char>>,
    ends: bool,
}

impl Row {
    fn new() -> Self {
        let (cells, ends) = (Vec::new(), true);
        Self { cells, ends }
    }

    fn text(&self) -> String {
        self.cells.iter().flatten().collect()
    }
}

impl Grid {
    fn new(columns: usize) -> Self {
        Self {
            rows: vec![Row::new()],
            columns,
            ..Self::default()
        }
    }

    fn feed(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match (c, rest.strip_prefix('[')) {
                ('\x1b', Some(code)) => {
                    let end = code.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                    self.apply(&code[..=end]);
                    rest = &code[end + 1..];
                }
                ('\n', _) => self.down(),
                ('\r', _) => self.at.1 = 0,
                _ => self.put(c),
            }
        }
    }

    fn apply(&mut self, code: &str) {
        let (row, _) = self.at;
        match code {
            "?7l" => self.unbroken = true,
            "?7h" => self.unbroken = false,
            "2K" => {
                self.rows[row] = Row::new();
                if row > 0 {
                    self.rows[row - 1].ends = true;
                }
            }
            // Only what has been cleared is left.
            "1A" => {
                assert_eq!(self.rows.pop().map(|row| row.text()), Some(String::new()));
                self.at.0 -= 1;
            }
            colour => assert!(colour.ends_with('m'), "{colour}"),
        }
    }

    fn down(&mut self) {
        self.at = (self.at.0 + 1, 0);
        if self.rows.len() == self.at.0 {
            self.rows.push(Row::new());
        }
    }

    fn put(&mut self, c: char) {
        let wide = columns::width(&c.to_string());
        if self.at.1 + wide > self.columns && self.unbroken {
            self.at.1 = self.columns.saturating_sub(wide);
        } else if self.at.1 + wide > self.columns {
            self.rows[self.at.0].ends = false;
            self.down();
        }
        let (row, column) = self.at;
        let cells = &mut self.rows[row].cells;
        cells.resize(cells.len().max(column + wide), Some(' '));
        cells[column] = Some(c);
        cells[column + 1..column + wide].fill(None);
        self.at.1 += wide;
    }

    /// The cursor stays at its sign.
    fn resize(&mut self, columns: usize) {
        let (rows, (row, column)) = (std::mem::take(&mut self.rows), self.at);
        *self = Self::new(columns);
        let (mut at, last) = (None, rows.len() - 1);
        for (number, old) in rows.into_iter().enumerate() {
            let cells = old.cells.iter().enumerate();
            for (cell, c) in cells.filter_map(|(cell, c)| Some((cell, (*c)?))) {
                if (number, cell) == (row, column) {
                    // A sign that stands at the edge goes to the next row.
                    at = Some((self.at, c));
                }
                self.put(c);
                at = at.map(|(place, c)| match place {
                    (row, column) if column + columns::width(&c.to_string()) > columns => {
                        ((row + 1, 0), c)
                    }
                    place => (place, c),
                });
            }
            if number == row && column >= old.cells.len() {
                at = Some((self.at, ' '));
            }
            if old.ends && number < last {
                self.down();
            }
        }
        self.at = at.map_or(self.at, |(place, _)| place);
    }
}

impl TermLike for TestTerminal {
    fn width(&self) -> u16 {
        lock(&self.0).size.0.try_into().unwrap()
    }

    fn height(&self) -> u16 {
        lock(&self.0).size.1.try_into().unwrap()
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        unreachable!("all that happens is in what is written")
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        unreachable!("a line is drawn from its start")
    }

    fn clear_line(&self) -> io::Result<()> {
        unreachable!("all that happens is in what is written")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.writes.push(text.to_owned());
        state.grid.feed(text);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        unreachable!("a line is never drawn below the cursor")
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        unreachable!("a line is drawn from its start")
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("\n")
    }
}

/// A run on a terminal, drawn when the test asks for it.
struct TerminalTest {
    test: TestProgress,
    terminal: TestTerminal,
}

impl TerminalTest {
    fn new(columns: usize) -> Self {
        let terminal = TestTerminal::new(columns);
        let surface = Box::new(terminal.clone());
        let millis = Arc::new(AtomicU64::new(0));
        let (start, passed) = (Instant::now(), Arc::clone(&millis));
        let clock: Clock =
            Arc::new(move || start + Duration::from_millis(passed.load(Ordering::SeqCst)));
        let screen = Screen::new(surface, Style::COLOR, Arc::clone(&clock));
        let written = Arc::default();
        let out = Box::new(CapturedOutput(Arc::clone(&written)));
        let progress = Progress::with(Renderer::Bars(screen), false, Style::COLOR, out, clock);
        let run = TestProgress {
            progress,
            written,
            millis,
        };
        Self {
            test: run,
            terminal,
        }
    }

    fn draw(&self) {
        if let Renderer::Bars(screen) = &self.test.progress.shared.renderer {
            screen.draw();
        }
    }

    #[track_caller]
    fn assert_screen(&self, expected: &str) {
        self.draw();
        assert_eq!(lock(&self.terminal.0).text(), expected);
    }
}

#[test]
fn on_a_terminal_a_stage_is_a_line_that_ends_with_its_result() {
    let terminal = TerminalTest::new(80);
    let (run, progress) = (&terminal.test, &terminal.test.progress);
    progress.info("disk.raw: raw disk, 10.0 MiB disk");
    progress.stage("Checking the account");
    run.advance(3000);
    terminal.assert_screen("disk.raw: raw disk, 10.0 MiB disk\nChecking the account … 3 s");
    progress.stage("Uploading to s3://b/k");
    let transfer = progress.upload(Some(10 * MIB));
    transfer.line_progress(2 * MIB, 2 * MIB);
    run.advance(750);
    transfer.line_progress(2 * MIB, 4 * MIB);
    run.advance(250);
    transfer.line_progress(MIB, 5 * MIB);
    terminal.assert_screen(
        "disk.raw: raw disk, 10.0 MiB disk
Checking the account … 3.0 s
Uploading to s3://b/k
  ───────────────────    0 %  0 B of 10.0 MiB  4.0 MiB/s  2 s left",
    );
    transfer.acknowledged(5 * MIB);
    terminal.assert_screen(
        "disk.raw: raw disk, 10.0 MiB disk
Checking the account … 3.0 s
Uploading to s3://b/k
  ━━━━━━━━━╸─────────   50 %  5.0 MiB of 10.0 MiB  4.0 MiB/s  2 s left",
    );
    run.advance(1000);
    transfer.acknowledged(5 * MIB);
    transfer.finish();
    progress.stage("Importing as import-ami-1");
    let remote = progress.import();
    remote.set(Some(27), "converting");
    run.advance(1_450_000);
    terminal.assert_screen(
        "disk.raw: raw disk, 10.0 MiB disk
Checking the account … 3.0 s
Uploading to s3://b/k … 10.0 MiB in 2.0 s (5.0 MiB/s)
Importing as import-ami-1
  ━━━━━──────────────   27 %  24 min 10 s  converting",
    );
    remote.finish("Imported as ami-0abc");
    progress.stage("Naming it");
    progress.close();
    progress.warn("the end");
    terminal.assert_screen(
        "disk.raw: raw disk, 10.0 MiB disk
Checking the account … 3.0 s
Uploading to s3://b/k … 10.0 MiB in 2.0 s (5.0 MiB/s)
Imported as ami-0abc in 24 min 10 s
Naming it
warning: the end\n",
    );
}

#[test]
fn messages_of_a_stage_are_printed_between_heading_and_bar() {
    let terminal = TerminalTest::new(50);
    let (run, progress) = (&terminal.test, &terminal.test.progress);
    progress.stage("Uploading to s3://b/k");
    let transfer = progress.upload(Some(10 * MIB));
    transfer.note("part 3, try 2: the connection was closed; again in 0.5 s");
    terminal.assert_screen(
        "Uploading to s3://b/k
  part 3, try 2: the connection was closed;
    again in 0.5 s
  ────────────    0 %  0 B of 10.0 MiB  0 s",
    );
    run.advance(2000);
    transfer.acknowledged(10 * MIB);
    transfer.finish();
    progress.stage("Importing as import-ami-1");
    drop(progress.import());
    progress.error(&Error::failed("AWS gave it up\x1b[2J").hint("ask again"));
    progress.close();
    terminal.assert_screen(
        "Uploading to s3://b/k
  part 3, try 2: the connection was closed;
    again in 0.5 s
Uploaded 10.0 MiB in 2.0 s (5.0 MiB/s)
Importing as import-ami-1
error: AWS gave it up[2J
  hint: ask again\n",
    );
}

#[test]
fn several_bars_stand_below_each_other() {
    let terminal = TerminalTest::new(70);
    let progress = &terminal.test.progress;
    progress.stage("Copying it to 2 regions");
    let (near, far) = (progress.named("us-east-1"), progress.named("me-central-1"));
    let (first, second) = (near.import(), far.import());
    first.set(Some(50), "pending");
    second.set(Some(10), "pending");
    terminal.assert_screen(
        "Copying it to 2 regions
  us-east-1     ━━━━━━╸──────   50 %  0 s  pending
  me-central-1  ━────────────   10 %  0 s  pending",
    );
    terminal.test.advance(60_000);
    first.finish("Copied as ami-1");
    terminal.assert_screen(
        "Copying it to 2 regions
us-east-1: Copied as ami-1 in 1 min
  me-central-1  ━────────────   10 %  1 min  pending",
    );
}

#[test]
fn jobs_take_a_line_each() {
    let terminal = TerminalTest::new(60);
    let progress = &terminal.test.progress;
    let jobs = ["web", "a-database-with-a-long-name"].map(|name| progress.named(name));
    jobs[0].stage("Uploading to s3://b/k");
    let transfer = jobs[0].upload(Some(10 * MIB));
    jobs[1].stage("Checking the account, the bucket and the role");
    terminal.assert_screen(
        "  web                  ─────────    0 %  0 s
  a-database-with-a-…  Checking the account, the bucket a…",
    );
    transfer.acknowledged(10 * MIB);
    terminal.test.advance(1000);
    transfer.finish();
    drop(jobs);
    terminal.assert_screen(
        "web: Uploading to s3://b/k
web:   10.0 MiB in 1.0 s (10.0 MiB/s)
a-database-with-a-long-name: Checking the account, the
a-database-with-a-long-name:   bucket and the role … 1.0 s\n",
    );
}

/// The window is made as wide as each of these, and the program is told of it only after
/// it has drawn some more.
#[test]
fn a_window_that_is_resized_is_not_littered() {
    for narrower in 20..100 {
        for widths in [vec![narrower], vec![narrower, 100], vec![120, narrower, 30]] {
            let terminal = TerminalTest::new(100);
            let progress = &terminal.test.progress;
            progress.stage("Uploading to s3://importbucket/imgimport-1767225600.raw");
            let transfer = progress.upload(Some(100 * MIB));
            let job = progress.named("a copy");
            let remote = job.import();
            // From here on the seconds change, and no line gets longer.
            terminal.test.advance(11_000);
            remote.set(Some(27), "converting it, which takes a while");
            for columns in &widths {
                terminal.draw();
                lock(&terminal.terminal.0).grid.resize(*columns);
                for _ in 0..2 {
                    terminal.test.advance(1000);
                    terminal.draw();
                }
                lock(&terminal.terminal.0).report_size();
                terminal.draw();
                lock(&terminal.terminal.0).grid.feed("^C");
                terminal.test.advance(1000);
            }
            drop((transfer, remote, job));
            progress.close();
            let text = lock(&terminal.terminal.0).text().replace("\n  ", " ");
            let text = text.replace(" … ", " ");
            let heading = "Uploading to s3://importbucket/imgimport-1767225600.raw";
            let took = format!("{heading} {}.0 s\n", 11 + 3 * widths.len());
            assert_eq!(text, took, "{widths:?}");
        }
    }
}

#[test]
fn no_bar_is_broken_at_any_width() {
    for columns in 1..=200 {
        let terminal = TerminalTest::new(columns);
        let progress = &terminal.test.progress;
        progress.stage("Uploading to s3://importbucket/変換-disk-\u{202e}\n-of-a-long-name.raw");
        let jobs = ["web", "データベース"].map(|name| progress.named(name));
        let (transfer, remote) = (jobs[0].upload(None), jobs[1].import());
        transfer.acknowledged(u64::MAX);
        remote.set(Some(42), "converting 変換 and so on, and so on, and so on");
        terminal.test.advance(100_000);
        terminal.draw();
        let text = lock(&terminal.terminal.0).text();
        assert_eq!(text.split('\n').count(), 3, "{columns}: {text}");
        let wide = columns.saturating_sub(2).max(1);
        assert!(
            text.lines().all(|row| columns::width(row) <= wide),
            "{columns}: {text}"
        );
    }
}

#[test]
fn a_low_terminal_shows_as_many_lines_as_fit() {
    let terminal = TerminalTest::new(40);
    lock(&terminal.terminal.0).size.1 = 4;
    let jobs = ["a", "b", "c", "d", "e"].map(|name| terminal.test.progress.named(name));
    for job in &jobs {
        job.stage("Checking");
    }
    terminal.assert_screen("  a  Checking\n  b  Checking\n  and 3 more");
    drop(jobs);
    terminal.assert_screen("a: Checking\nb: Checking\nc: Checking\nd: Checking\ne: Checking\n");
}

#[test]
fn nothing_is_written_without_a_change() {
    let terminal = TerminalTest::new(80);
    terminal.test.progress.stage("Checking the account");
    let bar = terminal.test.progress.import();
    bar.set(Some(27), "converting");
    terminal.draw();
    let before = lock(&terminal.terminal.0).writes.len();
    (0..100).for_each(|_| terminal.draw());
    assert_eq!(lock(&terminal.terminal.0).writes.len(), before);
    drop(bar);
}

#[test]
fn several_bars_are_one_write() {
    let terminal = TerminalTest::new(80);
    let progress = &terminal.test.progress;
    let bars = ["web", "db", "log"].map(|name| progress.named(name).import());
    terminal.draw();
    let before = lock(&terminal.terminal.0).writes.len();
    terminal.test.advance(1000);
    for bar in &bars {
        bar.set(Some(27), "converting");
    }
    terminal.draw();
    assert_eq!(lock(&terminal.terminal.0).writes.len(), before + 1);
}

#[test]
fn only_the_bar_is_colored() {
    let terminal = TerminalTest::new(42);
    let (known, unknown) = (
        terminal.test.progress.import(),
        terminal.test.progress.import(),
    );
    known.set(Some(50), "");
    terminal.draw();
    let written = lock(&terminal.terminal.0).writes.last().cloned().unwrap();
    let (_, bars) = written.split_once("\x1b[?7l").unwrap();
    assert_eq!(
        bars,
        "  \x1b[36m━━━━━─\x1b[2m────\x1b[0m\x1b[0m   50 %  0 s\n  \
         \x1b[36m\x1b[2m──\x1b[0m\x1b[0m\x1b[36m━━━━\x1b[0m\x1b[36m\x1b[2m────\x1b[0m\x1b[0m  0 s\x1b[?7h"
    );
    drop((known, unknown));
}
