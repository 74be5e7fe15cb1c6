//! An object store for one key that is uploaded in parts. S3 and Spaces are in `s3`, OSS in
//! `oss`. A store implements the wire format of one service and classifies its errors;
//! concurrency, retries of parts, resume and progress belong to `transfer`, permissions belong
//! to the recipes.

mod body;
mod checksum;
mod error;
pub mod oss;
pub mod s3;
mod verify;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

pub use crate::net::service_error::{ErrorClass, ServiceError as Error};
pub use body::{ByteGate, PartBody};
pub use checksum::{Checksum, Digest, Hasher};
pub use verify::{ContentCheck, etag_of_parts, is_complete_object};

use crate::net::ids::is_upload;
use crate::net::retry::RetryPolicy;

/// What a store's calls come to.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One object in the making or made: every call is about the one key that the store
/// was made for. Nothing is remembered between calls but the upload's id, so that
/// another process, or another machine, can go on.
pub trait Store: Send + Sync + 'static {
    /// The digest that each part carries and the service verifies.
    fn checksum(&self) -> Checksum;

    /// What the service allows.
    fn limits(&self) -> Limits;

    /// How often a small request is sent again.
    fn retry_policy(&self) -> RetryPolicy;

    /// Starts a multipart upload, asked for once: after a lost answer the engine looks for
    /// it among the open ones before it asks again.
    fn create_upload(&self) -> impl Future<Output = Result<UploadId>> + Send;

    /// Sends one part, once: the engine tries again, and watches for stalls through
    /// [`Part::body`]. Dropping the future must give the connection up, so that the next
    /// try has another. Sending a number again replaces the part.
    fn upload_part(
        &self,
        upload: &UploadId,
        part: Part,
    ) -> impl Future<Output = Result<SentPart>> + Send;

    /// All parts that the service has (every page, ascending); `None` when it knows no such upload.
    fn list_parts(
        &self,
        upload: &UploadId,
    ) -> impl Future<Output = Result<Option<Vec<ListedPart>>>> + Send;

    /// Unfinished uploads of exactly this key, the newest first: for a resume without a
    /// journal, and after a lost answer.
    fn open_uploads(&self) -> impl Future<Output = Result<Vec<UploadId>>> + Send;

    /// Makes the object of these parts (ascending, without gaps). A lost answer is
    /// resolved inside: `Ok` means that the object is there, of this size and digest.
    fn complete(
        &self,
        upload: &UploadId,
        parts: &[SentPart],
        expected: &ExpectedObject,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Removes the parts; an upload that is gone already is a success.
    fn abort(&self, upload: &UploadId) -> impl Future<Output = Result<()>> + Send;

    /// The finished object, or `None`.
    fn object_info(&self) -> impl Future<Output = Result<Option<ObjectInfo>>> + Send;

    /// Deletes the finished object; one that is gone already is a success.
    fn delete(&self) -> impl Future<Output = Result<()>> + Send;
}

/// The service's name for an unfinished upload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UploadId(pub String);

impl UploadId {
    /// An id from a service's answer; none where it can't be one.
    pub fn read(text: String) -> Option<Self> {
        is_upload(&text).then_some(Self(text))
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a service allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Smallest part but the last, in bytes.
    pub min_part: u64,
    /// Largest part, in bytes.
    pub max_part: u64,
    /// Parts of one upload.
    pub max_parts: u32,
    /// Largest object, in bytes.
    pub max_object: u64,
    /// Parts of one object at once that are still worth trying.
    pub max_concurrency: usize,
}

/// A part to be sent. Cheap to clone: the bytes are shared.
#[derive(Clone)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// The bytes, in memory.
    pub bytes: Bytes,
    /// Their digest, of the store's [`Checksum`].
    pub digest: Digest,
    /// Paces and watches the bytes on their way out.
    pub gate: Option<Arc<dyn ByteGate>>,
}

impl Part {
    /// The bytes as a request body that obeys the tap: give this to the HTTP client.
    pub fn body(&self) -> PartBody {
        PartBody::new(self.bytes.clone(), self.gate.clone())
    }
}

/// A part that the service has acknowledged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SentPart {
    /// From 1.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// The service's tag, as it must be given back at the end.
    pub etag: String,
    /// The digest of the local bytes.
    pub digest: Digest,
}

/// A part as the service lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedPart {
    /// From 1.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// The service's tag, as it must be given back at the end.
    pub etag: String,
    /// The part's digest of the store's [`Checksum`], or the MD5 in its tag where the listing
    /// has no other; `None` when it has none that can be compared.
    pub digest: Option<Digest>,
}

impl ListedPart {
    /// Whether the service has exactly these bytes, which have this digest.
    pub fn matches(&self, bytes: &[u8], digest: Digest) -> bool {
        let equal = match self.digest {
            Some(md5 @ Digest::Md5(_)) if !matches!(digest, Digest::Md5(_)) => {
                Checksum::Md5.of(bytes) == md5
            }
            there => there == Some(digest),
        };
        self.size == bytes.len() as u64 && equal
    }
}

/// The whole object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExpectedObject {
    /// Bytes.
    pub size: u64,
    /// Digest of all bytes, where the checksum can be combined (the CRCs).
    pub digest: Option<Digest>,
}

/// A finished object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectInfo {
    /// Bytes.
    pub size: u64,
    /// Digest of all bytes, where the service tells it.
    pub digest: Option<Digest>,
    /// The service's tag, without quotes.
    pub etag: Option<String>,
}
