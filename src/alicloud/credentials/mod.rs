//! Who asks: keys, a profile, or what the surroundings offer (OIDC, the aliyun CLI's
//! current profile, a credentials address, the ECS instance's role), in the order of
//! Alibaba Cloud's own SDKs; then the role to assume, if one is named. Nobody is asked
//! here: a `wallet` fetches the keys.

pub mod cache;
pub mod cli_profile;

use std::path::PathBuf;

use super::credentials::cli_profile::{File, Profile};
use super::options::Options;
use super::sign::Key;
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::net::endpoint;
use crate::secret::{self, Secret};

/// The name of a role's session, unless one is given.
const SESSION: &str = "imgimport";
/// Profiles that borrow from each other: a longer chain is a circle.
const LONGEST_CHAIN: usize = 8;

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum Source {
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
        own: Box<Source>,
        /// What is assumed.
        role: Role,
    },
    /// AssumeRoleWithOIDC: a CI system's or a cluster's token.
    Oidc {
        /// What is assumed.
        role: Role,
        /// The identity provider's ARN.
        provider: String,
        /// Holds the token; read anew each time.
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
pub struct Caller {
    /// Where the keys come from.
    pub source: Source,
    /// The profile's region.
    pub region: Option<String>,
    /// The profile's STS, a host.
    pub sts: Option<String>,
    /// The profile's name.
    pub profile: Option<String>,
}

impl Caller {
    /// Who asks, by what the user and the surroundings say.
    pub fn find(options: &Options, environment: &Environment) -> Result<Self> {
        let mut caller = Self::own(options, environment)?;
        if let Some(arn) = &options.ram_role_arn {
            let role = Role {
                arn: arn.clone(),
                session: session(options, environment),
                ..Role::default()
            };
            let own = Box::new(caller.source);
            caller.source = Source::Role { own, role };
        }
        Ok(caller)
    }

    /// Before any role is assumed.
    fn own(options: &Options, environment: &Environment) -> Result<Self> {
        let only = |source| Self {
            source,
            region: None,
            sts: None,
            profile: None,
        };
        if let (Some(id), Some(secret)) = (&options.access_key, &options.secret_key) {
            return Ok(only(Source::Keys(Key {
                id: id.expose().to_owned(),
                secret: secret.clone(),
                token: options.security_token.clone(),
            })));
        }
        if let Some(name) = &options.profile {
            let file = File::find(options, environment)?;
            let profile = file.known(name)?;
            return Self::of_profile(profile, &file, environment);
        }
        if let Some(role) = &options.ram_role_name {
            return Ok(only(Source::Ecs {
                role: Some(role.clone()),
            }));
        }
        if let Some(source) = oidc(options, environment) {
            return Ok(only(source));
        }
        if !on(environment, "ALIBABA_CLOUD_CLI_PROFILE_DISABLED") {
            let file = File::find(options, environment)?;
            if let Some(profile) = file.current()? {
                return Self::of_profile(profile, &file, environment);
            }
        }
        surroundings(environment).map(only)
    }

    fn of_profile(profile: &Profile, file: &File, environment: &Environment) -> Result<Self> {
        let wrong = |why: String| {
            let what = format!("the profile \"{}\" can't be used", profile.name);
            Error::usage(what).because_of(why)
        };
        let region = given(&profile.region_id).map(|region| endpoint::region(&region));
        let sts = given(&profile.sts_endpoint).or_else(|| {
            given(&profile.sts_region).map(|region| format!("sts.{region}.aliyuncs.com"))
        });
        if let Some(host) = &sts {
            endpoint::check(&endpoint::url_of(host)).map_err(wrong)?;
        }
        Ok(Self {
            source: source(profile, file, environment, 0)?,
            region: region.transpose().map_err(wrong)?,
            profile: Some(profile.name.clone()),
            sts,
        })
    }
}

fn session(options: &Options, environment: &Environment) -> String {
    options
        .ram_session_name
        .clone()
        .or_else(|| environment.get("ALIBABA_CLOUD_ROLE_SESSION_NAME"))
        .unwrap_or_else(|| SESSION.to_owned())
}

/// What Alibaba Cloud's clusters and CI systems set (RRSA).
fn oidc(options: &Options, environment: &Environment) -> Option<Source> {
    Some(Source::Oidc {
        role: Role {
            arn: environment.get("ALIBABA_CLOUD_ROLE_ARN")?,
            session: session(options, environment),
            ..Role::default()
        },
        provider: environment.get("ALIBABA_CLOUD_OIDC_PROVIDER_ARN")?,
        token_file: environment.get("ALIBABA_CLOUD_OIDC_TOKEN_FILE")?.into(),
    })
}

/// The last places where Alibaba Cloud's SDKs look.
fn surroundings(environment: &Environment) -> Result<Source> {
    let metadata = !on(environment, "ALIBABA_CLOUD_ECS_METADATA_DISABLED");
    let role = environment.get("ALIBABA_CLOUD_ECS_METADATA");
    if metadata && role.is_some() {
        return Ok(Source::Ecs { role });
    }
    if let Some(address) = environment.get("ALIBABA_CLOUD_CREDENTIALS_URI") {
        const URI: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";
        external_allowed(environment, URI)?;
        endpoint::check_source(&address)
            .map_err(|why| Error::usage(format!("the variable {URI} is wrong")).because_of(why))?;
        return Ok(Source::Uri(address));
    }
    Ok(if metadata {
        Source::Ecs { role: None }
    } else {
        Source::None
    })
}

/// A profile's mode, whatever its case.
fn source(
    profile: &Profile,
    file: &File,
    environment: &Environment,
    depth: usize,
) -> Result<Source> {
    let name = &profile.name;
    let wrong = |why: String| Error::usage(format!("the profile \"{name}\" can't be used: {why}"));
    let need =
        |value: &str, key: &str| given(value).ok_or_else(|| wrong(format!("it has no {key}")));
    let role = || {
        Ok(Role {
            arn: need(&profile.ram_role_arn, "ram_role_arn")?,
            session: given(&profile.ram_session_name).unwrap_or_else(|| SESSION.to_owned()),
            external_id: given(&profile.external_id),
            policy: given(&profile.policy),
            seconds: (profile.expired_seconds > 0).then_some(profile.expired_seconds),
        })
    };
    let assume = |own| {
        Ok(Source::Role {
            own: Box::new(own),
            role: role()?,
        })
    };
    let ecs = || Source::Ecs {
        role: given(&profile.ram_role_name),
    };
    match profile.mode.to_lowercase().as_str() {
        "" | "ak" => keys(profile, false).map_err(wrong),
        "ststoken" => keys(profile, true).map_err(wrong),
        "ramrolearn" => assume(keys(profile, false).map_err(wrong)?),
        "ecsramrole" => Ok(ecs()),
        "ramrolearnwithrolename" => assume(ecs()),
        "chainableramrolearn" => {
            let from = need(&profile.source_profile, "source_profile")?;
            let from = file.known(&from)?;
            if depth == LONGEST_CHAIN {
                return Err(wrong("its source_profile leads back to itself".to_owned()));
            }
            assume(source(from, file, environment, depth + 1)?)
        }
        "oidc" => Ok(Source::Oidc {
            role: role()?,
            provider: need(&profile.oidc_provider_arn, "oidc_provider_arn")?,
            token_file: need(&profile.oidc_token_file, "oidc_token_file")?.into(),
        }),
        "credentialsuri" => {
            external_allowed(environment, name)?;
            let address = need(&profile.credentials_uri, "credentials_uri")?;
            endpoint::check_source(&address).map_err(wrong)?;
            Ok(Source::Uri(address))
        }
        "external" => {
            external_allowed(environment, name)?;
            Ok(Source::Process(need(&profile.process_command, "process_command")?))
        }
        _ => Err(wrong(format!("the mode {} is not supported here", profile.mode)).hint(
            "use a profile of mode AK, StsToken, RamRoleArn, EcsRamRole, OIDC, ChainableRamRoleArn, CredentialsURI or External; External can ask any other program",
        )),
    }
}

/// The keys that a profile holds itself; the error says what it lacks.
pub fn keys(profile: &Profile, temporary: bool) -> Result<Source, String> {
    let text = |secret: &Option<Secret>| secret.clone().filter(|one| !one.expose().is_empty());
    let id = given(&profile.access_key_id).ok_or("it has no access_key_id")?;
    if let Some(fault) = secret::fault(&id) {
        return Err(format!("its access_key_id is wrong: {fault}"));
    }
    let secret = text(&profile.access_key_secret).ok_or("it has no access_key_secret")?;
    let token = text(&profile.sts_token).filter(|_| temporary);
    if temporary && token.is_none() {
        return Err("it has no sts_token".to_owned());
    }
    Ok(Source::Keys(Key { id, secret, token }))
}

/// Alibaba Cloud's own switch for machines on which a profile must start or call nothing.
fn external_allowed(environment: &Environment, what: &str) -> Result<()> {
    const SWITCH: &str = "ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS";
    if !on(environment, SWITCH) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{what} asks outside for credentials, which {SWITCH} forbids"
    ))
    .hint("give keys, or a profile of another mode"))
}

fn on(environment: &Environment, name: &str) -> bool {
    environment
        .get(name)
        .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

fn given(text: &str) -> Option<String> {
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

    fn of(name: &str, variables: &[(&str, &str)]) -> Result<Source> {
        let file: File = serde_json::from_str(CONFIG).expect("a configuration");
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        let environment = Environment::of(variables.iter().map(own));
        source(file.named(name).expect("a profile"), &file, &environment, 0)
    }

    fn refusal(name: &str, variables: &[(&str, &str)]) -> String {
        of(name, variables).expect_err("refused").to_string()
    }

    #[test]
    fn each_mode_is_its_source_whatever_its_case() {
        assert!(matches!(
            of("plain", &[]),
            Ok(Source::Keys(Key { token: None, .. }))
        ));
        assert!(matches!(
            of("sts", &[]),
            Ok(Source::Keys(Key { token: Some(_), .. }))
        ));
        assert!(matches!(of("ecs", &[]), Ok(Source::Ecs { role: None })));
        assert!(matches!(of("uri", &[]), Ok(Source::Uri(_))));
        assert!(matches!(of("program", &[]), Ok(Source::Process(_))));
        let Ok(Source::Role { own, role }) = of("chain", &[]) else {
            panic!("no role");
        };
        assert_eq!(role.session, "imgimport");
        assert!(matches!(*own, Source::Role { role, .. } if role.seconds == Some(900)));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        assert!(refusal("half", &[]).contains("it has no access_key_secret"));
        assert!(refusal("circle", &[]).contains("leads back to itself"));
        assert!(refusal("sso", &[]).contains("the mode CloudSSO is not supported here"));
        let off = [("ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS", "TRUE")];
        assert!(refusal("uri", &off).contains("forbids"));
        assert!(refusal("program", &off).contains("forbids"));
    }
}
