//! The EBS direct APIs: JSON over REST. The signature covers a block's checksum and not
//! its bytes; the bytes are checked against the checksum. What the snapshots hold is
//! EC2's (`ec2::writing`).

mod wire;

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::desk::Detail;
use crate::ec2::{BLOCK_SIZE, Ec2};
use crate::fault::ApiError;
use crate::keys::Keyring;
use crate::query;
use crate::serve::{Body, Service};
use crate::sigv4::{self, SignatureError};

use wire::{header, integer, invalid, parse_start};

pub(crate) struct EbsService {
    pub(crate) ec2: Ec2,
    pub(crate) keys: Keyring,
    /// Where the blocks lie
    pub(crate) dir: PathBuf,
}

/// What a path and a method ask for.
enum Asked<'a> {
    Start,
    Put(&'a str, &'a str),
    Get(&'a str, &'a str),
    List(&'a str),
    Complete(&'a str),
}

impl<'a> Asked<'a> {
    fn of(head: &'a Parts) -> Option<Self> {
        let path: Vec<_> = head.uri.path().trim_matches('/').split('/').collect();
        match (&head.method, path.as_slice()) {
            (&Method::POST, ["snapshots"]) => Some(Self::Start),
            (&Method::POST, ["snapshots", "completion", id]) => Some(Self::Complete(id)),
            (&Method::PUT, ["snapshots", id, "blocks", index]) => Some(Self::Put(id, index)),
            (&Method::GET, ["snapshots", id, "blocks", index]) => Some(Self::Get(id, index)),
            (&Method::GET, ["snapshots", id, "blocks"]) => Some(Self::List(id)),
            _ => None,
        }
    }
}

impl Service for EbsService {
    const NAMED_IN_BODY: bool = false;

    fn describe(&self, head: &Parts, _: &Bytes) -> (String, Detail) {
        let mut detail = Detail::new();
        let mut note = |name: &str, value: &str| {
            detail.insert(name.to_owned(), value.to_owned());
        };
        for (name, value) in &head.headers {
            if name.as_str().starts_with("x-amz-") && name != "x-amz-security-token" {
                note(name.as_str(), value.to_str().unwrap_or_default());
            }
        }
        let operation = match Asked::of(head) {
            Some(Asked::Start) => "StartSnapshot",
            Some(Asked::Put(id, index)) => {
                note("snapshotId", id);
                note("blockIndex", index);
                "PutSnapshotBlock"
            }
            Some(Asked::Get(id, index)) => {
                note("snapshotId", id);
                note("blockIndex", index);
                "GetSnapshotBlock"
            }
            Some(Asked::List(id)) => {
                note("snapshotId", id);
                "ListSnapshotBlocks"
            }
            Some(Asked::Complete(id)) => {
                note("snapshotId", id);
                "CompleteSnapshot"
            }
            None => "Unknown",
        };
        (format!("ebs:{operation}"), detail)
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            let text = "The connection was closed before the body had come.";
            return self.refuse(&invalid("INVALID_CONTENT_ENCODING", text));
        };
        let done = self.perform(&head, &body.to_bytes());
        done.unwrap_or_else(|refusal| self.refuse(&refusal))
    }

    /// A refusal's code may have the reason after it: `ValidationException INVALID_BLOCK`.
    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        let (code, reason) = match refusal.code.split_once(' ') {
            Some((code, reason)) => (code, Some(reason)),
            None => (refusal.code.as_str(), None),
        };
        let body = json!({"Message": refusal.message, "Reason": reason});
        let mut response = wire::answer(refusal.status, &body);
        if let Ok(code) = code.parse() {
            response.headers_mut().insert("x-amzn-errortype", code);
        }
        response
    }
}

fn signature_error(error: &SignatureError) -> ApiError {
    let (code, text) = match error {
        SignatureError::Missing => (
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
        SignatureError::Stale => ("InvalidSignatureException", "Signature expired"),
        SignatureError::ExpiredToken => (
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        SignatureError::Malformed(text) => ("IncompleteSignatureException", text.as_str()),
        SignatureError::UnknownKey | SignatureError::WrongToken => (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        SignatureError::Mismatch => (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.",
        ),
    };
    ApiError::new(403, code, text)
}

impl EbsService {
    fn perform(&self, head: &Parts, body: &Bytes) -> Result<Response<Body>, ApiError> {
        let operation = Asked::of(head);
        let caller = match operation {
            Some(Asked::Put(..)) => sigv4::verify_without_body(head, "ebs", &self.keys),
            _ => sigv4::verify(head, body, "ebs", &self.keys),
        };
        let region = caller.map_err(|forgery| signature_error(&forgery))?.region;
        match operation {
            Some(Asked::Start) => self.start(&region, body),
            Some(Asked::Put(id, index)) => self.put(&region, id, index, head, body),
            Some(Asked::Get(id, index)) => self.get(&region, id, index),
            Some(Asked::List(id)) => self.list(&region, id),
            Some(Asked::Complete(id)) => self.complete(&region, id, head),
            None => Err(ApiError::new(
                404,
                "UnknownOperationException",
                "There is no such operation.",
            )),
        }
    }

    fn start(&self, region: &str, body: &Bytes) -> Result<Response<Body>, ApiError> {
        let (requested, token) = parse_start(body)?;
        let (volume, tags) = (requested.volume_size, requested.tags.clone());
        let begun = self
            .ec2
            .start_snapshot(region, requested, token, &self.dir)?;
        let tags: Vec<_> = tags
            .iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        let body = json!({
            "SnapshotId": begun.id, "Status": "pending", "VolumeSize": volume,
            "BlockSize": BLOCK_SIZE, "KmsKeyArn": begun.kms_key_arn, "Tags": tags,
        });
        Ok(wire::answer(201, &body))
    }

    fn put(
        &self,
        region: &str,
        id: &str,
        index: &str,
        head: &Parts,
        body: &Bytes,
    ) -> Result<Response<Body>, ApiError> {
        let index = integer(index)?;
        let length: usize = integer(header(head, "x-amz-data-length")?)?;
        if length != BLOCK_SIZE || body.len() != BLOCK_SIZE {
            let text = format!("The block has {} bytes, not {BLOCK_SIZE}.", body.len());
            return Err(invalid("INVALID_PARAMETER_VALUE", text));
        }
        let sum = checksum(head)?;
        self.ec2.put_block(region, id, index, &sum, body)?;
        let mut response = wire::answer(201, &json!({}));
        let sum = STANDARD.encode(sum);
        for (name, value) in [
            ("x-amz-checksum", sum.as_str()),
            ("x-amz-checksum-algorithm", "SHA256"),
        ] {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        Ok(response)
    }

    fn complete(&self, region: &str, id: &str, head: &Parts) -> Result<Response<Body>, ApiError> {
        let blocks = integer(header(head, "x-amz-changedblockscount")?)?;
        let sum = head.headers.contains_key("x-amz-checksum");
        let sum = sum.then(|| checksum(head)).transpose()?;
        if sum.is_some() && header(head, "x-amz-checksum-aggregation-method")? != "LINEAR" {
            let text = "Only the aggregation method LINEAR is supported.";
            return Err(invalid("INVALID_PARAMETER_VALUE", text));
        }
        let sum = sum.as_deref();
        self.ec2.complete_snapshot(region, id, blocks, sum)?;
        Ok(wire::answer(202, &json!({"Status": "pending"})))
    }

    fn list(&self, region: &str, id: &str) -> Result<Response<Body>, ApiError> {
        let (volume, indexes) = self.ec2.blocks(region, id)?;
        let block = |index: &u32| json!({"BlockIndex": index, "BlockToken": format!("t{index}")});
        let blocks: Vec<_> = indexes.iter().map(block).collect();
        let body = json!({"Blocks": blocks, "VolumeSize": volume, "BlockSize": BLOCK_SIZE});
        Ok(wire::answer(200, &body))
    }

    fn get(&self, region: &str, id: &str, index: &str) -> Result<Response<Body>, ApiError> {
        let block = self.ec2.block(region, id, integer(index)?)?;
        let bytes = block.ok_or_else(|| {
            let text = format!("The block {index} was not written.");
            invalid("INVALID_BLOCK", text)
        })?;
        let sum = STANDARD.encode(Sha256::digest(&bytes));
        let response = Response::builder()
            .header("x-amzn-requestid", query::request_id())
            .header("x-amz-data-length", bytes.len())
            .header("x-amz-checksum", sum)
            .header("x-amz-checksum-algorithm", "SHA256")
            .body(Body::from(Bytes::from(bytes)));
        response.map_err(|error| ApiError::new(500, "InternalServerException", error.to_string()))
    }
}

/// The one algorithm there is.
fn checksum(head: &Parts) -> Result<Vec<u8>, ApiError> {
    if header(head, "x-amz-checksum-algorithm")? != "SHA256" {
        let text = "Only the checksum algorithm SHA256 is supported.";
        return Err(invalid("INVALID_PARAMETER_VALUE", text));
    }
    let sum = STANDARD.decode(header(head, "x-amz-checksum")?).ok();
    sum.filter(|sum| sum.len() == 32).ok_or_else(|| {
        let text = "The checksum is no SHA256 in base64.";
        invalid("INVALID_PARAMETER_VALUE", text)
    })
}
