//! The checksums that the service verifies: SHA-256 of each block, and of all of them
//! together "linear", the SHA-256 of the blocks' digests in the order of their indexes
//! (EBS user guide, "Use checksums with the EBS direct APIs").

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Bytes of a checksum.
pub const LEN: usize = 32;

/// SHA-256 of one block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockChecksum([u8; LEN]);

impl BlockChecksum {
    /// Of these bytes.
    pub fn compute(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// As it travels.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// As the log keeps it.
    pub fn bytes(&self) -> &[u8; LEN] {
        &self.0
    }
}

impl From<[u8; LEN]> for BlockChecksum {
    fn from(bytes: [u8; LEN]) -> Self {
        Self(bytes)
    }
}

/// The blocks that the snapshot has, by their indexes.
pub type BlockChecksums = BTreeMap<u32, BlockChecksum>;

/// The checksum of the whole snapshot, as it travels.
pub fn linear(checksums: &BlockChecksums) -> String {
    let mut hasher = Sha256::new();
    for sum in checksums.values() {
        hasher.update(sum.bytes());
    }
    STANDARD.encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with another implementation, which the service accepts.
    #[test]
    fn blocks_and_the_whole_as_the_service_computes_them() {
        let [one, two] = [1, 2].map(|byte| BlockChecksum::compute(&vec![byte; 512 << 10]));
        assert_eq!(one.base64(), "M6FQvOsTwamSIx5ltPrRaBUhL8Bs20CJltMu6yzvnrs=");
        assert_eq!(two.base64(), "Ioxb8/mw3beyMReNfgZ6/5ZqGRsfzT7Q4uNx7KM/zfw=");
        let sums = BlockChecksums::from([(700, two), (3, one)]);
        assert_eq!(
            linear(&sums),
            "fccGN1xyY7l5uqsw58BLULbsU8thbz9pDvzr9oCk5yk="
        );
    }
}
