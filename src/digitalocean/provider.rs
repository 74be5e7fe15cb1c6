//! DigitalOcean's options as a `Provider`: their variables and secrets, which layer overrides
//! which, what the guest fills in.

use super::options::Options;
use super::{detect, trust};
use crate::config::trust::TrustTable;
use crate::config::{Cloud, Environment};
use crate::guest::Guest;
use crate::image::Format;

impl Cloud for Options {
    const NAME: &'static str = "digitalocean";

    const VARIABLES: &'static [(&'static str, &'static [&'static str])] = &[
        ("api_url", &["DIGITALOCEAN_API_URL"]),
        ("spaces_endpoint", &["SPACES_ENDPOINT_URL"]),
        ("http_retry_max", &["DIGITALOCEAN_HTTP_RETRY_MAX"]),
        ("http_retry_wait_min", &["DIGITALOCEAN_HTTP_RETRY_WAIT_MIN"]),
        ("http_retry_wait_max", &["DIGITALOCEAN_HTTP_RETRY_WAIT_MAX"]),
    ];

    const SECRETS: &'static [(&'static str, &'static [&'static str])] = trust::SECRETS;
    const TRUST: &'static TrustTable = trust::TRUST;
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

    fn from_environment_only(environment: &Environment) -> Self {
        Self {
            api_token: environment.secret(Self::SECRETS, "api_token"),
            spaces_key: environment.secret(Self::SECRETS, "spaces_key"),
            spaces_secret: environment.secret(Self::SECRETS, "spaces_secret"),
            ..Self::default()
        }
    }

    /// The halves of a key come from one layer, never from two.
    fn clear_conflicts_with(&mut self, above: &Self) {
        if above.spaces_key.is_some() || above.spaces_secret.is_some() {
            (self.spaces_key, self.spaces_secret) = (None, None);
        }
    }

    fn fill_from_image(&mut self, guest: &Guest) -> Vec<String> {
        detect::fill_from_image(self, guest)
    }

    fn contradictions(&self, guest: &Guest) -> Vec<String> {
        detect::contradictions(self, guest)
    }
}
