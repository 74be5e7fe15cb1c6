//! Where a request points: the bucket is in the host name, or first in the path when the
//! host is an address or plain `localhost`.

use http::request::Parts;

use crate::alibaba::canonical::{decode_path, header};

pub(super) struct ObjectPath {
    pub(super) bucket: String,
    pub(super) key: String,
}

impl ObjectPath {
    pub(super) fn from_request(head: &Parts) -> Self {
        let host = header(head, "host").unwrap_or_default();
        let path = decode_path(head.uri.path());
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = match bucket_in(host) {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }

    /// 0 is the service, 1 a bucket, 2 an object.
    pub(super) fn level(&self) -> u8 {
        match (self.bucket.is_empty(), self.key.is_empty()) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    }

    /// As signatures name it, however the request was addressed.
    pub(super) fn resource(&self) -> String {
        match self.level() {
            0 => "/".to_owned(),
            _ => format!("/{}/{}", self.bucket, self.key),
        }
    }
}

/// `bucket.localhost`, `bucket.oss-cn-beijing.localhost`
fn bucket_in(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let (first, _) = name
        .strip_suffix(".localhost")?
        .split_once('.')
        .unwrap_or((name.strip_suffix(".localhost")?, ""));
    Some(first).filter(|first| !first.starts_with("oss-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, path: &str) -> (String, String) {
        let request = http::Request::get(path).header("host", host);
        let place = ObjectPath::from_request(&request.body(()).unwrap().into_parts().0);
        (place.bucket, place.key)
    }

    #[test]
    fn by_host_and_by_path() {
        let expected = ("b".to_owned(), "dir/a+ b".to_owned());
        assert_eq!(place("b.localhost:80", "/dir/a+%20b"), expected);
        assert_eq!(
            place("b.oss-cn-beijing.localhost:80", "/dir/a+%20b"),
            expected
        );
        assert_eq!(place("127.0.0.1:80", "/b/dir/a+%20b"), expected);
        assert_eq!(place("localhost", "/b"), ("b".to_owned(), String::new()));
        assert_eq!(
            place("oss-cn-beijing.localhost", "/"),
            (String::new(), String::new())
        );
    }
}
