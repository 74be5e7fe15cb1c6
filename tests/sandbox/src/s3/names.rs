//! What an S3 request is called in the journal, read from its head alone, since the
//! desk comes before the body.

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::desk::Detail;
use crate::sigv4;

pub(super) fn operation(head: &Parts) -> &'static str {
    let (_, key) = address(head);
    let has_parameter = |name: &str| query(head).any(|(key, _)| key == name);
    match (&head.method, key.is_empty()) {
        (&Method::HEAD, true) => "HeadBucket",
        (&Method::HEAD, false) => "HeadObject",
        (&Method::GET, true) if has_parameter("location") => "GetBucketLocation",
        (&Method::GET, true) if has_parameter("uploads") => "ListMultipartUploads",
        (&Method::GET, true) if has_parameter("list-type") => "ListObjectsV2",
        (&Method::GET, false) if has_parameter("uploadId") => "ListParts",
        (&Method::GET, false) => "GetObject",
        (&Method::PUT, true) => "CreateBucket",
        (&Method::PUT, false) if has_parameter("acl") => "PutObjectAcl",
        (&Method::PUT, false) if has_parameter("partNumber") => "UploadPart",
        (&Method::PUT, false) => "PutObject",
        (&Method::POST, false) if has_parameter("uploads") => "CreateMultipartUpload",
        (&Method::POST, false) if has_parameter("uploadId") => "CompleteMultipartUpload",
        (&Method::DELETE, false) if has_parameter("uploadId") => "AbortMultipartUpload",
        (&Method::DELETE, false) => "DeleteObject",
        _ => "Unknown",
    }
}

/// Bucket, key, the query and the telling headers; nothing made from a secret.
pub(super) fn detail(head: &Parts) -> Detail {
    let (bucket, key) = address(head);
    let mut detail = Detail::from([("bucket".to_owned(), bucket), ("key".to_owned(), key)]);
    detail.extend(query(head).filter(|(name, _)| !is_secret(name)));
    let region = sigv4::claimed_region(head).map(str::to_owned);
    detail.extend(region.map(|region| ("region".to_owned(), region)));
    for (name, value) in &head.headers {
        let telling =
            name.as_str().starts_with("x-amz-") || LOGGED_HEADERS.contains(&name.as_str());
        if telling && !is_secret(name.as_str()) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            detail.insert(name.as_str().to_owned(), value);
        }
    }
    detail
}

const LOGGED_HEADERS: [&str; 8] = [
    "content-length",
    "content-md5",
    "content-type",
    "expect",
    "if-match",
    "if-none-match",
    "range",
    "user-agent",
];

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "x-amz-signature",
        "x-amz-security-token",
        "x-amz-credential",
    ]
    .contains(&name.as_str())
}

fn address(head: &Parts) -> (String, String) {
    let path = percent_decode_str(head.uri.path())
        .decode_utf8_lossy()
        .into_owned();
    let path = path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    (bucket.to_owned(), key.to_owned())
}

fn query(head: &Parts) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = head.uri.query().unwrap_or_default().split('&');
    let pairs = pairs.filter(|pair| !pair.is_empty());
    pairs.map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}
