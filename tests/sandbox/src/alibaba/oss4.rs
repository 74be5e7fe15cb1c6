//! Checks `OSS4-HMAC-SHA256`, in the header or in the query of a presigned URL, from the
//! published rules and apart from any client's code.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4>

use std::collections::{BTreeMap, BTreeSet};

use http::request::Parts;
use time::Duration;

use super::canonical::{encode, encode_path, header, header_lines, hmac, pairs, sha256};
use super::keys::{Key, Keyring};
use super::moment;
use super::oss::Failure;

const SCHEME: &str = "OSS4-HMAC-SHA256";
const PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Seven days
const MAX_EXPIRES: i64 = 604_800;

/// Who signed, and for which region.
pub(super) struct Caller {
    pub(super) region: String,
}

/// What a request says of its signature, wherever it says it.
#[derive(Debug)]
struct Authorization {
    access_key: String,
    day: String,
    region: String,
    date: String,
    additional: BTreeSet<String>,
    token: Option<String>,
    signature: String,
    /// Seconds, of a presigned URL
    expires: Option<i64>,
}

/// The access key and the region a request names, checked or not.
pub(super) fn claimed_key(head: &Parts) -> Option<(String, String)> {
    let claim = Authorization::from_request(head).ok()?;
    Some((claim.access_key, claim.region))
}

/// `resource` is `/`, `/bucket/` or `/bucket/key`, decoded, whatever the host was.
pub(super) fn verify(head: &Parts, resource: &str, keys: &Keyring) -> Result<Caller, Failure> {
    let claim = Authorization::from_request(head)?;
    claim.check_date(head)?;
    let key = keys.get(&claim.access_key).ok_or_else(unknown_key)?;
    let canonical = claim.canonical_request(head, resource);
    let text = claim.string_to_sign(&canonical);
    if claim.sign(&text, &key.secret_key) != claim.signature {
        return Err(mismatch(&claim, &canonical, &text));
    }
    check_token(&claim, &key)?;
    let region = claim.region;
    Ok(Caller { region })
}

fn unknown_key() -> Failure {
    let text = "The OSS Access Key Id you provided does not exist in our records.";
    Failure::new(403, "InvalidAccessKeyId", text)
}

fn mismatch(claim: &Authorization, canonical: &str, text: &str) -> Failure {
    let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    Failure::new(403, "SignatureDoesNotMatch", message)
        .with("OSSAccessKeyId", &claim.access_key)
        .with("SignatureProvided", &claim.signature)
        .with("StringToSign", text)
        .with("CanonicalRequest", canonical)
}

fn check_token(claim: &Authorization, key: &Key) -> Result<(), Failure> {
    match (&key.security_token, &claim.token) {
        // A temporary key is not in OSS's records without its token, nor a lasting one with any.
        (Some(_), None) => Err(unknown_key()),
        (None, Some(_)) => Err(unknown_key().ec("0002-00000002")),
        (Some(token), Some(sent)) if token != sent => {
            let text = "The security token you provided is invalid.";
            Err(Failure::new(403, "InvalidSecurityToken", text))
        }
        (Some(_), Some(_)) if key.expired => {
            let text = "The security token you provided has expired.";
            Err(Failure::new(403, "SecurityTokenExpired", text))
        }
        (None, None) | (Some(_), Some(_)) => Ok(()),
    }
}

fn malformed(text: &str) -> Failure {
    Failure::new(400, "InvalidArgument", text)
}

fn anonymous() -> Failure {
    let text = "You have no right to access this object because of bucket acl.";
    Failure::new(403, "AccessDenied", text)
}

impl Authorization {
    fn from_request(head: &Parts) -> Result<Self, Failure> {
        match header(head, "authorization") {
            Some(value) => Self::from_header(head, value),
            None => Self::from_query(head),
        }
    }

    fn from_header(head: &Parts, value: &str) -> Result<Self, Failure> {
        let fields = value.strip_prefix(SCHEME).ok_or_else(|| {
            malformed("Signature version 1 is closed to new users, use version 4.")
        })?;
        let fields: BTreeMap<_, _> = fields
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .collect();
        if header(head, "x-oss-content-sha256") != Some(PAYLOAD) {
            return Err(malformed(
                "The x-oss-content-sha256 header must be UNSIGNED-PAYLOAD.",
            ));
        }
        let field = |name: &str| fields.get(name).map(|value| (*value).to_owned());
        Self::new(
            field("Credential"),
            field("AdditionalHeaders").as_ref(),
            Self {
                date: header(head, "x-oss-date").unwrap_or_default().to_owned(),
                token: header(head, "x-oss-security-token").map(str::to_owned),
                signature: field("Signature").unwrap_or_default(),
                expires: None,
                ..Self::empty()
            },
        )
    }

    fn from_query(head: &Parts) -> Result<Self, Failure> {
        let query: BTreeMap<_, _> = pairs(head.uri.query().unwrap_or_default())
            .into_iter()
            .collect();
        let field = |name: &str| query.get(name).cloned();
        if field("x-oss-signature-version").as_deref() != Some(SCHEME) {
            return Err(anonymous());
        }
        let expires = field("x-oss-expires").and_then(|expires| expires.parse().ok());
        let expires = expires.filter(|seconds| (1..=MAX_EXPIRES).contains(seconds));
        let text = "x-oss-expires must be between 1 and 604800.";
        Self::new(
            field("x-oss-credential"),
            field("x-oss-additional-headers").as_ref(),
            Self {
                date: field("x-oss-date").unwrap_or_default(),
                token: field("x-oss-security-token"),
                signature: field("x-oss-signature").unwrap_or_default(),
                expires: Some(expires.ok_or_else(|| malformed(text))?),
                ..Self::empty()
            },
        )
    }

    fn empty() -> Self {
        Self {
            access_key: String::new(),
            day: String::new(),
            region: String::new(),
            date: String::new(),
            additional: BTreeSet::new(),
            token: None,
            signature: String::new(),
            expires: None,
        }
    }

    fn new(
        credential: Option<String>,
        additional: Option<&String>,
        rest: Self,
    ) -> Result<Self, Failure> {
        let credential = credential.unwrap_or_default();
        let scope: Vec<_> = credential.split('/').collect();
        let [access_key, day, region, "oss", "aliyun_v4_request"] = scope[..] else {
            return Err(malformed(
                "The credential is not AccessKeyId/date/region/oss/aliyun_v4_request.",
            ));
        };
        let names = additional.iter().flat_map(|names| names.split(';'));
        Ok(Self {
            access_key: access_key.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            additional: names.map(str::to_lowercase).collect(),
            ..rest
        })
    }

    fn check_date(&self, head: &Parts) -> Result<(), Failure> {
        let signed = moment::from_compact(&self.date).filter(|_| self.date.starts_with(&self.day));
        let signed = signed.ok_or_else(|| malformed("The signing date is invalid."))?;
        if let Some(expires) = self.expires {
            let late = moment::now() > signed + Duration::seconds(expires);
            return if late { Err(expired()) } else { Ok(()) };
        }
        if moment::is_fresh(signed) {
            return Ok(());
        }
        let text = "The difference between the request time and the current time is too large.";
        Err(Failure::new(403, "RequestTimeTooSkewed", text)
            .with("MaxAllowedSkewMilliseconds", "900000")
            .with(
                "RequestTime",
                header(head, "x-oss-date").unwrap_or_default(),
            )
            .with("ServerTime", &moment::extended(moment::now())))
    }

    fn canonical_request(&self, head: &Parts, resource: &str) -> String {
        let query = canonical_query(head.uri.query().unwrap_or_default());
        let sent: BTreeSet<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
        let signed = sent.into_iter().filter(|name| self.is_signed(name));
        let lines = header_lines(head, signed);
        let additional: Vec<_> = self.additional.iter().map(String::as_str).collect();
        let (method, path, additional) =
            (&head.method, encode_path(resource), additional.join(";"));
        format!("{method}\n{path}\n{query}\n{lines}\n{additional}\n{PAYLOAD}")
    }

    fn is_signed(&self, name: &str) -> bool {
        name.starts_with("x-oss-")
            || ["content-type", "content-md5"].contains(&name)
            || self.additional.contains(name)
    }

    fn string_to_sign(&self, canonical: &str) -> String {
        let Self {
            date, day, region, ..
        } = self;
        format!(
            "{SCHEME}\n{date}\n{day}/{region}/oss/aliyun_v4_request\n{}",
            sha256(canonical)
        )
    }

    fn sign(&self, text: &str, secret: &str) -> String {
        let mut key = format!("aliyun_v4{secret}").into_bytes();
        for step in [&self.day, &self.region, "oss", "aliyun_v4_request", text] {
            key = hmac(&key, step);
        }
        hex::encode(key)
    }
}

fn expired() -> Failure {
    Failure::new(403, "AccessDenied", "Request has expired.")
}

fn canonical_query(query: &str) -> String {
    let pairs = pairs(query)
        .into_iter()
        .filter(|(name, _)| name != "x-oss-signature");
    let mut pairs: Vec<_> = pairs
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    pairs.sort();
    let written = |(name, value): &(String, String)| match value.as_str() {
        "" => name.clone(),
        value => format!("{name}={value}"),
    };
    pairs.iter().map(written).collect::<Vec<_>>().join("&")
}

/// Signs as a client would, for the sandbox's own stories; the head has all but the signature.
#[cfg(test)]
pub(super) fn authorization(head: &Parts, resource: &str, key: &Key, region: &str) -> String {
    let date = header(head, "x-oss-date").unwrap();
    let day = &date[..8];
    let credential = format!("{}/{day}/{region}/oss/aliyun_v4_request", key.access_key);
    let value = format!("{SCHEME} Credential={credential},Signature=");
    let claim = Authorization::from_header(head, &value).unwrap();
    let text = claim.string_to_sign(&claim.canonical_request(head, resource));
    value + &claim.sign(&text, &key.secret_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "/bucket/1234+-/123/1.txt";
    const QUERY: &str =
        "param1=value1&%2Bparam1=value3&%7Cparam1=value4&%2Bparam2&%7Cparam2&param2";

    fn request(query: &str, headers: &[(&str, &str)]) -> Parts {
        let request = http::Request::put(format!("/1234%2B-/123/1.txt?{query}"));
        let always = [
            ("abc", "value"),
            ("ZAbc", "value"),
            ("XYZ", "value"),
            ("x-oss-head1", "value"),
        ];
        let headers = always.iter().chain(headers);
        let request = headers.fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.body(()).unwrap().into_parts().0
    }

    fn signature_in_header(date: &str, more: &str, token: Option<&str>) -> (String, String) {
        let mut headers = vec![
            ("content-type", "text/plain"),
            ("x-oss-content-sha256", PAYLOAD),
            ("x-oss-date", date),
        ];
        headers.extend(token.map(|token| ("x-oss-security-token", token)));
        let value = format!(
            "{SCHEME} Credential=ak/{}/cn-hangzhou/oss/aliyun_v4_request,{more}Signature=",
            &date[..8]
        );
        signature(&request(QUERY, &headers), Some(&value))
    }

    fn signature(head: &Parts, value: Option<&str>) -> (String, String) {
        let claim = match value {
            Some(value) => Authorization::from_header(head, value).unwrap(),
            None => Authorization::from_query(head).unwrap(),
        };
        let canonical = claim.canonical_request(head, RESOURCE);
        let signature = claim.sign(&claim.string_to_sign(&canonical), "sk");
        (sha256(canonical), signature)
    }

    #[test]
    fn signs_the_published_headers() {
        let (canonical, signature) = signature_in_header("20231216T162057Z", "", None);
        assert_eq!(
            canonical,
            "f4613657f1b108998e8dbd10a1aa5da621dc2c6e02c9ddec0f163664848704c4"
        );
        assert_eq!(
            signature,
            "e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"
        );
    }

    #[test]
    fn signs_the_published_token_and_additional_headers() {
        let (_, signature) = signature_in_header("20231217T034736Z", "", Some("token"));
        assert_eq!(
            signature,
            "b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea"
        );
        let (_, signature) =
            signature_in_header("20231216T172512Z", "AdditionalHeaders=abc;zabc,", None);
        assert_eq!(
            signature,
            "4a4183c187c07c8947db7620deb0a6b38d9fbdd34187b6dbaccb316fa251212f"
        );
    }

    #[test]
    fn signs_the_published_urls() {
        for (date, token, expected) in [
            (
                "20231217T025437Z",
                "",
                "a39966c61718be0d5b14e668088b3fa07601033f6518ac7b523100014269c0fe",
            ),
            (
                "20231217T035628Z",
                "&x-oss-security-token=token",
                "3817ac9d206cd6dfc90f1c09c00be45005602e55898f26f5ddb06d7892e1f8b5",
            ),
        ] {
            let credential = format!(
                "ak%2F{}%2Fcn-hangzhou%2Foss%2Faliyun_v4_request",
                &date[..8]
            );
            let query = format!(
                "{QUERY}&x-oss-signature-version={SCHEME}&x-oss-date={date}&x-oss-expires=599\
                 &x-oss-credential={credential}{token}&x-oss-signature=s"
            );
            let head = request(&query, &[("content-type", "application/octet-stream")]);
            assert_eq!(signature(&head, None).1, expected);
        }
    }
}
