//! The manifest of an OVA (DSP0243, "Digests"): one line for each file. Real
//! writers differ in spaces, case and line ends; lines of other forms are passed over.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// The lines that can be read.
pub(super) struct Manifest(Vec<Line>);

struct Line {
    algorithm: String,
    name: String,
    digest: String,
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        Self(text.lines().filter_map(Line::parse).collect())
    }

    fn line(&self, name: &str) -> Option<&Line> {
        let name = name.strip_prefix("./").unwrap_or(name);
        self.0.iter().find(|line| line.name == name)
    }

    pub(super) fn lists(&self, name: &str) -> bool {
        self.line(name).is_some()
    }

    /// Whether the digest of this file differs from what is listed. OVF 1 asks for
    /// SHA-1, which guards against accidents alone.
    pub(super) fn contradicts(&self, name: &str, content: &[u8]) -> bool {
        let Some(line) = self.line(name) else {
            return false;
        };
        let digest = match line.algorithm.as_str() {
            "SHA1" => hex(&Sha1::digest(content)),
            "SHA256" => hex(&Sha256::digest(content)),
            "SHA512" => hex(&Sha512::digest(content)),
            _ => return false,
        };
        digest != line.digest
    }
}

impl Line {
    /// `SHA256(disk1.vmdk)= 01ab…`, also `SHA1 (disk1.vmdk) = …`.
    fn parse(line: &str) -> Option<Self> {
        let (left, digest) = line.rsplit_once('=')?;
        let (algorithm, name) = left.trim().strip_suffix(')')?.split_once('(')?;
        Some(Self {
            algorithm: algorithm.trim().to_ascii_uppercase().replace('-', ""),
            name: {
                let name = name.trim();
                name.strip_prefix("./").unwrap_or(name).to_owned()
            },
            digest: digest.trim().to_ascii_lowercase(),
        })
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |byte: u8| char::from_digit(byte.into(), 16).unwrap_or_default();
    let digits = bytes
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn every_form_that_real_writers_use_is_read() {
        let upper = ABC.to_uppercase();
        for line in [
            format!("SHA256(a.ovf)= {ABC}\n"),
            format!("SHA256 (a.ovf) = {ABC}\r\nSHA256(b.vmdk)= 00\r\n"),
            format!("sha-256(a.ovf)={upper}"),
            format!("\n\nSHA256(./a.ovf)= {ABC}\n"),
        ] {
            let manifest = Manifest::parse(line.as_bytes());
            assert!(manifest.lists("a.ovf"), "{line}");
            assert!(!manifest.contradicts("a.ovf", b"abc"), "{line}");
            assert!(manifest.contradicts("a.ovf", b"abd"), "{line}");
        }
    }

    #[test]
    fn names_may_hold_parentheses_and_equals_signs() {
        let manifest = Manifest::parse(b"SHA512(My VM (1) a=b.vmdk)= 00");
        assert!(manifest.lists("My VM (1) a=b.vmdk"));
        assert!(manifest.contradicts("My VM (1) a=b.vmdk", b""));
    }

    #[test]
    fn every_digest_of_the_standard_is_verified() {
        let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
        for (algorithm, digest) in [("SHA1", sha1), ("SHA256", ABC), ("SHA512", sha512)] {
            let manifest = Manifest::parse(format!("{algorithm}(a.ovf)= {digest}").as_bytes());
            assert!(!manifest.contradicts("a.ovf", b"abc"), "{algorithm}");
            assert!(manifest.contradicts("a.ovf", b"abd"), "{algorithm}");
        }
    }

    #[test]
    fn unknown_digests_are_listed_and_nonsense_is_passed_over() {
        let manifest = Manifest::parse(b"MD5(a.ovf)= 00\nnonsense\n=\n)(=\n\xff");
        assert!(manifest.lists("a.ovf") && !manifest.contradicts("a.ovf", b"abc"));
        assert!(!manifest.lists("b.ovf") && !manifest.contradicts("b.ovf", b"abc"));
    }
}
