//! The manifest of an OVA (DSP0243, "Digests"): one line for each file. Real
//! writers differ in spaces, case and line ends; lines of other forms are passed over.

use std::io::{self, Read};

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// Read and hashed at a time.
const BLOCK: usize = 1 << 20;

/// Manifests have some hundred bytes.
pub(super) const LARGEST: u64 = 1 << 20;

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
    pub(super) fn contradicts(&self, name: &str, content: &mut dyn Read) -> io::Result<bool> {
        let Some(line) = self.line(name) else {
            return Ok(false);
        };
        let digest = match line.algorithm.as_str() {
            "SHA1" => digest::<Sha1>(content)?,
            "SHA256" => digest::<Sha256>(content)?,
            "SHA512" => digest::<Sha512>(content)?,
            _ => return Ok(false),
        };
        Ok(digest != line.digest)
    }
}

/// Reads to the end.
fn digest<D: Digest>(content: &mut dyn Read) -> io::Result<String> {
    let (mut hasher, mut block) = (D::new(), vec![0; BLOCK]);
    loop {
        match content.read(&mut block) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(read) => hasher.update(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
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

    fn contradicts(manifest: &Manifest, name: &str, content: &[u8]) -> bool {
        manifest.contradicts(name, &mut &content[..]).unwrap()
    }

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
            assert!(!contradicts(&manifest, "a.ovf", b"abc"), "{line}");
            assert!(contradicts(&manifest, "a.ovf", b"abd"), "{line}");
        }
    }

    #[test]
    fn names_may_hold_parentheses_and_equals_signs() {
        let manifest = Manifest::parse(b"SHA512(My VM (1) a=b.vmdk)= 00");
        assert!(manifest.lists("My VM (1) a=b.vmdk"));
        assert!(contradicts(&manifest, "My VM (1) a=b.vmdk", b""));
    }

    #[test]
    fn every_digest_of_the_standard_is_verified() {
        let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
        for (algorithm, digest) in [("SHA1", sha1), ("SHA256", ABC), ("SHA512", sha512)] {
            let manifest = Manifest::parse(format!("{algorithm}(a.ovf)= {digest}").as_bytes());
            assert!(!contradicts(&manifest, "a.ovf", b"abc"), "{algorithm}");
            assert!(contradicts(&manifest, "a.ovf", b"abd"), "{algorithm}");
        }
    }

    #[test]
    fn unknown_digests_are_listed_and_nonsense_is_passed_over() {
        let manifest = Manifest::parse(b"MD5(a.ovf)= 00\nnonsense\n=\n)(=\n\xff");
        assert!(manifest.lists("a.ovf") && !contradicts(&manifest, "a.ovf", b"abc"));
        assert!(!manifest.lists("b.ovf") && !contradicts(&manifest, "b.ovf", b"abc"));
    }
}
