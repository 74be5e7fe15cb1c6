//! The checksums that services verify: computed once over the local bytes, sent with every
//! part, combined for the whole object, compared on resume.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use md5::Digest as _;

/// Which digest a part carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Checksum {
    /// AWS S3, full object. "123456789" gives 0xAE8B14860A799888.
    Crc64Nvme,
    /// OSS's CRC-64/XZ. "123456789" gives 0x995DC9BBDF1939FA.
    Crc64Ecma,
    /// Spaces: Content-MD5 of the part.
    Md5,
}

impl Checksum {
    /// The digest of these bytes.
    pub fn of(self, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digest of the bytes of several parts one after the other, from the parts'
    /// own digests and lengths; `None` where that cannot be computed (MD5).
    pub fn combine(self, parts: impl IntoIterator<Item = (Digest, u64)>) -> Option<Digest> {
        let algorithm = self.crc()?;
        parts
            .into_iter()
            .try_fold(self.of(&[]), |whole, (part, len)| {
                let crc = crc_fast::checksum_combine(algorithm, whole.crc()?, part.crc()?, len);
                Some(self.digest(crc))
            })
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Crc64Ecma => Some(CrcAlgorithm::Crc64Xz),
            Self::Md5 => None,
        }
    }

    fn digest(self, crc: u64) -> Digest {
        if self == Self::Crc64Ecma {
            Digest::Crc64Ecma(crc)
        } else {
            Digest::Crc64Nvme(crc)
        }
    }
}

/// A digest of some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Digest {
    /// Travels as base64 of the big-endian bytes.
    Crc64Nvme(u64),
    /// Travels as a decimal number.
    Crc64Ecma(u64),
    /// Travels as base64; an ETag shows it in hex.
    Md5([u8; 16]),
}

impl Digest {
    /// Base64 of the big-endian bytes: `x-amz-checksum-crc64nvme`, `Content-MD5`.
    pub fn base64(&self) -> String {
        match self {
            Self::Crc64Nvme(crc) | Self::Crc64Ecma(crc) => STANDARD.encode(crc.to_be_bytes()),
            Self::Md5(bytes) => STANDARD.encode(bytes),
        }
    }

    /// A CRC64NVME from the header or the listing.
    pub fn from_crc64nvme(base64: &str) -> Option<Self> {
        let bytes: [u8; 8] = STANDARD.decode(base64).ok()?.try_into().ok()?;
        Some(Self::Crc64Nvme(u64::from_be_bytes(bytes)))
    }

    /// The MD5 in a part's ETag; quotes and case do not matter.
    pub fn from_etag(etag: &str) -> Option<Self> {
        let bytes = hex::decode(etag.trim_matches('"')).ok()?;
        Some(Self::Md5(bytes.try_into().ok()?))
    }

    fn crc(self) -> Option<u64> {
        match self {
            Self::Crc64Nvme(crc) | Self::Crc64Ecma(crc) => Some(crc),
            Self::Md5(_) => None,
        }
    }
}

/// A digest in the making.
pub struct Hasher(HasherState);

enum HasherState {
    Crc(Checksum, Box<crc_fast::Digest>),
    Md5(md5::Md5),
}

impl Hasher {
    /// Of no bytes yet.
    pub fn new(checksum: Checksum) -> Self {
        Self(match checksum.crc() {
            Some(algorithm) => {
                HasherState::Crc(checksum, Box::new(crc_fast::Digest::new(algorithm)))
            }
            None => HasherState::Md5(md5::Md5::new()),
        })
    }

    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            HasherState::Crc(_, crc) => crc.update(bytes),
            HasherState::Md5(md5) => md5.update(bytes),
        }
    }

    /// The digest of all bytes so far.
    pub fn finish(self) -> Digest {
        match self.0 {
            HasherState::Crc(checksum, crc) => checksum.digest(crc.finalize()),
            HasherState::Md5(md5) => Digest::Md5(md5.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_of_the_services() {
        let nvme = Checksum::Crc64Nvme.of(b"123456789");
        assert_eq!(nvme, Digest::Crc64Nvme(0xAE8B_1486_0A79_9888));
        assert_eq!(nvme.base64(), "rosUhgp5mIg=");
        assert_eq!(Digest::from_crc64nvme("rosUhgp5mIg="), Some(nvme));
        assert_eq!(
            Checksum::Crc64Ecma.of(b"123456789"),
            Digest::Crc64Ecma(11_051_210_869_376_104_954)
        );
        let md5 = Checksum::Md5.of(b"123456789");
        assert_eq!(md5.base64(), "JfnnlDI7RTiF9RgfG2JNCw==");
        assert_eq!(
            Digest::from_etag("\"25F9E794323B453885F5181F1B624D0B\""),
            Some(Checksum::Md5.of(b"123456789"))
        );
    }

    #[test]
    fn the_whole_is_combined_from_its_parts() {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for checksum in [Checksum::Crc64Nvme, Checksum::Crc64Ecma] {
            let parts = bytes
                .chunks(70_001)
                .map(|part| (checksum.of(part), part.len() as u64));
            assert_eq!(checksum.combine(parts), Some(checksum.of(&bytes)));
        }
        assert_eq!(Checksum::Md5.combine([(Checksum::Md5.of(b"a"), 1)]), None);
    }

    #[test]
    fn an_invalid_digest_is_none() {
        for text in ["", "rosUhgp5mIg", "AAAA", "no base64!"] {
            assert_eq!(Digest::from_crc64nvme(text), None, "{text:?}");
        }
        for text in [
            "",
            "d41d8cd98f00b204e9800998ecf8427e-3",
            "d41d8cd98f00b204e9800998ecf842",
        ] {
            assert_eq!(Digest::from_etag(text), None, "{text:?}");
        }
    }
}
