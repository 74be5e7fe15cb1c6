//! Intercepts all requests of the SDK: rejects responses with invalid IDs, and logs every
//! request on `-v`, every body on `-vv`, without secrets: no header is logged (they contain
//! signatures and tokens), no body of STS (its responses are credentials) or of Systems Manager
//! (the value of a parameter may be secret), and of S3 only the small documents.

use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use super::ids;

/// Bodies up to this size are documents, not parts of an image.
const MAX_LOGGED_BODY: usize = 64 << 10;

/// Services whose bodies hold what must not be shown.
const UNLOGGED_SERVICES: [&str; 2] = ["sts", "ssm"];

/// The answer to a wrong signature repeats the request, its session token included.
const SIGNATURE_ERROR: &str = "SignatureDoesNotMatch";

/// Watches the requests of one service.
#[derive(Clone, Copy, Debug)]
pub struct RequestLog {
    service: &'static str,
}

impl RequestLog {
    /// Names the service in the log.
    pub fn new(service: &'static str) -> Self {
        Self { service }
    }
}

impl Intercept for RequestLog {
    fn name(&self) -> &'static str {
        "Requests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let address = request.uri().split('?').next().unwrap_or_default();
        tracing::debug!("{}: {} {address}", self.service, request.method());
        let is_part = request.method() == "PUT";
        if !UNLOGGED_SERVICES.contains(&self.service)
            && !is_part
            && let Some(body) = request
                .body()
                .bytes()
                .filter(|body| body.len() <= MAX_LOGGED_BODY)
        {
            tracing::trace!("{}: sent {}", self.service, String::from_utf8_lossy(body));
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let id = ["x-amzn-requestid", "x-amz-request-id"]
            .iter()
            .find_map(|name| answer.headers().get(*name));
        tracing::debug!(
            "{}: {} (request {})",
            self.service,
            answer.status().as_u16(),
            id.unwrap_or("unknown")
        );
        if !UNLOGGED_SERVICES.contains(&self.service)
            && let Some(body) = answer
                .body()
                .bytes()
                .filter(|body| body.len() <= MAX_LOGGED_BODY)
            && !String::from_utf8_lossy(body).contains(SIGNATURE_ERROR)
        {
            tracing::trace!(
                "{}: received {}",
                self.service,
                String::from_utf8_lossy(body)
            );
        }
        let body = answer
            .body()
            .bytes()
            .filter(|_| answer.status().is_success());
        match body.and_then(|body| ids::fault(self.service, body)) {
            Some(fault) => Err(fault.into()),
            None => Ok(()),
        }
    }
}
