//! The source of the caller's credentials: keys, a profile, or the environment (OIDC, the
//! aliyun CLI's current profile, a credentials address, the ECS instance's role), in the order
//! of Alibaba Cloud's own SDKs; then the role to assume, if one is named. Sends no request:
//! `cache` fetches the keys.

pub mod cache;
pub mod cli_profile;

use std::path::PathBuf;

use super::credentials::cli_profile::{Profile, ProfileFile};
use super::options::Options;
use super::sign::Key;
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::net::endpoint;
use crate::secret::{self, Secret};

/// The name of a role's session, unless one is given.
const DEFAULT_SESSION_NAME: &str = "imgimport";
/// Profiles that borrow from each other: a longer chain is a circle.
const MAX_CHAIN: usize = 8;

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum CredentialSource {
    /// Known already.
    Keys(Key),
    /// The metadata service of the ECS instance; it knows the role's name, too.
    Ecs {
        /// None: whichever the instance has.
        role: Option<String>,
    },
    /// AssumeRole with another source's keys.
    Role {
        /// Who assumes it.
        base: Box<CredentialSource>,
        /// What is assumed.
        role: Role,
    },
    /// AssumeRoleWithOIDC: a CI system's or a cluster's token.
    Oidc {
        /// What is assumed.
        role: Role,
        /// The identity provider's ARN.
        provider: String,
        /// The file with the token; it is read each time.
        token_file: PathBuf,
    },
    /// An address that answers like the metadata service.
    Uri(String),
    /// A program that prints a profile.
    Process(String),
    /// Nothing was found, and why that is final.
    None,
}

/// A role to assume.
#[derive(Clone, Debug, Default)]
pub struct Role {
    /// The role.
    pub arn: String,
    /// The session's name.
    pub session: String,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// A policy that narrows the session.
    pub policy: Option<String>,
    /// How long a session lasts.
    pub seconds: Option<u32>,
}

/// The caller, and what his profile says of the place.
pub struct CredentialConfig {
    /// Where the keys come from.
    pub source: CredentialSource,
    /// The profile's region.
    pub region: Option<String>,
    /// The profile's STS, a host.
    pub sts: Option<String>,
    /// The profile's name.
    pub profile: Option<String>,
}

impl CredentialConfig {
    /// Who asks, by what the user and the surroundings say.
    pub fn find(options: &Options, environment: &Environment) -> Result<Self> {
        let mut caller = Self::base_source(options, environment)?;
        if let Some(arn) = &options.ram_role_arn {
            let role = Role {
                arn: arn.clone(),
                session: session_name(options, environment),
                ..Role::default()
            };
            let base = Box::new(caller.source);
            caller.source = CredentialSource::Role { base, role };
        }
        Ok(caller)
    }

    /// Before any role is assumed.
    fn base_source(options: &Options, environment: &Environment) -> Result<Self> {
        let only = |source| Self {
            source,
            region: None,
            sts: None,
            profile: None,
        };
        if let (Some(id), Some(secret)) = (&options.access_key, &options.secret_key) {
            return Ok(only(CredentialSource::Keys(Key {
                id: id.expose().to_owned(),
                secret: secret.clone(),
                token: options.security_token.clone(),
            })));
        }
        if let Some(name) = &options.profile {
            let file = ProfileFile::find(options, environment)?;
            let profile = file.require_profile(name)?;
            return Self::from_profile(profile, &file, environment);
        }
        if let Some(role) = &options.ram_role_name {
            return Ok(only(CredentialSource::Ecs {
                role: Some(role.clone()),
            }));
        }
        if let Some(source) = oidc_source(options, environment) {
            return Ok(only(source));
        }
        if !env_flag(environment, "ALIBABA_CLOUD_CLI_PROFILE_DISABLED") {
            let file = ProfileFile::find(options, environment)?;
            if let Some(profile) = file.current()? {
                return Self::from_profile(profile, &file, environment);
            }
        }
        default_chain(environment).map(only)
    }

    fn from_profile(
        profile: &Profile,
        file: &ProfileFile,
        environment: &Environment,
    ) -> Result<Self> {
        let unusable = |reason: String| {
            let what = format!("the profile \"{}\" can't be used", profile.name);
            Error::usage(what).with_cause(reason)
        };
        let region = non_empty(&profile.region_id).map(|region| endpoint::region(&region));
        let sts = non_empty(&profile.sts_endpoint).or_else(|| {
            non_empty(&profile.sts_region).map(|region| format!("sts.{region}.aliyuncs.com"))
        });
        if let Some(host) = &sts {
            endpoint::check(&endpoint::with_scheme(host)).map_err(unusable)?;
        }
        Ok(Self {
            source: source(profile, file, environment, 0)?,
            region: region.transpose().map_err(unusable)?,
            profile: Some(profile.name.clone()),
            sts,
        })
    }
}

fn session_name(options: &Options, environment: &Environment) -> String {
    options
        .ram_session_name
        .clone()
        .or_else(|| environment.get("ALIBABA_CLOUD_ROLE_SESSION_NAME"))
        .unwrap_or_else(|| DEFAULT_SESSION_NAME.to_owned())
}

/// What Alibaba Cloud's clusters and CI systems set (RRSA).
fn oidc_source(options: &Options, environment: &Environment) -> Option<CredentialSource> {
    Some(CredentialSource::Oidc {
        role: Role {
            arn: environment.get("ALIBABA_CLOUD_ROLE_ARN")?,
            session: session_name(options, environment),
            ..Role::default()
        },
        provider: environment.get("ALIBABA_CLOUD_OIDC_PROVIDER_ARN")?,
        token_file: environment.get("ALIBABA_CLOUD_OIDC_TOKEN_FILE")?.into(),
    })
}

/// The last places where Alibaba Cloud's SDKs look.
fn default_chain(environment: &Environment) -> Result<CredentialSource> {
    let metadata = !env_flag(environment, "ALIBABA_CLOUD_ECS_METADATA_DISABLED");
    let role = environment.get("ALIBABA_CLOUD_ECS_METADATA");
    if metadata && role.is_some() {
        return Ok(CredentialSource::Ecs { role });
    }
    if let Some(address) = environment.get("ALIBABA_CLOUD_CREDENTIALS_URI") {
        const URI: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";
        check_external_allowed(environment, URI)?;
        endpoint::check_source(&address).map_err(|reason| {
            Error::usage(format!("the variable {URI} is wrong")).with_cause(reason)
        })?;
        return Ok(CredentialSource::Uri(address));
    }
    Ok(if metadata {
        CredentialSource::Ecs { role: None }
    } else {
        CredentialSource::None
    })
}

/// A profile's mode, whatever its case.
fn source(
    profile: &Profile,
    file: &ProfileFile,
    environment: &Environment,
    depth: usize,
) -> Result<CredentialSource> {
    let name = &profile.name;
    let unusable =
        |reason: String| Error::usage(format!("the profile \"{name}\" can't be used: {reason}"));
    let need = |value: &str, key: &str| {
        non_empty(value).ok_or_else(|| unusable(format!("it has no {key}")))
    };
    let role = || {
        Ok(Role {
            arn: need(&profile.ram_role_arn, "ram_role_arn")?,
            session: non_empty(&profile.ram_session_name)
                .unwrap_or_else(|| DEFAULT_SESSION_NAME.to_owned()),
            external_id: non_empty(&profile.external_id),
            policy: non_empty(&profile.policy),
            seconds: (profile.expired_seconds > 0).then_some(profile.expired_seconds),
        })
    };
    let assume = |base| {
        Ok(CredentialSource::Role {
            base: Box::new(base),
            role: role()?,
        })
    };
    let ecs = || CredentialSource::Ecs {
        role: non_empty(&profile.ram_role_name),
    };
    match profile.mode.to_lowercase().as_str() {
        "" | "ak" => profile_keys(profile, false).map_err(unusable),
        "ststoken" => profile_keys(profile, true).map_err(unusable),
        "ramrolearn" => assume(profile_keys(profile, false).map_err(unusable)?),
        "ecsramrole" => Ok(ecs()),
        "ramrolearnwithrolename" => assume(ecs()),
        "chainableramrolearn" => {
            let from = need(&profile.source_profile, "source_profile")?;
            let from = file.require_profile(&from)?;
            if depth == MAX_CHAIN {
                return Err(unusable("its source_profile leads back to itself".to_owned()));
            }
            assume(source(from, file, environment, depth + 1)?)
        }
        "oidc" => Ok(CredentialSource::Oidc {
            role: role()?,
            provider: need(&profile.oidc_provider_arn, "oidc_provider_arn")?,
            token_file: need(&profile.oidc_token_file, "oidc_token_file")?.into(),
        }),
        "credentialsuri" => {
            check_external_allowed(environment, name)?;
            let address = need(&profile.credentials_uri, "credentials_uri")?;
            endpoint::check_source(&address).map_err(unusable)?;
            Ok(CredentialSource::Uri(address))
        }
        "external" => {
            check_external_allowed(environment, name)?;
            Ok(CredentialSource::Process(need(&profile.process_command, "process_command")?))
        }
        _ => Err(unusable(format!("the mode {} is not supported here", profile.mode)).hint(
            "use a profile of mode AK, StsToken, RamRoleArn, EcsRamRole, OIDC, ChainableRamRoleArn, CredentialsURI or External; External can ask any other program",
        )),
    }
}

/// The keys that a profile holds itself; the error says what it lacks.
pub fn profile_keys(profile: &Profile, temporary: bool) -> Result<CredentialSource, String> {
    let text = |secret: &Option<Secret>| secret.clone().filter(|value| !value.expose().is_empty());
    let id = non_empty(&profile.access_key_id).ok_or("it has no access_key_id")?;
    if let Some(fault) = secret::header_problem(&id) {
        return Err(format!("its access_key_id is wrong: {fault}"));
    }
    let secret = text(&profile.access_key_secret).ok_or("it has no access_key_secret")?;
    let token = text(&profile.sts_token).filter(|_| temporary);
    if temporary && token.is_none() {
        return Err("it has no sts_token".to_owned());
    }
    Ok(CredentialSource::Keys(Key { id, secret, token }))
}

/// Alibaba Cloud's own switch for machines on which a profile must start or call nothing.
fn check_external_allowed(environment: &Environment, what: &str) -> Result<()> {
    const SWITCH: &str = "ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS";
    if !env_flag(environment, SWITCH) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{what} asks outside for credentials, which {SWITCH} forbids"
    ))
    .hint("give keys, or a profile of another mode"))
}

fn env_flag(environment: &Environment, name: &str) -> bool {
    environment
        .get(name)
        .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

fn non_empty(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"current": "plain", "profiles": [
        {"name": "plain", "mode": "ak", "access_key_id": "id", "access_key_secret": "s", "region_id": "cn-beijing"},
        {"name": "sts", "mode": "STSTOKEN", "access_key_id": "id", "access_key_secret": "s", "sts_token": "t"},
        {"name": "half", "mode": "AK", "access_key_id": "id"},
        {"name": "role", "mode": "RamRoleArn", "access_key_id": "id", "access_key_secret": "s", "ram_role_arn": "acs:ram::1:role/r", "expired_seconds": 900},
        {"name": "chain", "mode": "ChainableRamRoleArn", "source_profile": "role", "ram_role_arn": "acs:ram::1:role/q"},
        {"name": "circle", "mode": "ChainableRamRoleArn", "source_profile": "circle", "ram_role_arn": "acs:ram::1:role/q"},
        {"name": "ecs", "mode": "EcsRamRole"},
        {"name": "uri", "mode": "CredentialsURI", "credentials_uri": "http://127.0.0.1:1/"},
        {"name": "program", "mode": "External", "process_command": "cat keys.json"},
        {"name": "sso", "mode": "CloudSSO"}
    ]}"#;

    fn source_of(name: &str, variables: &[(&str, &str)]) -> Result<CredentialSource> {
        let file: ProfileFile = serde_json::from_str(CONFIG).expect("a configuration");
        let to_owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        let environment = Environment::from_variables(variables.iter().map(to_owned));
        source(
            file.profile(name).expect("a profile"),
            &file,
            &environment,
            0,
        )
    }

    fn refusal(name: &str, variables: &[(&str, &str)]) -> String {
        source_of(name, variables).expect_err("refused").to_string()
    }

    #[test]
    fn profile_modes_are_case_insensitive() {
        assert!(matches!(
            source_of("plain", &[]),
            Ok(CredentialSource::Keys(Key { token: None, .. }))
        ));
        assert!(matches!(
            source_of("sts", &[]),
            Ok(CredentialSource::Keys(Key { token: Some(_), .. }))
        ));
        assert!(matches!(
            source_of("ecs", &[]),
            Ok(CredentialSource::Ecs { role: None })
        ));
        assert!(matches!(
            source_of("uri", &[]),
            Ok(CredentialSource::Uri(_))
        ));
        assert!(matches!(
            source_of("program", &[]),
            Ok(CredentialSource::Process(_))
        ));
        let Ok(CredentialSource::Role { base, role }) = source_of("chain", &[]) else {
            panic!("no role");
        };
        assert_eq!(role.session, "imgimport");
        assert!(matches!(*base, CredentialSource::Role { role, .. } if role.seconds == Some(900)));
    }

    #[test]
    fn unusable_profiles_explain_the_reason() {
        assert!(refusal("half", &[]).contains("it has no access_key_secret"));
        assert!(refusal("circle", &[]).contains("leads back to itself"));
        assert!(refusal("sso", &[]).contains("the mode CloudSSO is not supported here"));
        let off = [("ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS", "TRUE")];
        assert!(refusal("uri", &off).contains("forbids"));
        assert!(refusal("program", &off).contains("forbids"));
    }
}
