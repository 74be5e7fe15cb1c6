//! Continues the upload of an earlier run. The service's list shows what is stored, the local
//! bytes what should be: a part counts as sent only if its size and its checksum are equal in
//! both.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::parts::{self, Plan};
use super::reader::Chunk;
use super::source::FileSlice;
use crate::error::{Error, Result};
use crate::store::{Checksum, ContentCheck, Digest, Hasher, Limits, ListedPart, SentPart, Store};

/// Bytes that are read and hashed at a time.
const READ_SIZE: usize = 1 << 20;

/// Parts may be this many times larger than planned; beyond that their buffers would need too
/// much memory.
const MAX_GROWTH: u64 = 4;

/// The parts that the service lists.
#[derive(Default)]
pub(super) struct ListedParts(HashMap<u32, ListedPart>);

impl ListedParts {
    pub(super) fn new(listed: Vec<ListedPart>) -> Self {
        Self(listed.into_iter().map(|part| (part.number, part)).collect())
    }

    /// Returns the part as sent, if the service has exactly these bytes.
    pub(super) fn matching_part(&self, chunk: &Chunk) -> Option<SentPart> {
        let part = self.0.get(&chunk.number)?;
        let is_there = part.matches(&chunk.bytes, chunk.digest);
        is_there.then(|| SentPart {
            number: part.number,
            size: part.size,
            etag: part.etag.clone(),
            digest: chunk.digest,
        })
    }
}

/// Returns the plan with the part size of the run that is continued, within the planned memory.
pub(super) fn continue_plan(plan: Plan, listed: &[ListedPart], size: u64, limits: Limits) -> Plan {
    let largest = listed
        .iter()
        .map(|part| part.size)
        .max()
        .unwrap_or_default();
    // One part may be the shorter last one, so only a size that several parts share is the part
    // size.
    let shared = listed.iter().filter(|part| part.size == largest).count() > 1;
    let allowed = (limits.min_part
        ..=limits
            .max_part
            .min(plan.part_size.saturating_mul(MAX_GROWTH)))
        .contains(&largest);
    if !shared || !allowed || parts::count(size, largest) > u64::from(limits.max_parts) {
        return plan;
    }
    // Larger parts must fit the memory that was planned: fewer of them are in flight.
    let memory = plan.part_size.saturating_mul(plan.concurrency as u64 + 1);
    Plan {
        concurrency: parts::in_flight(largest, memory, plan.concurrency),
        max_concurrency: plan
            .max_concurrency
            .map(|max| parts::in_flight(largest, memory, max)),
        part_size: largest,
        ..plan
    }
}

/// The local bytes of an object that exists already.
pub(super) struct ExistingObject {
    pub(super) size: u64,
    pub(super) digest: Digest,
    pub(super) sha256: Option<String>,
}

/// Returns the finished object if it has the local bytes. An upload that the service no longer
/// lists may have been completed: the response was lost, or was not written to the journal.
/// Without permission to read the object, all parts are sent again.
pub(super) async fn find_existing_object<S: Store>(
    store: &S,
    file: Option<FileSlice>,
    part_size: u64,
    sha256: bool,
    stop: &CancellationToken,
) -> Result<Option<ExistingObject>> {
    let Some(origin) = file else {
        return Ok(None);
    };
    let size = origin.size();
    let existing = match store.object_info().await {
        // Another size is another image, and need not be read.
        Ok(Some(head)) if head.size == size => head.content_check(part_size),
        _ => None,
    };
    let Some(check) = existing else {
        return Ok(None);
    };
    let (checksum, stop) = (store.checksum(), stop.clone());
    let hashed =
        // Reading and hashing a whole image would block the runtime.
        spawn_blocking(move || checksum_file(&origin, checksum, check, sha256, &stop)).await;
    hashed.map_err(|error| Error::failed("the image cannot be read").with_source(error))?
}

/// Reads and hashes the whole file; returns `None` on a stop, or if the object has other bytes.
fn checksum_file(
    file: &FileSlice,
    checksum: Checksum,
    mut check: ContentCheck,
    sha256: bool,
    stop: &CancellationToken,
) -> Result<Option<ExistingObject>> {
    let (mut digest, mut sha256) = (Hasher::new(checksum), sha256.then(Sha256::new));
    let (mut offset, size) = (0, file.size());
    let mut buffer = vec![0; READ_SIZE];
    while offset < size {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let read = file.read(offset, &mut buffer)?;
        digest.update(&buffer[..read]);
        check.update(&buffer[..read]);
        if let Some(sha256) = &mut sha256 {
            sha256.update(&buffer[..read]);
        }
        offset += read as u64;
    }
    file.check_unchanged()?;
    let digest = digest.finish();
    Ok(check.matches(digest).then(|| ExistingObject {
        size,
        digest,
        sha256: sha256.map(|hasher| hex::encode(hasher.finalize())),
    }))
}
