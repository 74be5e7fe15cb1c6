//! Checks AWS Signature Version 4 on requests of the query protocol, from the published
//! rules and apart from any client's code. S3's own rules are left to the s3s crate.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::PrimitiveDateTime;
use time::macros::format_description;

use crate::keys::{Key, Keyring};

/// AWS accepts clocks that are this far off.
const MAX_SKEW: time::Duration = time::Duration::minutes(15);

/// What stands for the digest of such a body.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Who signed, and for which region and service.
pub(crate) struct Caller {
    pub(crate) key: Key,
    pub(crate) region: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SignatureError {
    Missing,
    Malformed(String),
    UnknownKey,
    Mismatch,
    Stale,
    WrongToken,
    ExpiredToken,
}

struct Authorization<'a> {
    access_key: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

pub(crate) fn verify(
    head: &Parts,
    body: &[u8],
    service: &str,
    keys: &Keyring,
) -> Result<Caller, SignatureError> {
    verify_digest(head, &hex::encode(Sha256::digest(body)), service, keys)
}

/// The same of a request whose body is not part of the signature.
pub(crate) fn verify_without_body(
    head: &Parts,
    service: &str,
    keys: &Keyring,
) -> Result<Caller, SignatureError> {
    verify_digest(head, UNSIGNED, service, keys)
}

fn verify_digest(
    head: &Parts,
    digest: &str,
    service: &str,
    keys: &Keyring,
) -> Result<Caller, SignatureError> {
    let value = header(head, "authorization").ok_or(SignatureError::Missing)?;
    let authorization = Authorization::parse(value)?;
    let timestamp = header(head, "x-amz-date").ok_or(SignatureError::Missing)?;
    if authorization.service != service {
        let text = format!("Credential should be scoped to correct service: '{service}'.");
        return Err(SignatureError::Malformed(text));
    }
    check_date(timestamp, OffsetDateTime::now_utc())?;
    let key = keys
        .get(authorization.access_key)
        .ok_or(SignatureError::UnknownKey)?;
    if authorization.sign(head, digest, timestamp, &key.secret_key)? != authorization.signature {
        return Err(SignatureError::Mismatch);
    }
    if key.session_token.as_deref() != header(head, "x-amz-security-token") {
        return Err(SignatureError::WrongToken);
    }
    if key.expired {
        return Err(SignatureError::ExpiredToken);
    }
    let region = authorization.region.to_owned();
    Ok(Caller { key, region })
}

/// The region a request says it is signed for, checked or not.
pub(crate) fn claimed_region(head: &Parts) -> Option<&str> {
    let value = header(head, "authorization")?;
    Some(Authorization::parse(value).ok()?.region)
}

fn header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

fn check_date(timestamp: &str, now: OffsetDateTime) -> Result<(), SignatureError> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let date = PrimitiveDateTime::parse(timestamp, format).map_err(|_| SignatureError::Stale)?;
    let skew = (now - date.assume_utc()).abs();
    if skew > MAX_SKEW {
        Err(SignatureError::Stale)
    } else {
        Ok(())
    }
}

impl<'a> Authorization<'a> {
    fn parse(value: &'a str) -> Result<Self, SignatureError> {
        let malformed =
            || SignatureError::Malformed("Authorization header is malformed.".to_owned());
        let fields = value
            .strip_prefix("AWS4-HMAC-SHA256")
            .ok_or_else(malformed)?;
        let fields: BTreeMap<_, _> = fields
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .collect();
        let field = |name| fields.get(name).copied().ok_or_else(malformed);
        let scope: Vec<_> = field("Credential")?.split('/').collect();
        let [access_key, day, region, service, "aws4_request"] = scope[..] else {
            return Err(malformed());
        };
        Ok(Self {
            access_key,
            day,
            region,
            service,
            signed_headers: field("SignedHeaders")?.split(';').collect(),
            signature: field("Signature")?,
        })
    }

    fn sign(
        &self,
        head: &Parts,
        body_digest: &str,
        timestamp: &str,
        secret: &str,
    ) -> Result<String, SignatureError> {
        if !timestamp.starts_with(self.day) || !self.signed_headers.contains(&"host") {
            return Err(SignatureError::Mismatch);
        }
        let request = self.canonical_request(head, body_digest);
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let digest = hex::encode(Sha256::digest(request));
        let text = format!("AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}");
        let mut key = format!("AWS4{secret}").into_bytes();
        for step in [self.day, self.region, self.service, "aws4_request", &text] {
            key = hmac(&key, step);
        }
        Ok(hex::encode(key))
    }

    fn canonical_request(&self, head: &Parts, digest: &str) -> String {
        let line = |name: &&str| {
            [
                name,
                ":",
                &canonical_header(head, name),
                "
",
            ]
            .concat()
        };
        let headers: String = self.signed_headers.iter().map(line).collect();
        let query = canonical_query(head.uri.query().unwrap_or_default());
        let names = self.signed_headers.join(";");
        let (method, path) = (&head.method, head.uri.path());
        format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{digest}")
    }
}

fn canonical_header(head: &Parts, name: &str) -> String {
    let values = head.headers.get_all(name).iter();
    let trimmed = values.filter_map(|value| value.to_str().ok());
    let trimmed = trimmed.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "));
    trimmed.collect::<Vec<_>>().join(",")
}

fn canonical_query(query: &str) -> String {
    let encode = |text: &str| {
        let plain = percent_decode_str(text).decode_utf8_lossy();
        utf8_percent_encode(&plain, UNRESERVED).to_string()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Signs as a client would, for the sandbox's own stories.
#[cfg(test)]
pub(crate) fn sign(
    head: &Parts,
    body: &[u8],
    timestamp: &str,
    key: &Key,
    scope: [&str; 2],
) -> String {
    let [region, service] = scope;
    let mut authorization = Authorization {
        access_key: &key.access_key,
        day: &timestamp[..8],
        region,
        service,
        signed_headers: head.headers.keys().map(http::HeaderName::as_str).collect(),
        signature: "",
    };
    authorization.signed_headers.sort_unstable();
    let digest = hex::encode(Sha256::digest(body));
    let signature = authorization.sign(head, &digest, timestamp, &key.secret_key);
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{}/{region}/{service}/aws4_request, SignedHeaders={}, Signature={}",
        key.access_key,
        authorization.day,
        authorization.signed_headers.join(";"),
        signature.unwrap()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's published example "GET Object".
    const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
        Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
        SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
        Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

    fn example() -> Parts {
        let empty = hex::encode(Sha256::digest(b""));
        let request = http::Request::get("/test.txt")
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("range", "bytes=0-9")
            .header("x-amz-content-sha256", empty)
            .header("x-amz-date", "20130524T000000Z");
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn signs_the_published_example() {
        let authorization = Authorization::parse(AUTHORIZATION).unwrap();
        let empty = hex::encode(Sha256::digest(b""));
        let request = authorization.canonical_request(&example(), &empty);
        assert_eq!(
            hex::encode(Sha256::digest(request)),
            "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"
        );
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let signature = authorization.sign(&example(), &empty, "20130524T000000Z", secret);
        assert_eq!(signature.unwrap(), authorization.signature);
    }

    #[test]
    fn an_old_date_is_stale() {
        let now = time::macros::datetime!(2013-05-24 00:15:01 UTC);
        assert_eq!(
            check_date("20130524T000000Z", now),
            Err(SignatureError::Stale)
        );
        let now = time::macros::datetime!(2013-05-24 00:14:59 UTC);
        assert_eq!(check_date("20130524T000000Z", now), Ok(()));
    }
}
