//! DigitalOcean's options as a `Provider`: their variables and secrets, which layer overrides
//! which, what the guest fills in.

use super::options::Options;
use super::{detect, trust};
use crate::config::trust::Table;
use crate::config::{Environment, Provider};
use crate::guest::Guest;
use crate::image::Format;

impl Provider for Options {
    const NAME: &'static str = "digitalocean";

    const VARIABLES: &'static [(&'static str, &'static [&'static str])] = &[
        ("api_url", &["DIGITALOCEAN_API_URL"]),
        ("spaces_endpoint", &["SPACES_ENDPOINT_URL"]),
        ("http_retry_max", &["DIGITALOCEAN_HTTP_RETRY_MAX"]),
        ("http_retry_wait_min", &["DIGITALOCEAN_HTTP_RETRY_WAIT_MIN"]),
        ("http_retry_wait_max", &["DIGITALOCEAN_HTTP_RETRY_WAIT_MAX"]),
    ];

    const SECRETS: &'static [(&'static str, &'static [&'static str])] = trust::SECRETS;
    const TRUST: &'static Table = trust::TRUST;
    const DOMAINS: &'static [&'static str] = trust::DOMAINS;

    fn addresses(&self) -> Vec<(&'static str, String)> {
        trust::addresses(self)
    }

    fn has_secret_for(&self, address: &str) -> bool {
        match address {
            "api_url" => self.api_token.is_some(),
            _ => self.spaces_key.is_some() && self.spaces_secret.is_some(),
        }
    }

    fn format(&self) -> Option<Format> {
        self.format
    }

    fn without_flags(environment: &Environment) -> Self {
        Self {
            api_token: environment.secret(Self::SECRETS, "api_token"),
            spaces_key: environment.secret(Self::SECRETS, "spaces_key"),
            spaces_secret: environment.secret(Self::SECRETS, "spaces_secret"),
            ..Self::default()
        }
    }

    /// The halves of a key come from one layer, never from two.
    fn yield_to(&mut self, above: &Self) {
        if above.spaces_key.is_some() || above.spaces_secret.is_some() {
            (self.spaces_key, self.spaces_secret) = (None, None);
        }
    }

    fn adopt(&mut self, guest: &Guest) -> Vec<String> {
        detect::adopt(self, guest)
    }

    fn doubts(&self, guest: &Guest) -> Vec<String> {
        detect::doubts(self, guest)
    }
}
