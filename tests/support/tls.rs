//! TLS before a service of the sandbox, with a certificate of an authority of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The authority's certificate. Nobody has its key any more.
pub const AUTHORITY: &str = include_str!("tls/authority.pem");

/// Begins to serve, as long as the test's runtime runs; returns the endpoint to use in place
/// of `endpoint`.
pub fn tls(endpoint: &str) -> String {
    let there = endpoint.trim_start_matches("http://");
    let there: SocketAddr = there.parse().expect("an address");
    let door = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    door.set_nonblocking(true).expect("a socket");
    let here = door.local_addr().expect("an address");
    let door = TcpListener::from_std(door).expect("a socket");
    let acceptor = TlsAcceptor::from(Arc::new(config()));
    tokio::spawn(async move {
        while let Ok((line, _)) = door.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut line) = acceptor.accept(line).await
                    && let Ok(mut service) = TcpStream::connect(there).await
                {
                    let _ = copy_bidirectional(&mut line, &mut service).await;
                }
            });
        }
    });
    format!("https://{here}")
}

fn config() -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key"));
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.expect("a certificate")],
            key.expect("a key"),
        )
        .expect("a certificate with its key")
}
