//! Addresses of services that the user may name: whether they can be used, and what follows
//! from where they point. Schemes and hosts are those of the parsed URL.

use std::net::IpAddr;

use reqwest::Url;

/// Where Alibaba Cloud's instances find their metadata.
const ALIBABA_METADATA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(100, 100, 100, 200));

/// Whether the service runs on this machine: nobody is in between, and no name server
/// knows a bucket's host name.
pub fn is_loopback(url: &str) -> bool {
    parse(url).is_some_and(|url| is_loopback_url(&url))
}

/// Whether no proxy can reach it for this machine: it runs here, or is what the cloud tells
/// its machines and containers of themselves.
pub fn is_near(url: &str) -> bool {
    let Some(url) = parse(url) else {
        return false;
    };
    is_loopback_url(&url)
        || address(&url).is_some_and(|ip| match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => matches!(ip.segments(), [0xfd00, 0x0ec2, ..]),
        })
}

/// An error unless keys, tokens and images may travel there: `https://host`, or `http://host`
/// where that is this machine.
pub fn check(url: &str) -> Result<(), String> {
    let Some(parsed) = parse(url) else {
        return Err(format!("{url:?} is not an address: write https://host"));
    };
    if parsed.scheme() == "http" && !is_loopback_url(&parsed) {
        return Err(format!("{url:?} is not encrypted: write https://"));
    }
    Ok(())
}

/// The same for an address that brings keys, which the metadata services of clouds do without
/// encryption.
pub fn check_source(url: &str) -> Result<(), String> {
    let metadata = parse(url).and_then(|url| address(&url)) == Some(ALIBABA_METADATA);
    if metadata || is_near(url) {
        return Ok(());
    }
    check(url)
}

/// Whether the address is encrypted and its host lies in one of these domains.
pub fn is_within(url: &str, domains: &[&str]) -> bool {
    let Some(url) = parse(url).filter(|url| url.scheme() == "https") else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    domains.iter().any(|domain| {
        host == *domain
            || host
                .strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.'))
    })
}

/// Only what every parser reads in the same way: some skip line breaks and tabs, or take a
/// backslash for a slash.
fn parse(url: &str) -> Option<Url> {
    let is_odd = |sign: char| sign.is_control() || sign.is_whitespace() || sign == '\\';
    if url.contains(is_odd) {
        return None;
    }
    let uri: http::Uri = url.parse().ok()?;
    let url = Url::parse(url).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    (is_web && url.has_host() && uri.host().is_some()).then_some(url)
}

fn is_loopback_url(url: &Url) -> bool {
    url.host_str() == Some("localhost") || address(url).is_some_and(|ip| ip.is_loopback())
}

fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?.trim_matches(['[', ']']);
    host.parse().ok()
}

/// A region's name, which becomes part of host names and signatures. White space around it
/// is removed.
pub fn region(text: &str) -> Result<String, String> {
    let name = text.trim();
    let fits = |sign: char| sign.is_ascii_alphanumeric() || sign == '-';
    let well = (1..=63).contains(&name.len())
        && name.chars().all(fits)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if well {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "{name:?} can't be a region: a region has letters, digits and hyphens"
        ))
    }
}

/// The address that a user means by `named`: a host without a scheme is reached by HTTPS,
/// which is how the tools of Alibaba Cloud write endpoints.
pub fn with_scheme(endpoint: &str) -> String {
    if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        format!("https://{endpoint}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_endpoint_bypasses_the_proxy() {
        for near in [
            "http://127.0.0.1:4566/bucket/key?x=1",
            "https://localhost",
            "http://LocalHost",
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

    #[test]
    fn an_address_is_encrypted_or_on_this_machine() {
        for good in [
            "https://api.example.com",
            "HTTPS://api.example.com:8443/base",
            "http://127.0.0.1:4010",
            "HTTP://localhost:4010",
            "http://[::1]:1",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "http://api.example.com",
            "HTTP://api.example.com",
            "hTTp://127.0.0.1@api.example.com",
            "http://127.0.0.1.example.com",
            "http:/\\api.example.com",
            "http://127.0.0.1\\@api.example.com",
            "ht\ntp://api.example.com",
            "api.example.com",
            "ftp://127.0.0.1",
            "https://",
            "",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_come_from_metadata_services_too() {
        for good in [
            "http://100.100.100.200",
            "http://169.254.170.2/c",
            "https://x.example",
        ] {
            assert_eq!(check_source(good), Ok(()), "{good}");
        }
        assert!(check_source("http://credentials.example").is_err());
    }

    #[test]
    fn a_domain_has_its_hosts_and_no_others() {
        let within = |url| is_within(url, &["aliyuncs.com"]);
        assert!(within("https://oss-cn-beijing.aliyuncs.com/x"));
        for url in [
            "http://oss-cn-beijing.aliyuncs.com",
            "https://evilaliyuncs.com",
            "https://aliyuncs.com.evil.example",
            "https://aliyuncs.com@evil.example",
        ] {
            assert!(!within(url), "{url}");
        }
    }

    #[test]
    fn a_region_must_be_one_word() {
        assert_eq!(region(" eu-central-1\n").as_deref(), Ok("eu-central-1"));
        for bad in [
            "",
            "eu central",
            "x.example",
            "a\nb",
            "evil.example/",
            "-a",
            "ü",
        ] {
            assert!(region(bad).is_err(), "{bad}");
        }
    }
}
