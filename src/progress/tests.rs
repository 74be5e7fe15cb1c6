//! Plain and JSON progress, whole output, on a clock that the test moves.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::fmt::MakeWriter;

use super::*;

const MIB: u64 = 1 << 20;

/// A run whose standard error is kept.
struct Run {
    progress: Progress,
    written: Arc<Mutex<Vec<u8>>>,
    millis: Arc<AtomicU64>,
}

/// What is written, shared with the test.
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        guard(&self.0).write(bytes)
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

impl Run {
    fn new(face: Face, quiet: bool) -> Self {
        let (written, millis) = (Arc::default(), Arc::new(AtomicU64::new(0)));
        let (start, passed) = (Instant::now(), Arc::clone(&millis));
        let clock = move || start + Duration::from_millis(passed.load(Ordering::SeqCst));
        let progress = Progress::with(
            face,
            quiet,
            Box::new(Kept(Arc::clone(&written))),
            Arc::new(clock),
        );
        Self {
            progress,
            written,
            millis,
        }
    }

    fn plain() -> Self {
        Self::new(Face::Plain, false)
    }

    fn json() -> Self {
        Self::new(Face::Json, false)
    }

    fn after(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    #[track_caller]
    fn wrote(&self, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&guard(&self.written)), expected);
    }
}

/// The same story for both faces.
fn story(run: &Run) {
    run.progress.stage("Uploading to s3://b/k");
    run.progress.note("5 parts of 2.0 MiB");
    let transfer = run.progress.upload(Some(10 * MIB));
    for _ in 0..5 {
        run.after(500);
        transfer.acknowledged(2 * MIB);
    }
    transfer.finish();
    run.progress.stage("Importing");
    let remote = run.progress.import();
    for (percent, message) in [
        (None, "pending"),
        (Some(19), "converting"),
        (Some(19), "converting"),
        (Some(27), "converting"),
    ] {
        run.after(5000);
        remote.set(percent, message);
    }
    run.progress.warn("the role is new\nit may take a while");
    remote.finish("Imported as ami-0abc");
}

#[test]
fn a_pipe_gets_lines() {
    let run = Run::plain();
    story(&run);
    run.wrote(
        "Uploading to s3://b/k
  5 parts of 2.0 MiB
  20 % (2.0 MiB of 10.0 MiB)
  40 % (4.0 MiB of 10.0 MiB)
  60 % (6.0 MiB of 10.0 MiB)
  80 % (8.0 MiB of 10.0 MiB)
 100 % (10.0 MiB of 10.0 MiB)
Uploaded 10.0 MiB in 2.5 s (4.0 MiB/s)
Importing
  pending
  19 % converting
  27 % converting
warning: the role is new
  it may take a while
Imported as ami-0abc
",
    );
}

#[test]
fn a_program_gets_json() {
    let run = Run::json();
    story(&run);
    run.wrote(
        r#"{"event":"stage","message":"Uploading to s3://b/k"}
{"event":"note","message":"5 parts of 2.0 MiB"}
{"event":"upload","bytes":2097152,"total":10485760,"resumed":0}
{"event":"upload","bytes":4194304,"total":10485760,"resumed":0}
{"event":"upload","bytes":6291456,"total":10485760,"resumed":0}
{"event":"upload","bytes":8388608,"total":10485760,"resumed":0}
{"event":"upload","bytes":10485760,"total":10485760,"resumed":0}
{"event":"uploaded","bytes":10485760,"resumed":0,"seconds":2.5}
{"event":"stage","message":"Importing"}
{"event":"import","percent":null,"message":"pending"}
{"event":"import","percent":19,"message":"converting"}
{"event":"import","percent":27,"message":"converting"}
{"event":"warning","message":"the role is new\nit may take a while"}
{"event":"imported","message":"Imported as ami-0abc"}
"#,
    );
}

#[test]
fn many_small_parts_are_a_line_each_ten_percent() {
    let run = Run::plain();
    let transfer = run.progress.upload(Some(10_000));
    (0..3000).for_each(|_| transfer.acknowledged(1));
    run.wrote(
        "  10 % (1000 B of 9.8 KiB)\n  20 % (2.0 KiB of 9.8 KiB)\n  30 % (2.9 KiB of 9.8 KiB)\n",
    );
}

#[test]
fn what_was_there_already_does_not_count_for_the_speed() {
    let run = Run::plain();
    let transfer = run.progress.upload(Some(150 * MIB));
    transfer.resumed(100 * MIB);
    run.after(2000);
    transfer.acknowledged(50 * MIB);
    transfer.note("part 3 is sent again");
    transfer.finish();
    run.wrote(
        " 100 % (150.0 MiB of 150.0 MiB)
  part 3 is sent again
Uploaded 150.0 MiB in 2.0 s (25.0 MiB/s), 100.0 MiB of it in an earlier run
",
    );
}

#[test]
fn an_upload_that_was_complete_says_so() {
    let run = Run::plain();
    let transfer = run.progress.upload(Some(MIB));
    transfer.resumed(MIB);
    transfer.finish();
    run.progress.upload(Some(0)).finish();
    run.wrote("Uploaded 1.0 MiB, all of it in an earlier run\nUploaded 0 B in 0.0 s\n");
}

#[test]
fn half_a_minute_of_silence_is_worth_a_line() {
    let run = Run::plain();
    let (known, stream) = (
        run.progress.upload(Some(10 * MIB)),
        run.progress.upload(None),
    );
    for _ in 0..4 {
        run.after(20_000);
        known.beat();
    }
    stream.acknowledged(3 * MIB);
    stream.finish();
    run.wrote(
        "   0 % (0 B of 10.0 MiB), nothing acknowledged for 40 s
   0 % (0 B of 10.0 MiB), nothing acknowledged for 1 min 20 s
  3.0 MiB
Uploaded 3.0 MiB in 1 min 20 s (38.4 KiB/s)
",
    );
}

#[test]
fn an_import_is_heard_of_again_after_half_a_minute() {
    let run = Run::plain();
    let remote = run.progress.import();
    for _ in 0..5 {
        remote.set(Some(255), "  booting\r\n\x1b[2Jtwice ");
        run.after(10_000);
    }
    run.wrote(" 100 % booting [2Jtwice\n 100 % booting [2Jtwice\n");
}

#[test]
fn quiet_leaves_warnings_and_the_log() {
    for (face, expected) in [
        (Face::Plain, "warning: low\nDEBUG request\n"),
        (
            Face::Json,
            "{\"event\":\"warning\",\"message\":\"low\"}\n{\"event\":\"log\",\"message\":\"DEBUG request\"}\n",
        ),
    ] {
        let run = Run::new(face, true);
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
        run.wrote(expected);
    }
}

#[test]
fn a_closed_standard_error_is_no_reason_to_fail() {
    let progress = Progress::with(Face::Plain, false, Box::new(Closed), Arc::new(Instant::now));
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
    shared::<Transfer>();
    shared::<Remote>();
    shared::<Log>();
}
