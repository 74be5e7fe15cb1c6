//! Objects: put, get, head, delete, list, and who may read them.

use std::sync::atomic::Ordering;

use futures_util::stream;
use http::StatusCode;
use s3s::dto::{
    Checksum, ChecksumMode, ChecksumType, DeleteObjectInput, DeleteObjectOutput, ETagCondition,
    GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, ObjectCannedACL, PutObjectAclInput, PutObjectAclOutput, PutObjectInput,
    PutObjectOutput, ServerSideEncryption, StorageClass, StreamingBlob,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::buckets::{Bucket, Buckets, Object, ObjectOptions, now, strong_etag};
use super::sums::{self, ClaimedChecksums};

/// A single PUT takes no more (S3 user guide, quick facts).
const MAX_PUT: i64 = 5 * 1024 * 1024 * 1024;

/// Reads the options of the object from the request; the inputs differ only in their type.
macro_rules! object_options {
    ($bucket:expr, $input:expr) => {
        ObjectOptions {
            public: $crate::s3::objects::is_public_acl($bucket, $input.acl.as_ref())?,
            content_type: $input.content_type.as_ref().map(ToString::to_string),
            metadata: $input.metadata.clone(),
            encryption: $input
                .server_side_encryption
                .as_ref()
                .map(|e| e.as_str().to_owned()),
            kms_key_id: $input.ssekms_key_id.clone(),
            bucket_key: $input.bucket_key_enabled,
            storage_class: $input.storage_class.as_ref().map(|c| c.as_str().to_owned()),
        }
    };
}
pub(super) use object_options;

/// Whether a canned ACL makes the object public, if the bucket takes ACLs at all.
pub(super) fn is_public_acl(bucket: &Bucket, acl: Option<&ObjectCannedACL>) -> S3Result<bool> {
    let Some(acl) = acl.map(ObjectCannedACL::as_str) else {
        return Ok(false);
    };
    if !bucket.acls && acl != ObjectCannedACL::BUCKET_OWNER_FULL_CONTROL {
        return Err(s3_error!(
            AccessControlListNotSupported,
            "The bucket does not allow ACLs"
        ));
    }
    Ok(acl.starts_with(ObjectCannedACL::PUBLIC_READ))
}

/// `If-None-Match: *` on a key that is taken.
pub(super) fn must_be_new(
    bucket: &Bucket,
    key: &str,
    condition: Option<&ETagCondition>,
) -> S3Result<()> {
    let taken = bucket.objects.contains_key(key);
    if taken && condition.is_some_and(ETagCondition::is_any) {
        return Err(s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold"
        ));
    }
    Ok(())
}

impl ObjectOptions {
    pub(super) fn server_side_encryption(&self) -> ServerSideEncryption {
        let default = || ServerSideEncryption::AES256.to_owned();
        self.encryption.clone().unwrap_or_else(default).into()
    }
}

fn find_object<'a>(bucket: &'a Bucket, key: &str) -> S3Result<&'a Object> {
    let object = bucket.objects.get(key);
    object.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
}

/// Checksums are shown only to those who ask, as S3 does.
fn object_checksum(object: &Object, mode: Option<&ChecksumMode>) -> Checksum {
    match mode {
        Some(mode) if mode.as_str() == ChecksumMode::ENABLED => object.sums.clone(),
        _ => Checksum::default(),
    }
}

impl Buckets {
    pub(super) async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<PutObjectOutput> {
        let mut input = req.input;
        let options = self.with(&input.bucket, |bucket| {
            must_be_new(bucket, &input.key, input.if_none_match.as_ref())?;
            Ok(object_options!(bucket, input))
        })?;
        if input.content_length.is_some_and(|length| length > MAX_PUT) {
            return Err(s3_error!(
                EntityTooLarge,
                "Your proposed upload exceeds the maximum allowed size"
            ));
        }
        let claims = ClaimedChecksums {
            headers: &req.headers,
            trailers: req.trailing_headers.as_ref(),
        };
        let received = sums::receive(self.dir.path(), input.body.take(), claims, None).await?;
        let algorithm = received.algorithm.unwrap_or(sums::DEFAULT);
        let sum = sums::checksum_value(&received.checksums, algorithm)
            .cloned()
            .unwrap_or_default();
        let mut sums = sums::single_checksum(algorithm, sum);
        sums.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        let object = Object {
            content: received.content,
            etag: hex::encode(received.md5),
            sums,
            modified: now(),
            options,
        };
        let output = put_output(&object);
        self.with(&input.bucket, |bucket| {
            must_be_new(bucket, &input.key, input.if_none_match.as_ref())?;
            bucket.objects.insert(input.key, object);
            Ok(output)
        })
    }

    pub(super) fn get_object(
        &self,
        input: &GetObjectInput,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let object = self.with(&input.bucket, |bucket| {
            find_object(bucket, &input.key).cloned()
        })?;
        let size = object.content.size();
        let range = match &input.range {
            Some(range) => range.check(size).map_err(|_| s3_error!(InvalidRange))?,
            None => 0..size,
        };
        let length = range.end - range.start;
        let mut reader = object.content.reader();
        std::io::Seek::seek(&mut reader, std::io::SeekFrom::Start(range.start))
            .map_err(s3s::S3Error::internal_error)?;
        let mut output = get_output(
            &object,
            input
                .checksum_mode
                .as_ref()
                .filter(|_| input.range.is_none()),
        );
        output.body = Some(StreamingBlob::wrap(stream::iter(reader.chunks(length))));
        output.content_length = i64::try_from(length).ok();
        if input.range.is_none() {
            return Ok(S3Response::new(output));
        }
        output.content_range = Some(format!("bytes {}-{}/{size}", range.start, range.end - 1));
        Ok(S3Response::with_status(output, StatusCode::PARTIAL_CONTENT))
    }

    pub(super) fn head_object(&self, input: &HeadObjectInput) -> S3Result<HeadObjectOutput> {
        self.with(&input.bucket, |bucket| {
            let object = find_object(bucket, &input.key)?;
            let silent = self.hides_checksums.load(Ordering::Relaxed);
            let mode = input.checksum_mode.as_ref().filter(|_| !silent);
            Ok(head_output(object, mode))
        })
    }

    /// Deleting what is not there succeeds too, as in S3.
    pub(super) fn delete_object(
        &self,
        input: &DeleteObjectInput,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.with(&input.bucket, |bucket| {
            bucket.objects.remove(&input.key);
            let output = DeleteObjectOutput::default();
            Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
        })
    }

    pub(super) fn put_object_acl(&self, input: &PutObjectAclInput) -> S3Result<PutObjectAclOutput> {
        self.with(&input.bucket, |bucket| {
            let public = is_public_acl(bucket, input.acl.as_ref())?;
            find_object(bucket, &input.key)?;
            if let Some(object) = bucket.objects.get_mut(&input.key) {
                object.options.public = public;
            }
            Ok(PutObjectAclOutput::default())
        })
    }

    pub(super) fn list_objects(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let prefix = input.prefix.clone().unwrap_or_default();
        self.with(&input.bucket.clone(), |bucket| {
            let found = bucket
                .objects
                .iter()
                .filter(|(key, _)| key.starts_with(&prefix));
            let contents: Vec<_> = found
                .map(|(key, object)| listed_object(key, object))
                .collect();
            Ok(ListObjectsV2Output {
                name: Some(input.bucket),
                prefix: input.prefix,
                key_count: i32::try_from(contents.len()).ok(),
                is_truncated: Some(false),
                contents: Some(contents),
                ..ListObjectsV2Output::default()
            })
        })
    }
}

fn listed_object(key: &str, object: &Object) -> s3s::dto::Object {
    s3s::dto::Object {
        key: Some(key.to_owned()),
        size: i64::try_from(object.content.size()).ok(),
        e_tag: Some(strong_etag(&object.etag)),
        last_modified: Some(object.modified.clone()),
        ..s3s::dto::Object::default()
    }
}

fn put_output(object: &Object) -> PutObjectOutput {
    let sums = object.sums.clone();
    PutObjectOutput {
        e_tag: Some(strong_etag(&object.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        server_side_encryption: Some(object.options.server_side_encryption()),
        ssekms_key_id: object.options.kms_key_id.clone(),
        ..PutObjectOutput::default()
    }
}

fn head_output(object: &Object, mode: Option<&ChecksumMode>) -> HeadObjectOutput {
    let (sums, object_options) = (object_checksum(object, mode), &object.options);
    HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: i64::try_from(object.content.size()).ok(),
        content_type: object_options.content_type.clone(),
        e_tag: Some(strong_etag(&object.etag)),
        last_modified: Some(object.modified.clone()),
        metadata: object_options.metadata.clone(),
        storage_class: object_options.storage_class.clone().map(StorageClass::from),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        server_side_encryption: Some(object_options.server_side_encryption()),
        ssekms_key_id: object_options.kms_key_id.clone(),
        bucket_key_enabled: object_options.bucket_key,
        ..HeadObjectOutput::default()
    }
}

fn get_output(object: &Object, mode: Option<&ChecksumMode>) -> GetObjectOutput {
    let head = head_output(object, mode);
    GetObjectOutput {
        accept_ranges: head.accept_ranges,
        content_type: head.content_type,
        e_tag: head.e_tag,
        last_modified: head.last_modified,
        metadata: head.metadata,
        storage_class: head.storage_class,
        checksum_crc32: head.checksum_crc32,
        checksum_crc32c: head.checksum_crc32c,
        checksum_crc64nvme: head.checksum_crc64nvme,
        checksum_sha1: head.checksum_sha1,
        checksum_sha256: head.checksum_sha256,
        checksum_type: head.checksum_type,
        server_side_encryption: head.server_side_encryption,
        ssekms_key_id: head.ssekms_key_id,
        bucket_key_enabled: head.bucket_key_enabled,
        ..GetObjectOutput::default()
    }
}
