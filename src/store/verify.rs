//! Whether a finished object has the bytes that it should: by its digest where the service
//! tells one, else by its tag, which is the MD5 of its parts' MD5s and their number. A size
//! alone proves nothing, an earlier run may have left its object.

use md5::Digest as _;

use super::{Digest, Head, SentPart, Whole};

/// Whether this is the object that these parts make.
pub fn is_the_object(head: &Head, parts: &[SentPart], whole: &Whole) -> bool {
    let proven = match (head.digest, whole.digest) {
        (Some(there), Some(here)) => there == here,
        _ => head.etag.is_some() && head.etag == tag_of_parts(parts),
    };
    head.size == whole.size && proven
}

/// The tag of the object that these parts make, where it follows from theirs: S3's is the MD5 of
/// the parts' MD5s.
pub fn tag_of_parts(parts: &[SentPart]) -> Option<String> {
    let md5s = parts.iter().map(|part| match part.digest {
        md5 @ Digest::Md5(_) => Some(md5),
        _ => Digest::from_etag(&part.etag),
    });
    md5s.collect::<Option<Vec<_>>>().map(|all| tag(&all))
}

fn tag(parts: &[Digest]) -> String {
    let mut all = md5::Md5::new();
    for part in parts {
        if let Digest::Md5(md5) = part {
            all.update(md5);
        }
    }
    format!("{}-{}", hex::encode(all.finalize()), parts.len())
}

/// What an object shows of its bytes; the local ones go through it in order.
pub enum Proof {
    /// Its digest.
    Digest(Digest),
    /// The tag of its parts.
    Tag(Tag),
}

/// The tag of an object in parts, and that of the local bytes in the making.
pub struct Tag {
    there: String,
    part_size: u64,
    parts: Vec<Digest>,
    part: md5::Md5,
    left: u64,
}

impl Head {
    /// None where it shows nothing that can be compared. Its parts had `part_size`.
    pub fn proof(&self, part_size: u64) -> Option<Proof> {
        if let Some(digest) = self.digest {
            return Some(Proof::Digest(digest));
        }
        let there = self.etag.clone()?;
        let (_, count) = there.rsplit_once('-')?;
        let fits = count.parse() == Ok(self.size.div_ceil(part_size).max(1));
        fits.then(|| {
            Proof::Tag(Tag {
                there,
                part_size,
                parts: Vec::new(),
                part: md5::Md5::new(),
                left: part_size,
            })
        })
    }
}

impl Proof {
    /// More of the local bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Self::Tag(tag) = self {
            tag.update(bytes);
        }
    }

    /// Whether the object has the local bytes, whose digest is this.
    pub fn holds(self, local: Digest) -> bool {
        match self {
            Self::Digest(there) => there == local,
            Self::Tag(tag) => tag.holds(),
        }
    }
}

impl Tag {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let now = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (of_part, rest) = bytes.split_at(now);
            self.part.update(of_part);
            self.left -= now as u64;
            if self.left == 0 {
                self.close();
            }
            bytes = rest;
        }
    }

    fn close(&mut self) {
        let md5 = self.part.finalize_reset();
        self.parts.push(Digest::Md5(md5.into()));
        self.left = self.part_size;
    }

    fn holds(mut self) -> bool {
        if self.left < self.part_size || self.parts.is_empty() {
            self.close();
        }
        tag(&self.parts).eq_ignore_ascii_case(&self.there)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Checksum;
    use super::*;

    fn head(digest: Option<Digest>, etag: &str) -> Head {
        let (size, etag) = (25, Some(etag.to_owned()));
        Head { size, digest, etag }
    }

    fn is(head: &Head, part_size: u64, bytes: &[u8]) -> bool {
        head.proof(part_size).is_some_and(|mut proof| {
            bytes.chunks(7).for_each(|some| proof.update(some));
            proof.holds(Checksum::Crc64Nvme.of(bytes))
        })
    }

    #[test]
    fn the_digest_decides_where_there_is_one() {
        let bytes = [7; 25];
        let there = Checksum::Crc64Nvme.of(&bytes);
        assert!(is(&head(Some(there), "x-9"), 10, &bytes));
        assert!(!is(&head(Some(there), "x-9"), 10, &[8; 25]));
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
        let etag = tag_of_parts(&sent).expect("a tag");
        let there = head(None, &etag);
        assert!(is(&there, 10, &bytes));
        assert!(!is(&there, 10, &[8; 25]));
        assert!(!is(&there, 5, &bytes));
        assert!(is(&head(None, &etag.to_uppercase()), 10, &bytes));
        let digest = Some(Checksum::Crc64Nvme.of(&bytes));
        let whole = Whole { size: 25, digest };
        assert!(is_the_object(&there, &sent, &whole));
        assert!(!is_the_object(&head(None, "x-3"), &sent, &whole));
        assert!(!is_the_object(&there, &sent, &Whole { size: 24, digest }));
    }
}
