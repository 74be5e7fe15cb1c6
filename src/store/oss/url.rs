//! The URL of an object: bucket and key at an endpoint. The signature covers `/bucket/key`,
//! whatever the URL.

use crate::net::http::encode;

/// How a bucket is found behind an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Addressing {
    /// `https://bucket.endpoint/key`.
    Virtual,
    /// `http://endpoint/bucket/key`, for this machine alone: OSS itself refuses it.
    Path,
    /// `https://domain/key`: the domain is bound to the bucket.
    Custom,
}

/// Which object.
#[derive(Clone, Debug)]
pub struct OssObject {
    /// Such as `https://oss-cn-hangzhou.aliyuncs.com`.
    pub endpoint: String,
    /// How the bucket is found there.
    pub addressing: Addressing,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

impl OssObject {
    /// The address of the bucket, or of a key in it, with its query.
    pub(super) fn url(&self, key: &str, query: &[(String, String)]) -> String {
        with_query(self.base_url(key), query)
    }

    fn base_url(&self, key: &str) -> String {
        let endpoint = self.endpoint.trim_end_matches('/');
        let key = key.split('/').map(encode).collect::<Vec<_>>().join("/");
        match (self.addressing, endpoint.split_once("://")) {
            (Addressing::Path, _) => format!("{endpoint}/{}/{key}", self.bucket),
            (Addressing::Virtual, Some((scheme, host))) => {
                format!("{scheme}://{}.{host}/{key}", self.bucket)
            }
            _ => format!("{endpoint}/{key}"),
        }
    }
}

fn with_query(url: String, query: &[(String, String)]) -> String {
    let words: Vec<_> = query
        .iter()
        .map(|(name, value)| match value.as_str() {
            "" => encode(name),
            value => format!("{}={}", encode(name), encode(value)),
        })
        .collect();
    if words.is_empty() {
        url
    } else {
        format!("{url}?{}", words.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(endpoint: &str, addressing: Addressing, key: &str) -> String {
        let object = OssObject {
            endpoint: endpoint.to_owned(),
            addressing,
            bucket: "b".to_owned(),
            key: String::new(),
        };
        object.url(key, &[("uploads".to_owned(), String::new())])
    }

    #[test]
    fn each_addressing_has_its_host_and_path() {
        let public = "https://oss-cn-beijing.aliyuncs.com";
        assert_eq!(
            address(public, Addressing::Virtual, "dir/a b+中.raw"),
            "https://b.oss-cn-beijing.aliyuncs.com/dir/a%20b%2B%E4%B8%AD.raw?uploads"
        );
        assert_eq!(
            address("http://127.0.0.1:80/", Addressing::Path, ""),
            "http://127.0.0.1:80/b/?uploads"
        );
        assert_eq!(
            address("https://img.example", Addressing::Custom, "k"),
            "https://img.example/k?uploads"
        );
    }
}
