//! Takes a body in: writes it to disk, and verifies Content-MD5 and every
//! `x-amz-checksum-*`, sent as a header or as a trailer. The s3s crate checks the
//! signature's own hash and leaves these to the service.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{Checksum, ChecksumType, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Result, StdError, TrailingHeaders, s3_error};

use crate::content::{Content, Draft};

pub(super) const ALGORITHMS: [&str; 5] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// S3 computes this one when the client names none.
pub(super) const DEFAULT: &str = "CRC64NVME";

pub(super) struct ReceivedBody {
    pub(super) content: Content,
    pub(super) md5: [u8; 16],
    pub(super) checksums: Checksum,
    /// The algorithm the client sent a checksum of
    pub(super) algorithm: Option<&'static str>,
}

/// What a request claims of its body.
pub(super) struct ClaimedChecksums<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) trailers: Option<&'a TrailingHeaders>,
}

impl ClaimedChecksums<'_> {
    fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
        headers.get(name)?.to_str().ok()
    }

    fn checksum(&self, algorithm: &str) -> Option<String> {
        let name = format!("x-amz-checksum-{}", algorithm.to_lowercase());
        let read = |headers: &HeaderMap| Self::header(headers, &name).map(str::to_owned);
        read(self.headers).or_else(|| self.trailers?.read(read)?)
    }

    fn announces(&self, algorithm: &str) -> bool {
        let name = format!("x-amz-checksum-{}", algorithm.to_lowercase());
        let trailer = Self::header(self.headers, "x-amz-trailer").unwrap_or_default();
        self.headers.contains_key(&name)
            || trailer.to_lowercase().split(',').any(|t| t.trim() == name)
    }

    fn verify(&self, md5: &[u8], sums: &Checksum) -> S3Result<Option<&'static str>> {
        if let Some(claim) = Self::header(self.headers, "content-md5") {
            compare_md5(claim, md5)?;
        }
        let mut sent = None;
        for algorithm in ALGORITHMS {
            let Some(claim) = self.checksum(algorithm) else {
                continue;
            };
            if checksum_value(sums, algorithm) != Some(&claim) {
                let text =
                    format!("The {algorithm} you specified did not match the calculated checksum.");
                return Err(S3Error::with_message(S3ErrorCode::BadDigest, text));
            }
            sent = Some(algorithm);
        }
        Ok(sent)
    }
}

fn compare_md5(claim: &str, md5: &[u8]) -> S3Result {
    let claim = BASE64_STANDARD.decode(claim).unwrap_or_default();
    if claim.len() != 16 {
        return Err(s3_error!(
            InvalidDigest,
            "The Content-MD5 you specified is not valid."
        ));
    }
    if claim != md5 {
        return Err(s3_error!(
            BadDigest,
            "The Content-MD5 you specified did not match what we received."
        ));
    }
    Ok(())
}

/// Reads the body to its end; nothing is kept unless all of it is as claimed.
pub(super) async fn receive(
    dir: &Path,
    body: Option<StreamingBlob>,
    claims: ClaimedChecksums<'_>,
    expected: Option<&str>,
) -> S3Result<ReceivedBody> {
    let mut draft = Draft::new(dir).map_err(S3Error::internal_error)?;
    let mut hasher = hasher(|algorithm| {
        algorithm == DEFAULT || Some(algorithm) == expected || claims.announces(algorithm)
    });
    let mut md5 = Md5::new();
    let mut body = body;
    while let Some(chunk) = next(&mut body).await? {
        hasher.update(&chunk);
        md5.update(&chunk);
        draft.write(&chunk).map_err(S3Error::internal_error)?;
    }
    let (md5, sums): ([u8; 16], _) = (md5.finalize().into(), hasher.finalize());
    let algorithm = claims.verify(&md5, &sums)?;
    let content = draft.finish().map_err(S3Error::internal_error)?;
    Ok(ReceivedBody {
        content,
        md5,
        checksums: sums,
        algorithm,
    })
}

async fn next(body: &mut Option<StreamingBlob>) -> S3Result<Option<bytes::Bytes>> {
    match body {
        Some(body) => body
            .next()
            .await
            .transpose()
            .map_err(|err| broken_body(&err)),
        None => Ok(None),
    }
}

/// The error types of s3s's body streams are private; their names are in the text.
fn broken_body(err: &StdError) -> S3Error {
    let text = format!("{err} {err:?}");
    if text.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        let mut err = S3Error::with_message(code, text);
        err.set_status_code(StatusCode::BAD_REQUEST);
        return err;
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(
            SignatureDoesNotMatch,
            "The signature of a chunk does not match."
        );
    }
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header"
    )
}

fn hasher(wanted: impl Fn(&'static str) -> bool) -> ChecksumHasher {
    ChecksumHasher {
        crc32: wanted("CRC32").then(Crc32::new),
        crc32c: wanted("CRC32C").then(Crc32c::new),
        crc64nvme: wanted("CRC64NVME").then(Crc64Nvme::new),
        sha1: wanted("SHA1").then(Sha1::new),
        sha256: wanted("SHA256").then(Sha256::new),
    }
}

fn digest(algorithm: &str, bytes: &[u8]) -> Option<String> {
    let mut hasher = hasher(|one| one == algorithm);
    hasher.update(bytes);
    checksum_value(&hasher.finalize(), algorithm).cloned()
}

pub(super) fn checksum_value<'a>(sums: &'a Checksum, algorithm: &str) -> Option<&'a String> {
    match algorithm {
        "CRC32" => sums.checksum_crc32.as_ref(),
        "CRC32C" => sums.checksum_crc32c.as_ref(),
        "CRC64NVME" => sums.checksum_crc64nvme.as_ref(),
        "SHA1" => sums.checksum_sha1.as_ref(),
        "SHA256" => sums.checksum_sha256.as_ref(),
        _ => None,
    }
}

/// A checksum alone in its field.
pub(super) fn single_checksum(algorithm: &str, value: String) -> Checksum {
    let mut sums = Checksum::default();
    let field = match algorithm {
        "CRC32" => &mut sums.checksum_crc32,
        "CRC32C" => &mut sums.checksum_crc32c,
        "SHA1" => &mut sums.checksum_sha1,
        "SHA256" => &mut sums.checksum_sha256,
        _ => &mut sums.checksum_crc64nvme,
    };
    *field = Some(value);
    sums
}

/// The object's checksum from its parts': the whole's own, or a digest of digests.
pub(super) fn combine(
    algorithm: &str,
    kind: &ChecksumType,
    parts: &[(String, u64)],
) -> Option<String> {
    if kind.as_str() == ChecksumType::COMPOSITE {
        let raw: Result<Vec<_>, _> = parts
            .iter()
            .map(|(sum, _)| BASE64_STANDARD.decode(sum))
            .collect();
        let digest = digest(algorithm, &raw.ok()?.concat())?;
        return Some(format!("{digest}-{}", parts.len()));
    }
    let (crc, width) = match algorithm {
        "CRC32" => (CrcAlgorithm::Crc32IsoHdlc, 4),
        "CRC32C" => (CrcAlgorithm::Crc32Iscsi, 4),
        "CRC64NVME" => (CrcAlgorithm::Crc64Nvme, 8),
        _ => return None,
    };
    let mut whole = 0;
    for (index, (sum, size)) in parts.iter().enumerate() {
        let part = number(sum)?;
        whole = match index {
            0 => part,
            _ => crc_fast::checksum_combine(crc, whole, part, *size),
        };
    }
    Some(BASE64_STANDARD.encode(&whole.to_be_bytes()[8 - width..]))
}

fn number(sum: &str) -> Option<u64> {
    let bytes = BASE64_STANDARD.decode(sum).ok()?;
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_combine_to_the_check_value() {
        let parts = [b"1234".as_slice(), b"56789"];
        let parts = parts.map(|part| (digest("CRC64NVME", part).unwrap(), part.len() as u64));
        let whole = combine(
            "CRC64NVME",
            &ChecksumType::from_static(ChecksumType::FULL_OBJECT),
            &parts,
        );
        assert_eq!(whole.unwrap(), "rosUhgp5mIg=");
    }
}
