//! Alibaba Cloud's two signatures: ACS3-HMAC-SHA256 for ECS, RAM and STS ("V3 request body and
//! signature"), OSS4-HMAC-SHA256 for OSS ("V4 signature in the header"). The callers provide
//! the key and decide when to sign again.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::error::ServiceError;
use crate::net::http::encode;
use crate::secret::Secret;

/// SHA-256 of no bytes: every signed RPC carries its parameters in the query.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// OSS does not look at a body's digest; its answer carries a CRC instead.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// What a caller signs with.
#[derive(Clone, Debug)]
pub struct Key {
    /// AccessKeyId.
    pub id: String,
    /// AccessKeySecret.
    pub secret: Secret,
    /// SecurityToken of a temporary key.
    pub token: Option<Secret>,
}

/// Gives the key that signs the next request.
pub trait KeySource: Sync {
    /// A key that is good for the next minutes.
    ///
    /// # Errors
    ///
    /// What keeps the source from giving one.
    fn key(&self) -> impl Future<Output = Result<Key, ServiceError>> + Send;

    /// Records that a service calls the key expired. Returns whether `key` gives another one
    /// then.
    fn invalidate(&self) -> bool;
}

/// A key that was given stays the same.
impl KeySource for Key {
    async fn key(&self) -> Result<Key, ServiceError> {
        Ok(self.clone())
    }

    fn invalidate(&self) -> bool {
        false
    }
}

/// Names and values, of a query or of headers.
pub type Pairs = Vec<(String, String)>;

/// A call of an RPC-style product.
#[derive(Debug)]
pub struct Rpc<'a> {
    /// As it stands in the Host header.
    pub host: &'a str,
    /// Such as `ImportImage`.
    pub action: &'a str,
    /// Such as `2014-05-26`.
    pub version: &'a str,
    /// All parameters.
    pub query: &'a [(String, String)],
    /// Unique for every request, a repeated one too.
    pub nonce: &'a str,
    /// Now; the service allows 15 minutes.
    pub time: Timestamp,
}

/// The headers that make it a signed call.
pub fn sign_acs3(key: &Key, request: &Rpc<'_>) -> Pairs {
    let mut headers = vec![
        ("host", request.host.to_owned()),
        ("x-acs-action", request.action.to_owned()),
        ("x-acs-content-sha256", EMPTY_SHA256.to_owned()),
        (
            "x-acs-date",
            request.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        ),
    ];
    if let Some(token) = &key.token {
        headers.push(("x-acs-security-token", token.expose().to_owned()));
    }
    headers.push(("x-acs-signature-nonce", request.nonce.to_owned()));
    headers.push(("x-acs-version", request.version.to_owned()));
    let mut headers = to_pairs(headers);
    headers.sort();
    let names = signed_headers(&headers);
    let text = format!(
        "POST\n/\n{}\n{}\n{names}\n{EMPTY_SHA256}",
        canonical_query(request.query, "="),
        canonical_headers(&headers)
    );
    let text = format!("ACS3-HMAC-SHA256\n{}", sha256(&text));
    let signature = hex::encode(hmac(key.secret.expose().as_bytes(), &text));
    let id = &key.id;
    headers.push((
        "authorization".to_owned(),
        format!("ACS3-HMAC-SHA256 Credential={id},SignedHeaders={names},Signature={signature}"),
    ));
    headers
}

/// A request to OSS.
#[derive(Debug)]
pub struct OssRequest<'a> {
    /// The bucket's region, such as `cn-hangzhou`.
    pub region: &'a str,
    /// The verb.
    pub method: &'a str,
    /// `/bucket/key`, not encoded, whatever the host; `/bucket/` for the bucket itself.
    pub path: &'a str,
    /// All parameters.
    pub query: &'a [(String, String)],
    /// What the request sends; names in lower case.
    pub headers: &'a [(String, String)],
    /// Now.
    pub time: Timestamp,
}

/// The headers that make it a signed request, without its own.
pub fn sign_oss4(key: &Key, request: &OssRequest<'_>) -> Pairs {
    let mut added = to_pairs(vec![
        ("x-oss-content-sha256", UNSIGNED_PAYLOAD.to_owned()),
        ("x-oss-date", iso8601_basic(request.time)),
    ]);
    if let Some(token) = &key.token {
        added.push(("x-oss-security-token".to_owned(), token.expose().to_owned()));
    }
    let mut headers = request.headers.to_vec();
    headers.extend(added.iter().cloned());
    let signature = oss4_signature(key, request, &headers, &[]);
    let (id, scope) = (&key.id, credential_scope(request));
    added.push((
        "authorization".to_owned(),
        format!("OSS4-HMAC-SHA256 Credential={id}/{scope},Signature={signature}"),
    ));
    added
}

fn oss4_signature(
    key: &Key,
    request: &OssRequest<'_>,
    headers: &[(String, String)],
    additional_headers: &[&str],
) -> String {
    let counts = |name: &str| {
        name.starts_with("x-oss-")
            || matches!(name, "content-type" | "content-md5")
            || additional_headers.contains(&name)
    };
    let mut signed: Pairs = headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .filter(|(name, _)| counts(name))
        .collect();
    signed.sort();
    let path: Vec<_> = request.path.split('/').map(encode).collect();
    let text = format!(
        "{}\n{}\n{}\n{}\n{}\n{UNSIGNED_PAYLOAD}",
        request.method,
        path.join("/"),
        canonical_query(request.query, ""),
        canonical_headers(&signed),
        additional_headers.join(";")
    );
    let scope = credential_scope(request);
    let text = format!(
        "OSS4-HMAC-SHA256\n{}\n{scope}\n{}",
        iso8601_basic(request.time),
        sha256(&text)
    );
    let secret = format!("aliyun_v4{}", key.secret.expose());
    let derived = scope
        .split('/')
        .fold(secret.into_bytes(), |key, part| hmac(&key, part));
    hex::encode(hmac(&derived, &text))
}

fn iso8601_basic(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn credential_scope(request: &OssRequest<'_>) -> String {
    let date = request.time.strftime("%Y%m%d");
    format!("{date}/{}/oss/aliyun_v4_request", request.region)
}

/// The canonical query; what stands after a name without a value differs.
fn canonical_query(pairs: &[(String, String)], empty_value: &str) -> String {
    let mut pairs: Pairs = pairs
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    let encoded = pairs.into_iter().map(|(name, value)| {
        if value.is_empty() {
            name + empty_value
        } else {
            format!("{name}={value}")
        }
    });
    encoded.collect::<Vec<_>>().join("&")
}

fn canonical_headers(headers: &[(String, String)]) -> String {
    let line = |(name, value): &(String, String)| format!("{name}:{}\n", value.trim());
    headers.iter().map(line).collect()
}

fn signed_headers(headers: &[(String, String)]) -> String {
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    names.join(";")
}

fn to_pairs(pairs: Vec<(&str, String)>) -> Pairs {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// HMAC takes keys of any length, so there is nothing that can fail.
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Pairs {
        list.iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    fn key(id: &str, secret: &str, token: Option<&str>) -> Key {
        Key {
            id: id.to_owned(),
            secret: Secret::new(secret),
            token: token.map(Secret::new),
        }
    }

    fn rpc(host: &str, action: &str, query: &Pairs, token: Option<&str>) -> String {
        let call = Rpc {
            host,
            action,
            version: "2014-05-26",
            query,
            nonce: "3156853299f313e23d1673dc12e1703d",
            time: "2023-10-26T10:22:32Z".parse().expect("a time"),
        };
        let headers = sign_acs3(&key("YourAccessKeyId", "YourAccessKeySecret", token), &call);
        headers.last().expect("a signature").1.clone()
    }

    /// The worked example of Alibaba's help page, "V3 request body and signature".
    #[test]
    fn acs3_of_the_help_page() {
        let query = pairs(&[
            ("RegionId", "cn-shanghai"),
            (
                "ImageId",
                "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
            ),
        ]);
        assert_eq!(
            rpc("ecs.cn-shanghai.aliyuncs.com", "RunInstances", &query, None),
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,\
             SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }

    #[test]
    fn acs3_with_a_token_and_signs_to_escape() {
        let query = pairs(&[
            ("Architecture", "x86_64"),
            ("DiskDeviceMapping.1.DiskImageSize", "40"),
            ("DiskDeviceMapping.1.Format", "RAW"),
            ("DiskDeviceMapping.1.OSSBucket", "b"),
            ("DiskDeviceMapping.1.OSSObject", "dir/a b.raw"),
            ("ImageName", "my image*~(1)"),
            ("OSType", "linux"),
            ("Platform", "Others Linux"),
            ("RegionId", "cn-hangzhou"),
            ("Tag.1.Key", "k"),
            ("Tag.1.Value", "v/中"),
        ]);
        let value = rpc(
            "ecs.cn-hangzhou.aliyuncs.com",
            "ImportImage",
            &query,
            Some("StsTokenExample=="),
        );
        assert!(
            value.ends_with(
                "Signature=b7046dd6ebe2d9af702aa8953721c61afc137c070e22a6da7ee7cad91655cdfc"
            ),
            "{value}"
        );
    }

    /// The request of the vectors in Alibaba's OSS SDKs for Go and Python (`signer` tests).
    fn oss<'a>(time: i64, query: &'a Pairs, headers: &'a Pairs) -> OssRequest<'a> {
        OssRequest {
            region: "cn-hangzhou",
            method: "PUT",
            path: "/bucket/1234+-/123/1.txt",
            query,
            headers,
            time: Timestamp::from_second(time).expect("a time"),
        }
    }

    fn parameters() -> Pairs {
        pairs(&[
            ("param1", "value1"),
            ("+param1", "value3"),
            ("|param1", "value4"),
            ("+param2", ""),
            ("|param2", ""),
            ("param2", ""),
        ])
    }

    fn headers(kind: &str) -> Pairs {
        pairs(&[
            ("x-oss-head1", "value"),
            ("abc", "value"),
            ("ZAbc", "value"),
            ("XYZ", "value"),
            ("content-type", kind),
        ])
    }

    #[test]
    fn oss4_of_the_sdks() {
        let (query, headers) = (parameters(), headers("text/plain"));
        for (time, token, date, signature) in [
            (
                1_702_743_657,
                None,
                "20231216",
                "e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe",
            ),
            (
                1_702_784_856,
                Some("token"),
                "20231217",
                "b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea",
            ),
        ] {
            let added = sign_oss4(&key("ak", "sk", token), &oss(time, &query, &headers));
            let value = &added.last().expect("a signature").1;
            assert_eq!(
                *value,
                format!(
                    "OSS4-HMAC-SHA256 Credential=ak/{date}/cn-hangzhou/oss/aliyun_v4_request,Signature={signature}"
                )
            );
        }
    }

    #[test]
    fn oss4_with_additional_headers() {
        let (query, mut headers) = (parameters(), headers("text/plain"));
        let request_headers = headers.clone();
        headers.extend(pairs(&[
            ("x-oss-content-sha256", UNSIGNED_PAYLOAD),
            ("x-oss-date", "20231216T172512Z"),
        ]));
        let request = oss(1_702_747_512, &query, &request_headers);
        assert_eq!(
            oss4_signature(&key("ak", "sk", None), &request, &headers, &["abc", "zabc"]),
            "4a4183c187c07c8947db7620deb0a6b38d9fbdd34187b6dbaccb316fa251212f"
        );
    }

    /// A presigned address has its x-oss-* in the query.
    #[test]
    fn oss4_presigned() {
        let headers = headers("application/octet-stream");
        for (time, expected_time, token, signature) in [
            (
                1_702_781_677,
                "20231217T025437Z",
                None,
                "a39966c61718be0d5b14e668088b3fa07601033f6518ac7b523100014269c0fe",
            ),
            (
                1_702_785_388,
                "20231217T035628Z",
                Some("token"),
                "3817ac9d206cd6dfc90f1c09c00be45005602e55898f26f5ddb06d7892e1f8b5",
            ),
        ] {
            let mut query = parameters();
            query.extend(pairs(&[
                ("x-oss-signature-version", "OSS4-HMAC-SHA256"),
                ("x-oss-date", expected_time),
                ("x-oss-expires", "599"),
                (
                    "x-oss-credential",
                    "ak/20231217/cn-hangzhou/oss/aliyun_v4_request",
                ),
            ]));
            query.extend(token.map(|token| ("x-oss-security-token".to_owned(), token.to_owned())));
            let request = oss(time, &query, &headers);
            assert_eq!(
                oss4_signature(&key("ak", "sk", token), &request, &headers, &[]),
                signature
            );
        }
    }
}
