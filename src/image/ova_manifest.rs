//! The manifest of an OVA (DSP0243, "Digests"): one line for each file. Real writers differ in
//! spaces, case, line ends and names of algorithms; lines that are not verified are counted.

use std::collections::HashMap;
use std::io::{self, Read};

use md5::Md5;
use percent_encoding::percent_decode_str;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_256};

/// Bytes that are read and hashed at a time.
const BLOCK: usize = 1 << 20;

/// The largest manifest; usual ones have some hundred bytes.
pub(super) const MAX_SIZE: u64 = 1 << 20;

/// The lines that could be parsed.
#[derive(Default)]
pub(super) struct Manifest {
    /// The lines by file name, as it is written and without percent-encoding.
    lines: HashMap<String, Line>,
    /// The number of lines in another form.
    pub(super) unread_lines: usize,
}

#[derive(Clone)]
struct Line {
    algorithm: Algorithm,
    digest: String,
}

/// The algorithm of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Of256,
    /// Any other algorithm, with its name.
    Unknown(String),
}

/// The result of comparing a file with the manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Same,
    Different,
    /// It does not list the file.
    Unlisted,
    /// Its digest uses this algorithm, which is not supported.
    Unknown(String),
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut manifest = Self::default();
        let lines = text.trim_start_matches('\u{feff}').lines();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            match parse(line) {
                Some((name, line)) => {
                    if name.contains('%') {
                        let decoded = percent_decode_str(&name).decode_utf8_lossy();
                        let lines = manifest.lines.entry(decoded.into_owned());
                        lines.or_insert_with(|| line.clone());
                    }
                    manifest.lines.entry(name).or_insert(line);
                }
                None => manifest.unread_lines += 1,
            }
        }
        manifest
    }

    /// Returns the line for a file with these names, the most exact first: its path in the
    /// archive, its path relative to the descriptor, only its name.
    fn line(&self, names: &[&str]) -> Option<&Line> {
        names.iter().find_map(|name| self.lines.get(*name))
    }

    /// Compares a file. OVF 1 requires SHA-1, which protects against accidents, not against
    /// attackers.
    pub(super) fn compare(&self, names: &[&str], content: &mut dyn Read) -> io::Result<Comparison> {
        let Some(line) = self.line(names) else {
            return Ok(Comparison::Unlisted);
        };
        let digest = match &line.algorithm {
            Algorithm::Md5 => digest::<Md5>(content)?,
            Algorithm::Sha1 => digest::<Sha1>(content)?,
            Algorithm::Sha224 => digest::<Sha224>(content)?,
            Algorithm::Sha256 => digest::<Sha256>(content)?,
            Algorithm::Sha384 => digest::<Sha384>(content)?,
            Algorithm::Sha512 => digest::<Sha512>(content)?,
            Algorithm::Sha512Of256 => digest::<Sha512_256>(content)?,
            Algorithm::Unknown(name) => return Ok(Comparison::Unknown(name.clone())),
        };
        Ok(if digest == line.digest {
            Comparison::Same
        } else {
            Comparison::Different
        })
    }

    /// Compares a file whose digests are already computed; returns `None` if they do not
    /// include the line's algorithm.
    pub(super) fn compare_digests(&self, names: &[&str], digests: &Digests) -> Option<Comparison> {
        let Some(line) = self.line(names) else {
            return Some(Comparison::Unlisted);
        };
        let digest = match &line.algorithm {
            Algorithm::Sha1 => &digests.sha1,
            Algorithm::Sha256 => &digests.sha256,
            Algorithm::Unknown(name) => return Some(Comparison::Unknown(name.clone())),
            _ => return None,
        };
        Some(if *digest == line.digest {
            Comparison::Same
        } else {
            Comparison::Different
        })
    }

    /// Returns the result that needs no read of the file; `None` where the file will be
    /// compared.
    pub(super) fn unverified(&self, names: &[&str]) -> Option<Comparison> {
        match self.line(names).map(|line| &line.algorithm) {
            None => Some(Comparison::Unlisted),
            Some(Algorithm::Unknown(name)) => Some(Comparison::Unknown(name.clone())),
            Some(_) => None,
        }
    }
}

/// The digests that exporters write, of a file that precedes the manifest.
pub(super) struct Digests {
    sha1: String,
    sha256: String,
}

impl Digests {
    /// Reads to the end, and computes the digests.
    pub(super) fn of(content: &mut dyn Read) -> io::Result<Self> {
        let (mut sha1, mut sha256) = (Sha1::new(), Sha256::new());
        let mut block = vec![0; BLOCK];
        loop {
            match content.read(&mut block) {
                Ok(0) => {
                    return Ok(Self {
                        sha1: hex::encode(sha1.finalize()),
                        sha256: hex::encode(sha256.finalize()),
                    });
                }
                Ok(read) => {
                    sha1.update(&block[..read]);
                    sha256.update(&block[..read]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Algorithm {
    /// Returns the algorithm by the names that exporters use: `SHA256`, `sha-256`, `SHA2-256`.
    fn by_name(name: &str) -> Self {
        let mut uncompressed = name.to_ascii_uppercase();
        uncompressed.retain(|c| c.is_ascii_alphanumeric());
        match uncompressed.as_str() {
            "MD5" => Self::Md5,
            "SHA1" | "SHA" | "SHA160" => Self::Sha1,
            "SHA224" | "SHA2224" => Self::Sha224,
            "SHA256" | "SHA2256" => Self::Sha256,
            "SHA384" | "SHA2384" => Self::Sha384,
            "SHA512" | "SHA2512" => Self::Sha512,
            "SHA512256" | "SHA2512256" => Self::Sha512Of256,
            _ => Self::Unknown(name.to_owned()),
        }
    }

    /// Returns the algorithm by the number of hexadecimal digits.
    fn by_length(digits: usize) -> Option<Self> {
        Some(match digits {
            32 => Self::Md5,
            40 => Self::Sha1,
            56 => Self::Sha224,
            64 => Self::Sha256,
            96 => Self::Sha384,
            128 => Self::Sha512,
            _ => return None,
        })
    }
}

/// Reads to the end, and computes one digest.
fn digest<D: Digest>(content: &mut dyn Read) -> io::Result<String> {
    let (mut hasher, mut block) = (D::new(), vec![0; BLOCK]);
    loop {
        match content.read(&mut block) {
            Ok(0) => return Ok(hex::encode(hasher.finalize())),
            Ok(read) => hasher.update(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Parses a file's name and its digest: `SHA256(disk1.vmdk)= 01ab…`, also `SHA1 (disk1.vmdk) =
/// …`, and `01ab…  disk1.vmdk` as sha256sum writes.
fn parse(line: &str) -> Option<(String, Line)> {
    let (algorithm, name, digest) = parse_bsd(line).or_else(|| parse_coreutils(line))?;
    let name = name.strip_prefix("./").unwrap_or(name).to_owned();
    let digest = digest.to_ascii_lowercase();
    Some((name, Line { algorithm, digest }))
}

fn parse_bsd(line: &str) -> Option<(Algorithm, &str, &str)> {
    let (left, digest) = line.rsplit_once('=')?;
    let (algorithm, name) = left.trim().strip_suffix(')')?.split_once('(')?;
    let algorithm = Algorithm::by_name(algorithm.trim());
    Some((algorithm, name.trim(), digest.trim()))
}

fn parse_coreutils(line: &str) -> Option<(Algorithm, &str, &str)> {
    let (digest, name) = line.trim().split_once([' ', '\t'])?;
    let name = name.trim_start();
    let name = name.strip_prefix('*').unwrap_or(name);
    let hexadecimal = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let algorithm = Algorithm::by_length(digest.len()).filter(|_| hexadecimal)?;
    Some((algorithm, name, digest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compare(manifest: &Manifest, name: &str, content: &[u8]) -> Comparison {
        manifest.compare(&[name], &mut &content[..]).unwrap()
    }

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn every_form_that_real_writers_use_is_read() {
        let upper = ABC.to_uppercase();
        for line in [
            format!("SHA256(a.ovf)= {ABC}\n"),
            format!("SHA256 (a.ovf) = {ABC}\r\nSHA256(b.vmdk)= 00\r\n"),
            format!("sha-256(a.ovf)={upper}"),
            format!("SHA2-256(a.ovf)= {ABC}"),
            format!("\u{feff}SHA2_256 ( a.ovf ) = {ABC}"),
            format!("\n\nSHA256(./a.ovf)= {ABC}\n"),
            format!("{ABC}  a.ovf\n"),
            format!("{ABC} *a.ovf\r\n"),
        ] {
            let manifest = Manifest::parse(line.as_bytes());
            assert_eq!(
                compare(&manifest, "a.ovf", b"abc"),
                Comparison::Same,
                "{line}"
            );
            let changed = compare(&manifest, "a.ovf", b"abd");
            assert_eq!(changed, Comparison::Different, "{line}");
            assert_eq!(
                (manifest.unread_lines, manifest.unverified(&["a.ovf"])),
                (0, None)
            );
        }
    }

    #[test]
    fn names_may_hold_parentheses_and_equals_signs() {
        let manifest = Manifest::parse(b"SHA512(My VM (1) a=b.vmdk)= 00");
        let compared = compare(&manifest, "My VM (1) a=b.vmdk", b"");
        assert_eq!(compared, Comparison::Different);
    }

    #[test]
    fn a_name_may_be_encoded_or_lie_in_a_folder() {
        let line = format!("SHA256(my%20vm.vmdk)= {ABC}\nSHA256(b.vmdk)= {ABC}\n");
        let manifest = Manifest::parse(line.as_bytes());
        assert_eq!(compare(&manifest, "my vm.vmdk", b"abc"), Comparison::Same);
        let names = ["vm/b.vmdk", "b.vmdk"];
        let compared = manifest.compare(&names, &mut &b"abc"[..]).unwrap();
        assert_eq!(compared, Comparison::Same);
    }

    #[test]
    fn every_digest_of_the_standard_is_verified() {
        let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        let sha384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7";
        let sha224 = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7";
        let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        for (algorithm, digest) in [
            ("SHA1", sha1),
            ("SHA-224", sha224),
            ("SHA256", ABC),
            ("SHA384", sha384),
            ("SHA2-384", sha384),
            ("SHA512", sha512),
            ("SHA-2-512", sha512),
            ("MD5", md5),
        ] {
            let manifest = Manifest::parse(format!("{algorithm}(a.ovf)= {digest}").as_bytes());
            let (same, changed) = (b"abc", b"abd");
            assert_eq!(
                compare(&manifest, "a.ovf", same),
                Comparison::Same,
                "{algorithm}"
            );
            let changed = compare(&manifest, "a.ovf", changed);
            assert_eq!(changed, Comparison::Different, "{algorithm}");
        }
    }

    #[test]
    fn an_unverified_file_is_reported() {
        let manifest = Manifest::parse(b"SHA3-256(a.ovf)= 00\nnonsense\n=\n)(=\n\xff");
        let unknown = Comparison::Unknown("SHA3-256".into());
        assert_eq!(compare(&manifest, "a.ovf", b"abc"), unknown);
        assert_eq!(manifest.unverified(&["a.ovf"]), Some(unknown));
        assert_eq!(compare(&manifest, "b.ovf", b"abc"), Comparison::Unlisted);
        assert_eq!(manifest.unread_lines, 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(text in "(SHA|MD5|256|-|\\(|\\)|=| |%|%2|%20|a|\n|[0-9a-f]{32}|\\PC){0,60}") {
            let _ = Manifest::parse(text.as_bytes()).unverified(&["a"]);
        }
    }
}
