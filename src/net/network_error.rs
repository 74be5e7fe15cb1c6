//! The reason that a request had no response, in words for the user who has to fix it: the
//! network, the proxy, or a certificate. The libraries report it in up to six nested errors.

use std::env;
use std::error::Error;

/// Errors of the libraries that only name their own layer, which does not help the user.
const LAYERS: [&str; 5] = [
    "dispatch failure",
    "error sending request",
    "io error",
    "other",
    "tcp connect error",
];

/// The variables that name a proxy, in the order in which the libraries read them.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The reason for a response beyond the size limit of `http`.
pub const RESPONSE_TOO_LONG: &str = "the answer is longer than 16 MiB";

/// The beginning of rustls's errors about certificates.
const CERTIFICATE: &str = "invalid peer certificate";

/// Returns the informative causes, the innermost last.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(inner) = next {
        words.push(inner.to_string());
        next = inner.source();
    }
    let tunnel = words
        .iter()
        .find_map(|word| word.strip_prefix("tunnel error: "));
    if let Some(layer) = tunnel {
        return describe_proxy_error(layer, words.last().map_or("", String::as_str));
    }
    // Some layers only repeat the message of their source.
    words.dedup();
    let last = words.pop().unwrap_or_default();
    words.retain(|word| !word.starts_with("client error (") && !LAYERS.contains(&word.as_str()));
    match words.pop() {
        // Some layers quote their source in their own message.
        Some(outer) if !outer.contains(&last) => format!("{outer}: {last}"),
        Some(outer) => outer,
        None => last,
    }
}

/// Describes an error of the library that connects through a proxy; `layer` is that library's
/// message.
fn describe_proxy_error(layer: &str, innermost: &str) -> String {
    let named = |name: &&&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let variable = PROXY_VARIABLES
        .iter()
        .find(named)
        .unwrap_or(&PROXY_VARIABLES[0]);
    let problem = match layer {
        "proxy authorization required" => "wants a user and a password".to_owned(),
        "unsuccessful" => "refuses to connect".to_owned(),
        "unexpected end of file" => "hangs up".to_owned(),
        "failed to create underlying connection" => format!("can't be reached: {innermost}"),
        trouble => format!("can't be used: {trouble}"),
    };
    format!("the proxy that {variable} names {problem}")
}

/// Returns the hint for such a cause; `usually` where it is neither the proxy nor a
/// certificate.
pub fn hint(cause: &str, usually: &'static str) -> &'static str {
    if cause.starts_with("the proxy that ") {
        "correct the proxy's address, or name the hosts that need none in NO_PROXY"
    } else if !cause.contains(CERTIFICATE) || cause.contains("not valid for name") {
        usually
    } else if cause.contains("expired") || cause.contains("not valid yet") {
        "set this machine's clock; if it is right, the certificate has to be renewed"
    } else {
        "name a file with the certificates of the authority that signed it in SSL_CERT_FILE"
    }
}

/// Reports whether such a cause is permanent, so that a retry does not help.
pub fn is_permanent(cause: &str) -> bool {
    cause.contains(CERTIFICATE)
        || cause.ends_with("wants a user and a password")
        || cause == RESPONSE_TOO_LONG
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Returns reqwest's error for a request through a proxy with this response.
    async fn through(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let proxy = tokio::spawn(async move {
            let (mut line, _) = listener.accept().await.unwrap();
            let _ = line.read(&mut [0; 1024]).await.unwrap();
            line.write_all(answer.as_bytes()).await.unwrap();
        });
        let client = reqwest::Client::builder().proxy(reqwest::Proxy::all(address).unwrap());
        let request = client.build().unwrap().get("https://cloud.invalid/");
        let error = request.send().await.unwrap_err();
        proxy.await.unwrap();
        describe(&error.without_url())
    }

    #[tokio::test]
    async fn a_proxy_that_opens_no_way_is_named_as_such() {
        for (answer, what) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "refuses to connect"),
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                "wants a user and a password",
            ),
            ("", "hangs up"),
        ] {
            let cause = through(answer).await;
            assert!(cause.starts_with("the proxy that "), "{cause}");
            assert!(cause.ends_with(what), "{cause}");
            assert!(hint(&cause, "").contains("NO_PROXY"));
        }
    }

    #[tokio::test]
    async fn a_proxy_that_is_not_there_is_named_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = reqwest::Client::builder().proxy(reqwest::Proxy::all(address).unwrap());
        let request = client.build().unwrap().get("https://cloud.invalid/");
        let error = request.send().await.unwrap_err();
        let cause = describe(&error.without_url());
        assert!(cause.starts_with("the proxy that "), "{cause}");
        assert!(cause.contains("names can't be reached: "), "{cause}");
    }

    #[test]
    fn a_permanent_network_error_is_not_retried() {
        assert!(is_permanent("invalid peer certificate: UnknownIssuer"));
        assert!(is_permanent(
            "the proxy that HTTPS_PROXY names wants a user and a password"
        ));
        assert!(!is_permanent("the proxy that HTTPS_PROXY names hangs up"));
        assert!(!is_permanent("Connection reset by peer (os error 104)"));
    }

    #[test]
    fn a_network_that_is_looked_into_needs_its_authority() {
        let cause = "invalid peer certificate: UnknownIssuer";
        assert!(hint(cause, "usually").contains("SSL_CERT_FILE"));
        let cause = "invalid peer certificate: certificate not valid for name \"a\"";
        assert_eq!(hint(cause, "usually"), "usually");
        let cause = "invalid peer certificate: certificate expired: verification time 7 (UNIX)";
        assert!(hint(cause, "usually").contains("clock"));
        assert_eq!(
            hint("Connection refused (os error 111)", "usually"),
            "usually"
        );
    }
}
