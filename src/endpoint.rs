//! Addresses of services that the user may name: what follows from where they point.

use std::net::IpAddr;

/// Whether the service runs on this machine: nobody is in between, and no name server
/// knows a bucket's host name.
pub fn is_loopback(url: &str) -> bool {
    let host = host(url);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether no proxy can reach it for this machine: it runs here, or is what the cloud tells
/// its machines and containers of themselves.
pub fn is_near(url: &str) -> bool {
    is_loopback(url)
        || host(url).parse::<IpAddr>().is_ok_and(|ip| match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => matches!(ip.segments(), [0xfd00, 0x0ec2, ..]),
        })
}

fn host(url: &str) -> String {
    let uri = url.parse::<http::Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    host.trim_matches(['[', ']']).to_owned()
}

/// Whether it is an address at all: `https://host`, `http://host:port`.
pub fn is_url(url: &str) -> bool {
    url.parse::<http::Uri>()
        .is_ok_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")))
}

/// The address that a user means by `named`: a host without a scheme is reached by HTTPS,
/// which is how the tools of Alibaba Cloud write endpoints.
pub fn url_of(named: &str) -> String {
    if named.contains("://") {
        named.to_owned()
    } else {
        format!("https://{named}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_asked_past_any_proxy() {
        for near in [
            "http://127.0.0.1:4566/bucket/key?x=1",
            "https://localhost",
            "http://[::1]:80",
            "http://169.254.169.254/latest/meta-data",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::254]/latest",
        ] {
            assert!(is_near(near), "{near}");
        }
        for far in ["https://s3.amazonaws.com", "http://10.0.0.1", "nonsense"] {
            assert!(!is_near(far), "{far}");
        }
    }
}
