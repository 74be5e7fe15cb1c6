//! The object's key. The object is public while it is imported, so only its key keeps others
//! from reading it: a key that the user set gets 128 random bits.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Hexadecimal digits of the random part.
const RANDOM_DIGITS: usize = 32;

/// 128 random bits in hexadecimal.
pub fn random() -> String {
    // One UUID has 122.
    let random = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    hex::encode(&Sha256::digest(random)[..RANDOM_DIGITS / 2])
}

/// The name with a random part before its suffixes: `images/disk-1f…9a.raw.gz`.
pub fn with_random_part(requested: &str) -> String {
    let (stem, suffixes) = split(requested);
    format!("{stem}-{}{suffixes}", random())
}

/// What all names begin with that were made of the given one.
pub fn prefix(requested: &str) -> String {
    let (stem, _) = split(requested);
    format!("{stem}-")
}

/// Whether the name is the given one with a random part.
pub fn is_derived_from(key: &str, requested: &str) -> bool {
    let (stem, suffixes) = split(requested);
    let random = key
        .strip_prefix(stem)
        .and_then(|suffix| suffix.strip_prefix('-'))
        .and_then(|suffix| suffix.strip_suffix(suffixes));
    random.is_some_and(|random| {
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        random.len() == RANDOM_DIGITS && random.bytes().all(digit)
    })
}

/// Where the suffixes of the last component begin: DigitalOcean reads them.
fn split(requested: &str) -> (&str, &str) {
    let folder = requested.rfind('/').map_or(0, |slash| slash + 1);
    let name = &requested[folder..];
    let dot = name.rfind('.').filter(|&dot| dot > 0);
    let dot = dot.map(|dot| match &name[dot..] {
        ".gz" | ".bz2" => name[..dot].rfind('.').filter(|&at| at > 0).unwrap_or(dot),
        _ => dot,
    });
    requested.split_at(folder + dot.unwrap_or(name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_keys_differ() {
        assert_eq!(random().len(), RANDOM_DIGITS);
        assert_ne!(random(), random());
    }

    #[test]
    fn random_part_precedes_suffixes() {
        for (requested, stem, suffixes) in [
            ("disk.raw.gz", "disk", ".raw.gz"),
            ("v1.2/disk-1.0.qcow2", "v1.2/disk-1.0", ".qcow2"),
            ("disk", "disk", ""),
            (".hidden", ".hidden", ""),
            ("a.b/.gz", "a.b/.gz", ""),
            (
                "my dir/it's \"web\" ü+1.raw.gz",
                "my dir/it's \"web\" ü+1",
                ".raw.gz",
            ),
        ] {
            let key = with_random_part(requested);
            assert_eq!(
                key.len(),
                requested.len() + 1 + RANDOM_DIGITS,
                "{requested}"
            );
            assert!(key.starts_with(&format!("{stem}-")), "{key}");
            assert!(key.ends_with(suffixes), "{key}");
            assert!(is_derived_from(&key, requested), "{key}");
            assert!(key.starts_with(&prefix(requested)), "{key}");
        }
    }

    #[test]
    fn unrelated_keys_are_not_derived() {
        for key in [
            "disk.raw.gz",
            "disk-.raw.gz",
            "disk-0123456789abcdef.raw.gz",
            "disk-0123456789abcdef0123456789abcdeg.raw.gz",
            "disk-0123456789abcdef0123456789abcdef.raw",
            "disk-2-0123456789abcdef0123456789abcdef.raw.gz",
        ] {
            assert!(!is_derived_from(key, "disk.raw.gz"), "{key}");
        }
    }
}
