//! Whole objects: put, get, head and delete.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::buckets::{Bucket, Object, ObjectOptions, Oss};
use super::{Answer, Failure, OssRequest, answers};
use crate::alibaba::moment;
use crate::content::Content;
use crate::serve::Body;

/// The most a single PUT may carry.
const MAX_PUT: u64 = 5 << 30;

impl Oss {
    pub(super) async fn put_object(&self, ask: &OssRequest<'_>, body: &mut Body) -> Answer {
        let options = ObjectOptions::from_headers(ask);
        self.with_bucket(ask.bucket, |bucket| bucket.check_new(ask.key, &options))?;
        let length = ask
            .header("content-length")
            .and_then(|length| length.parse().ok());
        if length.is_some_and(|length: u64| length > MAX_PUT) {
            let text = "Your proposed upload exceeds the maximum allowed object size.";
            return Err(Failure::new(400, "EntityTooLarge", text));
        }
        let received = self.receive(ask, body).await?;
        let object = Object::new(received, options);
        let mut response = answers::empty(200);
        write_sums(&mut response, &object.etag, object.crc64);
        self.with_bucket(ask.bucket, |bucket| {
            bucket.check_new(ask.key, &object.options)?;
            bucket.objects.insert(ask.key.to_owned(), object);
            Ok(response)
        })
    }

    pub(super) fn head_object(&self, ask: &OssRequest<'_>) -> Answer {
        let object = self.existing(ask)?;
        let mut response = answers::empty(200);
        object.write_headers(&mut response);
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, object.content.size().into());
        Ok(response)
    }

    pub(super) fn get_object(&self, ask: &OssRequest<'_>) -> Answer {
        let object = self.existing(ask)?;
        let size = object.content.size();
        let range = ask.header("range").and_then(|range| range_of(range, size));
        let (start, len) = range.unwrap_or((0, size));
        let mut response = answers::empty(if range.is_some() { 206 } else { 200 });
        object.write_headers(&mut response);
        response.headers_mut().insert(CONTENT_LENGTH, len.into());
        if range.is_some() {
            let last = (start + len).saturating_sub(1);
            answers::set_header(
                &mut response,
                "content-range",
                &format!("bytes {start}-{last}/{size}"),
            );
        }
        *response.body_mut() = body(&object.content, start, len);
        Ok(response)
    }

    fn existing(&self, ask: &OssRequest<'_>) -> Result<Object, Failure> {
        self.with_bucket(ask.bucket, |bucket| {
            let text = "The specified key does not exist.";
            let missing = || Failure::new(404, "NoSuchKey", text).with("Key", ask.key);
            bucket.objects.get(ask.key).cloned().ok_or_else(missing)
        })
    }

    /// Deleting what is not there succeeds too.
    pub(super) fn delete_object(&self, ask: &OssRequest<'_>) -> Answer {
        self.with_bucket(ask.bucket, |bucket| {
            bucket.objects.remove(ask.key);
            Ok(answers::empty(204))
        })
    }
}

impl Bucket {
    pub(super) fn check_new(&self, key: &str, options: &ObjectOptions) -> Result<(), Failure> {
        if options.forbid_overwrite && self.objects.contains_key(key) {
            let text = "The object you specified already exists and can not be overwritten.";
            return Err(Failure::new(409, "FileAlreadyExists", text));
        }
        Ok(())
    }
}

impl ObjectOptions {
    pub(super) fn from_headers(ask: &OssRequest<'_>) -> Self {
        let owned = |name: &str| ask.header(name).map(str::to_owned);
        Self {
            content_type: owned("content-type"),
            acl: owned("x-oss-object-acl"),
            storage_class: owned("x-oss-storage-class"),
            encryption: owned("x-oss-server-side-encryption"),
            metadata: metadata(&ask.head.headers),
            forbid_overwrite: ask.flag("x-oss-forbid-overwrite"),
        }
    }
}

fn metadata(headers: &HeaderMap) -> BTreeMap<String, String> {
    let own = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-oss-meta-"));
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    own.map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

impl Object {
    fn write_headers(&self, response: &mut Response<Body>) {
        let options = &self.options;
        write_sums(response, &self.etag, self.crc64);
        answers::set_header(response, "last-modified", &moment::http(self.modified));
        answers::set_header(response, "accept-ranges", "bytes");
        answers::set_header(response, "x-oss-object-type", self.kind);
        let class = options.storage_class.as_deref().unwrap_or("Standard");
        answers::set_header(response, "x-oss-storage-class", class);
        if let Some(encryption) = &options.encryption {
            answers::set_header(response, "x-oss-server-side-encryption", encryption);
        }
        let kind = options
            .content_type
            .as_deref()
            .unwrap_or("application/octet-stream");
        let headers = response.headers_mut();
        headers.extend(
            HeaderValue::from_str(kind)
                .ok()
                .map(|kind| (CONTENT_TYPE, kind)),
        );
        for (name, value) in &options.metadata {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            {
                headers.insert(name, value);
            }
        }
    }
}

pub(super) fn write_sums(response: &mut Response<Body>, etag: &str, crc64: u64) {
    answers::set_header(response, "etag", &format!("\"{etag}\""));
    answers::set_header(response, "x-oss-hash-crc64ecma", &crc64.to_string());
}

fn body(content: &Content, start: u64, len: u64) -> Body {
    let mut reader = content.reader();
    let _within = std::io::Seek::seek(&mut reader, std::io::SeekFrom::Start(start));
    let chunks = stream::iter(reader.chunks(len));
    Body::http_body(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))))
}

/// The start and length of `bytes=a-b`; an unusable range is ignored, as OSS does.
fn range_of(range: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
        (Some(first), last) => (
            first,
            last.map_or(size, |last| last.saturating_add(1).min(size)),
        ),
        (None, Some(last)) => (size.saturating_sub(last), size),
        (None, None) => return None,
    };
    (start < end).then(|| (start, end - start))
}
