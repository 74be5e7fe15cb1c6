//! Who may do what, asked before any work: known keys and tokens, the bucket's region,
//! its owner, and what a stranger may read. The signature itself is checked by s3s.

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, StatusCode};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::buckets::{Bucket, Buckets};
use crate::keys::{ACCOUNT, Keyring};

pub(super) const REGION_HEADER: &str = "x-amz-bucket-region";

pub(super) struct AccessCheck {
    pub(super) keys: Keyring,
    pub(super) buckets: Buckets,
}

#[async_trait]
impl S3Auth for AccessCheck {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let unknown = "The AWS Access Key Id you provided does not exist in our records.";
        let key = self.keys.get(access_key);
        let key = key.ok_or_else(|| s3_error!(InvalidAccessKeyId, "{unknown}"))?;
        Ok(key.secret_key.into())
    }
}

#[async_trait]
impl S3Access for AccessCheck {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let signer = cx
            .credentials()
            .map(|credentials| credentials.access_key.clone());
        if let Some(access_key) = &signer {
            self.check_token(access_key, cx)?;
        }
        let name = match cx.s3_path() {
            S3Path::Root => return require_signature(signer.is_some()),
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. } => bucket.to_string(),
        };
        if cx.s3_op().name() == "CreateBucket" {
            return require_signature(signer.is_some());
        }
        self.buckets.with(&name, |bucket| {
            let allowed = match signer {
                Some(_) => signed_access(bucket, cx),
                None => anonymous_access(bucket, cx),
            };
            allowed.map_err(|err| with_region(err, &bucket.region))
        })
    }
}

impl AccessCheck {
    fn check_token(&self, access_key: &str, cx: &S3AccessContext<'_>) -> S3Result<()> {
        let key = self.keys.get(access_key);
        let token = cx.headers().get("x-amz-security-token");
        let token = token
            .and_then(|token| token.to_str().ok())
            .map(str::to_owned);
        let token = token.or_else(|| query(cx, "X-Amz-Security-Token"));
        match key {
            Some(key) if key.expired => {
                Err(s3_error!(ExpiredToken, "The provided token has expired."))
            }
            Some(key) if key.session_token == token => Ok(()),
            _ => Err(s3_error!(
                InvalidToken,
                "The provided token is malformed or otherwise invalid."
            )),
        }
    }
}

fn require_signature(signed: bool) -> S3Result<()> {
    if signed { Ok(()) } else { Err(denied()) }
}

fn denied() -> S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

fn signed_access(bucket: &Bucket, cx: &S3AccessContext<'_>) -> S3Result<()> {
    check_region(bucket, cx)?;
    let expected = cx.headers().get("x-amz-expected-bucket-owner");
    let foreign = bucket.owner != ACCOUNT && !bucket.shared;
    if foreign || expected.is_some_and(|owner| owner != bucket.owner.as_str()) {
        return Err(denied());
    }
    Ok(())
}

/// A region's endpoint answers 301 for another region's bucket. The classic endpoint,
/// us-east-1, reaches the bucket, which then finds itself signed for elsewhere.
fn check_region(bucket: &Bucket, cx: &S3AccessContext<'_>) -> S3Result<()> {
    let signed = scope_region(cx).unwrap_or_default();
    let anywhere = cx.s3_op().name() == "GetBucketLocation" && signed == "us-east-1";
    if signed == bucket.region || anywhere {
        return Ok(());
    }
    if signed == "us-east-1" {
        let text = format!(
            "The authorization header is malformed; the region 'us-east-1' is wrong; expecting '{}'",
            bucket.region
        );
        return Err(S3Error::with_message(
            S3ErrorCode::AuthorizationHeaderMalformed,
            text,
        ));
    }
    let text = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                Please send all future requests to this endpoint.";
    let mut err = S3Error::with_message(S3ErrorCode::PermanentRedirect, text);
    err.set_status_code(StatusCode::MOVED_PERMANENTLY);
    Err(err)
}

/// The region of the credential scope, in the header or in a presigned query.
fn scope_region(cx: &S3AccessContext<'_>) -> Option<String> {
    let header = cx.headers().get("authorization");
    let header = header
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let value = header.or_else(|| query(cx, "X-Amz-Credential"))?;
    let scope = value
        .rsplit_once("Credential=")
        .map_or(value.as_str(), |(_, rest)| rest);
    Some(scope.split('/').nth(2)?.to_owned())
}

fn query(cx: &S3AccessContext<'_>, name: &str) -> Option<String> {
    let pairs = cx.uri().query()?.split('&');
    let (_, value) = pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)?;
    let value = percent_encoding::percent_decode_str(value);
    Some(value.decode_utf8_lossy().into_owned())
}

fn anonymous_access(bucket: &Bucket, cx: &S3AccessContext<'_>) -> S3Result<()> {
    let reads = matches!(cx.s3_op().name(), "GetObject" | "HeadObject");
    let object = cx
        .s3_path()
        .as_object()
        .and_then(|(_, key)| bucket.objects.get(key));
    match object {
        Some(object) if reads && object.options.public => Ok(()),
        _ => Err(denied()),
    }
}

fn with_region(mut err: S3Error, region: &str) -> S3Error {
    let mut headers = HeaderMap::new();
    if let Ok(region) = HeaderValue::from_str(region) {
        headers.insert(REGION_HEADER, region);
    }
    err.set_headers(headers);
    err
}
