//! What CompleteMultipartUpload refuses, and the object it makes of the parts.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>

use md5::{Digest, Md5};
use s3s::dto::{Checksum, ChecksumType, CompleteMultipartUploadInput, CompletedPart};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::buckets::{Object, Part, Upload, now};
use super::sums::{self, ALGORITHMS};
use crate::content::Content;

/// Every part but the last (S3 user guide, quick facts).
const MIN_PART: u64 = 5 * 1024 * 1024;

/// Checks a Complete request against the parts and makes the object of them.
pub(super) fn assemble(upload: &Upload, input: &CompleteMultipartUploadInput) -> S3Result<Object> {
    let requested = input
        .multipart_upload
        .as_ref()
        .and_then(|m| m.parts.as_deref())
        .unwrap_or_default();
    let parts = selected_parts(upload, requested)?;
    let content = Content::join(parts.iter().map(|part| &part.content));
    if input
        .mpu_object_size
        .is_some_and(|size| u64::try_from(size) != Ok(content.size()))
    {
        return Err(invalid(
            "The provided 'x-amz-mp-object-size' header does not match what was computed.",
        ));
    }
    let md5s: Vec<u8> = parts.iter().flat_map(|part| part.md5).collect();
    Ok(Object {
        content,
        etag: format!("{}-{}", hex::encode(Md5::digest(md5s)), parts.len()),
        sums: object_checksum(upload, &parts, input)?,
        modified: now(),
        options: upload.options.clone(),
    })
}

fn selected_parts<'a>(upload: &'a Upload, requested: &[CompletedPart]) -> S3Result<Vec<&'a Part>> {
    if requested.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "You must specify at least one part"
        ));
    }
    if !requested.is_sorted_by(|a, b| a.part_number < b.part_number) {
        let text =
            "The list of parts was not in ascending order. Parts must be ordered by part number.";
        return Err(s3_error!(InvalidPartOrder, "{text}"));
    }
    let parts: S3Result<Vec<_>> = requested
        .iter()
        .map(|one| matching_part(upload, one))
        .collect();
    let parts = parts?;
    let (_, but_last) = parts.split_last().expect("not empty");
    if but_last.iter().any(|part| part.content.size() < MIN_PART) {
        let text = "Your proposed upload is smaller than the minimum allowed size";
        return Err(s3_error!(EntityTooSmall, "{text}"));
    }
    Ok(parts)
}

fn matching_part<'a>(upload: &'a Upload, requested: &CompletedPart) -> S3Result<&'a Part> {
    let part = requested
        .part_number
        .and_then(|number| upload.parts.get(&number));
    let etag = requested.e_tag.as_ref().map(s3s::dto::ETag::value);
    let part = part.filter(|part| etag == Some(&part.etag()));
    let part = part.filter(|part| {
        let claimed = claims_of(requested);
        let agrees = |name| {
            sums::checksum_value(&claimed, name)
                .is_none_or(|sum| sums::checksum_value(&part.sums, name) == Some(sum))
        };
        ALGORITHMS.into_iter().all(agrees)
    });
    let composite = upload.kind.as_str() == ChecksumType::COMPOSITE;
    if let Some(algorithm) = upload.algorithm.filter(|_| composite)
        && sums::checksum_value(&claims_of(requested), algorithm).is_none()
    {
        let name = algorithm.to_lowercase();
        let text = "The complete request must include the checksum for each part.";
        return Err(s3_error!(
            InvalidRequest,
            "The upload was created using a {name} checksum. {text}"
        ));
    }
    let text = "One or more of the specified parts could not be found. The part may not have been uploaded, \
                or the specified entity tag may not match the part's entity tag.";
    part.ok_or_else(|| s3_error!(InvalidPart, "{text}"))
}

fn claims_of(part: &CompletedPart) -> Checksum {
    Checksum {
        checksum_crc32: part.checksum_crc32.clone(),
        checksum_crc32c: part.checksum_crc32c.clone(),
        checksum_crc64nvme: part.checksum_crc64nvme.clone(),
        checksum_sha1: part.checksum_sha1.clone(),
        checksum_sha256: part.checksum_sha256.clone(),
        checksum_type: None,
    }
}

fn object_checksum(
    upload: &Upload,
    parts: &[&Part],
    input: &CompleteMultipartUploadInput,
) -> S3Result<Checksum> {
    let algorithm = upload.algorithm.unwrap_or(sums::DEFAULT);
    let of = |part: &&Part| {
        Some((
            sums::checksum_value(&part.sums, algorithm)?.clone(),
            part.content.size(),
        ))
    };
    let sums: Option<Vec<_>> = parts.iter().map(of).collect();
    let whole = sums.and_then(|sums| sums::combine(algorithm, &upload.kind, &sums));
    let whole = whole.ok_or_else(|| s3_error!(InternalError))?;
    if let Some(kind) = &input.checksum_type
        && kind != &upload.kind
    {
        let text = "The checksum type of the request differs from the upload's.";
        return Err(invalid(text));
    }
    let claimed = claimed_object_checksum(input);
    for name in ALGORITHMS {
        let claim = sums::checksum_value(&claimed, name);
        if claim.is_some_and(|claim| name != algorithm || *claim != whole) {
            let text = format!("The {name} you specified did not match the calculated checksum.");
            return Err(S3Error::with_message(S3ErrorCode::BadDigest, text));
        }
    }
    let mut whole = sums::single_checksum(algorithm, whole);
    whole.checksum_type = Some(upload.kind.clone());
    Ok(whole)
}

fn claimed_object_checksum(input: &CompleteMultipartUploadInput) -> Checksum {
    Checksum {
        checksum_crc32: input.checksum_crc32.clone(),
        checksum_crc32c: input.checksum_crc32c.clone(),
        checksum_crc64nvme: input.checksum_crc64nvme.clone(),
        checksum_sha1: input.checksum_sha1.clone(),
        checksum_sha256: input.checksum_sha256.clone(),
        checksum_type: None,
    }
}

fn invalid(text: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidRequest, text)
}
