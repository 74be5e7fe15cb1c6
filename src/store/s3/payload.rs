//! Signs a part whose body is a stream: the hash of its bytes is computed before the request,
//! so that the bytes are still sent in frames, with a rate limit and progress.

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a body, in lowercase hex, for the signature of its request.
#[derive(Clone, Debug)]
pub(super) struct PayloadHash(String);

impl PayloadHash {
    /// Computes the hash of a whole body.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }
}

impl Intercept for PayloadHash {
    fn name(&self) -> &'static str {
        "PayloadHash"
    }

    fn modify_before_signing(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let signed = PayloadSigningOverride::Precomputed(self.0.clone());
        config.interceptor_state().store_put(signed);
        Ok(())
    }
}
