//! The way to the clouds, as the environment says it for every program: proxies, and the
//! authorities whose certificates count. What can't be read is an error: a request never goes
//! past a proxy that the user named, nor is an authority trusted that the user replaced.

use std::ffi::OsString;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls_native_certs::{CertificateResult, ErrorKind, load_certs_from_paths};

use crate::error::{Error, Result};

/// How an address is written.
const FORM: &str = "write http://HOST:PORT";

/// The proxies that the environment names, checked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies {
    /// For `https://` addresses.
    pub https: Option<Url>,
    /// For `http://` addresses.
    pub http: Option<Url>,
    /// Hosts, domains and networks that need none, with commas between them.
    pub none: String,
}

impl Proxies {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, which counts for the addresses that have
    /// no proxy of their own, and `NO_PROXY`. Names in lower case are read where those in upper
    /// case are not set; empty ones count as unset.
    ///
    /// # Errors
    ///
    /// One that counts is not the address of an HTTP proxy, or not a list of hosts.
    pub fn read() -> Result<Self> {
        Self::of(|name| std::env::var_os(name))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let read = |names: [&'static str; 2]| -> Result<Option<(&'static str, String)>> {
            for name in names {
                if let Some(value) = variable(name) {
                    let value = value
                        .into_string()
                        .map_err(|_| wrong(name, "it is not UTF-8"))?;
                    let value = value.trim();
                    if !value.is_empty() {
                        return Ok(Some((name, value.to_owned())));
                    }
                }
            }
            Ok(None)
        };
        let proxy = |names| match read(names)? {
            Some((name, value)) => address(&value).map(Some).map_err(|why| wrong(name, why)),
            None => Ok(None),
        };
        let (https, http) = (
            proxy(["HTTPS_PROXY", "https_proxy"])?,
            proxy(["HTTP_PROXY", "http_proxy"])?,
        );
        let all = match (&https, &http) {
            // Every cloud is reached by HTTPS: the other proxy would be used by nobody.
            (Some(_), _) => None,
            _ => proxy(["ALL_PROXY", "all_proxy"])?,
        };
        let none = match read(["NO_PROXY", "no_proxy"])? {
            Some((name, value)) => exceptions(&value).map_err(|why| wrong(name, why))?,
            None => String::new(),
        };
        Ok(Self {
            https: https.or_else(|| all.clone()),
            http: http.or(all),
            none,
        })
    }

    /// Whether the environment names none: then the system's settings count.
    pub fn is_empty(&self) -> bool {
        self.https.is_none() && self.http.is_none()
    }
}

fn wrong(name: &str, why: impl Into<String>) -> Error {
    Error::usage(format!("the variable {name} is wrong")).with_cause(why)
}

/// The address of an HTTP proxy; without a scheme it is `http://`. The error does not quote the
/// text, which may hold a password.
fn address(text: &str) -> Result<Url, String> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let none = || format!("it is no address: {FORM}");
    if text.contains(|sign: char| sign.is_whitespace() || sign.is_control() || sign == '\\') {
        return Err(none());
    }
    let url = Url::parse(&whole).map_err(|_| none())?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(format!(
            "{scheme}: is not the address of an HTTP proxy: {FORM}"
        ));
    }
    let rest = [Some(url.path()), url.query(), url.fragment()];
    if rest.into_iter().flatten().any(|part| part.contains('@')) {
        return Err(
            "a user or a password in it has a special character: write its code, such as %2F for /"
                .to_owned(),
        );
    }
    if !url.has_host() || url.as_str().parse::<http::Uri>().is_err() {
        return Err(none());
    }
    Ok(url)
}

/// `NO_PROXY` as the HTTP libraries read it, which know `*` but no `*.domain`.
fn exceptions(text: &str) -> Result<String, String> {
    let entries = text.split(',').map(str::trim).filter(|one| !one.is_empty());
    let entries: Result<Vec<_>, String> = entries
        .map(|entry| {
            let wrong = |what: &str| {
                format!("{entry:?} is no {what}: write hosts, domains and networks with commas between them")
            };
            if entry.contains("://") || entry.contains(char::is_whitespace) {
                return Err(wrong("host"));
            }
            if let Some((ip, bits)) = entry.split_once('/') {
                let most = match ip.parse() {
                    Ok(std::net::IpAddr::V4(_)) => 32,
                    Ok(std::net::IpAddr::V6(_)) => 128,
                    Err(_) => return Err(wrong("network")),
                };
                if !bits.parse::<u8>().is_ok_and(|bits| bits <= most) {
                    return Err(wrong("network"));
                }
            }
            Ok(match entry.strip_prefix("*.") {
                Some(domain) => format!(".{domain}"),
                None => entry.to_owned(),
            })
        })
        .collect();
    Ok(entries?.join(","))
}

/// The certificates of the authorities that the user names in place of the system's.
#[derive(Clone, Debug)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads `SSL_CERT_FILE` and `SSL_CERT_DIR`, as OpenSSL does; none where neither is set.
    ///
    /// # Errors
    ///
    /// A file or directory can't be read, or they hold no certificate that can be used.
    pub fn of_environment() -> Result<Option<Self>> {
        const FILE: &str = "SSL_CERT_FILE";
        const DIRECTORIES: &str = "SSL_CERT_DIR";
        let (file, directories) = (std::env::var_os(FILE), std::env::var_os(DIRECTORIES));
        if file.is_none() && directories.is_none() {
            return Ok(None);
        }
        let mut found = Vec::new();
        if let Some(file) = &file {
            if file.to_string_lossy().trim().is_empty() {
                let why = "it is set, and empty: name a file with certificates, or unset it";
                return Err(wrong(FILE, why));
            }
            let file = Self::read(Path::new(file)).map_err(|why| wrong(FILE, why))?;
            found.extend(file.0);
        }
        for directory in directories.iter().flat_map(std::env::split_paths) {
            if directory.as_os_str().is_empty() {
                continue;
            }
            let read = Self::read(&directory).map_err(|why| wrong(DIRECTORIES, why))?;
            found.extend(read.0);
        }
        if found.is_empty() {
            let why = "it is set, and empty: name a directory with certificates, or unset it";
            return Err(wrong(DIRECTORIES, why));
        }
        Ok(Some(Self(found)))
    }

    /// Reads the variable `name`, which holds the path of a file or directory; none where it is
    /// not set, or empty.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn of_variable(name: &str) -> Result<Option<Self>> {
        let Some(path) = std::env::var_os(name) else {
            return Ok(None);
        };
        if path.to_string_lossy().trim().is_empty() {
            return Ok(None);
        }
        let read = Self::read(Path::new(&path));
        read.map(Some).map_err(|why| wrong(name, why))
    }

    /// Reads a file with certificates in PEM, or a directory with such files.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let unread = |error| format!("{name} can't be read: {error}");
        let result = if std::fs::metadata(path).map_err(unread)?.is_dir() {
            std::fs::read_dir(path).map_err(unread)?;
            // A directory may hold other files, too.
            let CertificateResult { certs, .. } = load_certs_from_paths(None, Some(path));
            certs
        } else {
            let CertificateResult { certs, errors, .. } = load_certs_from_paths(Some(path), None);
            match errors.into_iter().next().map(|error| error.kind) {
                None => {}
                Some(ErrorKind::Io { inner, .. }) => return Err(unread(inner)),
                Some(_) => return Err(format!("{name} holds a certificate that can't be read")),
            }
            certs
        };
        let usable =
            |one: &CertificateDer<'_>| RootCertStore::empty().add(one.clone().into_owned()).is_ok();
        let usable: Vec<_> = result.into_iter().filter(usable).collect();
        if usable.is_empty() {
            return Err(format!(
                "{name} holds no certificate of an authority in PEM"
            ));
        }
        Ok(Self(usable))
    }

    /// The certificates in DER.
    pub fn der(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The certificates in PEM (RFC 7468), one after another.
    pub fn pem(&self) -> String {
        let one = |der| {
            let text = STANDARD.encode(der);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        self.der().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::of(|name| {
            let set = variables.iter().find(|(known, _)| *known == name);
            set.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn a_proxy_of_its_own_comes_before_the_one_for_all() {
        let url = |text: &str| Url::parse(text).ok();
        let proxies = of(&[
            ("HTTPS_PROXY", ""),
            ("https_proxy", " proxy.example:3128\n"),
            ("ALL_PROXY", "socks5://127.0.0.1:9"),
            ("NO_PROXY", "*.corp.example, 10.0.0.0/8,::1/128, *"),
        ]);
        let proxies = proxies.expect("proxies");
        assert_eq!(proxies.https, url("http://proxy.example:3128"));
        assert_eq!(proxies.http, None);
        assert_eq!(proxies.none, ".corp.example,10.0.0.0/8,::1/128,*");
        let proxies = of(&[("all_proxy", "https://me:p%2Fw@proxy.example")]).expect("proxies");
        assert_eq!(proxies.https, url("https://me:p%2Fw@proxy.example"));
        assert_eq!(proxies.https, proxies.http);
        assert!(of(&[]).expect("none").is_empty());
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for value in [
            "proxy.example:port",
            "http:///",
            "http:proxy",
            "ftp://me:hush@proxy.example",
            "http://me:hu/sh@proxy.example",
            "http://me:1?hush@proxy.example",
            "http://me:hu\\sh@proxy.example",
            "http://[::1",
            "://",
        ] {
            let error = of(&[("HTTP_PROXY", value)]);
            if value == "http:proxy" {
                // The libraries read it as the host `http`, without a port.
                continue;
            }
            let error = error.expect_err(value).to_string();
            assert!(
                error.starts_with("error: the variable HTTP_PROXY is wrong"),
                "{error}"
            );
            assert!(!error.contains("hu"), "{error}");
        }
    }
}
