//! Reading requests and writing answers, by botocore's model of the version 2019-11-02.

use std::str::FromStr;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use serde_json::Value;

use crate::ec2::SnapshotSpec;
use crate::fault::ApiError;
use crate::query;
use crate::serve::Body;

/// Everything StartSnapshot knows.
const START_FIELDS: [&str; 8] = [
    "ClientToken",
    "Description",
    "Encrypted",
    "KmsKeyArn",
    "ParentSnapshotId",
    "Tags",
    "Timeout",
    "VolumeSize",
];

pub(super) fn invalid(reason: &str, text: impl Into<String>) -> ApiError {
    ApiError::new(400, &format!("ValidationException {reason}"), text)
}

fn invalid_parameter(text: impl Into<String>) -> ApiError {
    invalid("INVALID_PARAMETER_VALUE", text)
}

pub(super) fn header<'a>(head: &'a Parts, name: &str) -> Result<&'a str, ApiError> {
    let value = head.headers.get(name).and_then(|value| value.to_str().ok());
    value.ok_or_else(|| invalid_parameter(format!("The header {name} is missing.")))
}

pub(super) fn integer<T: FromStr>(text: &str) -> Result<T, ApiError> {
    text.parse()
        .map_err(|_| invalid_parameter(format!("'{text}' is not a number that fits.")))
}

/// StartSnapshot and its client token.
pub(super) fn parse_start(body: &Bytes) -> Result<(SnapshotSpec, Option<String>), ApiError> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| invalid_parameter(error.to_string()))?;
    let fields = body
        .as_object()
        .ok_or_else(|| invalid_parameter("The body is no object."))?;
    if let Some(name) = fields
        .keys()
        .find(|name| !START_FIELDS.contains(&name.as_str()))
    {
        return Err(invalid_parameter(format!("StartSnapshot knows no {name}.")));
    }
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let volume_size = body["VolumeSize"].as_u64().unwrap_or_default();
    if !(1..=65536).contains(&volume_size) {
        let text = "The volume size must be 1 to 65536 GiB.";
        return Err(invalid("INVALID_VOLUME_SIZE", text));
    }
    let timeout = body["Timeout"].as_u64().unwrap_or(60);
    if !(10..=4320).contains(&timeout) {
        return Err(invalid_parameter("The timeout must be 10 to 4320 minutes."));
    }
    let key = text("KmsKeyArn");
    let is_key =
        |arn: &String| arn.starts_with("arn:aws") && arn.contains(":kms:") && arn.contains(":key/");
    if !key.as_ref().is_none_or(is_key) {
        return Err(invalid_parameter("KmsKeyArn must be the ARN of a key."));
    }
    if key.is_some() && body["Encrypted"].as_bool() != Some(true) {
        return Err(invalid_parameter("KmsKeyArn needs Encrypted."));
    }
    let tags = body["Tags"].as_array().into_iter().flatten().map(|tag| {
        let text = |name: &str| tag[name].as_str().unwrap_or_default().to_owned();
        (text("Key"), text("Value"))
    });
    let spec = SnapshotSpec {
        volume_size,
        description: text("Description").unwrap_or_default(),
        tags: tags.collect(),
        encrypted: body["Encrypted"].as_bool(),
        kms_key_arn: key,
        timeout,
    };
    if spec.tags.len() > 50 || spec.description.chars().count() > 255 {
        return Err(invalid_parameter(
            "Too many tags, or too long a description.",
        ));
    }
    Ok((spec, text("ClientToken")))
}

pub(super) fn answer(status: u16, body: &Value) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("x-amzn-requestid", query::request_id());
    let body = Body::from(Bytes::from(body.to_string()));
    response
        .body(body)
        .expect("these headers are always well-formed")
}
