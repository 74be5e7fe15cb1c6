//! Multipart uploads: begun, filled with parts, listed, completed or aborted.

use std::sync::atomic::Ordering;

use s3s::dto::{
    Checksum, ChecksumAlgorithm, ChecksumType, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput,
    MultipartUpload, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::assemble::assemble;
use super::buckets::{Bucket, Buckets, Object, ObjectOptions, Part, Upload, now, strong_etag};
use super::objects::{must_be_new, object_options};
use super::sums::{self, ALGORITHMS, ClaimedChecksums};

const MAX_PARTS: i32 = 10_000;
pub(super) const PAGE: i32 = 1000;

impl Buckets {
    pub(super) fn create_multipart_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let (algorithm, kind) = checksum_of(&input)?;
        let upload_id = uuid::Uuid::new_v4().simple().to_string();
        self.with(&input.bucket.clone(), |bucket| {
            let options = object_options!(bucket, input);
            let output = CreateMultipartUploadOutput {
                bucket: Some(input.bucket),
                key: Some(input.key.clone()),
                upload_id: Some(upload_id.clone()),
                checksum_type: algorithm.map(|_| kind.clone()),
                checksum_algorithm: input.checksum_algorithm,
                server_side_encryption: Some(options.server_side_encryption()),
                ssekms_key_id: options.kms_key_id.clone(),
                ..CreateMultipartUploadOutput::default()
            };
            let upload = Upload {
                key: input.key,
                algorithm,
                kind,
                initiated: now(),
                options,
                parts: std::collections::BTreeMap::new(),
            };
            bucket.uploads.insert(upload_id, upload);
            Ok(output)
        })
    }

    pub(super) async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<UploadPartOutput> {
        let mut input = req.input;
        let number = input.part_number;
        if !(1..=MAX_PARTS).contains(&number) {
            let text = "Part number must be an integer between 1 and 10000, inclusive";
            return Err(s3_error!(InvalidArgument, "{text}"));
        }
        let expected = self.with(&input.bucket, |bucket| {
            Ok(upload(bucket, &input.key, &input.upload_id)?.algorithm)
        })?;
        let claims = ClaimedChecksums {
            headers: &req.headers,
            trailers: req.trailing_headers.as_ref(),
        };
        let received = sums::receive(self.dir.path(), input.body.take(), claims, expected).await?;
        check_equal(expected, received.algorithm)?;
        let part = Part {
            content: received.content,
            md5: received.md5,
            sums: received.checksums,
            modified: now(),
        };
        self.with(&input.bucket, |bucket| {
            let upload = upload(bucket, &input.key, &input.upload_id)?;
            let output = part_output(&part, received.algorithm, &upload.options);
            upload.parts.insert(number, part);
            Ok(output)
        })
    }

    pub(super) fn list_parts(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        let marker = input.part_number_marker.unwrap_or(0);
        let most = self.page_size.load(Ordering::Relaxed);
        let page = input.max_parts.unwrap_or(most).clamp(0, most);
        self.with(&input.bucket.clone(), |bucket| {
            let upload = upload(bucket, &input.key, &input.upload_id)?;
            let mut parts: Vec<_> = upload.parts.range(marker + 1..).collect();
            let truncated = parts.len() > usize::try_from(page).unwrap_or(0);
            parts.truncate(usize::try_from(page).unwrap_or(0));
            let last = parts.last().map(|(number, _)| **number);
            let silent = self.hides_checksums.load(Ordering::Relaxed);
            let algorithm = upload.algorithm.filter(|_| !silent);
            let parts = parts
                .into_iter()
                .map(|(number, part)| listed_part(*number, part, algorithm));
            Ok(ListPartsOutput {
                bucket: Some(input.bucket),
                upload_id: Some(input.upload_id),
                checksum_algorithm: upload.algorithm.map(ChecksumAlgorithm::from_static),
                checksum_type: upload.algorithm.map(|_| upload.kind.clone()),
                is_truncated: Some(truncated),
                max_parts: Some(page),
                next_part_number_marker: last,
                part_number_marker: Some(marker),
                parts: Some(parts.collect()),
                key: Some(input.key),
                ..ListPartsOutput::default()
            })
        })
    }

    pub(super) fn list_multipart_uploads(
        &self,
        input: ListMultipartUploadsInput,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let prefix = input.prefix.clone().unwrap_or_default();
        self.with(&input.bucket.clone(), |bucket| {
            let matching = bucket
                .uploads
                .iter()
                .filter(|(_, upload)| upload.key.starts_with(&prefix));
            let mut uploads: Vec<_> = matching
                .map(|(id, upload)| listed_upload(id, upload))
                .collect();
            uploads.sort_by(|a, b| a.key.cmp(&b.key));
            Ok(ListMultipartUploadsOutput {
                bucket: Some(input.bucket),
                prefix: input.prefix,
                is_truncated: Some(false),
                max_uploads: Some(PAGE),
                uploads: Some(uploads),
                ..ListMultipartUploadsOutput::default()
            })
        })
    }

    pub(super) fn complete_multipart_upload(
        &self,
        input: &CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let (name, key, id) = (
            input.bucket.clone(),
            input.key.clone(),
            input.upload_id.clone(),
        );
        self.with(&name, |bucket| {
            must_be_new(bucket, &key, input.if_none_match.as_ref())?;
            let object = assemble(upload(bucket, &key, &id)?, input)?;
            let output = complete_output(&object, input);
            bucket.uploads.remove(&id);
            bucket.objects.insert(key, object);
            Ok(output)
        })
    }

    pub(super) fn abort_multipart_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        self.with(bucket, |bucket| {
            upload(bucket, key, id)?;
            bucket.uploads.remove(id);
            Ok(())
        })
    }
}

fn upload<'a>(bucket: &'a mut Bucket, key: &str, id: &str) -> S3Result<&'a mut Upload> {
    let upload = bucket
        .uploads
        .get_mut(id)
        .filter(|upload| upload.key == key);
    let text = "The specified upload does not exist. The upload ID may be invalid, \
                or the upload may have been aborted or completed.";
    upload.ok_or_else(|| s3_error!(NoSuchUpload, "{text}"))
}

/// The algorithm and type an upload is created with, with S3's defaults and refusals.
fn checksum_of(
    input: &CreateMultipartUploadInput,
) -> S3Result<(Option<&'static str>, ChecksumType)> {
    let full = ChecksumType::from_static(ChecksumType::FULL_OBJECT);
    let Some(requested) = &input.checksum_algorithm else {
        return Ok((None, full));
    };
    let algorithm = ALGORITHMS
        .into_iter()
        .find(|name| *name == requested.as_str());
    let algorithm = algorithm.ok_or_else(|| {
        s3_error!(
            InvalidRequest,
            "Checksum algorithm provided is unsupported."
        )
    })?;
    let usual = match algorithm {
        "CRC64NVME" => full,
        _ => ChecksumType::from_static(ChecksumType::COMPOSITE),
    };
    let kind = input.checksum_type.clone().unwrap_or(usual);
    let possible = match kind.as_str() {
        ChecksumType::COMPOSITE => algorithm != "CRC64NVME",
        _ => algorithm.starts_with("CRC"),
    };
    if !possible {
        let text = format!(
            "The {} checksum type cannot be used with {algorithm}.",
            kind.as_str()
        );
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, text));
    }
    Ok((Some(algorithm), kind))
}

fn check_equal(expected: Option<&str>, sent: Option<&str>) -> S3Result<()> {
    match (expected, sent) {
        (Some(expected), Some(sent)) if expected != sent => {
            let (expected, sent) = (expected.to_lowercase(), sent.to_lowercase());
            let text = "Checksum Type mismatch occurred";
            Err(s3_error!(
                InvalidRequest,
                "{text}, expected checksum Type: {expected}, actual checksum Type: {sent}"
            ))
        }
        _ => Ok(()),
    }
}

fn complete_output(
    object: &Object,
    input: &CompleteMultipartUploadInput,
) -> CompleteMultipartUploadOutput {
    let sums = object.sums.clone();
    CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: Some(strong_etag(&object.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        server_side_encryption: Some(object.options.server_side_encryption()),
        ssekms_key_id: object.options.kms_key_id.clone(),
        ..CompleteMultipartUploadOutput::default()
    }
}

/// Only the checksum of the part's own algorithm, as the service shows it.
fn part_checksum(part: &Part, algorithm: Option<&str>) -> Checksum {
    let sum =
        algorithm.and_then(|name| Some((name, sums::checksum_value(&part.sums, name)?.clone())));
    sum.map(|(name, sum)| sums::single_checksum(name, sum))
        .unwrap_or_default()
}

fn part_output(part: &Part, algorithm: Option<&str>, options: &ObjectOptions) -> UploadPartOutput {
    let sums = part_checksum(part, algorithm);
    UploadPartOutput {
        e_tag: Some(strong_etag(&part.etag())),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        server_side_encryption: Some(options.server_side_encryption()),
        ssekms_key_id: options.kms_key_id.clone(),
        ..UploadPartOutput::default()
    }
}

fn listed_part(number: i32, part: &Part, algorithm: Option<&str>) -> s3s::dto::Part {
    let sums = part_checksum(part, algorithm);
    s3s::dto::Part {
        part_number: Some(number),
        e_tag: Some(strong_etag(&part.etag())),
        size: i64::try_from(part.content.size()).ok(),
        last_modified: Some(part.modified.clone()),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
    }
}

fn listed_upload(id: &str, upload: &Upload) -> MultipartUpload {
    MultipartUpload {
        upload_id: Some(id.to_owned()),
        key: Some(upload.key.clone()),
        initiated: Some(upload.initiated.clone()),
        checksum_algorithm: upload.algorithm.map(ChecksumAlgorithm::from_static),
        checksum_type: upload.algorithm.map(|_| upload.kind.clone()),
        ..MultipartUpload::default()
    }
}
