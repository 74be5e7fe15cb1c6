//! Reading what S3 answers: an SDK error as a store's error, a listed part, and
//! whether the object that lies there is ours.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use md5::Digest as _;

use super::super::{Checksum, Digest, Error, Head, ListedPart, SentPart, Whole};

/// The SDK's error in the service's words.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn failure<E>(error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let Some(answer) = error.raw_response() {
        let header = |name| answer.headers().get(name).map(str::to_owned);
        let message = error
            .message()
            .map_or_else(|| chain_of_garbled(&error), str::to_owned);
        return Error::answered(
            answer.status().as_u16(),
            error.code().map(str::to_owned),
            message,
        )
        .request(header("x-amz-request-id"))
        .retry_after(
            header("retry-after")
                .and_then(|text| text.trim().parse().ok())
                .map(Duration::from_secs),
        );
    }
    match &error {
        SdkError::ConstructionFailure(_) => Error::other(chain(&error)),
        SdkError::DispatchFailure(failure) if failure.is_user() => Error::other(chain(&error)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            Error::unanswered("no answer in time")
        }
        // The layers in between say where in the libraries it happened.
        _ => Error::unanswered(causes(&error).pop().unwrap_or_else(|| error.to_string())),
    }
}

/// An answer without a message of its own: nothing to say beyond its status, unless it could not be read.
fn chain_of_garbled<E: std::error::Error + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    if matches!(error, SdkError::ResponseError(_)) {
        chain(error)
    } else {
        String::new()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
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
pub(super) fn listed(part: &aws_sdk_s3::types::Part, checksum: Checksum) -> Option<ListedPart> {
    let etag = part.e_tag().unwrap_or_default().to_owned();
    let digest = match checksum {
        Checksum::Crc64Nvme => part.checksum_crc64_nvme().and_then(Digest::from_crc64nvme),
        _ => Digest::from_etag(&etag),
    };
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

/// Whether this is the object that these parts make: its size, and its checksum or
/// its tag. A size alone proves nothing: an earlier run may have left its object.
pub(super) fn is_the_object(head: &Head, parts: &[SentPart], whole: &Whole) -> bool {
    let proven = match whole.digest {
        Some(digest) => head.digest == Some(digest),
        None => head.etag.is_some() && head.etag == tag_of_parts(parts),
    };
    head.size == whole.size && proven
}

/// The tag of a multipart object: MD5 of the parts' MD5s, and their number.
fn tag_of_parts(parts: &[SentPart]) -> Option<String> {
    let mut all = md5::Md5::new();
    for part in parts {
        let Digest::Md5(md5) = part.digest else {
            return None;
        };
        all.update(md5);
    }
    Some(format!("{}-{}", hex::encode(all.finalize()), parts.len()))
}
