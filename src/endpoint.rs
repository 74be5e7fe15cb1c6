//! Addresses of services that the user may name: what follows from where they point.

use std::net::IpAddr;

/// Whether the service runs on this machine: nobody is in between, and no name server
/// knows a bucket's host name.
pub fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether it is an address at all: `https://host`, `http://host:port`.
pub fn is_url(url: &str) -> bool {
    url.parse::<http::Uri>()
        .is_ok_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")))
}
