//! Parses S3's responses: converts an SDK error to a store's error, and a listed part.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use serde::Deserialize;

use super::super::{Checksum, Digest, Error, ListedPart};
use crate::net::network_error;

/// The SDK's error in the service's words.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn parse_error<E>(error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let Some(answer) = error.raw_response() {
        let header = |name| answer.headers().get(name).map(str::to_owned);
        let message = error
            .message()
            .map_or_else(|| invalid_response_causes(&error), str::to_owned);
        return Error::response(
            answer.status().as_u16(),
            error.code().map(str::to_owned),
            message,
        )
        .with_request_id(header("x-amz-request-id"))
        .with_retry_after(
            header("retry-after")
                .and_then(|text| text.trim().parse().ok())
                .map(Duration::from_secs),
        );
    }
    match &error {
        SdkError::ConstructionFailure(_) => Error::other(error_chain(&error)),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            Error::other(error_chain(&error))
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            Error::no_response("no answer in time")
        }
        _ => Error::no_response(network_error::describe(&error)),
    }
}

/// An answer without a message of its own: nothing to say beyond its status, unless it could not be read.
fn invalid_response_causes<E: std::error::Error + 'static>(
    error: &SdkError<E, HttpResponse>,
) -> String {
    if matches!(error, SdkError::ResponseError(_)) {
        error_chain(error)
    } else {
        String::new()
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = causes(error);
    if causes.is_empty() {
        error.to_string()
    } else {
        causes.join(": ")
    }
}

/// The causes, from the first that says more than "dispatch failure".
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last().is_none_or(|last| !last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

/// A part as ListParts shows it; a part without number or size is no part.
pub(super) fn listed_part(
    part: &aws_sdk_s3::types::Part,
    checksum: Checksum,
) -> Option<ListedPart> {
    let etag = part.e_tag().unwrap_or_default().to_owned();
    let crc = match checksum {
        Checksum::Crc64Nvme => part.checksum_crc64_nvme().and_then(Digest::from_crc64nvme),
        _ => None,
    };
    let digest = crc.or_else(|| Digest::from_etag(&etag));
    let number = part
        .part_number
        .and_then(|number| u32::try_from(number).ok())?;
    let size = part.size.and_then(|size| u64::try_from(size).ok())?;
    Some(ListedPart {
        number,
        size,
        etag,
        digest,
    })
}

/// ListParts of those who give its root another name than S3 does, which the SDK does not read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListPartsResult {
    #[serde(rename = "UploadId")]
    _upload: String,
    #[serde(default)]
    is_truncated: bool,
    #[serde(rename = "Part", default)]
    parts: Vec<PartElement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PartElement {
    part_number: u32,
    size: u64,
    #[serde(rename = "ETag")]
    etag: String,
}

/// The parts in an answer that was a success and could not be read, if it is all of a list.
pub(super) fn parts_from_renamed_root<E>(
    error: &SdkError<E, HttpResponse>,
) -> Option<Vec<ListedPart>> {
    let answer = error.raw_response()?;
    let body = answer
        .status()
        .is_success()
        .then(|| answer.body().bytes())?;
    parse_list(std::str::from_utf8(body?).ok()?)
}

fn parse_list(text: &str) -> Option<Vec<ListedPart>> {
    let list: ListPartsResult = quick_xml::de::from_str(text).ok()?;
    let parts = list.parts.into_iter().map(|part| ListedPart {
        number: part.part_number,
        size: part.size,
        digest: Digest::from_etag(&part.etag),
        etag: part.etag,
    });
    (!list.is_truncated).then(|| parts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As moto 5 answers.
    const LIST: &str = r#"<?xml version="1.0" encoding="utf-8"?>
        <ListPartsResponse xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket>
        <UploadId>BHQ3</UploadId><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber>
        <ETag>"aed563ecafb4bcc5654c597a421547b2"</ETag><Size>100</Size></Part></ListPartsResponse>"#;

    #[test]
    fn the_roots_name_does_not_matter() {
        let parts = parse_list(LIST).expect("a list");
        let bytes = [b'x'; 100];
        assert_eq!(parts.len(), 1);
        assert!(parts[0].matches(&bytes, Checksum::Crc64Nvme.of(&bytes)));
        assert!(!parts[0].matches(&[b'y'; 100], Checksum::Crc64Nvme.of(&[b'y'; 100])));
    }

    #[test]
    fn half_a_list_and_no_list_are_none() {
        assert_eq!(parse_list(&LIST.replace("false", "true")), None);
        assert_eq!(parse_list("<html><body>busy</body></html>"), None);
        assert_eq!(parse_list("busy"), None);
    }
}
