//! The traits that an upload reports to: an observer that shows its progress, and a journal that
//! records its requests.

use std::time::Duration;

use super::line::LineProgress;
use crate::store::{self, ExpectedObject, SentPart, UploadId};

/// Receives the events of an upload, on any thread; must return at once.
pub trait Observer: Send + Sync + 'static {
    /// The service acknowledged a part of this many bytes, which this run sent.
    fn acknowledged(&self, _bytes: u64) {}

    /// Bytes have left since the last call; called a few times per second.
    fn line_progress(&self, _progress: LineProgress) {}

    /// A part of this many bytes was stored already.
    fn resumed(&self, _bytes: u64) {}

    /// A try of a part failed (the first is 1); the next one follows after the delay.
    fn retrying(&self, _part: u32, _attempt: u32, _delay: Duration, _error: &store::Error) {}

    /// The service requested a slower rate: this many parts are in flight for now.
    fn concurrency_reduced(&self, _parts: usize) {}

    /// The service did not complete the upload yet; at most this many retries follow.
    fn complete_retried(&self, _attempts: u32, _error: &store::Error) {}

    /// The upload to continue does not exist any more; a new one is created.
    fn upload_not_found(&self, _upload: &UploadId) {}
}

/// Ignores all events.
impl Observer for () {}

/// Records each request that creates something, before it is sent, so that what it created can
/// be found however this process ends.
pub trait UploadJournal: Send + Sync + 'static {
    /// CreateMultipartUpload is sent next; not called for an upload that is continued.
    fn creating(&self) {}

    /// The service rejected the request: no upload was created.
    fn create_rejected(&self) {}

    /// Parts of this size are sent to this upload. `is_only`: no other upload can have been
    /// created.
    fn created(&self, _upload: &UploadId, _part_size: u64, _is_only: bool) {}

    /// CompleteMultipartUpload is sent next; it creates an object of these parts.
    fn completing(&self, _parts: &[SentPart], _expected: &ExpectedObject) {}

    /// The service rejected the request: it created no object.
    fn complete_rejected(&self) {}
}

/// Records nothing.
impl UploadJournal for () {}
