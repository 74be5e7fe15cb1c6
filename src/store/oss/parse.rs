//! Parses OSS's responses: its documents, its errors with the EC code, the CRC-64 of what has
//! arrived.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::{Digest, Error, ErrorClass, Result, SentPart};
use crate::net::http::{Response, one_line};

/// InitiateMultipartUpload.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InitiateResult {
    pub(super) upload_id: String,
}

/// ListParts. Its `UploadId` must be there: a page of somebody in between would be a list
/// without parts otherwise.
#[expect(clippy::struct_field_names, reason = "OSS's own names")]
#[derive(Deserialize)]
pub(super) struct Parts {
    #[serde(rename = "UploadId")]
    pub(super) _upload: String,
    #[serde(rename = "Part", default)]
    pub(super) parts: Vec<ListedPart>,
    #[serde(rename = "IsTruncated", default)]
    pub(super) truncated: bool,
    #[serde(rename = "NextPartNumberMarker")]
    pub(super) next: Option<String>,
}

/// A part of ListParts.
#[derive(Deserialize)]
pub(super) struct ListedPart {
    #[serde(rename = "PartNumber")]
    pub(super) number: u32,
    #[serde(rename = "Size")]
    pub(super) size: u64,
    #[serde(rename = "ETag")]
    pub(super) etag: String,
    #[serde(rename = "HashCrc64ecma")]
    pub(super) crc: Option<u64>,
}

/// ListMultipartUploads. Its `Bucket` must be there, as above.
#[expect(clippy::struct_field_names, reason = "OSS's own names")]
#[derive(Deserialize)]
pub(super) struct Uploads {
    #[serde(rename = "Bucket")]
    pub(super) _bucket: String,
    #[serde(rename = "Upload", default)]
    pub(super) uploads: Vec<ListedUpload>,
    #[serde(rename = "IsTruncated", default)]
    pub(super) truncated: bool,
    #[serde(rename = "NextKeyMarker", default)]
    pub(super) next_key: String,
    #[serde(rename = "NextUploadIdMarker", default)]
    pub(super) next_upload: String,
}

/// An unfinished upload.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedUpload {
    pub(super) key: String,
    pub(super) upload_id: String,
    #[serde(default)]
    pub(super) initiated: String,
}

/// The body of a refusal.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ErrorDocument {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    #[serde(rename = "EC")]
    ec: Option<String>,
    /// The bucket's own endpoint, when another one was asked.
    endpoint: Option<String>,
}

/// A document. An answer that can't be read is as good as none: the next may be OSS's own.
pub(super) fn parse_body<T: DeserializeOwned>(response: &Response) -> Result<T> {
    let text = String::from_utf8_lossy(&response.body);
    quick_xml::de::from_str(&text).map_err(|error| {
        let reason = one_line(&error.to_string());
        Error::other(format!("OSS's answer can't be read: {reason}"))
            .with_request_id(response.request_id())
            .with_class(ErrorClass::Transient)
    })
}

/// What CompleteMultipartUpload sends.
#[derive(Serialize)]
#[serde(rename = "CompleteMultipartUpload")]
struct CompleteUpload<'a> {
    #[serde(rename = "Part")]
    parts: Vec<CompletedPart<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CompletedPart<'a> {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: &'a str,
}

impl<'a> CompletedPart<'a> {
    fn new(part: &'a SentPart) -> Self {
        let (part_number, etag) = (part.number, part.etag.as_str());
        Self { part_number, etag }
    }
}

/// The document that names the parts.
pub(super) fn completion_body(parts: &[SentPart]) -> Result<String> {
    let document = CompleteUpload {
        parts: parts.iter().map(CompletedPart::new).collect(),
    };
    quick_xml::se::to_string(&document)
        .map_err(|error| Error::other(format!("the parts can't be named: {error}")))
}

/// The CRC-64 of the part or of the whole object, in decimal.
pub(super) fn crc64_header(response: &Response) -> Option<Digest> {
    let crc = response.header("x-oss-hash-crc64ecma")?.parse().ok()?;
    Some(Digest::Crc64Ecma(crc))
}

/// The refusal in OSS's words. The answer to a HEAD has no body; OSS puts it in a header.
pub(super) fn parse_error(response: &Response) -> Error {
    let hidden = response
        .header("x-oss-err")
        .and_then(|text| STANDARD.decode(text).ok());
    let body = hidden.unwrap_or_else(|| response.body.to_vec());
    let refusal: ErrorDocument =
        quick_xml::de::from_str(&String::from_utf8_lossy(&body)).unwrap_or_default();
    let mut message = refusal.message.unwrap_or_default();
    if let Some(endpoint) = refusal.endpoint {
        message = format!("{message} [{endpoint}]");
    }
    if let Some(ec) = refusal.ec.as_deref().or(response.header("x-oss-ec")) {
        message = format!("{} [EC {ec}]", message.trim_end_matches('.'));
    }
    let request = refusal
        .request_id
        .or_else(|| response.request_id().map(str::to_owned));
    Error::response(response.status, refusal.code, message)
        .with_request_id(request)
        .with_retry_after(retry_after(response))
}

/// When OSS wants to be asked again; its own header counts milliseconds.
fn retry_after(response: &Response) -> Option<Duration> {
    let own = response
        .header("x-oss-qos-delay-time")
        .and_then(|text| text.parse().ok());
    own.map(Duration::from_millis)
        .or_else(|| response.retry_after())
}

#[cfg(test)]
mod tests {
    use super::*;
    const REFUSAL: &str = "<Error><Code>PublicEndpointForbidden</Code><Message>No.</Message>\
        <RequestId>65D</RequestId><HostId>h</HostId><EC>0048-00000401</EC></Error>";

    fn document<T: DeserializeOwned>(text: &str) -> T {
        parse_body(&Response::for_test(200, &[], text)).expect("a document")
    }

    #[test]
    fn a_refusal_has_code_request_and_ec() {
        let error = parse_error(&Response::for_test(400, &[], REFUSAL));
        assert_eq!(
            error.to_string(),
            "No [EC 0048-00000401] (PublicEndpointForbidden, request 65D)"
        );
        assert_eq!(error.class(), ErrorClass::Permanent);
    }

    #[test]
    fn the_refusal_of_a_head_is_in_a_header() {
        let hidden = STANDARD.encode(REFUSAL);
        let error = parse_error(&Response::for_test(404, &[("x-oss-err", &hidden)], ""));
        assert_eq!(error.code(), Some("PublicEndpointForbidden"));
    }

    #[test]
    fn a_503_has_its_retry_after() {
        let error = parse_error(&Response::for_test(
            503,
            &[("x-oss-qos-delay-time", "250")],
            "",
        ));
        let retry_after = Some(Duration::from_millis(250));
        assert_eq!(error.class(), ErrorClass::Throttled { retry_after });
    }

    #[test]
    fn parts_have_their_crc_in_decimal() {
        let page: Parts = document(
            "<ListPartsResult><UploadId>U</UploadId><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>\
             <Part><PartNumber>1</PartNumber><LastModified>x</LastModified><ETag>\"A\"</ETag>\
             <HashCrc64ecma>11051210869376104954</HashCrc64ecma><Size>9</Size></Part>\
             <Part><PartNumber>2</PartNumber><ETag>\"B\"</ETag><Size>1</Size></Part></ListPartsResult>",
        );
        assert!(page.truncated && page.next.as_deref() == Some("2"));
        let crcs: Vec<_> = page.parts.iter().map(|part| part.crc).collect();
        assert_eq!(crcs, [Some(11_051_210_869_376_104_954), None]);
        let none: Parts = document(
            "<ListPartsResult><UploadId>U</UploadId><IsTruncated>false</IsTruncated></ListPartsResult>",
        );
        assert!(none.parts.is_empty());
        for foreign in ["", "<html><body>Sign in</body></html>", "{}"] {
            let page = parse_body::<Parts>(&Response::for_test(200, &[], foreign));
            assert!(
                page.is_err_and(|error| error.class() == ErrorClass::Transient),
                "{foreign}"
            );
        }
    }
}
