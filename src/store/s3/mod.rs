//! AWS S3 and DigitalOcean Spaces over the AWS SDK: what each call sends, and what its response
//! means. The recipes create the client with region, credentials, endpoint and path style.
//!
//! Timeouts. A part has only a connect timeout: the time that it may take depends on its size
//! and the network, and the engine cancels the call when no byte has moved for a while. The SDK
//! completes a client's missing timeouts from those of the client that it was created from, so
//! each of the others is disabled by name. hyper closes the connection once the few frames that
//! it had buffered are written, or TCP gives up. The SDK's own stalled-stream protection is off
//! for parts (it watches the body's frames, too, but does not support `--limit-rate`), and so
//! are its retries, because two nested loops would multiply them.

mod parse;
mod payload;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{
    IdentityCache, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig, retry::RetryConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime, SdkBody};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
    ObjectCannedAcl, ServerSideEncryption,
};

use super::{
    Checksum, Digest, Error, ErrorClass, ExpectedObject, Limits, ListedPart, ObjectInfo, Part,
    Result, SentPart, Store, UploadId, is_complete_object,
};
use crate::net::http::is_last_page;
use crate::net::retry::RetryPolicy;
use crate::net::sdk_http::connect_timeout_only;
use parse::{listed_part, parse_error, parts_from_renamed_root};
use payload::PayloadHash;

/// S3 user guide, "Amazon S3 multipart upload limits": 10,000 parts of 5 MiB to 5 GiB; 48.8 TiB.
pub const AWS_LIMITS: Limits = Limits {
    min_part: 5 << 20,
    max_part: 5 << 30,
    max_parts: 10_000,
    max_object: 10_000 * (5 << 30),
    max_concurrency: 32,
};

/// Spaces limits (docs.digitalocean.com/products/spaces/details/limits): objects up to 5 TB,
/// ten requests at once for one object.
pub const SPACES_LIMITS: Limits = Limits {
    min_part: 5 << 20,
    max_part: 5_000_000_000,
    max_parts: 10_000,
    max_object: 5_000_000_000_000,
    max_concurrency: 10,
};

/// For one try of a small call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);

/// Completing thousands of parts "could take several minutes" (API reference, CompleteMultipartUpload).
const COMPLETE_ATTEMPT_TIMEOUT: Duration = Duration::from_mins(15);

/// Which service speaks S3 here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// CRC64NVME of every part and of the whole object.
    Aws,
    /// Content-MD5 of every part; no `x-amz-checksum-*`, no trailers.
    Spaces,
}

/// How the object is encrypted at rest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Encryption {
    /// `AES256`.
    Aes256,
    /// `aws:kms`, with the account's default key or this one.
    Kms(Option<String>),
}

/// Which object, and how it is to lie there.
#[derive(Clone, Debug)]
pub struct S3Object {
    /// The bucket or Space.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The dialect.
    pub dialect: Dialect,
    /// `None`: as the bucket does.
    pub encryption: Option<Encryption>,
    /// ACL `public-read`; otherwise no ACL is sent (buckets since 2023 refuse any).
    pub public_read: bool,
    /// The account that must own the bucket.
    pub owner: Option<String>,
    /// Hash each part's bytes into the signature: see [`must_sign`].
    pub sign_payload: bool,
}

/// Whether payloads must be signed: over plain HTTP to another machine. TLS protects
/// the bytes already, and on loopback nobody is in between.
pub fn must_sign_payload(endpoint: Option<&str>) -> bool {
    let Some(uri) = endpoint.and_then(|url| url.parse::<http::Uri>().ok()) else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    uri.scheme_str() == Some("http") && !loopback
}

/// An object in S3 or Spaces.
pub struct S3 {
    clients: Mutex<S3Clients>,
    object: S3Object,
}

/// Names in a bucket, the newest first.
#[derive(Debug, Default)]
pub struct KeyListing {
    /// Of objects.
    pub objects: Vec<String>,
    /// Of unfinished uploads.
    pub uploads: Vec<String>,
}

/// Cheap to clone: clones share credentials and connections.
#[derive(Clone)]
struct S3Clients {
    small: Client,
    parts: Client,
    /// The number of times that the credentials were requested again.
    renewals: u32,
}

impl S3Clients {
    /// The same, with credentials yet to be fetched.
    fn reconnected(&self) -> Self {
        let cache = IdentityCache::lazy().build();
        let fresh = |client: &Client| {
            let config = client.config().to_builder();
            Client::from_conf(config.identity_cache(cache.clone()).build())
        };
        Self {
            small: fresh(&self.small),
            parts: fresh(&self.parts),
            renewals: self.renewals + 1,
        }
    }
}

impl S3 {
    /// The object `place`, through `client`'s credentials, region and connections.
    pub fn new(client: &Client, object: S3Object) -> Self {
        let base = client
            .config()
            .to_builder()
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let small = base.clone().timeout_config(
            connect_timeout_only()
                .into_builder()
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        );
        let parts = base
            .timeout_config(connect_timeout_only())
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let clients = S3Clients {
            small: Client::from_conf(small.build()),
            parts: Client::from_conf(parts.build()),
            renewals: 0,
        };
        Self {
            clients: Mutex::new(clients),
            object,
        }
    }

    fn clients(&self) -> S3Clients {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, S3Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service's words. Credentials that it calls expired are not used again: the
    /// SDK would keep them until the end that they were said to have.
    fn to_error<E>(&self, used: &S3Clients, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let error = parse_error(error);
        let mut clients = self.lock();
        if error.class() == ErrorClass::ExpiredCredentials && clients.renewals == used.renewals {
            *clients = clients.reconnected();
        }
        error
    }

    /// An address from which anybody can get the object for this long.
    pub async fn presigned(&self, life: Duration) -> Result<String> {
        let life =
            PresigningConfig::expires_in(life).map_err(|error| Error::other(error.to_string()))?;
        let call = self
            .clients()
            .small
            .get_object()
            .bucket(&self.object.bucket)
            .key(&self.object.key);
        let request = call.presigned(life).await.map_err(parse_error)?;
        Ok(request.uri().to_owned())
    }

    /// Lets everybody read the object, or nobody but its owner: PutObjectAcl.
    pub async fn set_public(&self, public: bool) -> Result<()> {
        let acl = if public {
            ObjectCannedAcl::PublicRead
        } else {
            ObjectCannedAcl::Private
        };
        let clients = self.clients();
        let call = clients
            .small
            .put_object_acl()
            .bucket(&self.object.bucket)
            .key(&self.object.key)
            .set_expected_bucket_owner(self.object.owner.clone())
            .acl(acl);
        let sent = call.send().await;
        sent.map(drop)
            .map_err(|error| self.to_error(&clients, error))
    }

    /// The objects and the unfinished uploads whose names begin like this.
    pub async fn list_prefix(&self, prefix: &str) -> Result<KeyListing> {
        let clients = self.clients();
        let (bucket, owner) = (&self.object.bucket, &self.object.owner);
        let mut objects = Vec::new();
        let mut pages = clients
            .small
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_expected_bucket_owner(owner.clone())
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let found = page.map_err(parse_error)?.contents.unwrap_or_default();
            objects.extend(found.into_iter().map(|one| (one.last_modified, one.key)));
        }
        let call = clients
            .small
            .list_multipart_uploads()
            .bucket(bucket)
            .prefix(prefix)
            .set_expected_bucket_owner(owner.clone());
        let page = call.send().await.map_err(parse_error)?;
        let uploads = page.uploads.unwrap_or_default().into_iter();
        Ok(KeyListing {
            objects: newest_first(objects),
            uploads: newest_first(uploads.map(|one| (one.initiated, one.key)).collect()),
        })
    }

    fn create_upload_request(&self, clients: &S3Clients) -> CreateMultipartUploadFluentBuilder {
        let object = &self.object;
        let mut call = clients
            .small
            .create_multipart_upload()
            .bucket(&object.bucket)
            .key(&object.key)
            .content_type("application/octet-stream")
            .set_expected_bucket_owner(object.owner.clone())
            .set_acl(object.public_read.then_some(ObjectCannedAcl::PublicRead));
        if object.dialect == Dialect::Aws {
            call = call
                .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
                .checksum_type(ChecksumType::FullObject);
        }
        match &object.encryption {
            None => call,
            Some(Encryption::Aes256) => call.server_side_encryption(ServerSideEncryption::Aes256),
            Some(Encryption::Kms(key)) => call
                .server_side_encryption(ServerSideEncryption::AwsKms)
                .set_ssekms_key_id(key.clone()),
        }
    }

    async fn complete_once(
        &self,
        upload: &UploadId,
        parts: &[SentPart],
        expected: &ExpectedObject,
    ) -> Result<()> {
        let object = &self.object;
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(parts.iter().map(completed_part).collect()))
            .build();
        let clients = self.clients();
        let mut call = clients
            .small
            .complete_multipart_upload()
            .bucket(&object.bucket)
            .key(&object.key)
            .upload_id(&upload.0)
            .set_expected_bucket_owner(object.owner.clone())
            .multipart_upload(parts);
        if let (Dialect::Aws, Some(digest)) = (object.dialect, expected.digest) {
            call = call
                .checksum_crc64_nvme(digest.base64())
                .checksum_type(ChecksumType::FullObject)
                .mpu_object_size(i64::try_from(expected.size).unwrap_or(i64::MAX));
        }
        // The answer may trickle blanks for minutes, which the SDK would take for a stall.
        let patient = aws_sdk_s3::config::Builder::new()
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(
                connect_timeout_only()
                    .into_builder()
                    .operation_attempt_timeout(COMPLETE_ATTEMPT_TIMEOUT)
                    .build(),
            );
        call.customize()
            .config_override(patient)
            .send()
            .await
            .map(drop)
            .map_err(|error| self.to_error(&clients, error))
    }
}

impl Store for S3 {
    fn checksum(&self) -> Checksum {
        if self.object.dialect == Dialect::Aws {
            Checksum::Crc64Nvme
        } else {
            Checksum::Md5
        }
    }

    fn limits(&self) -> Limits {
        if self.object.dialect == Dialect::Aws {
            AWS_LIMITS
        } else {
            SPACES_LIMITS
        }
    }

    /// As the client was made, whose first try counts.
    fn retry_policy(&self) -> RetryPolicy {
        let clients = self.clients();
        let attempts = clients.small.config().retry_config();
        RetryPolicy::with_retries(attempts.map(|config| config.max_attempts().saturating_sub(1)))
    }

    async fn create_upload(&self) -> Result<UploadId> {
        let (clients, once) = (self.clients(), RetryConfig::disabled());
        let once = aws_sdk_s3::config::Builder::new().retry_config(once);
        let call = self
            .create_upload_request(&clients)
            .customize()
            .config_override(once);
        let answer = call.send().await;
        let answer = answer.map_err(|error| self.to_error(&clients, error))?;
        answer
            .upload_id
            .and_then(UploadId::read)
            .ok_or_else(|| Error::response(200, None, "the answer names no upload"))
    }

    async fn upload_part(&self, upload: &UploadId, part: Part) -> Result<SentPart> {
        let clients = self.clients();
        let mut call = clients
            .parts
            .upload_part()
            .bucket(&self.object.bucket)
            .key(&self.object.key)
            .upload_id(&upload.0)
            .part_number(part.number.cast_signed())
            .content_length(i64::try_from(part.bytes.len()).unwrap_or(i64::MAX))
            .set_expected_bucket_owner(self.object.owner.clone());
        call = match part.digest {
            Digest::Crc64Nvme(_) => call.checksum_crc64_nvme(part.digest.base64()),
            Digest::Md5(_) => call.content_md5(part.digest.base64()),
            Digest::Crc64Ecma(_) => return Err(Error::other("S3 knows no CRC-64/XZ")),
        };
        let body = ByteStream::new(SdkBody::from_body_1_x(part.body()));
        let call = call.body(body).customize();
        let call = if self.object.sign_payload {
            call.interceptor(PayloadHash::new(&part.bytes))
        } else {
            call.disable_payload_signing()
        };
        let sent = call.send().await;
        let etag = sent
            .map_err(|error| self.to_error(&clients, error))?
            .e_tag
            .ok_or_else(|| Error::response(200, None, "the answer carries no ETag"))?;
        Ok(SentPart {
            number: part.number,
            size: part.bytes.len() as u64,
            etag,
            digest: part.digest,
        })
    }

    async fn list_parts(&self, upload: &UploadId) -> Result<Option<Vec<ListedPart>>> {
        let mut pages = self
            .clients()
            .small
            .list_parts()
            .bucket(&self.object.bucket)
            .key(&self.object.key)
            .upload_id(&upload.0)
            .set_expected_bucket_owner(self.object.owner.clone())
            .into_paginator()
            .send();
        let (mut parts, mut number) = (Vec::new(), 0);
        while let Some(page) = pages.next().await {
            number += 1;
            let error = match page {
                Ok(page) => {
                    let all = page.parts().iter();
                    parts.extend(all.filter_map(|part| listed_part(part, self.checksum())));
                    if is_last_page(number) {
                        break;
                    }
                    continue;
                }
                Err(error) => error,
            };
            if let Some(all) = parts_from_renamed_root(&error) {
                parts.extend(all);
                break;
            }
            match parse_error(error) {
                error if error.class() == ErrorClass::NoSuchUpload => return Ok(None),
                error => return Err(error),
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok(Some(parts))
    }

    /// Newest first.
    async fn open_uploads(&self) -> Result<Vec<UploadId>> {
        let (mut uploads, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        for number in 1.. {
            let page = self
                .clients()
                .small
                .list_multipart_uploads()
                .bucket(&self.object.bucket)
                .prefix(&self.object.key)
                .set_expected_bucket_owner(self.object.owner.clone())
                .set_key_marker(key_marker.take())
                .set_upload_id_marker(id_marker.take())
                .send()
                .await
                .map_err(parse_error)?;
            uploads.extend(
                page.uploads()
                    .iter()
                    .filter(|one| one.key() == Some(self.object.key.as_str()))
                    .cloned(),
            );
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
            let is_last = page.is_truncated != Some(true) || key_marker.is_none();
            if is_last || is_last_page(number) {
                break;
            }
        }
        uploads.sort_by_key(|one| std::cmp::Reverse(one.initiated));
        Ok(uploads
            .into_iter()
            .filter_map(|one| one.upload_id.and_then(UploadId::read))
            .collect())
    }

    async fn complete(
        &self,
        upload: &UploadId,
        parts: &[SentPart],
        expected: &ExpectedObject,
    ) -> Result<()> {
        let Err(error) = self.complete_once(upload, parts, expected).await else {
            return Ok(());
        };
        // An earlier try may have been done although its answer was lost.
        let unsure = error.class() == ErrorClass::NoSuchUpload || error.is_unknown_outcome();
        match self.object_info().await {
            Ok(Some(head)) if unsure && is_complete_object(&head, parts, expected) => Ok(()),
            _ => Err(error),
        }
    }

    async fn abort(&self, upload: &UploadId) -> Result<()> {
        let call = self
            .clients()
            .small
            .abort_multipart_upload()
            .bucket(&self.object.bucket)
            .key(&self.object.key);
        let call = call
            .upload_id(&upload.0)
            .set_expected_bucket_owner(self.object.owner.clone());
        match call.send().await.map_err(parse_error) {
            Err(error) if error.class() != ErrorClass::NoSuchUpload => Err(error),
            _ => Ok(()),
        }
    }

    async fn object_info(&self) -> Result<Option<ObjectInfo>> {
        let call = self
            .clients()
            .small
            .head_object()
            .bucket(&self.object.bucket)
            .key(&self.object.key);
        let mode = (self.object.dialect == Dialect::Aws).then_some(ChecksumMode::Enabled);
        let call = call
            .set_checksum_mode(mode)
            .set_expected_bucket_owner(self.object.owner.clone());
        match call.send().await.map_err(parse_error) {
            Ok(head) => Ok(Some(ObjectInfo {
                size: head
                    .content_length
                    .and_then(|size| u64::try_from(size).ok())
                    .unwrap_or_default(),
                digest: head.checksum_crc64_nvme().and_then(Digest::from_crc64nvme),
                etag: head.e_tag().map(|etag| etag.trim_matches('"').to_owned()),
            })),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self) -> Result<()> {
        let call = self
            .clients()
            .small
            .delete_object()
            .bucket(&self.object.bucket)
            .key(&self.object.key);
        match call
            .set_expected_bucket_owner(self.object.owner.clone())
            .send()
            .await
            .map_err(parse_error)
        {
            Err(error) if error.code() != Some("NoSuchKey") => Err(error),
            _ => Ok(()),
        }
    }
}

fn newest_first(mut named: Vec<(Option<DateTime>, Option<String>)>) -> Vec<String> {
    named.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    named.into_iter().filter_map(|(_, name)| name).collect()
}

fn completed_part(part: &SentPart) -> CompletedPart {
    let crc = matches!(part.digest, Digest::Crc64Nvme(_)).then(|| part.digest.base64());
    CompletedPart::builder()
        .part_number(part.number.cast_signed())
        .e_tag(&part.etag)
        .set_checksum_crc64_nvme(crc)
        .build()
}
