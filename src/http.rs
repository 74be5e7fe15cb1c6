//! Requests to the clouds without an SDK: one client, time limits, a log that shows no
//! header (they hold tokens) and no signature. What an answer means is the clouds'
//! business.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use crate::error::{Error, Result};

/// Nothing answers a SYN for this long but a host that is gone.
const CONNECT: Duration = Duration::from_secs(10);

/// For a whole request: answers are small, and the slowest take some seconds.
const ANSWER: Duration = Duration::from_secs(60);

/// What comes before the signature in an address (`X-Amz-Signature=`, `x-oss-signature=`), and
/// before who signed.
const SIGNED: [&str; 2] = ["ignature=", "redential="];

/// An answer of any status.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// No answer came.
#[derive(Debug)]
pub struct Lost {
    /// Why, down to the innermost cause.
    pub why: String,
    /// The request may have arrived.
    pub arrived: bool,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// The client; on loopback nobody is in between, so no proxy either.
pub fn client(loopback: bool) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("imgimport/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .redirect(reqwest::redirect::Policy::none());
    let builder = if loopback {
        builder.no_proxy()
    } else {
        builder
    };
    builder
        .build()
        .map_err(|error| Error::failed("no HTTPS client can be made").because(error))
}

/// Sends one request, once.
pub async fn send(client: &reqwest::Client, request: reqwest::Request) -> Result<Answer, Lost> {
    let what = format!("{} {}", request.method(), request.url().path());
    tracing::debug!("{what}");
    if let Some(body) = request.body().and_then(reqwest::Body::as_bytes) {
        tracing::trace!("sent {}", unsigned(&String::from_utf8_lossy(body)));
    }
    let answer = client.execute(request).await.map_err(lost)?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.bytes().await.map_err(lost)?;
    tracing::debug!("{what}: {status}");
    tracing::trace!("received {}", unsigned(&String::from_utf8_lossy(&body)));
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// The innermost cause says it; the outer ones repeat the address.
fn lost(error: reqwest::Error) -> Lost {
    let arrived = !error.is_connect();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let why = match (error.is_timeout(), causes.pop()) {
        (true, _) => "no answer in time".to_owned(),
        (false, Some(cause)) => cause,
        (false, None) => error.without_url().to_string(),
    };
    Lost { why, arrived }
}

/// The text without signatures.
pub fn unsigned(text: &str) -> String {
    let mut text = text.to_owned();
    for name in SIGNED {
        let mut from = 0;
        while let Some(at) = text[from..].find(name) {
            from += at + name.len();
            let ends = |c: char| !(c.is_ascii_alphanumeric() || "%+/=_-".contains(c));
            let len = text[from..].find(ends).unwrap_or(text.len() - from);
            text.replace_range(from..from + len, "…");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_signature_is_shown() {
        let url = r#"{"url":"https://s/k?X-Amz-Credential=K%2F1&X-Amz-Signature=0aF9&x=1"}"#;
        assert_eq!(
            unsigned(url),
            r#"{"url":"https://s/k?X-Amz-Credential=…&X-Amz-Signature=…&x=1"}"#
        );
        assert_eq!(unsigned("nothing to hide"), "nothing to hide");
    }
}
