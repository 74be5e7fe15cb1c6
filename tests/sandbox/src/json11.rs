//! The JSON protocol, version 1.1, that Systems Manager and Service Quotas share: the
//! operation stands in a header, errors have their code under `__type`.
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::desk::Detail;
use crate::fault::ApiError;
use crate::keys::Keyring;
use crate::query;
use crate::serve::Body;
use crate::sigv4::{self, Caller, SignatureError};

/// The operation that the request is for; the service's own name stands before it.
pub(crate) fn operation<'a>(head: &'a Parts, service: &str) -> &'a str {
    let target = head.headers.get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    target
        .and_then(|target| target.strip_prefix(service))
        .unwrap_or("Unknown")
}

/// The fields and the region signed for.
pub(crate) fn detail(head: &Parts, body: &Bytes) -> Detail {
    let request = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let fields = request.as_object().into_iter().flatten();
    let mut detail: Detail = fields
        .map(|(name, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), text)
        })
        .collect();
    if let Some(region) = sigv4::claimed_region(head) {
        detail.insert("region".to_owned(), region.to_owned());
    }
    detail
}

/// Who asks, and for what.
pub(crate) fn verified(
    head: &Parts,
    body: &Bytes,
    service: &str,
    keys: &Keyring,
) -> Result<(Caller, Value), ApiError> {
    let caller =
        sigv4::verify(head, body, service, keys).map_err(|forgery| signature_error(&forgery))?;
    let request = serde_json::from_slice(body);
    let request = request.map_err(|_| ApiError::new(400, "SerializationException", ""))?;
    Ok((caller, request))
}

/// Reads the body, and answers with what comes of it.
pub(crate) async fn answer(
    request: Request<Body>,
    perform: impl FnOnce(&Parts, &Bytes) -> Result<Value, ApiError>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    match perform(&head, &body.unwrap_or_default()) {
        Ok(document) => respond(200, &document),
        Err(refusal) => error_response(&refusal),
    }
}

pub(crate) fn error_response(refusal: &ApiError) -> Response<Body> {
    let mut document = json!({"__type": refusal.code});
    if !refusal.message.is_empty() {
        document["message"] = refusal.message.as_str().into();
    }
    respond(refusal.status, &document)
}

fn respond(status: u16, document: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-amz-json-1.1"),
    );
    if let Ok(id) = HeaderValue::from_str(&query::request_id()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

fn signature_error(error: &SignatureError) -> ApiError {
    let (code, text) = match error {
        SignatureError::Missing | SignatureError::Malformed(_) => (
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
        SignatureError::Stale => ("InvalidSignatureException", "Signature expired"),
        SignatureError::ExpiredToken => (
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        SignatureError::Mismatch => (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        ),
        SignatureError::UnknownKey | SignatureError::WrongToken => (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
    };
    ApiError::new(400, code, text)
}
