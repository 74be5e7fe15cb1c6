//! One HTTP client for the clouds that have no SDK here: timeouts, proxy, user agent and
//! the log. `-v` shows each request's method and address without its query, status and
//! request id; `-vv` bodies too, but never a header, for those hold signatures and tokens,
//! and no body that is marked secret. Signing and retries belong to the services' rooms.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy};
use serde_json::Value;

pub use reqwest::Method;

use crate::error::{Error, Result};
use crate::net::endpoint::is_loopback;
use crate::net::environment::{Authorities, Proxies};
use crate::net::network_error;
use crate::secret::mask;

/// Nothing answers a SYN for this long but a host that is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The slowest answers of small calls take some seconds.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_mins(1);
/// Bodies up to this size are documents, not parts of an image.
const FIRST_CAPACITY: usize = 64 << 10;
/// No answer of these services is nearly as long: 1,000 entries of a list have about 1 MiB.
pub const MAX_RESPONSE_SIZE: usize = 16 << 20;
/// The most pages of one list: 1,000 entries each, or 200 with DigitalOcean.
const MAX_PAGES: usize = 100;
/// RFC 3986, 2.3: what needs no escape.
const RESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// The headers in which the services name a request.
const REQUEST_IDS: [&str; 3] = ["x-acs-request-id", "x-oss-request-id", "x-request-id"];

/// The connections. Clones share them.
#[derive(Clone)]
pub struct Http {
    proxied: Client,
    /// For loopback and metadata services, which no proxy can reach.
    unproxied: Client,
}

/// What is asked.
pub struct Request {
    /// The service's name in the log.
    pub service: &'static str,
    /// The verb.
    pub method: Method,
    /// Address with query, all of it encoded.
    pub url: String,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Body,
    /// For the whole answer; `None` where somebody else watches the bytes.
    pub timeout: Option<Duration>,
    /// Whether the bodies hold credentials.
    pub secret: bool,
    /// Past any proxy.
    pub direct: bool,
}

/// A request's body.
pub enum Body {
    /// None.
    Empty,
    /// A small one.
    Document(Bytes),
    /// A part of an image.
    Stream(reqwest::Body),
}

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// All of the body.
    pub body: Bytes,
    headers: HeaderMap,
}

/// No answer came.
#[derive(Clone, Debug)]
pub struct TransportError {
    /// Why, in the innermost causes' words.
    pub cause: String,
    /// The request may have arrived, and done what it asks.
    pub arrived: bool,
}

/// Members that are `null` are as if they were not there: services write both.
pub fn without_nulls(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        _ => {}
    }
}

/// Control characters of a text become spaces: what a service says may reach a terminal.
pub fn one_line(text: &str) -> String {
    let visible = |sign: char| if sign.is_control() { ' ' } else { sign };
    text.chars().map(visible).collect()
}

/// The same for every text of a document.
pub fn without_controls(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(char::is_control) => *text = one_line(text),
        Value::Array(list) => list.iter_mut().for_each(without_controls),
        Value::Object(members) => members.values_mut().for_each(without_controls),
        _ => {}
    }
}

impl Http {
    /// Sets up the connections; asks nobody yet.
    pub fn new() -> Result<Self> {
        let (proxies, authorities) = (Proxies::read()?, Authorities::of_environment()?);
        let failed = |error| Error::failed("no HTTPS connection can be set up").with_source(error);
        let build = |mut builder: ClientBuilder| {
            if let Some(authorities) = &authorities {
                let certificates = authorities.der().map(Certificate::from_der);
                let certificates: Result<Vec<_>, _> = certificates.collect();
                builder = builder.tls_certs_only(certificates.map_err(failed)?);
            }
            let client = builder
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(Policy::none()) // a signature holds for one address
                .http1_only() // dropping a request must close its connection
                .user_agent(concat!("imgimport/", env!("CARGO_PKG_VERSION")));
            client.build().map_err(failed)
        };
        let mut outside = Client::builder();
        if !proxies.is_empty() {
            outside = outside.no_proxy();
        }
        let none = NoProxy::from_string(&proxies.none);
        if let Some(url) = proxies.https {
            outside = outside.proxy(Proxy::https(url).map_err(failed)?.no_proxy(none.clone()));
        }
        if let Some(url) = proxies.http {
            outside = outside.proxy(Proxy::http(url).map_err(failed)?.no_proxy(none));
        }
        Ok(Self {
            proxied: build(outside)?,
            unproxied: build(Client::builder().no_proxy())?,
        })
    }

    /// Asks once.
    pub async fn send(&self, http_request: Request) -> Result<Response, TransportError> {
        let service = http_request.service;
        let address = http_request.url.split('?').next().unwrap_or_default();
        tracing::debug!("{service}: {} {address}", http_request.method);
        let near = http_request.direct || is_loopback(&http_request.url);
        let client = if near { &self.unproxied } else { &self.proxied };
        let mut request = client.request(http_request.method, &http_request.url);
        for (name, value) in &http_request.headers {
            request = request.header(name, value);
        }
        request = match http_request.body {
            Body::Empty => request,
            Body::Document(bytes) => {
                log_body(service, "sent", &bytes, http_request.secret);
                request.body(bytes)
            }
            Body::Stream(body) => request.body(body),
        };
        if let Some(timeout) = http_request.timeout {
            request = request.timeout(timeout);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = read_body(answer).await?;
        let answer = Response {
            status,
            body,
            headers,
        };
        let id = answer.request_id().unwrap_or("unknown");
        tracing::debug!("{service}: {status} (request {id})");
        log_body(service, "received", &answer.body, http_request.secret);
        Ok(answer)
    }
}

/// The whole body, if it is no longer than an answer can be.
async fn read_body(mut response: reqwest::Response) -> Result<Bytes, TransportError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE_SIZE {
            let cause = network_error::RESPONSE_TOO_LONG.to_owned();
            return Err(TransportError {
                cause,
                arrived: true,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A body on `-vv`. The answer to a wrong signature repeats the request, its token included.
fn log_body(service: &str, direction: &str, body: &Bytes, secret: bool) {
    let text = String::from_utf8_lossy(body);
    let is_logged = !secret && !text.is_empty() && !text.contains("SignatureDoesNotMatch");
    if is_logged && body.len() <= FIRST_CAPACITY {
        tracing::trace!("{service}: {direction} {}", mask(&text));
    }
}

impl Response {
    /// An answer as a test wants it.
    #[cfg(test)]
    pub fn for_test(status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header"));
        }
        let body = Bytes::copy_from_slice(body.as_bytes());
        Self {
            status,
            body,
            headers: map,
        }
    }

    /// Whether it was done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The service's name for the request.
    pub fn request_id(&self) -> Option<&str> {
        REQUEST_IDS.iter().find_map(|name| self.header(name))
    }

    /// When to come back: seconds, or a date (RFC 9110, 10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER.as_str())?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        date.duration_since(jiff::Timestamp::now()).try_into().ok()
    }
}

impl From<reqwest::Error> for TransportError {
    /// The causes, without the address: its query is long and says nothing.
    fn from(error: reqwest::Error) -> Self {
        let arrived = !error.is_connect();
        if error.is_timeout() {
            let cause = "no answer in time".to_owned();
            return Self { cause, arrived };
        }
        let cause = network_error::describe(&error.without_url());
        Self { cause, arrived }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for TransportError {}

/// Whether a list has had enough pages; the first is 1. A service could go on for ever.
pub fn is_last_page(page: usize) -> bool {
    if page == MAX_PAGES {
        tracing::warn!("a list has more than {MAX_PAGES} pages; the rest was not read");
    }
    page >= MAX_PAGES
}

/// RFC 3986 encoding, as signatures want it: a space is %20, `*` %2A, `/` %2F, `~` itself.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, &RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_come_back_is_seconds_or_a_date() {
        let after = |text| Response::for_test(429, &[("retry-after", text)], "").retry_after();
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert!(
            after("Tue, 01 Jan 2999 00:00:00 GMT")
                .is_some_and(|wait| wait > Duration::from_hours(1))
        );
        assert_eq!(after("Fri, 01 Jan 1999 00:00:00 GMT"), None);
        assert_eq!(after("soon"), None);
        assert_eq!(Response::for_test(429, &[], "").retry_after(), None);
    }

    #[tokio::test]
    async fn a_response_larger_than_the_limit_is_an_error() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            let (mut line, _) = listener.accept().await.expect("a connection");
            let _ = line.read(&mut [0; 4096]).await;
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
            let _ = line.write_all(head).await;
            while line.write_all(&[b' '; 4096]).await.is_ok() {}
        });
        let call = Request {
            service: "test",
            method: Method::GET,
            url,
            headers: Vec::new(),
            body: Body::Empty,
            timeout: None,
            secret: false,
            direct: true,
        };
        let silence = Http::new().expect("a client").send(call).await;
        assert_eq!(
            silence.expect_err("too long").cause,
            network_error::RESPONSE_TOO_LONG
        );
    }

    #[test]
    fn encode_escapes_reserved_characters() {
        assert_eq!(encode("my image*~(1)"), "my%20image%2A~%281%29");
        assert_eq!(encode("v/中+"), "v%2F%E4%B8%AD%2B");
    }
}
