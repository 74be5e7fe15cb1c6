//! Checks that a finished object has the expected bytes: by its digest if the service returns
//! one, otherwise by its ETag, which is the MD5 of its parts' MD5s and their number. The size
//! proves nothing: an earlier run may have left its object.

use md5::Digest as _;

use super::{Digest, ExpectedObject, ObjectInfo, SentPart};

/// Whether this is the object that these parts make.
pub fn is_complete_object(
    head: &ObjectInfo,
    parts: &[SentPart],
    expected: &ExpectedObject,
) -> bool {
    let proven = match (head.digest, expected.digest) {
        (Some(there), Some(here)) => there == here,
        _ => head.etag.is_some() && head.etag == etag_of_parts(parts),
    };
    head.size == expected.size && proven
}

/// The tag of the object that these parts make, where it follows from theirs: S3's is the MD5 of
/// the parts' MD5s.
pub fn etag_of_parts(parts: &[SentPart]) -> Option<String> {
    let md5s = parts.iter().map(|part| match part.digest {
        md5 @ Digest::Md5(_) => Some(md5),
        _ => Digest::from_etag(&part.etag),
    });
    md5s.collect::<Option<Vec<_>>>()
        .map(|all| multipart_etag(&all))
}

fn multipart_etag(parts: &[Digest]) -> String {
    let mut all = md5::Md5::new();
    for part in parts {
        if let Digest::Md5(md5) = part {
            all.update(md5);
        }
    }
    format!("{}-{}", hex::encode(all.finalize()), parts.len())
}

/// What an object shows of its bytes; the local ones go through it in order.
pub enum ContentCheck {
    /// Its digest.
    Digest(Digest),
    /// The tag of its parts.
    Etag(EtagCheck),
}

/// The tag of an object in parts, and that of the local bytes in the making.
pub struct EtagCheck {
    expected: String,
    part_size: u64,
    parts: Vec<Digest>,
    part: md5::Md5,
    remaining: u64,
}

impl ObjectInfo {
    /// None where it shows nothing that can be compared. Its parts had `part_size`.
    pub fn content_check(&self, part_size: u64) -> Option<ContentCheck> {
        if let Some(digest) = self.digest {
            return Some(ContentCheck::Digest(digest));
        }
        let remote = self.etag.clone()?;
        let (_, count) = remote.rsplit_once('-')?;
        let fits = count.parse() == Ok(self.size.div_ceil(part_size).max(1));
        fits.then(|| {
            ContentCheck::Etag(EtagCheck {
                expected: remote,
                part_size,
                parts: Vec::new(),
                part: md5::Md5::new(),
                remaining: part_size,
            })
        })
    }
}

impl ContentCheck {
    /// More of the local bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Self::Etag(tag) = self {
            tag.update(bytes);
        }
    }

    /// Whether the object has the local bytes, whose digest is this.
    pub fn matches(self, local: Digest) -> bool {
        match self {
            Self::Digest(there) => there == local,
            Self::Etag(tag) => tag.matches(),
        }
    }
}

impl EtagCheck {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let now =
                usize::try_from(self.remaining).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (of_part, rest) = bytes.split_at(now);
            self.part.update(of_part);
            self.remaining -= now as u64;
            if self.remaining == 0 {
                self.close();
            }
            bytes = rest;
        }
    }

    fn close(&mut self) {
        let md5 = self.part.finalize_reset();
        self.parts.push(Digest::Md5(md5.into()));
        self.remaining = self.part_size;
    }

    fn matches(mut self) -> bool {
        if self.remaining < self.part_size || self.parts.is_empty() {
            self.close();
        }
        multipart_etag(&self.parts).eq_ignore_ascii_case(&self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Checksum;
    use super::*;

    fn head(digest: Option<Digest>, etag: &str) -> ObjectInfo {
        let (size, etag) = (25, Some(etag.to_owned()));
        ObjectInfo { size, digest, etag }
    }

    fn matches(head: &ObjectInfo, part_size: u64, bytes: &[u8]) -> bool {
        head.content_check(part_size).is_some_and(|mut check| {
            bytes.chunks(7).for_each(|some| check.update(some));
            check.matches(Checksum::Crc64Nvme.of(bytes))
        })
    }

    #[test]
    fn the_digest_decides_where_there_is_one() {
        let bytes = [7; 25];
        let remote = Checksum::Crc64Nvme.of(&bytes);
        assert!(matches(&head(Some(remote), "x-9"), 10, &bytes));
        assert!(!matches(&head(Some(remote), "x-9"), 10, &[8; 25]));
    }

    #[test]
    fn otherwise_the_tag_of_the_parts_does() {
        let bytes = [7; 25];
        let parts: Vec<_> = (1..).zip(bytes.chunks(10)).collect();
        let sent = parts.iter().map(|&(number, part)| {
            let etag = hex::encode(md5::Md5::digest(part));
            let digest = Checksum::Crc64Nvme.of(part);
            let size = part.len() as u64;
            SentPart {
                number,
                size,
                etag,
                digest,
            }
        });
        let sent: Vec<_> = sent.collect();
        let etag = etag_of_parts(&sent).expect("a tag");
        let remote = head(None, &etag);
        assert!(matches(&remote, 10, &bytes));
        assert!(!matches(&remote, 10, &[8; 25]));
        assert!(!matches(&remote, 5, &bytes));
        assert!(matches(&head(None, &etag.to_uppercase()), 10, &bytes));
        let digest = Some(Checksum::Crc64Nvme.of(&bytes));
        let expected = ExpectedObject { size: 25, digest };
        assert!(is_complete_object(&remote, &sent, &expected));
        assert!(!is_complete_object(&head(None, "x-3"), &sent, &expected));
        assert!(!is_complete_object(
            &remote,
            &sent,
            &ExpectedObject { size: 24, digest }
        ));
    }
}
