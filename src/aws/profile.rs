//! The AWS configuration files, `~/.aws/config` and `~/.aws/credentials`: the selected profile,
//! and the source of its credentials. Keys and their order of precedence are those of the "AWS
//! SDKs and Tools Reference Guide", as aws-config implements them.

use std::borrow::Cow;
use std::path::Path;

use aws_config::profile::{Profile, ProfileFileLoadError, ProfileSet};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};

use super::options::Options;
use crate::error::{Error, Result};
use crate::net::environment::Authorities;
use crate::net::http::one_line;
use crate::net::network_error;
use crate::shell::Command;

/// The profile that counts where none is named.
const DEFAULT: &str = "default";

/// The values of `credential_source` that the SDK knows, in lower case.
const SOURCES: [&str; 3] = ["ec2instancemetadata", "ecscontainer", "environment"];

/// Where the credentials of a profile come from before any role is assumed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Keys in the profile.
    Keys,
    /// IAM Identity Center.
    Sso,
    /// A program; its name, without the arguments, which may be secret.
    Process(String),
    /// A token in a file.
    WebIdentity(String),
    /// The metadata service of an EC2 instance.
    Ec2,
    /// The credentials service of a container.
    Container,
    /// Variables of the environment.
    Environment,
    /// The profile has none.
    Nothing,
}

/// How the credentials are found, as far as the configuration files say it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Way {
    /// The profile that is used; the one that counts without a name is `default`.
    pub profile: String,
    /// Whether it was named.
    pub is_named: bool,
    /// The profile with the origin: `profile`, or the last `source_profile`.
    pub base: String,
    /// Where the credentials come from.
    pub origin: Origin,
    /// A profile on the way that assumes a role with MFA (`mfa_serial`).
    pub mfa: Option<String>,
}

/// What the configuration files say.
pub struct Profiles {
    set: ProfileSet,
    is_named: bool,
}

/// The user's credentials file in place of the usual one, the usual configuration beside it.
pub fn files(options: &Options) -> Option<EnvConfigFiles> {
    let file = options.shared_credentials_file.as_ref()?;
    Some(
        EnvConfigFiles::builder()
            .with_file(EnvConfigFileKind::Credentials, file)
            .include_default_config_file(true)
            .build(),
    )
}

impl Profiles {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// A file can't be read, or the profile that the options name is in none of them.
    pub async fn load(options: &Options) -> Result<Self> {
        let named = options.profile.clone();
        let is_named = named.is_some();
        let files = files(options).unwrap_or_default();
        let (system, environment) = (Fs::real(), Env::real());
        let selected = named.clone().map(Cow::Owned);
        let set = aws_config::profile::load(&system, &environment, &files, selected).await;
        let set = set.map_err(|error| unread(&error))?;
        let profiles = Self { set, is_named };
        match named {
            Some(name) if profiles.set.get_profile(&name).is_none() => Err(profiles.unknown(&name)),
            _ => Ok(profiles),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let shown = one_line(name);
        let error = Error::usage(format!("there is no profile \"{shown}\""));
        let mut names: Vec<_> = self.set.profiles().map(one_line).collect();
        names.sort_unstable();
        let nearest = names
            .iter()
            .map(|known| (strsim::jaro_winkler(&shown, known), known))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness > 0.8);
        let list = names.join(", ");
        match nearest {
            Some((_, near)) if names.len() > 1 => {
                error.hint(format!("did you mean \"{near}\"? The profiles are: {list}"))
            }
            Some((_, near)) => error.hint(format!("did you mean \"{near}\"?")),
            None if names.is_empty() => {
                let command = Command::new("aws configure").option("--profile", &shown);
                error.hint(format!("create it: {command}"))
            }
            None => error.hint(format!("the profiles are: {list}")),
        }
    }

    /// The authorities of the profile's `ca_bundle`; none where it has none.
    ///
    /// # Errors
    ///
    /// The file can't be read, or holds no certificates.
    pub fn authorities(&self) -> Result<Option<Authorities>> {
        let selected = self.set.selected_profile();
        let profile = self.set.get_profile(selected);
        let Some(path) = profile.and_then(|profile| given(profile, "ca_bundle")) else {
            return Ok(None);
        };
        let read = Authorities::read(Path::new(path));
        read.map(Some).map_err(|why| {
            let name = one_line(selected);
            let what = format!("the ca_bundle of the profile \"{name}\" can't be used");
            Error::usage(what).with_cause(why)
        })
    }

    /// How the selected profile's credentials are found.
    ///
    /// # Errors
    ///
    /// The profile, or one that it refers to, can't be used.
    pub fn way(&self) -> Result<Way> {
        let selected = self.set.selected_profile();
        let mut way = Way {
            profile: selected.to_owned(),
            is_named: self.is_named,
            base: selected.to_owned(),
            origin: Origin::Nothing,
            mfa: None,
        };
        let mut seen: Vec<String> = Vec::new();
        loop {
            let Some(profile) = self.set.get_profile(&way.base) else {
                return match seen.last() {
                    None => Ok(way),
                    Some(from) => Err(self.no_source(from, &way.base)),
                };
            };
            if seen.contains(&way.base) {
                return Err(
                    unusable(selected).with_cause("its source_profile leads back to itself")
                );
            }
            if !seen.is_empty() && has_keys(profile) {
                way.origin = Origin::Keys;
                return Ok(way);
            }
            let assumes = given(profile, "role_arn").is_some()
                && given(profile, "web_identity_token_file").is_none();
            if !assumes {
                if given(profile, "login_session").is_some() && !has_keys(profile) {
                    return Err(unusable(&way.base)
                        .with_cause(
                            "it signs in with aws login (login_session), which is not supported",
                        )
                        .hint(way.export()));
                }
                way.origin = self.origin(profile)?;
                return Ok(way);
            }
            if given(profile, "mfa_serial").is_some() {
                way.mfa.get_or_insert_with(|| way.base.clone());
            }
            let (from, source) = (
                given(profile, "source_profile"),
                given(profile, "credential_source"),
            );
            match (from, source) {
                (Some(from), None) if from != way.base => {
                    seen.push(std::mem::replace(&mut way.base, from.to_owned()));
                }
                (Some(_), None) | (None, Some(_)) => {
                    way.origin = self.origin(profile)?;
                    return Ok(way);
                }
                (Some(_), Some(_)) => {
                    return Err(unusable(&way.base)
                        .with_cause("it has source_profile and credential_source")
                        .hint("remove one of them"));
                }
                (None, None) => {
                    return Err(unusable(&way.base)
                        .with_cause("it has role_arn, and nothing says who assumes that role")
                        .hint("name the profile of the caller in its source_profile"));
                }
            }
        }
    }

    fn no_source(&self, from: &str, name: &str) -> Error {
        let why = format!("its source_profile \"{}\" does not exist", one_line(name));
        let mut names: Vec<_> = self.set.profiles().map(one_line).collect();
        names.sort_unstable();
        unusable(from)
            .with_cause(why)
            .hint(format!("the profiles are: {}", names.join(", ")))
    }

    /// What the profile itself says.
    fn origin(&self, profile: &Profile) -> Result<Origin> {
        let wrong = |why: String| Err(unusable(profile.name()).with_cause(why));
        if let Some(source) = given(profile, "credential_source") {
            let lower = source.to_lowercase();
            return match SOURCES.iter().position(|known| *known == lower) {
                Some(0) => Ok(Origin::Ec2),
                Some(1) => Ok(Origin::Container),
                Some(_) => Ok(Origin::Environment),
                None => wrong(format!(
                    "AWS knows no credential_source {:?}",
                    one_line(source)
                )),
            };
        }
        if let Some(file) = given(profile, "web_identity_token_file") {
            if given(profile, "role_arn").is_none() {
                return wrong("it has web_identity_token_file, and no role_arn".to_owned());
            }
            return Ok(Origin::WebIdentity(file.to_owned()));
        }
        let sso = [
            "sso_account_id",
            "sso_region",
            "sso_role_name",
            "sso_start_url",
        ];
        let session = given(profile, "sso_session");
        if session.is_some() || sso.iter().any(|key| given(profile, key).is_some()) {
            if let Some(session) = session.filter(|name| self.set.sso_session(name).is_none()) {
                let session = one_line(session);
                return wrong(format!("its sso_session \"{session}\" does not exist"));
            }
            for key in ["sso_account_id", "sso_role_name"] {
                if given(profile, key).is_none() {
                    return wrong(format!("it has no {key}"));
                }
            }
            return Ok(Origin::Sso);
        }
        if let Some(command) = given(profile, "credential_process") {
            let program = command.split_whitespace().next().unwrap_or_default();
            return Ok(Origin::Process(one_line(program)));
        }
        if has_keys(profile) {
            for key in ["aws_access_key_id", "aws_secret_access_key"] {
                if given(profile, key).is_none() {
                    return wrong(format!("it has no {key}"));
                }
            }
            return Ok(Origin::Keys);
        }
        Ok(Origin::Nothing)
    }
}

fn given<'a>(profile: &'a Profile, key: &str) -> Option<&'a str> {
    let value = profile.get(key).map(str::trim);
    value.filter(|value| !value.is_empty())
}

fn has_keys(profile: &Profile) -> bool {
    let keys = [
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
    ];
    keys.iter().any(|key| given(profile, key).is_some())
}

fn unusable(name: &str) -> Error {
    Error::usage(format!("the profile \"{}\" can't be used", one_line(name)))
}

/// The SDK's message names the file and the line, and quotes no value.
fn unread(error: &ProfileFileLoadError) -> Error {
    Error::usage("the AWS configuration files can't be read")
        .with_cause(network_error::describe(error))
}

impl Way {
    /// A command of the AWS CLI with this profile; without the option where that is `default`.
    pub fn cli(&self, words: &'static str) -> Command {
        let name = Some(self.profile.as_str()).filter(|_| self.is_named);
        Command::new(words).option_if("--profile", name)
    }

    /// The command that signs in to the profile of IAM Identity Center.
    pub fn sign_in(&self) -> Command {
        let is_default = self.base == DEFAULT && !self.is_named;
        let name = Some(self.base.as_str()).filter(|_| !is_default);
        Command::new("aws sso login").option_if("--profile", name)
    }

    /// How to go on with credentials that only the AWS CLI can get.
    pub fn export(&self) -> String {
        let export = self
            .cli("aws configure export-credentials")
            .words("--format env");
        format!(
            "get the credentials from the AWS CLI, and leave --profile out: eval \"$({export})\""
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn profiles(text: &str, name: &str) -> Profiles {
        let files = EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, text)
            .build();
        let (system, environment) = (Fs::real(), Env::from_slice(&[]));
        let name = Some(Cow::Owned(name.to_owned()));
        let set = aws_config::profile::load(&system, &environment, &files, name).await;
        Profiles {
            set: set.expect("profiles"),
            is_named: true,
        }
    }

    const FILE: &str = "\
[profile keys]
aws_access_key_id = a
aws_secret_access_key = b
[profile half]
aws_access_key_id = a
[profile region]
region = eu-west-1
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = r
[profile lost]
sso_session = gone
sso_account_id = 123456789012
sso_role_name = r
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
[profile login]
login_session = arn:aws:iam::123456789012:user/a
[profile program]
credential_process = /opt/get --password hush
[profile token]
role_arn = arn:aws:iam::123456789012:role/r
web_identity_token_file = /run/token
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = sso
mfa_serial = arn:aws:iam::123456789012:mfa/a
[profile own]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = own
aws_access_key_id = a
aws_secret_access_key = b
[profile a]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = b
[profile b]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = a
[profile c]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = nobody
[profile d]
role_arn = arn:aws:iam::123456789012:role/r
[profile machine]
role_arn = arn:aws:iam::123456789012:role/r
credential_source = Ec2InstanceMetadata
[profile e]
role_arn = arn:aws:iam::123456789012:role/r
credential_source = Ec2
";

    #[tokio::test]
    async fn each_profile_has_its_origin() {
        for (name, origin) in [
            ("keys", Origin::Keys),
            ("region", Origin::Nothing),
            ("sso", Origin::Sso),
            ("program", Origin::Process("/opt/get".to_owned())),
            ("token", Origin::WebIdentity("/run/token".to_owned())),
            ("mfa", Origin::Sso),
            ("own", Origin::Keys),
            ("machine", Origin::Ec2),
        ] {
            let way = profiles(FILE, name).await.way().expect(name);
            assert_eq!(way.origin, origin, "{name}");
            assert_eq!(way.mfa.is_some(), name == "mfa");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_used_says_why() {
        for (name, why) in [
            ("login", "it signs in with aws login (login_session)"),
            ("half", "it has no aws_secret_access_key"),
            ("lost", "its sso_session \"gone\" does not exist"),
            ("a", "its source_profile leads back to itself"),
            ("c", "its source_profile \"nobody\" does not exist"),
            ("d", "nothing says who assumes that role"),
            ("e", "AWS knows no credential_source \"Ec2\""),
        ] {
            let error = profiles(FILE, name)
                .await
                .way()
                .expect_err(name)
                .to_string();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
