//! The aliyun CLI's configuration, `~/.aliyun/config.json`: finds a profile in it.
//! `credentials` interprets the profile's mode.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::options::Options;
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::net::http::one_line;
use crate::platform;
use crate::secret::{self, Secret};

/// The configuration.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ProfileFile {
    current: String,
    profiles: Vec<Profile>,
}

/// A profile, as far as it says who asks and where.
#[expect(clippy::struct_field_names, reason = "the CLI's own names")]
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Profile {
    pub name: String,
    pub mode: String,
    pub access_key_id: String,
    pub access_key_secret: Option<Secret>,
    pub sts_token: Option<Secret>,
    pub ram_role_name: String,
    pub ram_role_arn: String,
    pub ram_session_name: String,
    pub expired_seconds: u32,
    pub source_profile: String,
    pub external_id: String,
    pub policy: String,
    pub oidc_provider_arn: String,
    pub oidc_token_file: String,
    pub process_command: String,
    pub credentials_uri: String,
    pub region_id: String,
    pub sts_region: String,
    pub sts_endpoint: String,
}

impl ProfileFile {
    /// The file that the options name, or the usual one. That there is none is no fault
    /// unless it was named.
    pub fn find(options: &Options, environment: &Environment) -> Result<Self> {
        let usual = || {
            let home = environment.get(platform::HOME)?;
            Some(PathBuf::from(home).join(".aliyun/config.json"))
        };
        let Some(path) = options.shared_credentials_file.clone().or_else(usual) else {
            return Ok(Self::default());
        };
        if options.shared_credentials_file.is_none() && !path.exists() {
            return Ok(Self::default());
        }
        Self::read(&path)
    }

    fn read(path: &Path) -> Result<Self> {
        let failed = || Error::usage(format!("the profiles in {} can't be read", path.display()));
        let bytes = std::fs::read(path).map_err(|error| failed().with_source(error))?;
        // serde_json's message names a place, never a value that may be secret.
        serde_json::from_slice(&bytes).map_err(|error| {
            let position = format!("line {}, column {}", error.line(), error.column());
            // Of other errors in the data the message may quote a value.
            let text = error.to_string();
            let fault = text.split(" at line ").next().unwrap_or_default();
            failed().with_cause(if fault.starts_with(secret::INVALID_IN_HEADER) {
                format!("{fault}: {position}")
            } else {
                format!("it is not the aliyun CLI's JSON: {position}")
            })
        })
    }

    /// A profile by its name.
    pub fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// A profile by its name.
    ///
    /// # Errors
    ///
    /// There is none of that name; the error lists those that exist.
    pub fn require_profile(&self, name: &str) -> Result<&Profile> {
        self.profile(name).ok_or_else(|| {
            let name = one_line(name);
            let error = Error::usage(format!("there is no profile \"{name}\""));
            match self.profile_names().as_str() {
                "" => error.hint("make one with: aliyun configure"),
                names => error.hint(format!("the profiles are: {names}")),
            }
        })
    }

    /// The profile that the CLI would use; none where no file or no name says one.
    ///
    /// # Errors
    ///
    /// The file names a current profile that it does not hold.
    pub fn current(&self) -> Result<Option<&Profile>> {
        match self.current.as_str() {
            "" => Ok(self.profile("default")),
            name => self.require_profile(name).map(Some),
        }
    }

    /// All names, for a message.
    fn profile_names(&self) -> String {
        let names: Vec<_> = self
            .profiles
            .iter()
            .map(|profile| one_line(&profile.name))
            .collect();
        names.join(", ")
    }
}
