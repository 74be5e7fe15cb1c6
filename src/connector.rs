//! The HTTP client of AWS's SDK as the SDK makes it, with one difference: what runs on this
//! machine, and its metadata service, are asked past any proxy, which could not reach them;
//! and no answer may be longer than 16 MiB.
//! `http` does the same for the clouds that have no SDK here.

use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use http_body_util::Limited;

use crate::endpoint::is_near;
use crate::http::LONGEST_ANSWER;

/// Time to set up a TCP connection. Only a host that is gone needs longer.
const CONNECT: Duration = Duration::from_secs(10);

/// Returns the timeouts of requests whose bodies take as long as the line needs: only
/// setting up the connection is limited.
///
/// The other timeouts are disabled and not left out: what is left out comes from the
/// client that a client was made from (`TimeoutConfig::take_defaults_from`).
pub fn connect_timeout_only() -> TimeoutConfig {
    TimeoutConfig::disabled()
        .into_builder()
        .connect_timeout(CONNECT)
        .build()
}

/// The connections of one address to the outside, and to this machine.
#[derive(Debug)]
struct Either {
    outside: SharedHttpConnector,
    near: SharedHttpConnector,
}

impl HttpConnector for Either {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = if is_near(request.uri()) {
            self.near.call(request)
        } else {
            self.outside.call(request)
        };
        HttpConnectorFuture::new(async move {
            let limited = |body| SdkBody::from_body_1_x(Limited::new(body, LONGEST_ANSWER));
            answer.await.map(|answer| answer.map(limited))
        })
    }
}

/// For all clients of a run: clones share their connections.
pub fn client() -> SharedHttpClient {
    let (outside, near) = (
        through(ProxyConfig::from_env),
        through(ProxyConfig::disabled),
    );
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Either {
            outside: outside.http_connector(settings, components),
            near: near.http_connector(settings, components),
        })
    })
}

/// "default HTTPS client" of aws-smithy-runtime.
fn through(proxy: fn() -> ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let provider = Provider::Rustls(CryptoMode::AwsLc);
        let mut connector = ConnectorBuilder::default().tls_provider(provider);
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(proxy()));
        connector.build()
    })
}
