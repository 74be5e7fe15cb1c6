//! A string that never prints: not in logs, not in errors, not in the journal.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, Error};

/// An access key's secret half, a token, a password.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text in; from here on only [`Secret::expose`] gives it out.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself, for the one place that signs or sends it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own message would quote the value.
        String::deserialize(deserializer)
            .map(Self::new)
            .map_err(|_| D::Error::custom("expected a text in quotes"))
    }
}
