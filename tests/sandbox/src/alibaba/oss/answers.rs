//! OSS's answers: XML documents, and errors with their EC. A HEAD's error is base64 in
//! the header `x-oss-err`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::Failure;
use crate::serve::Body;
use crate::xml::{self, Xml};

/// The ECs Alibaba documents, as far as they are known; the last one is made up.
/// <https://www.alibabacloud.com/help/en/oss/support/overview-2>
const ECS: &[(&str, &str)] = &[
    ("AccessDenied", "0003-00000001"),
    ("BucketAlreadyExists", "0015-00000104"),
    ("EntityTooSmall", "0042-00000208"),
    ("FileAlreadyExists", "0026-00000067"),
    ("InvalidAccessKeyId", "0002-00000902"),
    ("InvalidBucketName", "0015-00000001"),
    ("InvalidPart", "0042-00000205"),
    ("InvalidPartOrder", "0042-00000206"),
    ("InvalidSecurityToken", "0002-00000006"),
    ("NoSuchBucket", "0015-00000101"),
    ("NoSuchKey", "0026-00000001"),
    ("NoSuchUpload", "0042-00000002"),
    ("PublicEndpointForbidden", "0048-00000401"),
    ("RequestTimeTooSkewed", "0002-00000504"),
    ("SecurityTokenExpired", "0002-00000007"),
    ("SignatureDoesNotMatch", "0002-00000040"),
    ("", "0016-00000101"),
];

fn ec(code: &str) -> &'static str {
    let known = |(known, _): &&(&str, &str)| *known == code || known.is_empty();
    ECS.iter().find(known).map_or("", |(_, ec)| ec)
}

pub(super) fn empty(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

pub(super) fn document(root: &str, write: impl FnOnce(&mut Xml)) -> Response<Body> {
    xml_response(200, xml::document(root, None, write))
}

fn xml_response(status: u16, document: String) -> Response<Body> {
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert(CONTENT_LENGTH, document.len().into());
    *response.body_mut() = Body::from(document);
    response
}

pub(super) fn error_response(failure: &Failure, is_head: bool) -> Response<Body> {
    let refusal = &failure.error;
    let ec = failure.ec.unwrap_or_else(|| ec(&refusal.code));
    let request_id = request_id();
    let text = xml::document("Error", None, |xml| {
        xml.text("Code", &refusal.code)
            .text("Message", &refusal.message);
        xml.text("RequestId", &request_id)
            .text("HostId", "oss.localhost");
        for (name, value) in &failure.more {
            xml.text(name, value);
        }
        xml.text("EC", ec);
        xml.text(
            "RecommendDoc",
            format!("https://api.alibabacloud.com/troubleshoot?q={ec}"),
        );
    });
    let encoded = BASE64_STANDARD.encode(&text);
    let mut response = xml_response(refusal.status, text);
    set_header(&mut response, "x-oss-ec", ec);
    set_header(&mut response, "x-oss-request-id", &request_id);
    if is_head {
        set_header(&mut response, "x-oss-err", &encoded);
    }
    response
}

pub(super) fn with_request_id(mut response: Response<Body>) -> Response<Body> {
    if !response.headers().contains_key("x-oss-request-id") {
        set_header(&mut response, "x-oss-request-id", &request_id());
    }
    set_header(&mut response, "server", "AliyunOSS");
    set_header(&mut response, "x-oss-server-time", "1");
    response
}

pub(super) fn set_header(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
}

fn request_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..24].to_uppercase()
}
