//! Snapshots that are written block by block. The bytes lie in one sparse file; each
//! block's checksum is kept, so that the whole can be checked at the end.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::model::{Kms, Snapshot, Tags};
use super::{Ec2, State};
use crate::content::Draft;
use crate::fault::ApiError;
use crate::keys::ACCOUNT;

/// Bytes of a block (EBS user guide, "EBS direct API concepts").
pub(crate) const BLOCK_SIZE: usize = 512 << 10;
/// "Pending snapshots per account created using the EBS direct APIs".
const MAX_PENDING: usize = 100;
/// What an encrypted volume shows where nobody wrote.
const NOISE: u8 = 0xA5;

/// What StartSnapshot asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SnapshotSpec {
    pub(crate) volume_size: u64,
    pub(crate) description: String,
    pub(crate) tags: Tags,
    pub(crate) encrypted: Option<bool>,
    pub(crate) kms_key_arn: Option<String>,
    pub(crate) timeout: u64,
}

/// What it is answered.
pub(crate) struct StartedSnapshot {
    pub(crate) id: String,
    pub(crate) kms_key_arn: Option<String>,
}

/// What is special about a snapshot in the making.
pub(super) struct PendingSnapshot {
    spec: SnapshotSpec,
    token: Option<String>,
    draft: Option<Draft>,
    sums: BTreeMap<u32, [u8; 32]>,
    pub(super) phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Completed a question later, or failed for this reason
    Completing(Option<String>),
    Completed,
    Error(String),
}

impl Phase {
    pub(super) fn status(&self) -> &'static str {
        match self {
            Self::Open | Self::Completing(_) => "pending",
            Self::Completed => "completed",
            Self::Error(_) => "error",
        }
    }
}

fn invalid(reason: &str, text: impl Into<String>) -> ApiError {
    ApiError::new(400, &format!("ValidationException {reason}"), text)
}

fn unknown(id: &str) -> ApiError {
    let text = format!("The snapshot '{id}' does not exist.");
    ApiError::new(404, "ResourceNotFoundException SNAPSHOT_NOT_FOUND", text)
}

fn broken(error: &io::Error) -> ApiError {
    ApiError::new(500, "InternalServerException", error.to_string())
}

impl State {
    fn pending_snapshot(
        &mut self,
        region: &str,
        id: &str,
    ) -> Result<(&mut Snapshot, u64), ApiError> {
        let snapshots = self.regions.get_mut(region).map(|r| &mut r.snapshots);
        let snapshot = snapshots.and_then(|snapshots| snapshots.get_mut(id));
        let snapshot = snapshot.filter(|snapshot| snapshot.pending.is_some());
        let snapshot = snapshot.ok_or_else(|| unknown(id))?;
        let size = snapshot.volume_size;
        Ok((snapshot, size))
    }
}

impl Ec2 {
    pub(crate) fn start_snapshot(
        &self,
        region: &str,
        spec: SnapshotSpec,
        token: Option<String>,
        dir: &Path,
    ) -> Result<StartedSnapshot, ApiError> {
        let mut state = self.state();
        let by_default = state.encryption_by_default;
        let snapshots = &mut state
            .regions
            .entry(region.to_owned())
            .or_default()
            .snapshots;
        let same = |snapshot: &&Snapshot| {
            let writing = snapshot.pending.as_ref();
            token.is_some() && writing.is_some_and(|writing| writing.token == token)
        };
        if let Some(earlier) = snapshots.values().find(same) {
            if earlier.pending.as_ref().map(|writing| &writing.spec) != Some(&spec) {
                let text = "The client token was used with other parameters.";
                return Err(ApiError::new(409, "ConflictException", text));
            }
            return Ok(StartedSnapshot {
                id: earlier.id.clone(),
                kms_key_arn: earlier.kms.key_id.clone(),
            });
        }
        let is_open = |snapshot: &&Snapshot| {
            let writing = snapshot.pending.as_ref();
            writing.is_some_and(|writing| writing.phase == Phase::Open)
        };
        if snapshots.values().filter(is_open).count() >= MAX_PENDING {
            let text = "You have reached the limit for pending snapshots.";
            return Err(ApiError::new(400, "ConcurrentLimitExceededException", text));
        }
        let mut snapshot = Snapshot::new(spec.description.clone(), 0, None);
        snapshot.volume_size = spec.volume_size;
        snapshot.tags = spec.tags.clone();
        let encrypted = spec.encrypted.unwrap_or(false) || by_default;
        let default_key = || format!("arn:aws:kms:{region}:{ACCOUNT}:key/aws-ebs");
        let key = spec.kms_key_arn.clone().unwrap_or_else(default_key);
        snapshot.kms = Kms {
            encrypted,
            key_id: encrypted.then_some(key),
        };
        snapshot.pending = Some(PendingSnapshot {
            spec,
            token,
            draft: Some(Draft::new(dir).map_err(|error| broken(&error))?),
            sums: BTreeMap::new(),
            phase: Phase::Open,
        });
        let begun = StartedSnapshot {
            id: snapshot.id.clone(),
            kms_key_arn: snapshot.kms.key_id.clone(),
        };
        snapshots.insert(snapshot.id.clone(), snapshot);
        Ok(begun)
    }

    pub(crate) fn put_block(
        &self,
        region: &str,
        id: &str,
        index: u32,
        sum: &[u8],
        bytes: &[u8],
    ) -> Result<(), ApiError> {
        let mut digest: [u8; 32] = [0; 32];
        // Outside the lock: hashing is most of the work.
        digest.copy_from_slice(&Sha256::digest(bytes));
        if digest != sum {
            let text = "The checksum does not match the block's data.";
            return Err(invalid("INVALID_BLOCK", text));
        }
        let mut state = self.state();
        let (snapshot, volume_size) = state.pending_snapshot(region, id)?;
        if u64::from(index) >= volume_size * (1 << 30) / BLOCK_SIZE as u64 {
            let text = format!("The block {index} lies outside the volume.");
            return Err(invalid("INVALID_BLOCK", text));
        }
        let writing = snapshot.pending.as_mut().ok_or_else(|| unknown(id))?;
        check_pending(writing, id)?;
        let draft = writing.draft.as_ref().ok_or_else(|| unknown(id))?;
        draft
            .write_at(bytes, u64::from(index) * BLOCK_SIZE as u64)
            .map_err(|error| broken(&error))?;
        writing.sums.insert(index, digest);
        Ok(())
    }

    /// A wrong count is refused; a wrong checksum shows when the snapshot is made.
    pub(crate) fn complete_snapshot(
        &self,
        region: &str,
        id: &str,
        blocks: usize,
        sum: Option<&[u8]>,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let (snapshot, volume_size) = state.pending_snapshot(region, id)?;
        let writing = snapshot.pending.as_mut().ok_or_else(|| unknown(id))?;
        check_pending(writing, id)?;
        if writing.sums.len() != blocks {
            let text = format!(
                "ChangedBlocksCount is {blocks}, {} blocks were written.",
                writing.sums.len()
            );
            return Err(invalid("INVALID_PARAMETER_VALUE", text));
        }
        let whole = Sha256::digest(writing.sums.values().flatten().copied().collect::<Vec<_>>());
        let right = sum.is_none_or(|sum| sum == &whole[..]);
        let failure = (!right).then(|| "The aggregated checksum does not match.".to_owned());
        let draft = writing.draft.take().ok_or_else(|| unknown(id))?;
        let content = draft.finish_at(volume_size << 30);
        snapshot.content = Some(content.map_err(|error| broken(&error))?);
        writing.phase = Phase::Completing(failure);
        Ok(())
    }

    /// The bytes of one block and their checksum; none where nobody wrote.
    pub(crate) fn block(
        &self,
        region: &str,
        id: &str,
        index: u32,
    ) -> Result<Option<Vec<u8>>, ApiError> {
        let mut state = self.state();
        let (snapshot, _) = state.pending_snapshot(region, id)?;
        let content = check_completed(snapshot, id)?;
        let written = snapshot.pending.as_ref();
        if !written.is_some_and(|writing| writing.sums.contains_key(&index)) {
            return Ok(None);
        }
        let bytes = content.read_at(u64::from(index) * BLOCK_SIZE as u64, BLOCK_SIZE as u64);
        bytes.map(Some).map_err(|error| broken(&error))
    }

    pub(crate) fn blocks(&self, region: &str, id: &str) -> Result<(u64, Vec<u32>), ApiError> {
        let mut state = self.state();
        let (snapshot, volume_size) = state.pending_snapshot(region, id)?;
        check_completed(snapshot, id)?;
        let writing = snapshot.pending.as_ref();
        let indexes = writing.map(|writing| writing.sums.keys().copied().collect());
        Ok((volume_size, indexes.unwrap_or_default()))
    }

    /// The indexes of the blocks that were written to a snapshot, complete or not.
    pub fn written_blocks(&self, id: &str) -> Vec<u32> {
        let state = self.state();
        let mut regions = state.regions.values();
        let snapshot = regions.find_map(|region| region.snapshots.get(id));
        let writing = snapshot.and_then(|snapshot| snapshot.pending.as_ref());
        writing.map_or_else(Vec::new, |writing| writing.sums.keys().copied().collect())
    }

    /// The first bytes of a volume made of the snapshot: zeros where nobody wrote, noise
    /// if it is encrypted.
    pub fn snapshot_bytes(&self, id: &str, len: usize) -> Option<Vec<u8>> {
        let state = self.state();
        let mut regions = state.regions.values();
        let snapshot = regions.find_map(|region| region.snapshots.get(id))?;
        let content = snapshot.content.as_ref()?;
        let mut bytes = content.read_at(0, len as u64).ok()?;
        if let Some(writing) = snapshot.pending.as_ref().filter(|_| snapshot.kms.encrypted) {
            for (index, block) in (0..).zip(bytes.chunks_mut(BLOCK_SIZE)) {
                if !writing.sums.contains_key(&index) {
                    block.fill(NOISE);
                }
            }
        }
        Some(bytes)
    }

    /// Lets a block that was written become another one.
    pub fn corrupt_block(&self, id: &str, index: u32) {
        let mut state = self.state();
        let mut regions = state.regions.values_mut();
        let snapshot = regions.find_map(|region| region.snapshots.get_mut(id));
        let writing = snapshot.and_then(|snapshot| snapshot.pending.as_mut());
        if let Some(sum) = writing.and_then(|writing| writing.sums.get_mut(&index)) {
            sum[0] ^= 1;
        }
    }

    /// Lets every snapshot that is being written run into its time-out.
    pub fn time_out_snapshots(&self) {
        let mut state = self.state();
        let snapshots = state
            .regions
            .values_mut()
            .flat_map(|region| region.snapshots.values_mut());
        for writing in snapshots.filter_map(|snapshot| snapshot.pending.as_mut()) {
            if writing.phase == Phase::Open {
                let text = "The snapshot timed out: no block was written to it.";
                writing.phase = Phase::Error(text.to_owned());
            }
        }
    }
}

fn check_pending(writing: &PendingSnapshot, id: &str) -> Result<(), ApiError> {
    match &writing.phase {
        Phase::Open => Ok(()),
        Phase::Error(text) => Err(invalid("WRITE_REQUEST_TIMEOUT", text.as_str())),
        _ => {
            let text = format!("The snapshot '{id}' is not in the pending state.");
            Err(invalid("INVALID_SNAPSHOT_ID", text))
        }
    }
}

fn check_completed<'a>(
    snapshot: &'a Snapshot,
    id: &str,
) -> Result<&'a crate::content::Content, ApiError> {
    let content = snapshot.content.as_ref();
    let content = content.filter(|_| snapshot.status() == "completed");
    content.ok_or_else(|| {
        let text = format!("The snapshot '{id}' is not in the completed state.");
        invalid("INVALID_SNAPSHOT_ID", text)
    })
}

impl Snapshot {
    pub(super) fn status(&self) -> &'static str {
        let writing = self.pending.as_ref();
        writing.map_or("completed", |writing| writing.phase.status())
    }

    /// Why it failed.
    pub(super) fn failure(&self) -> Option<&String> {
        match &self.pending.as_ref()?.phase {
            Phase::Error(text) => Some(text),
            _ => None,
        }
    }

    /// A question brings a sealed snapshot to its end.
    pub(super) fn poll(&mut self) {
        let Some(writing) = &mut self.pending else {
            return;
        };
        if let Phase::Completing(failure) = &writing.phase {
            writing.phase = failure.clone().map_or(Phase::Completed, Phase::Error);
        }
    }
}
