//! Alibaba Cloud's OSS: URLs, requests, and the CRC that every response is compared with.
//! `parse` reads the responses, `bucket` manages the bucket itself. Keys, their renewal and the
//! signature belong to the [`Signer`].

mod bucket;
mod parse;
mod url;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Checksum, Digest, Error, ErrorClass, ExpectedObject, Limits, ListedPart, ObjectInfo, Part,
    Result, SentPart, Store, UploadId, is_complete_object,
};
use crate::net::http::{Body, Http, Method, RESPONSE_TIMEOUT, Request, Response, is_last_page};
use crate::net::retry::{self, RetryPolicy};
pub use bucket::Bucket;
use parse::{InitiateResult, Parts, Uploads, crc64_header, parse_body, parse_error};
pub use url::{Addressing, OssObject};

/// OSS "Limits": 10,000 parts of 100 KB to 5 GB; 48.8 TB.
pub const LIMITS: Limits = Limits {
    min_part: 100 << 10,
    max_part: 5 << 30,
    max_parts: 10_000,
    max_object: 10_000 * (5 << 30),
    max_concurrency: 32,
};

/// Completing thousands of parts takes OSS a while.
const COMPLETE_TIMEOUT: Duration = Duration::from_mins(15);

/// Names and values, of a query or of headers.
pub type Pairs = Vec<(String, String)>;

/// A request before it is signed.
pub struct UnsignedRequest<'a> {
    /// The verb.
    pub method: &'a str,
    /// `/bucket/key`, whatever the address: what the signature is about.
    pub path: &'a str,
    /// All parameters.
    pub query: &'a [(String, String)],
    /// What is sent; names in lower case.
    pub headers: &'a [(String, String)],
}

/// Knows the caller's key.
pub trait Signer: Send + Sync + 'static {
    /// The headers that make it a signed request.
    fn sign<'a>(
        &'a self,
        request: &'a UnsignedRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Pairs>> + Send + 'a>>;

    /// The service calls the key expired: the next signature needs another one.
    fn credentials_expired(&self);
}

/// An object in OSS.
#[derive(Clone)]
pub struct Oss {
    http: Http,
    signer: Arc<dyn Signer>,
    object: OssObject,
    retry_policy: RetryPolicy,
}

/// One request about the bucket or the object.
struct Operation<'a> {
    method: Method,
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    timeout: Duration,
}

impl<'a> Operation<'a> {
    fn new(method: Method, key: &'a str, query: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            method,
            key,
            query,
            headers: &[],
            body: "",
            timeout: RESPONSE_TIMEOUT,
        }
    }
}

fn to_pairs(pairs: &[(&str, &str)]) -> Pairs {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

impl Oss {
    /// The object `place`.
    pub fn new(
        http: Http,
        signer: Arc<dyn Signer>,
        object: OssObject,
        retry_policy: RetryPolicy,
    ) -> Self {
        Self {
            http,
            signer,
            object,
            retry_policy,
        }
    }

    /// Signs and sends, once.
    async fn send(
        &self,
        operation: &Operation<'_>,
        body: Body,
        timeout: Option<Duration>,
    ) -> Result<Response> {
        let (query, mut headers) = (to_pairs(operation.query), to_pairs(operation.headers));
        let path = format!("/{}/{}", self.object.bucket, operation.key);
        let signature = self
            .signer
            .sign(&UnsignedRequest {
                method: operation.method.as_str(),
                path: &path,
                query: &query,
                headers: &headers,
            })
            .await?;
        headers.extend(signature);
        let call = Request {
            service: "oss",
            method: operation.method.clone(),
            url: self.object.url(operation.key, &query),
            headers,
            body,
            timeout,
            secret: false,
            direct: false,
        };
        let answer = self.http.send(call).await;
        let answer = answer.map_err(|silence| Error::no_response(silence.to_string()))?;
        if answer.is_success() {
            return Ok(answer);
        }
        let error = parse_error(&answer);
        if error.class() == ErrorClass::ExpiredCredentials {
            self.signer.credentials_expired();
        }
        Err(error)
    }

    /// A small request, tried again while that may help.
    async fn call(&self, ask: Operation<'_>) -> Result<Response> {
        self.call_and_parse(ask, Ok).await
    }

    /// The same, until the answer can be read, too.
    async fn call_and_parse<T>(
        &self,
        operation: Operation<'_>,
        parse: impl Fn(Response) -> Result<T>,
    ) -> Result<T> {
        let send_once = async || {
            let body = match operation.body {
                "" => Body::Empty,
                text => Body::Document(text.to_owned().into()),
            };
            let sent = self.send(&operation, body, Some(operation.timeout)).await;
            sent.and_then(&parse)
        };
        // A small request has no bytes to read again.
        let class = |error: &Error| match error.class() {
            ErrorClass::ChecksumMismatch => ErrorClass::Permanent,
            class => class,
        };
        let on_retry = |error: &Error, class, delay| retry::log("oss", error, class, delay);
        retry::call(self.retry_policy, send_once, class, on_retry).await
    }

    async fn complete_once(
        &self,
        upload: &UploadId,
        parts: &[SentPart],
        expected: &ExpectedObject,
    ) -> Result<()> {
        let list = parse::completion_body(parts)?;
        let query = [("uploadId", upload.0.as_str())];
        let answer = self
            .call(Operation {
                headers: &[("content-type", "application/xml")],
                body: &list,
                timeout: COMPLETE_TIMEOUT,
                ..Operation::new(Method::POST, &self.object.key, &query)
            })
            .await?;
        let (remote, local) = (crc64_header(&answer), expected.digest);
        if remote.is_none() || local.is_none() || remote == local {
            return Ok(());
        }
        // An object of other bytes than the image's is nothing to import.
        let deleted = if self.delete().await.is_ok() {
            "; it was deleted"
        } else {
            ""
        };
        Err(Error::other(format!(
            "the object that OSS made has another CRC-64 than the image{deleted}"
        ))
        .with_request_id(answer.request_id()))
    }

    async fn list_page<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<T> {
        self.call_and_parse(Operation::new(Method::GET, key, query), |answer| {
            parse_body(&answer)
        })
        .await
    }
}

impl Store for Oss {
    fn checksum(&self) -> Checksum {
        Checksum::Crc64Ecma
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn retry_policy(&self) -> RetryPolicy {
        self.retry_policy
    }

    async fn create_upload(&self) -> Result<UploadId> {
        let operation = Operation {
            headers: &[("content-type", "application/octet-stream")],
            ..Operation::new(Method::POST, &self.object.key, &[("uploads", "")])
        };
        let answer = self
            .send(&operation, Body::Empty, Some(operation.timeout))
            .await?;
        let upload = UploadId::read(parse_body::<InitiateResult>(&answer)?.upload_id);
        upload.ok_or_else(|| Error::response(200, None, "the answer names no upload"))
    }

    async fn upload_part(&self, upload: &UploadId, part: Part) -> Result<SentPart> {
        let number = part.number.to_string();
        let query = [
            ("partNumber", number.as_str()),
            ("uploadId", upload.0.as_str()),
        ];
        let operation = Operation::new(Method::PUT, &self.object.key, &query);
        // The engine watches the bytes: how long they may take follows from the line.
        let body = Body::Stream(reqwest::Body::wrap(part.body()));
        let answer = self.send(&operation, body, None).await?;
        if crc64_header(&answer).is_some_and(|remote| remote != part.digest) {
            let message = "the bytes that arrived have another CRC-64 than those that were sent";
            return Err(Error::other(message)
                .with_request_id(answer.request_id())
                .with_class(ErrorClass::ChecksumMismatch));
        }
        let etag = answer
            .header("etag")
            .ok_or_else(|| Error::response(200, None, "the answer carries no ETag"))?;
        Ok(SentPart {
            number: part.number,
            size: part.bytes.len() as u64,
            etag: etag.to_owned(),
            digest: part.digest,
        })
    }

    async fn list_parts(&self, upload: &UploadId) -> Result<Option<Vec<ListedPart>>> {
        let (mut parts, mut marker) = (Vec::new(), "0".to_owned());
        for number in 1.. {
            let query = [
                ("max-parts", "1000"),
                ("part-number-marker", marker.as_str()),
                ("uploadId", upload.0.as_str()),
            ];
            let page: Parts = match self.list_page(&self.object.key, &query).await {
                Ok(page) => page,
                Err(error) if error.class() == ErrorClass::NoSuchUpload => return Ok(None),
                Err(error) => return Err(error),
            };
            parts.extend(page.parts.into_iter().map(ListedPart::from));
            match page.next {
                Some(next) if page.truncated && next != marker && !is_last_page(number) => {
                    marker = next;
                }
                _ => break,
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok(Some(parts))
    }

    /// Newest first.
    async fn open_uploads(&self) -> Result<Vec<UploadId>> {
        let (mut uploads, mut markers) = (Vec::new(), (String::new(), String::new()));
        for number in 1.. {
            let mut query = vec![("uploads", ""), ("prefix", self.object.key.as_str())];
            if !markers.0.is_empty() {
                query.push(("key-marker", &markers.0));
                query.push(("upload-id-marker", &markers.1));
            }
            let page: Uploads = self.list_page("", &query).await?;
            let own = page.uploads.into_iter();
            uploads.extend(own.filter(|upload| upload.key == self.object.key));
            let next = (page.next_key, page.next_upload);
            if !page.truncated || next == markers || is_last_page(number) {
                break;
            }
            markers = next;
        }
        uploads.sort_by(|a, b| b.initiated.cmp(&a.initiated));
        Ok(uploads
            .into_iter()
            .filter_map(|upload| UploadId::read(upload.upload_id))
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
        let query = [("uploadId", upload.0.as_str())];
        match self
            .call(Operation::new(Method::DELETE, &self.object.key, &query))
            .await
        {
            Err(error) if error.class() != ErrorClass::NoSuchUpload => Err(error),
            _ => Ok(()),
        }
    }

    async fn object_info(&self) -> Result<Option<ObjectInfo>> {
        // OSS's own answer names the request; a page of somebody in between is no object.
        let own = |answer: Response| match answer.request_id() {
            Some(_) => Ok(answer),
            None => Err(Error::other("the answer is not OSS's").with_class(ErrorClass::Transient)),
        };
        match self
            .call_and_parse(Operation::new(Method::HEAD, &self.object.key, &[]), own)
            .await
        {
            Ok(answer) => Ok(Some(ObjectInfo {
                size: answer
                    .header("content-length")
                    .and_then(|length| length.parse().ok())
                    .unwrap_or_default(),
                digest: crc64_header(&answer),
                etag: answer
                    .header("etag")
                    .map(|etag| etag.trim_matches('"').to_owned()),
            })),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self) -> Result<()> {
        match self
            .call(Operation::new(Method::DELETE, &self.object.key, &[]))
            .await
        {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }
}

/// The digest of an answer: decimal, of the part or of the whole.
impl From<parse::ListedPart> for ListedPart {
    fn from(part: parse::ListedPart) -> Self {
        let crc = part.crc.map(Digest::Crc64Ecma);
        Self {
            number: part.number,
            size: part.size,
            digest: crc.or_else(|| Digest::from_etag(&part.etag)),
            etag: part.etag,
        }
    }
}
