//! OSS in its native protocol, addressed by path or by host (`bucket.localhost`). The
//! region of a request is the one it is signed for.

mod answers;
mod buckets;
mod calls;
mod multipart;
mod objects;
mod place;
mod receive;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::BodyExt;

pub use self::buckets::{ObjectView, Oss, PartView, UploadView};

use self::place::ObjectPath;
use super::canonical::{header, pairs};
use super::keys::Keyring;
use super::oss4::{self, Caller};
use crate::desk::Detail;
use crate::fault::ApiError;
use crate::serve::{Body, Service};

pub(super) type Answer = Result<Response<Body>, Failure>;

/// A refusal, with what OSS's error document says beyond code and message.
#[derive(Debug)]
pub(super) struct Failure {
    error: ApiError,
    ec: Option<&'static str>,
    more: Vec<(&'static str, String)>,
}

impl Failure {
    pub(super) fn new(status: u16, code: &str, message: &str) -> Self {
        Self {
            error: ApiError::new(status, code, message),
            ec: None,
            more: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.more.push((name, value.to_owned()));
        self
    }

    /// Another EC than the code's usual one.
    pub(super) fn ec(mut self, ec: &'static str) -> Self {
        self.ec = Some(ec);
        self
    }
}

pub(super) fn internal(err: &std::io::Error) -> Failure {
    Failure::new(
        500,
        "InternalError",
        &format!("We encountered an internal error: {err}"),
    )
}

/// The protocol over the buckets.
pub(super) struct Storage {
    pub(super) oss: Oss,
    pub(super) keys: Keyring,
}

/// A genuine request: where it points, and its query.
struct OssRequest<'a> {
    head: &'a Parts,
    region: String,
    bucket: &'a str,
    key: &'a str,
    query: Vec<(String, String)>,
}

impl OssRequest<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.iter();
        let value = pairs.find(|(known, _)| known == name)?.1.as_str();
        Some(value).filter(|value| !value.is_empty())
    }

    fn number<T: std::str::FromStr>(&self, name: &'static str, default: T) -> Result<T, Failure> {
        match self.parameter(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| {
                Failure::new(400, "InvalidArgument", &format!("{name} must be a number."))
                    .with("ArgumentName", name)
                    .with("ArgumentValue", value)
            }),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }

    fn flag(&self, name: &str) -> bool {
        self.header(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl Service for Storage {
    const NAMED_IN_BODY: bool = false;

    fn describe(&self, head: &Parts, _body: &Bytes) -> (String, Detail) {
        let place = ObjectPath::from_request(head);
        let operation = operation(head, &place).unwrap_or("Unknown");
        (format!("oss:{operation}"), detail(head, place))
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let answer = self.perform(&head, &mut body).await;
        if answer.is_err() {
            // A client still sending would never read the refusal.
            while let Some(Ok(_)) = body.frame().await {}
        }
        let is_head = head.method == Method::HEAD;
        answers::with_request_id(
            answer.unwrap_or_else(|failure| answers::error_response(&failure, is_head)),
        )
    }

    /// It may be a HEAD, whose error is in a header.
    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        let failure = Failure {
            error: refusal.clone(),
            ec: None,
            more: Vec::new(),
        };
        answers::with_request_id(answers::error_response(&failure, true))
    }
}

impl Storage {
    async fn perform(&self, head: &Parts, body: &mut Body) -> Answer {
        let place = ObjectPath::from_request(head);
        let Caller { region } = oss4::verify(head, &place.resource(), &self.keys)?;
        let operation = operation(head, &place).ok_or_else(|| {
            Failure::new(
                501,
                "NotImplemented",
                "A header or query you provided requests a function that is not implemented.",
            )
        })?;
        let ask = OssRequest {
            head,
            region,
            bucket: &place.bucket,
            key: &place.key,
            query: pairs(head.uri.query().unwrap_or_default()),
        };
        self.check(&ask, operation)?;
        match operation {
            "ListBuckets" => Ok(self.oss.list_buckets(&ask)),
            "PutBucket" => self.oss.put_bucket(&ask, body).await,
            "DeleteBucket" => self.oss.delete_bucket(&ask),
            "HeadBucket" => Ok(answers::empty(200)),
            "GetBucketInfo" => self.oss.bucket_info(&ask),
            "GetBucketLocation" => self.oss.bucket_location(&ask),
            "GetBucketAcl" => self.oss.bucket_acl(&ask),
            "ListMultipartUploads" => self.oss.list_uploads(&ask),
            "PutObject" => self.oss.put_object(&ask, body).await,
            "GetObject" => self.oss.get_object(&ask),
            "HeadObject" | "GetObjectMeta" => self.oss.head_object(&ask),
            "DeleteObject" => self.oss.delete_object(&ask),
            "InitiateMultipartUpload" => self.oss.initiate(&ask),
            "UploadPart" => self.oss.upload_part(&ask, body).await,
            "ListParts" => self.oss.list_parts(&ask),
            "CompleteMultipartUpload" => self.oss.complete(&ask, body).await,
            _ => self.oss.abort(&ask),
        }
    }

    /// The bucket is there, the caller's, and in the endpoint's region.
    fn check(&self, ask: &OssRequest<'_>, operation: &str) -> Result<(), Failure> {
        if !["ListBuckets", "PutBucket"].contains(&operation) {
            self.oss.check_access(ask.bucket, &ask.region)?;
        }
        if !ask.key.is_empty() && (ask.key.len() > 1023 || ask.key.starts_with(['/', '\\'])) {
            let text = "The specified object is not valid.";
            return Err(Failure::new(400, "InvalidObjectName", text));
        }
        Ok(())
    }
}

/// The operation as OSS's documentation calls it.
fn operation(head: &Parts, place: &ObjectPath) -> Option<&'static str> {
    let query = pairs(head.uri.query().unwrap_or_default());
    let has = |name: &str| query.iter().any(|(known, _)| known == name);
    let method = head.method.as_str();
    Some(match (method, place.level()) {
        ("GET", 0) => "ListBuckets",
        ("PUT", 1) if !has("acl") => "PutBucket",
        ("DELETE", 1) => "DeleteBucket",
        ("HEAD", 1) => "HeadBucket",
        ("GET", 1) if has("bucketInfo") => "GetBucketInfo",
        ("GET", 1) if has("location") => "GetBucketLocation",
        ("GET", 1) if has("acl") => "GetBucketAcl",
        ("GET", 1) if has("uploads") => "ListMultipartUploads",
        ("PUT", 2) if has("uploadId") => "UploadPart",
        ("GET", 2) if has("uploadId") => "ListParts",
        ("POST", 2) if has("uploadId") => "CompleteMultipartUpload",
        ("DELETE", 2) if has("uploadId") => "AbortMultipartUpload",
        ("POST", 2) if has("uploads") => "InitiateMultipartUpload",
        ("HEAD", 2) if has("objectMeta") => "GetObjectMeta",
        ("PUT", 2) if !has("acl") && !has("tagging") => "PutObject",
        ("GET", 2) if !has("acl") && !has("tagging") => "GetObject",
        ("HEAD", 2) => "HeadObject",
        ("DELETE", 2) => "DeleteObject",
        _ => return None,
    })
}

/// Query parameters and telling headers, without what a signature or a token is made of.
fn detail(head: &Parts, place: ObjectPath) -> Detail {
    let secret = [
        "x-oss-signature",
        "x-oss-security-token",
        "x-oss-credential",
    ];
    let query = pairs(head.uri.query().unwrap_or_default()).into_iter();
    let mut detail: Detail = query
        .filter(|(name, _)| !secret.contains(&name.as_str()))
        .collect();
    for name in head.headers.keys().map(http::HeaderName::as_str) {
        let telling = name.starts_with("x-oss-")
            || name.starts_with("content-")
            || ["host", "user-agent"].contains(&name);
        if telling && !secret.contains(&name) {
            let value = header(head, name).unwrap_or_default();
            detail.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some((key, region)) = oss4::claimed_key(head) {
        detail.insert("access-key".to_owned(), key);
        detail.insert("region".to_owned(), region);
    }
    detail.insert("bucket".to_owned(), place.bucket);
    detail.insert("key".to_owned(), place.key);
    detail
}
