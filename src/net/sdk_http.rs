//! The HTTP client of AWS's SDK as the SDK makes it, with these differences: what runs on this
//! machine, and its metadata service, are asked past any proxy, which could not reach them;
//! proxies and authorities are those of `network`; and no answer may be longer than 16 MiB.
//! `http` does the same for the clouds that have no SDK here.

use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use http_body_util::Limited;
use reqwest::Url;

use crate::error::{Error, Result};
use crate::net::endpoint::is_near;
use crate::net::environment::{Authorities, Proxies};
use crate::net::http::MAX_RESPONSE_SIZE;

/// Time to set up a TCP connection. Only a host that is gone needs longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the timeouts of requests whose bodies take as long as the line needs: only
/// setting up the connection is limited.
///
/// The other timeouts are disabled and not left out: what is left out comes from the
/// client that a client was made from (`TimeoutConfig::take_defaults_from`).
pub fn connect_timeout_only() -> TimeoutConfig {
    TimeoutConfig::disabled()
        .into_builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
}

/// The connections to the outside, by scheme, and to this machine.
#[derive(Debug)]
struct ProxyBypass {
    https: SharedHttpConnector,
    http: SharedHttpConnector,
    unproxied: SharedHttpConnector,
}

impl HttpConnector for ProxyBypass {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = if is_near(request.uri()) {
            self.unproxied.call(request)
        } else if request.uri().starts_with("http:") {
            self.http.call(request)
        } else {
            self.https.call(request)
        };
        HttpConnectorFuture::new(async move {
            let limited = |body| SdkBody::from_body_1_x(Limited::new(body, MAX_RESPONSE_SIZE));
            answer.await.map(|answer| answer.map(limited))
        })
    }
}

/// For all clients of a run: clones share their connections. Without authorities of its own
/// those of the environment count, or the system's.
///
/// # Errors
///
/// A variable of the environment names no proxy, or no authorities.
pub fn client(authorities: Option<Authorities>) -> Result<SharedHttpClient> {
    let authorities = match authorities {
        Some(own) => Some(own),
        None => Authorities::of_environment()?,
    };
    let proxies = Proxies::read()?;
    let trust = trust(authorities.as_ref())?;
    let way = |proxy: Option<&Url>| -> Result<SharedHttpClient> {
        let proxy = match proxy {
            None => ProxyConfig::disabled(),
            Some(url) => ProxyConfig::all(url.as_str())
                .map_err(|error| Error::usage("the proxy can't be used").with_source(error))?
                .no_proxy(&proxies.none),
        };
        Ok(https_client(proxy, trust.clone()))
    };
    let (https, http, near) = (
        way(proxies.https.as_ref())?,
        way(proxies.http.as_ref())?,
        way(None)?,
    );
    Ok(http_client_fn(move |settings, components| {
        SharedHttpConnector::new(ProxyBypass {
            https: https.http_connector(settings, components),
            http: http.http_connector(settings, components),
            unproxied: near.http_connector(settings, components),
        })
    }))
}

/// The authorities whose certificates count; the system's where none are named.
fn trust(authorities: Option<&Authorities>) -> Result<TlsContext> {
    let store = match authorities {
        Some(authorities) => TrustStore::empty().with_pem_certificate(authorities.pem()),
        None => TrustStore::default(),
    };
    let context = TlsContext::builder().with_trust_store(store).build();
    context.map_err(|error| Error::failed("no HTTPS connection can be set up").with_source(error))
}

/// "default HTTPS client" of aws-smithy-runtime.
fn https_client(proxy: ProxyConfig, trust: TlsContext) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let provider = Provider::Rustls(CryptoMode::AwsLc);
        let mut connector = ConnectorBuilder::default()
            .tls_provider(provider)
            .tls_context(trust.clone());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(proxy.clone()));
        connector.build()
    })
}
