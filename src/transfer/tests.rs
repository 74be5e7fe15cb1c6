//! Tests of the upload engine with a store in memory and gates instead of sleeps.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::pin::pin;
use std::sync::MutexGuard;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::net::retry::RetryPolicy;
use crate::store::{self, Checksum, Error as StoreError, Limits, ListedPart, ObjectInfo, Part};

const LIMITS: Limits = Limits {
    min_part: 10,
    max_part: 1000,
    max_parts: 50,
    max_object: 50_000,
    max_concurrency: 4,
};

/// The behavior of `upload_part` of the fake store.
enum Behavior {
    Answer(StoreError),
    Hang,
}

/// A store in memory that verifies digests and simulates failures.
#[derive(Default)]
struct FakeStore {
    md5: bool,
    gate: Option<Semaphore>,
    moved: Notify,
    state: Mutex<StoreState>,
}

#[derive(Default)]
struct StoreState {
    uploads: HashMap<String, BTreeMap<u32, Bytes>>,
    listing: Option<Vec<ListedPart>>,
    object: Option<Vec<u8>>,
    behaviors: HashMap<u32, VecDeque<Behavior>>,
    complete_errors: VecDeque<StoreError>,
    uploaded_parts: Vec<u32>,
    buffer_addresses: HashSet<usize>,
    in_flight: usize,
    peak: usize,
    created_uploads: usize,
}

impl FakeStore {
    fn gated() -> Self {
        Self {
            gate: Some(Semaphore::new(0)),
            ..Self::default()
        }
    }

    fn failing(behaviors: impl IntoIterator<Item = (u32, Vec<Behavior>)>) -> Self {
        let fake = Self::default();
        fake.state().behaviors = behaviors
            .into_iter()
            .map(|(part, acts)| (part, acts.into()))
            .collect();
        fake
    }

    /// Creates a store with an unfinished upload "old" of these parts.
    fn with_upload(parts: impl IntoIterator<Item = (u32, &'static str)>) -> Self {
        let fake = Self::default();
        let parts = parts
            .into_iter()
            .map(|(number, text)| (number, Bytes::from(text)))
            .collect();
        fake.state().uploads.insert("old".into(), parts);
        fake
    }

    fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().expect("no panic")
    }

    fn object(&self) -> Option<String> {
        self.state()
            .object
            .clone()
            .map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    fn upload_count(&self, part: u32) -> usize {
        self.state()
            .uploaded_parts
            .iter()
            .filter(|put| **put == part)
            .count()
    }

    /// Returns the numbers of all uploaded parts, sorted.
    fn uploaded_parts(&self) -> Vec<u32> {
        let mut puts = self.state().uploaded_parts.clone();
        puts.sort_unstable();
        puts
    }

    fn in_flight(&self) -> usize {
        self.state().in_flight
    }

    async fn until(&self, condition: impl Fn(&StoreState) -> bool) {
        loop {
            let moved = self.moved.notified();
            if condition(&self.state()) {
                return;
            }
            moved.await;
        }
    }

    fn listed(&self, number: u32, bytes: &Bytes) -> ListedPart {
        let digest = Some(self.checksum().of(bytes));
        ListedPart {
            number,
            size: bytes.len() as u64,
            etag: format!("etag {number}"),
            digest,
        }
    }
}

/// A part in flight, until its future is dropped.
struct InFlightPart<'a>(&'a FakeStore);

impl Drop for InFlightPart<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.moved.notify_waiters();
    }
}

impl Store for FakeStore {
    fn checksum(&self) -> Checksum {
        if self.md5 {
            Checksum::Md5
        } else {
            Checksum::Crc64Nvme
        }
    }

    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::with_retries(None)
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    async fn create_upload(&self) -> store::Result<UploadId> {
        let mut state = self.state();
        state.created_uploads += 1;
        let id = format!("upload {}", state.created_uploads);
        state.uploads.insert(id.clone(), BTreeMap::new());
        Ok(UploadId(id))
    }

    async fn upload_part(&self, upload: &UploadId, part: Part) -> store::Result<SentPart> {
        let act = {
            let mut state = self.state();
            state.in_flight += 1;
            state.peak = state.peak.max(state.in_flight);
            state.uploaded_parts.push(part.number);
            state.buffer_addresses.insert(part.bytes.as_ptr().addr());
            state
                .behaviors
                .get_mut(&part.number)
                .and_then(VecDeque::pop_front)
        };
        let _travelling = InFlightPart(self);
        self.moved.notify_waiters();
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("open").forget();
        }
        match act {
            Some(Behavior::Answer(error)) => return Err(error),
            Some(Behavior::Hang) => std::future::pending().await,
            None => {}
        }
        let bytes = read_body(part.body()).await;
        assert_eq!(self.checksum().of(&bytes), part.digest);
        self.state()
            .uploads
            .get_mut(&upload.0)
            .expect("an upload")
            .insert(part.number, bytes.clone());
        Ok(SentPart {
            number: part.number,
            size: bytes.len() as u64,
            etag: format!("etag {}", part.number),
            digest: part.digest,
        })
    }

    async fn list_parts(&self, upload: &UploadId) -> store::Result<Option<Vec<ListedPart>>> {
        let state = self.state();
        let listed = |parts: &BTreeMap<u32, Bytes>| {
            parts
                .iter()
                .map(|(number, bytes)| self.listed(*number, bytes))
                .collect()
        };
        Ok(state
            .listing
            .clone()
            .or_else(|| state.uploads.get(&upload.0).map(listed)))
    }

    async fn open_uploads(&self) -> store::Result<Vec<UploadId>> {
        Ok(self.state().uploads.keys().cloned().map(UploadId).collect())
    }

    async fn complete(
        &self,
        upload: &UploadId,
        parts: &[SentPart],
        expected: &ExpectedObject,
    ) -> store::Result<()> {
        let mut state = self.state();
        if let Some(error) = state.complete_errors.pop_front() {
            return Err(error);
        }
        let stored = state.uploads.remove(&upload.0).expect("an upload");
        assert!(
            parts
                .iter()
                .map(|part| part.number)
                .eq(1..=u32::try_from(parts.len()).expect("few"))
        );
        let object: Vec<u8> = parts
            .iter()
            .flat_map(|part| stored[&part.number].to_vec())
            .collect();
        assert_eq!(object.len() as u64, expected.size);
        assert_eq!(
            expected.digest,
            (!self.md5).then(|| self.checksum().of(&object))
        );
        state.object = Some(object);
        Ok(())
    }

    async fn abort(&self, _: &UploadId) -> store::Result<()> {
        unreachable!("the engine never aborts")
    }

    async fn object_info(&self) -> store::Result<Option<ObjectInfo>> {
        let object = self.state().object.clone();
        Ok(object.map(|bytes| ObjectInfo {
            size: bytes.len() as u64,
            digest: (!self.md5).then(|| self.checksum().of(&bytes)),
            etag: None,
        }))
    }

    async fn delete(&self) -> store::Result<()> {
        unreachable!("the engine never removes")
    }
}

async fn read_body(body: store::PartBody) -> Bytes {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        bytes.extend_from_slice(frame.expect("infallible").data_ref().expect("data"));
    }
    bytes.into()
}

/// Records all events.
#[derive(Default)]
struct RecordedEvents(Mutex<Vec<String>>);

impl RecordedEvents {
    fn note(&self, line: String) {
        self.0.lock().expect("no panic").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Observer for RecordedEvents {
    fn acknowledged(&self, bytes: u64) {
        self.note(format!("sent {bytes}"));
    }

    fn resumed(&self, bytes: u64) {
        self.note(format!("there {bytes}"));
    }

    fn retrying(&self, part: u32, attempt: u32, _: Duration, error: &StoreError) {
        self.note(format!("part {part} try {attempt}: {error}"));
    }

    fn concurrency_reduced(&self, parts: usize) {
        self.note(format!("window {parts}"));
    }

    fn upload_not_found(&self, upload: &UploadId) {
        self.note(format!("forgotten {upload}"));
    }
}

/// A plan with 3 parts of 10 bytes each in flight.
fn small_plan() -> Plan {
    Plan {
        part_size: 10,
        concurrency: 3,
        max_concurrency: None,
        retries: 3,
        ..plan(Some(0), LIMITS, None, None).expect("a plan")
    }
}

fn text(len: usize) -> String {
    (0..len)
        .map(|at| char::from(b'a' + u8::try_from(at / 10 % 26).expect("small")))
        .collect()
}

fn file(text: &str) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn source(text: &str) -> UploadSource {
    UploadSource::file(file(text)).expect("a source")
}

fn job(store: &Arc<FakeStore>, source: UploadSource) -> Upload<FakeStore> {
    Upload {
        store: Arc::clone(store),
        source,
        plan: small_plan(),
        resume: None,
        maybe_created: false,
        part_size: None,
        journal: Arc::new(()),
        observer: Arc::new(()),
        stop: CancellationToken::new(),
        leave: CancellationToken::new(),
    }
}

fn refused() -> Behavior {
    Behavior::Answer(
        StoreError::response(403, Some("AccessDenied".into()), "Access Denied")
            .with_request_id(Some("R1")),
    )
}

fn checksum_mismatch() -> Behavior {
    Behavior::Answer(StoreError::response(400, Some("BadDigest".into()), ""))
}

fn busy() -> Behavior {
    Behavior::Answer(StoreError::response(
        500,
        Some("InternalError".into()),
        "Try again",
    ))
}

fn error_text(failure: &Failure) -> String {
    match &failure.cause {
        Cause::Stopped => "stopped".to_owned(),
        Cause::Failed(error) => error.to_string(),
    }
}

#[tokio::test]
async fn arrives_whole_with_at_most_n_in_flight() {
    let store = Arc::new(FakeStore::gated());
    let running = tokio::spawn(run(job(&store, source(&text(95)))));
    store.until(|state| state.in_flight == 3).await;
    for _ in 0..10 {
        store.gate.as_ref().expect("gated").add_permits(1);
        tokio::task::yield_now().await;
    }
    let sent = running.await.expect("no panic").expect("sent");
    assert_eq!(store.object(), Some(text(95)));
    assert_eq!(store.state().peak, 3);
    assert_eq!(
        (sent.size, sent.uploaded_bytes, sent.resumed_bytes),
        (95, 95, 0)
    );
    assert_eq!(
        sent.digest,
        Some(Checksum::Crc64Nvme.of(text(95).as_bytes()))
    );
    assert_eq!((sent.upload.0.as_str(), sent.sha256), ("upload 1", None));
}

#[tokio::test]
async fn no_empty_last_part_is_sent() {
    for (len, parts) in [(30, vec![1, 2, 3]), (0, vec![1]), (1, vec![1])] {
        for has_size in [true, false] {
            let store = Arc::new(FakeStore::default());
            let stream = UploadSource::stream(
                std::io::Cursor::new(text(len)),
                has_size.then_some(len as u64),
            );
            for source in [source(&text(len)), stream] {
                store.state().uploaded_parts.clear();
                run(job(&store, source)).await.expect("sent");
                assert_eq!(
                    (store.uploaded_parts(), store.object()),
                    (parts.clone(), Some(text(len)))
                );
            }
        }
    }
}

#[tokio::test]
async fn md5_has_no_digest_of_the_whole() {
    let store = Arc::new(FakeStore {
        md5: true,
        ..FakeStore::default()
    });
    let sent = run(job(&store, source(&text(25)))).await.expect("sent");
    assert_eq!((sent.digest, store.object()), (None, Some(text(25))));
}

#[tokio::test]
async fn sha256_is_computed_on_request() {
    let store = Arc::new(FakeStore::default());
    let mut job = job(&store, source("hello, parts of ten bytes"));
    job.plan.sha256 = true;
    let sha256 = run(job).await.expect("sent").sha256.expect("asked for");
    assert_eq!(
        sha256,
        "55b662da489ff505ee92e341a7ff192bf3c513b0bb54a79dddb7687dfd4de9df"
    );
}

#[tokio::test]
async fn buffers_are_used_again() {
    let store = Arc::new(FakeStore::default());
    run(job(&store, source(&text(500)))).await.expect("sent");
    let state = store.state();
    assert_eq!(state.uploaded_parts.len(), 50);
    assert!(
        state.buffer_addresses.len() <= 4,
        "{} buffers for 3 in flight",
        state.buffer_addresses.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_twice_is_sent_a_third_time() {
    let store = Arc::new(FakeStore::failing([(2, vec![busy(), busy()])]));
    let events = Arc::new(RecordedEvents::default());
    let job = Upload {
        observer: Arc::<RecordedEvents>::clone(&events),
        ..job(&store, source(&text(20)))
    };
    run(job).await.expect("sent");
    assert_eq!((store.object(), store.upload_count(2)), (Some(text(20)), 3));
    let error = |attempt| format!("part 2 try {attempt}: Try again (InternalError)");
    let attempts: Vec<_> = events
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("part"))
        .collect();
    assert_eq!(attempts, [error(1), error(2)]);
}

#[tokio::test(start_paused = true)]
async fn the_first_of_the_failures_is_reported_when_the_tries_are_used_up() {
    let reset = || Behavior::Answer(StoreError::no_response("connection refused"));
    let store = Arc::new(FakeStore::failing([(
        2,
        vec![busy(), reset(), reset(), reset()],
    )]));
    let failure = run(job(&store, source(&text(40))))
        .await
        .expect_err("failed");
    assert_eq!(
        error_text(&failure),
        "error: part 2 of 4 could not be sent\n  \
         cause: Try again (InternalError)\n    and at last, in try 4: connection refused"
    );
    assert_eq!(
        (failure.upload, store.upload_count(2)),
        (Some(UploadId("upload 1".into())), 4)
    );
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_ends_the_rest() {
    let store = Arc::new(FakeStore::failing([
        (1, vec![Behavior::Hang]),
        (2, vec![refused()]),
    ]));
    let failure = run(job(&store, source(&text(500))))
        .await
        .expect_err("refused");
    assert_eq!(
        error_text(&failure),
        "error: part 2 of 50 could not be sent\n  cause: Access Denied (AccessDenied, request R1)"
    );
    assert_eq!(
        (store.upload_count(2), store.in_flight(), store.object()),
        (1, 0, None)
    );
    assert_eq!(u64::from(failure.parts) * 10, failure.bytes);
}

#[tokio::test]
async fn a_stop_lets_parts_land_in_the_grace_and_then_none() {
    let store = Arc::new(FakeStore {
        gate: Some(Semaphore::new(0)),
        ..FakeStore::failing([(1, vec![Behavior::Hang])])
    });
    let job = job(&store, source(&text(500)));
    let (stop, grace) = (job.stop.clone(), job.plan.grace);
    let running = tokio::spawn(run(job));
    store.until(|state| state.in_flight == 3).await;
    // Only now: while the reader is at work, a paused clock would advance to the stall.
    tokio::time::pause();
    let stopped = Instant::now();
    stop.cancel();
    tokio::task::yield_now().await;
    store.gate.as_ref().expect("gated").add_permits(100);
    let failure = running.await.expect("no panic").expect_err("stopped");
    assert_eq!(error_text(&failure), "stopped");
    assert_eq!(
        (failure.parts, failure.bytes, failure.upload),
        (2, 20, Some(UploadId("upload 1".into())))
    );
    let waited = stopped.elapsed();
    assert!(
        waited >= grace && waited < grace + Duration::from_millis(10),
        "{waited:?}"
    );
    assert_eq!(
        (store.uploaded_parts(), store.in_flight()),
        (vec![1, 2, 3], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_for_another_try() {
    let store = Arc::new(FakeStore::failing([(
        1,
        vec![busy(), busy(), busy(), busy()],
    )]));
    let mut job = job(&store, source(&text(5)));
    job.plan.grace = Duration::from_hours(1);
    let observer = Arc::new(StopAtRetry(job.stop.clone()));
    job.observer = observer;
    let failure = run(job).await.expect_err("stopped");
    assert_eq!(
        (error_text(&failure), store.upload_count(1) <= 2),
        ("stopped".to_owned(), true)
    );
}

struct StopAtRetry(CancellationToken);

impl Observer for StopAtRetry {
    fn retrying(&self, _: u32, _: u32, _: Duration, _: &StoreError) {
        self.0.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_part_is_sent_again() {
    let store = Arc::new(FakeStore::failing([(1, vec![Behavior::Hang])]));
    let events = Arc::new(RecordedEvents::default());
    let job = Upload {
        observer: Arc::<RecordedEvents>::clone(&events),
        ..job(&store, source(&text(5)))
    };
    run(job).await.expect("sent");
    assert_eq!(
        events.lines(),
        ["part 1 try 1: no byte moved for 1 min", "sent 5"]
    );
}

#[tokio::test]
async fn throttling_waits_for_retry_after_and_reduces_concurrency() {
    let slow = StoreError::response(503, Some("SlowDown".into()), "")
        .with_retry_after(Some(Duration::from_secs(7)));
    let store = Arc::new(FakeStore {
        gate: Some(Semaphore::new(0)),
        ..FakeStore::failing([(1, vec![Behavior::Answer(slow)])])
    });
    let events = Arc::new(RecordedEvents::default());
    let job = Upload {
        observer: Arc::<RecordedEvents>::clone(&events),
        ..job(&store, source(&text(5)))
    };
    let running = tokio::spawn(run(job));
    store.until(|state| state.in_flight == 1).await;
    // Only now: while the reader is at work, a paused clock would advance.
    tokio::time::pause();
    let began = Instant::now();
    store.gate.as_ref().expect("gated").add_permits(2);
    store.until(|state| state.uploaded_parts.len() == 2).await;
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(7) && waited < Duration::from_secs(8),
        "{waited:?}"
    );
    running.await.expect("no panic").expect("sent");
    assert_eq!(
        events.lines(),
        ["window 1", "part 1 try 1: SlowDown", "sent 5"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept() {
    let store = Arc::new(FakeStore::default());
    let mut job = job(&store, source(&text(400)));
    job.plan.limit_rate = Some(40);
    let elapsed = run(job).await.expect("sent").elapsed;
    assert_eq!(store.object(), Some(text(400)));
    assert!(
        elapsed >= Duration::from_secs(9),
        "400 bytes at 40 a second"
    );
}

// A paused clock sleeps for ever when a thread of the runtime ends at the wrong moment.
#[tokio::test]
async fn a_part_with_a_checksum_mismatch_is_read_again() {
    let store = Arc::new(FakeStore::failing([(2, vec![checksum_mismatch()])]));
    run(job(&store, source(&text(25)))).await.expect("sent");
    assert_eq!((store.object(), store.upload_count(2)), (Some(text(25)), 2));
}

#[tokio::test]
async fn a_checksum_mismatch_of_changed_bytes_is_a_changed_file() {
    let store = Arc::new(FakeStore {
        gate: Some(Semaphore::new(0)),
        ..FakeStore::failing([(2, vec![checksum_mismatch()])])
    });
    let file = file(&text(25));
    let running = tokio::spawn(run(job(
        &store,
        UploadSource::file(file.try_clone().expect("a handle")).expect("a source"),
    )));
    store.until(|state| state.in_flight == 3).await;
    crate::platform::write_all_at(&file, b"XX", 12).expect("written");
    store.gate.as_ref().expect("gated").add_permits(100);
    let failure = running.await.expect("no panic").expect_err("changed");
    assert!(
        error_text(&failure).contains("cause: part 2 is another one than before"),
        "{}",
        error_text(&failure)
    );
}

#[tokio::test]
async fn a_file_that_is_shorter_than_it_was_is_no_object() {
    let store = Arc::new(FakeStore::default());
    let short = UploadSource::slice(file(&text(25)), 0, 31).expect("a source");
    let failure = run(job(&store, short)).await.expect_err("short");
    assert_eq!(
        error_text(&failure),
        "error: the image changed while it was read\n  cause: it ended at byte 25 of 31\n  \
         hint: stop what writes to it, or make a copy, and run the command again"
    );
    assert_eq!(store.object(), None);
}

#[tokio::test]
async fn a_file_that_grows_or_is_written_to_is_no_object() {
    type Change = fn(&mut File);
    let grow: Change = |file| file.write_all(b"more").expect("written");
    let touch: Change = |file| file.set_modified(std::time::UNIX_EPOCH).expect("set");
    for (change, cause) in [
        (grow, "it had 25 bytes and has 29"),
        (touch, "somebody wrote to it"),
    ] {
        let store = Arc::new(FakeStore::gated());
        let mut file = file(&text(25));
        let source = UploadSource::file(file.try_clone().expect("a handle")).expect("a source");
        let running = tokio::spawn(run(job(&store, source)));
        store.until(|state| state.in_flight == 3).await;
        change(&mut file);
        store.gate.as_ref().expect("gated").add_permits(100);
        let failure = running.await.expect("no panic").expect_err("changed");
        assert!(
            error_text(&failure).contains(cause),
            "{}",
            error_text(&failure)
        );
        assert_eq!((store.object(), failure.parts), (None, 3));
    }
}

#[tokio::test]
async fn only_the_slice_is_uploaded() {
    let store = Arc::new(FakeStore::default());
    run(job(
        &store,
        UploadSource::slice(file(&text(100)), 15, 40).expect("a source"),
    ))
    .await
    .expect("sent");
    assert_eq!(store.object(), Some(text(100)[15..55].to_owned()));
}

#[tokio::test]
async fn a_pipe_of_unknown_length() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let store = Arc::new(FakeStore::default());
    let running = tokio::spawn(run(job(&store, UploadSource::stream(reader, None))));
    for piece in text(95).as_bytes().chunks(7) {
        writer.write_all(piece).expect("written");
    }
    drop(writer);
    assert_eq!(running.await.expect("no panic").expect("sent").size, 95);
    assert_eq!(store.object(), Some(text(95)));
}

#[tokio::test]
async fn a_pipe_that_never_ends_does_not_hold_up_a_stop() {
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let store = Arc::new(FakeStore::default());
    let job = job(&store, UploadSource::stream(reader, None));
    job.stop.cancel();
    assert_eq!(error_text(&run(job).await.expect_err("stopped")), "stopped");
}

#[tokio::test]
async fn a_stream_of_another_length_than_declared_fails() {
    for (said, cause) in [
        (30, "it ended at byte 25 of 30"),
        (20, "it goes on after its 20 bytes"),
    ] {
        let store = Arc::new(FakeStore::default());
        let stream = UploadSource::stream(std::io::Cursor::new(text(25)).take(100), Some(said));
        let failure = run(job(&store, stream)).await.expect_err("wrong length");
        assert!(
            error_text(&failure).contains(cause),
            "{}",
            error_text(&failure)
        );
        assert_eq!(store.object(), None);
    }
}

#[tokio::test]
async fn a_stream_of_too_many_parts_is_no_object() {
    let store = Arc::new(FakeStore::default());
    let failure = run(job(
        &store,
        UploadSource::stream(std::io::Cursor::new(text(501)), None),
    ))
    .await
    .expect_err("too long");
    assert!(
        error_text(&failure).contains("longer than 50 parts"),
        "{}",
        error_text(&failure)
    );
    assert_eq!(store.object(), None);
}

#[tokio::test]
async fn resume_sends_missing_and_different_parts() {
    // Of aaaaaaaaaa bbbbbbbbbb cccccccccc ddddd, part 1 is equal, 2 differs, 3 is missing, 4 is
    // equal, 5 does not exist locally.
    let store = Arc::new(FakeStore::with_upload([
        (1, "aaaaaaaaaa"),
        (2, "bbbbbXbbbb"),
        (4, "ddddd"),
        (5, "eeeeeeeeee"),
    ]));
    let events = Arc::new(RecordedEvents::default());
    let resume = Some(UploadId("old".into()));
    let job = Upload {
        observer: Arc::<RecordedEvents>::clone(&events),
        resume,
        ..job(&store, source(&text(35)))
    };
    let sent = run(job).await.expect("sent");
    assert_eq!(store.object(), Some(text(35)));
    assert_eq!(
        (
            sent.uploaded_bytes,
            sent.resumed_bytes,
            sent.upload.0.as_str()
        ),
        (20, 15, "old")
    );
    assert_eq!(store.uploaded_parts(), [2, 3]);
    assert_eq!(
        events
            .lines()
            .iter()
            .filter(|line| line.starts_with("there"))
            .count(),
        2
    );
}

#[tokio::test]
async fn a_listed_part_of_another_size_or_without_digest_is_sent_again() {
    let store = Arc::new(FakeStore::with_upload([]));
    let bytes = |text: &'static str| Bytes::from(text);
    let of_size = ListedPart {
        size: 9,
        ..store.listed(1, &bytes("aaaaaaaaaa"))
    };
    let without = ListedPart {
        digest: None,
        ..store.listed(2, &bytes("bbbbbbbbbb"))
    };
    let md5 = ListedPart {
        digest: Some(Checksum::Md5.of(b"dddddddddd")),
        ..store.listed(3, &bytes("cccccccccc"))
    };
    store.state().listing = Some(vec![of_size, without, md5]);
    let job = Upload {
        resume: Some(UploadId("old".into())),
        ..job(&store, source(&text(30)))
    };
    let sent = run(job).await.expect("sent");
    assert_eq!(
        (sent.uploaded_bytes, sent.resumed_bytes, store.object()),
        (30, 0, Some(text(30)))
    );
}

#[tokio::test]
async fn a_listing_with_only_md5s_is_compared_by_md5() {
    let store = Arc::new(FakeStore::with_upload([
        (1, "aaaaaaaaaa"),
        (2, "bbbbbbbbbb"),
    ]));
    let listed = |number, text: &'static str, md5: &[u8]| ListedPart {
        digest: Some(Checksum::Md5.of(md5)),
        ..store.listed(number, &Bytes::from(text))
    };
    let right = listed(1, "aaaaaaaaaa", b"aaaaaaaaaa");
    let wrong = listed(2, "bbbbbbbbbb", b"cccccccccc");
    store.state().listing = Some(vec![right, wrong]);
    let job = Upload {
        resume: Some(UploadId("old".into())),
        ..job(&store, source(&text(30)))
    };
    let sent = run(job).await.expect("sent");
    assert_eq!(
        (sent.uploaded_bytes, sent.resumed_bytes, store.object()),
        (20, 10, Some(text(30)))
    );
}

#[tokio::test]
async fn resume_uses_the_part_size_of_the_previous_run() {
    let store = Arc::new(FakeStore::with_upload([
        (1, "aaaaaaaaaabb"),
        (2, "bbbbbbbbcccc"),
        (3, "ccccccddd"),
    ]));
    let job = Upload {
        resume: Some(UploadId("old".into())),
        ..job(&store, source(&text(33)))
    };
    let sent = run(job).await.expect("sent");
    assert_eq!((sent.uploaded_bytes, sent.resumed_bytes), (0, 33));
}

#[test]
fn a_previous_part_size_is_used_only_if_certain_and_allowed() {
    let listed = |sizes: &[u64]| -> Vec<ListedPart> {
        let part = |(number, size): (u32, &u64)| ListedPart {
            number,
            size: *size,
            etag: String::new(),
            digest: None,
        };
        (1..).zip(sizes).map(part).collect()
    };
    let continued = |sizes: &[u64], size| {
        let plan = resume::continue_plan(small_plan(), &listed(sizes), size, LIMITS);
        (plan.part_size, plan.concurrency)
    };
    assert_eq!(continued(&[20, 20, 3], 100), (20, 2));
    assert_eq!(continued(&[40, 40], 100).0, 40);
    assert_eq!(
        continued(&[50, 50], 100),
        (10, 3),
        "too large for the buffers"
    );
    assert_eq!(continued(&[9, 9], 100), (10, 3), "under the minimum");
    assert_eq!(
        continued(&[20, 10], 100),
        (10, 3),
        "one alone may be the last"
    );
    assert_eq!(continued(&[11, 11], 551), (10, 3), "too many parts");
    assert_eq!(continued(&[], 100), (10, 3));
}

#[tokio::test]
async fn a_missing_upload_is_created_again() {
    let store = Arc::new(FakeStore::default());
    let events = Arc::new(RecordedEvents::default());
    let resume = Some(UploadId("lost".into()));
    let job = Upload {
        observer: Arc::<RecordedEvents>::clone(&events),
        resume,
        ..job(&store, source(&text(5)))
    };
    assert_eq!(run(job).await.expect("sent").upload.0, "upload 1");
    assert_eq!(events.lines(), ["forgotten lost", "sent 5"]);
}

#[tokio::test]
async fn an_upload_that_has_become_the_object_is_done() {
    let store = Arc::new(FakeStore::default());
    store.state().object = Some(text(25).into_bytes());
    let events = Arc::new(RecordedEvents::default());
    let mut job = Upload {
        observer: Arc::<RecordedEvents>::clone(&events),
        resume: Some(UploadId("ended".into())),
        ..job(&store, source(&text(25)))
    };
    job.plan.sha256 = true;
    let sent = run(job).await.expect("sent");
    assert_eq!(
        (sent.size, sent.uploaded_bytes, sent.resumed_bytes),
        (25, 0, 25)
    );
    assert_eq!(
        sent.digest,
        Some(Checksum::Crc64Nvme.of(text(25).as_bytes()))
    );
    assert_eq!(sent.sha256.map(|hex| hex.len()), Some(64));
    assert_eq!(events.lines(), ["there 25"]);
    assert_eq!(
        (store.uploaded_parts(), store.state().created_uploads),
        (vec![], 0)
    );
}

#[tokio::test]
async fn an_object_of_other_bytes_or_without_a_digest_is_not_the_upload_s() {
    let other = text(25).replace('a', "A").into_bytes();
    for (object, md5) in [(other, false), (text(25).into_bytes(), true)] {
        let store = Arc::new(FakeStore {
            md5,
            ..FakeStore::default()
        });
        store.state().object = Some(object);
        let job = Upload {
            resume: Some(UploadId("lost".into())),
            ..job(&store, source(&text(25)))
        };
        assert_eq!(run(job).await.expect("sent").uploaded_bytes, 25);
        assert_eq!(store.object(), Some(text(25)));
    }
}

/// A journal that records the engine's calls together with the state of the store.
struct RecordedJournal {
    store: Arc<FakeStore>,
    lines: Mutex<Vec<String>>,
}

impl RecordedJournal {
    fn of(store: &Arc<FakeStore>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            lines: Mutex::default(),
        })
    }

    fn write(&self, message: &str) {
        let state = self.store.state();
        let (created, parts, object) = (
            state.created_uploads,
            state.uploaded_parts.len(),
            state.object.is_some(),
        );
        let line = format!("{message}: {created} begun, {parts} parts, object {object}");
        self.lines.lock().expect("lines").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("lines").clone()
    }
}

impl UploadJournal for RecordedJournal {
    fn creating(&self) {
        self.write("beginning");
    }

    fn create_rejected(&self) {
        self.write("refused");
    }

    fn created(&self, upload: &UploadId, part_size: u64, is_only: bool) {
        self.write(&format!("{upload} of {part_size}, alone {is_only}"));
    }

    fn completing(&self, parts: &[SentPart], expected: &ExpectedObject) {
        self.write(&format!("completing {} in {}", expected.size, parts.len()));
    }
}

#[tokio::test]
async fn every_step_is_recorded_before_its_request() {
    let store = Arc::new(FakeStore::default());
    let notes = RecordedJournal::of(&store);
    let job = Upload {
        journal: Arc::<RecordedJournal>::clone(&notes),
        ..job(&store, source(&text(25)))
    };
    run(job).await.expect("sent");
    assert_eq!(
        notes.lines(),
        [
            "beginning: 0 begun, 0 parts, object false",
            "upload 1 of 10, alone true: 1 begun, 0 parts, object false",
            "completing 25 in 3: 1 begun, 3 parts, object false",
        ]
    );
}

#[tokio::test]
async fn an_upload_with_a_lost_create_response_is_resumed() {
    let store = Arc::new(FakeStore::with_upload([]));
    let notes = RecordedJournal::of(&store);
    let job = Upload {
        maybe_created: true,
        journal: Arc::<RecordedJournal>::clone(&notes),
        ..job(&store, source(&text(25)))
    };
    assert_eq!(run(job).await.expect("sent").upload.0, "old");
    assert_eq!(
        notes.lines()[1],
        "old of 10, alone false: 0 begun, 0 parts, object false",
        "whether there is another one, only the service knows"
    );
}

#[tokio::test(start_paused = true)]
async fn finishing_is_tried_again_but_not_for_ever() {
    let busy = || StoreError::response(200, Some("InternalError".into()), "Try again");
    let store = Arc::new(FakeStore::default());
    store.state().complete_errors = [busy(), busy()].into();
    run(job(&store, source(&text(25)))).await.expect("sent");
    assert_eq!(store.object(), Some(text(25)));

    store.state().complete_errors = [
        busy(),
        StoreError::response(400, Some("BadDigest".into()), ""),
    ]
    .into();
    let failure = run(job(&store, source(&text(25))))
        .await
        .expect_err("wrong");
    assert_eq!(
        error_text(&failure),
        "error: the object could not be made of its 3 parts\n  cause: BadDigest"
    );
    assert_eq!(
        (failure.parts, failure.bytes, failure.upload),
        (3, 25, Some(UploadId("upload 2".into())))
    );
}
