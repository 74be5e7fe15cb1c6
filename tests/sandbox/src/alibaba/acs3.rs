//! Checks `ACS3-HMAC-SHA256` on requests to ECS, RAM and STS, from the published rules and
//! apart from any client's code.
//! <https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature>

use std::collections::BTreeMap;

use http::request::Parts;

use super::canonical::{encode, header, header_lines, hmac, pairs, sha256};
use super::keys::{Key, Keyring};
use super::moment;
use crate::fault::ApiError;

struct Authorization<'a> {
    access_key: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

/// The access key a request names, checked or not.
pub(super) fn claimed_key(head: &Parts) -> Option<&str> {
    let value = header(head, "authorization")?;
    Some(Authorization::parse(value)?.access_key)
}

pub(super) fn verify(head: &Parts, body: &[u8], keys: &Keyring) -> Result<Key, ApiError> {
    let value = header(head, "authorization")
        .ok_or_else(|| incomplete("The request has no Authorization header"))?;
    let authorization = Authorization::parse(value)
        .ok_or_else(|| incomplete("The request signature does not conform to Aliyun standards"))?;
    authorization.check_headers(head)?;
    check_date(head)?;
    check_body(head, body)?;
    let unknown = || {
        refusal(
            404,
            "InvalidAccessKeyId.NotFound",
            "Specified access key is not found.",
        )
    };
    let key = keys.get(authorization.access_key).ok_or_else(unknown)?;
    let canonical = authorization.canonical_request(head);
    if sign(&canonical, &key.secret_key) != authorization.signature {
        let text = format!(
            "Specified signature is not matched with our calculation. server string to sign is:{canonical}"
        );
        return Err(refusal(400, "SignatureDoesNotMatch", &text));
    }
    check_token(head, &key)?;
    Ok(key)
}

fn refusal(status: u16, code: &str, message: &str) -> ApiError {
    ApiError::new(status, code, message)
}

fn incomplete(message: &str) -> ApiError {
    refusal(400, "IncompleteSignature", message)
}

fn check_date(head: &Parts) -> Result<(), ApiError> {
    let date = header(head, "x-acs-date").unwrap_or_default();
    let malformed = || {
        let text = "Specified time stamp or date value is not well formatted.";
        refusal(400, "InvalidTimeStamp.Format", text)
    };
    if moment::is_fresh(moment::from_extended(date).ok_or_else(malformed)?) {
        return Ok(());
    }
    let text = "Specified time stamp or date value is expired.";
    Err(refusal(400, "InvalidTimeStamp.Expired", text))
}

fn check_body(head: &Parts, body: &[u8]) -> Result<(), ApiError> {
    if header(head, "x-acs-content-sha256") == Some(&sha256(body)) {
        return Ok(());
    }
    let text = "Specified x-acs-content-sha256 does not match the body.";
    Err(refusal(400, "InvalidParameter.ContentSha256", text))
}

fn check_token(head: &Parts, key: &Key) -> Result<(), ApiError> {
    match (&key.security_token, header(head, "x-acs-security-token")) {
        (Some(_), None) => {
            let text = "SecurityToken is mandatory for this action.";
            Err(refusal(400, "MissingSecurityToken", text))
        }
        (None, Some(_)) => Err(signature_mismatch()),
        (Some(token), Some(sent)) if token != sent => Err(signature_mismatch()),
        (Some(_), Some(_)) if key.expired => {
            let text = "Specified SecurityToken is expired.";
            Err(refusal(400, "InvalidSecurityToken.Expired", text))
        }
        (None, None) | (Some(_), Some(_)) => Ok(()),
    }
}

fn signature_mismatch() -> ApiError {
    let text = "Specified SecurityToken mismatch with the AccessKey.";
    refusal(400, "InvalidSecurityToken.MismatchWithAccessKey", text)
}

impl<'a> Authorization<'a> {
    fn parse(value: &'a str) -> Option<Self> {
        let fields = value.strip_prefix("ACS3-HMAC-SHA256 ")?.split(',');
        let fields: BTreeMap<_, _> = fields.filter_map(|field| field.split_once('=')).collect();
        Some(Self {
            access_key: fields.get("Credential")?,
            signed_headers: fields.get("SignedHeaders")?.split(';').collect(),
            signature: fields.get("Signature")?,
        })
    }

    /// `host`, `content-type` and every `x-acs-*` must be signed, and in order.
    fn check_headers(&self, head: &Parts) -> Result<(), ApiError> {
        let mut needed = vec![
            "host",
            "x-acs-date",
            "x-acs-content-sha256",
            "x-acs-signature-nonce",
        ];
        let sent = head.headers.keys().map(http::HeaderName::as_str);
        needed.extend(sent.filter(|name| name.starts_with("x-acs-") || *name == "content-type"));
        if let Some(name) = needed
            .iter()
            .find(|name| !self.signed_headers.contains(name))
        {
            return Err(incomplete(&format!(
                "The header {name} is missing from SignedHeaders"
            )));
        }
        if !self.signed_headers.is_sorted() {
            return Err(incomplete("SignedHeaders is not in order"));
        }
        Ok(())
    }

    fn canonical_request(&self, head: &Parts) -> String {
        let query = canonical_query(head.uri.query().unwrap_or_default());
        let lines = header_lines(head, self.signed_headers.iter().copied());
        let names = self.signed_headers.join(";");
        let digest = header(head, "x-acs-content-sha256").unwrap_or_default();
        let (method, path) = (&head.method, head.uri.path());
        format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}")
    }
}

fn canonical_query(query: &str) -> String {
    let pairs = pairs(query).into_iter();
    let mut pairs: Vec<_> = pairs
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn sign(canonical: &str, secret: &str) -> String {
    let text = format!("ACS3-HMAC-SHA256\n{}", sha256(canonical));
    hex::encode(hmac(secret.as_bytes(), &text))
}

/// Signs as a client would, for the sandbox's own stories.
#[cfg(test)]
pub(super) fn authorization(head: &Parts, key: &Key) -> String {
    let mut names: Vec<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let names = names.join(";");
    let value = format!(
        "ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature=",
        key.access_key
    );
    let canonical = Authorization::parse(&value)
        .unwrap()
        .canonical_request(head);
    value.clone() + &sign(&canonical, &key.secret_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str =
        "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";

    fn example(host: &str, action: &str, query: &str) -> http::request::Builder {
        http::Request::post(format!("/?{query}"))
            .header("host", host)
            .header("x-acs-action", action)
            .header("x-acs-content-sha256", sha256(b""))
            .header("x-acs-date", "2023-10-26T10:22:32Z")
            .header("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d")
            .header("x-acs-version", "2014-05-26")
    }

    fn canonical(request: http::request::Builder, signed: &str) -> String {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let value = format!("ACS3-HMAC-SHA256 Credential=k,SignedHeaders={signed},Signature=s");
        Authorization::parse(&value)
            .unwrap()
            .canonical_request(&head)
    }

    #[test]
    fn signs_the_published_example() {
        let query =
            "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai";
        let request = example("ecs.cn-shanghai.aliyuncs.com", "RunInstances", query);
        let canonical = canonical(request, SIGNED);
        assert_eq!(
            sha256(&canonical),
            "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259"
        );
        assert_eq!(
            sign(&canonical, "YourAccessKeySecret"),
            "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }

    /// Spaces come as plus, as the official SDKs write them; keys in any order.
    #[test]
    fn encodes_as_rfc_3986_and_signs_the_token() {
        let query = "Tag.1.Value=v%2F%E4%B8%AD&Tag.1.Key=k&RegionId=cn-hangzhou&Platform=Others+Linux\
            &OSType=linux&ImageName=my+image*~(1)&DiskDeviceMapping.1.OSSObject=dir/a%20b.raw\
            &DiskDeviceMapping.1.OSSBucket=b&DiskDeviceMapping.1.Format=RAW\
            &DiskDeviceMapping.1.DiskImageSize=40&Architecture=x86_64";
        let request = example("ecs.cn-hangzhou.aliyuncs.com", "ImportImage", query)
            .header("x-acs-security-token", "StsTokenExample==");
        let signed = SIGNED.replace(
            "x-acs-signature-nonce",
            "x-acs-security-token;x-acs-signature-nonce",
        );
        let canonical = canonical(request, &signed);
        assert_eq!(
            sha256(&canonical),
            "d2e3a1c292594350e9f499b60cec800c91bd367f556f3fe3d709a1547b3aede3"
        );
        assert_eq!(
            sign(&canonical, "YourAccessKeySecret"),
            "b7046dd6ebe2d9af702aa8953721c61afc137c070e22a6da7ee7cad91655cdfc"
        );
    }

    #[test]
    fn an_unsigned_header_is_found() {
        let (head, ()) = example("h", "a", "")
            .header("x-acs-extra", "1")
            .body(())
            .unwrap()
            .into_parts();
        let value = format!("ACS3-HMAC-SHA256 Credential=k,SignedHeaders={SIGNED},Signature=s");
        let refusal = Authorization::parse(&value)
            .unwrap()
            .check_headers(&head)
            .unwrap_err();
        assert_eq!(
            refusal.message,
            "The header x-acs-extra is missing from SignedHeaders"
        );
    }
}
