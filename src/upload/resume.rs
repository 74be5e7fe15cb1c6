//! Going on where another run ended. The service's list is the truth about what is
//! there, the local bytes about what should be: a part counts as sent only when its
//! size and its checksum are equal in both.

use std::collections::HashMap;

use super::parts::{self, Plan};
use super::reader::Chunk;
use crate::store::{Limits, ListedPart, SentPart};

/// Parts this many times larger than planned are still taken over: the buffers have
/// to hold them.
const LARGER: u64 = 4;

/// The parts that the service lists.
#[derive(Default)]
pub(super) struct Known(HashMap<u32, ListedPart>);

impl Known {
    pub(super) fn new(listed: Vec<ListedPart>) -> Self {
        Self(listed.into_iter().map(|part| (part.number, part)).collect())
    }

    /// The part as sent, when the service has exactly these bytes.
    pub(super) fn has(&self, chunk: &Chunk) -> Option<SentPart> {
        let part = self.0.get(&chunk.number)?;
        let equal = part.size == chunk.bytes.len() as u64 && part.digest == Some(chunk.digest);
        equal.then(|| SentPart {
            number: part.number,
            size: part.size,
            etag: part.etag.clone(),
            digest: chunk.digest,
        })
    }
}

/// The plan, with the part size of the run that is continued: other cuts would make
/// every part a different one. Only a size that several listed parts share tells it;
/// in the memory that was planned.
pub(super) fn continued(plan: Plan, listed: &[ListedPart], size: u64, limits: Limits) -> Plan {
    let largest = listed
        .iter()
        .map(|part| part.size)
        .max()
        .unwrap_or_default();
    let shared = listed.iter().filter(|part| part.size == largest).count() > 1;
    let allowed = (limits.min_part..=limits.max_part.min(plan.part_size.saturating_mul(LARGER)))
        .contains(&largest);
    if !shared || !allowed || parts::count(size, largest) > u64::from(limits.max_parts) {
        return plan;
    }
    let memory = plan.part_size.saturating_mul(plan.concurrency as u64 + 1);
    Plan {
        concurrency: parts::in_flight(largest, memory, plan.concurrency),
        part_size: largest,
        ..plan
    }
}
