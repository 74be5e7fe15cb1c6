//! The outcome of an upload, and what the service has of it so far.

use std::time::Duration;

use crate::error::Error;
use crate::store::{Checksum, Digest, ExpectedObject, SentPart, UploadId};

/// The finished object.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The upload that created it.
    pub upload: UploadId,
    /// Size of the object in bytes.
    pub size: u64,
    /// Bytes that this run sent and the service acknowledged.
    pub uploaded_bytes: u64,
    /// Bytes that were stored by an earlier run.
    pub resumed_bytes: u64,
    /// The CRC of all bytes; `None` for MD5.
    pub digest: Option<Digest>,
    /// SHA-256 in hex, if the plan requests it.
    pub sha256: Option<String>,
    /// The time from the start to the finished object.
    pub elapsed: Duration,
}

/// The reason that there is no object.
#[derive(Debug)]
pub enum Cause {
    /// The stop token was cancelled.
    Stopped,
    /// An operation failed.
    Failed(Error),
}

/// An upload that did not finish, and what remains of it at the service.
#[derive(Debug)]
pub struct Failure {
    /// The reason.
    pub cause: Cause,
    /// The upload whose parts the service keeps, if one was created.
    pub upload: Option<UploadId>,
    /// Parts that the service has, including those of earlier runs that were matched.
    pub parts: u32,
    /// Their size in bytes.
    pub bytes: u64,
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The upload and the parts that the service is known to have.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) upload: Option<UploadId>,
    pub(super) parts: Vec<SentPart>,
    pub(super) uploaded: u64,
    pub(super) resumed: u64,
}

impl Totals {
    /// Sorts the parts, and returns the digest of the whole object.
    pub(super) fn expected_object(&mut self, checksum: Checksum, size: u64) -> ExpectedObject {
        self.parts.sort_by_key(|part| part.number);
        ExpectedObject {
            size,
            digest: checksum.combine(self.parts.iter().map(|part| (part.digest, part.size))),
        }
    }
}
