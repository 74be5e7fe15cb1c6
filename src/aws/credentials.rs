//! The caller's credentials: keys, a profile, or whatever the SDK's chain finds (environment,
//! profile, web identity, container, instance); then the role to assume, if one is named.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};

use super::credential_error;
use super::options::{AssumeRole, Options};
use super::profile::{self, Way};
use crate::secret::{self, Secret};

/// Adds credentials to the configuration. Nothing is asked before the first request. `way` is
/// how they are found; none where the options hold them.
pub async fn provide(
    options: &Options,
    base: SdkConfig,
    sts: Option<String>,
    way: Option<Way>,
    http: SharedHttpClient,
) -> SdkConfig {
    let base_source = validated(base_source(options, &base, http).await, way);
    let provider = match role(options) {
        Some(role) => validated(assume(role, base_source, &base, sts).await, None),
        None => base_source,
    };
    base.into_builder().credentials_provider(provider).build()
}

/// The beginning of the error about credentials that can't be sent.
pub const INVALID_CREDENTIALS: &str = "the credentials can't be used";

/// Credentials from whatever source: without white space around them, and none that can't
/// travel in a header. From here on they are masked in everything that is printed.
#[derive(Debug)]
struct Checked {
    provider: SharedCredentialsProvider,
    /// How they are found, to say why there are none.
    way: Option<Way>,
}

fn validated(provider: SharedCredentialsProvider, way: Option<Way>) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Checked { provider, way })
}

/// Whether the options hold credentials themselves.
pub fn are_given(options: &Options) -> bool {
    options.access_key.is_some() && options.secret_key.is_some()
}

impl ProvideCredentials for Checked {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let credentials = self.provider.provide_credentials().await;
            let found = credentials.map_err(|error| match &self.way {
                Some(way) => credential_error::explain(way, error),
                None => error,
            });
            validate(found?)
        })
    }
}

fn validate(found: Credentials) -> Result<Credentials, CredentialsError> {
    let parts = [
        Some(found.access_key_id()),
        Some(found.secret_access_key()),
        found.session_token(),
    ];
    for part in parts.into_iter().flatten() {
        if let Some(fault) = secret::header_problem(part) {
            return Err(CredentialsError::invalid_configuration(format!(
                "{INVALID_CREDENTIALS}: {fault}"
            )));
        }
    }
    let [access, secret, token] = parts.map(|part| part.map(Secret::new));
    let (Some(access), Some(secret)) = (access, secret) else {
        return Ok(found);
    };
    if parts.iter().flatten().all(|part| part.trim() == *part) {
        return Ok(found);
    }
    Ok(Credentials::new(
        access.expose(),
        secret.expose(),
        token.map(|token| token.expose().to_owned()),
        found.expiry(),
        "settings",
    ))
}

/// The caller before any role is assumed.
async fn base_source(
    options: &Options,
    base: &SdkConfig,
    http: SharedHttpClient,
) -> SharedCredentialsProvider {
    if let (Some(access), Some(secret)) = (&options.access_key, &options.secret_key) {
        let token = options
            .token
            .as_ref()
            .map(|token| token.expose().to_owned());
        return SharedCredentialsProvider::new(Credentials::new(
            access.expose(),
            secret.expose(),
            token,
            None,
            "settings",
        ));
    }
    let context = ProviderConfig::default()
        .with_region(base.region().cloned())
        .with_http_client(http);
    let mut profile = ProfileFileCredentialsProvider::builder().configure(&context);
    if let Some(files) = profile::files(options) {
        profile = profile.profile_files(files);
    }
    if let Some(name) = &options.profile {
        return SharedCredentialsProvider::new(profile.profile_name(name).build());
    }
    if options.skip_metadata_api_check == Some(true) || options.shared_credentials_file.is_some() {
        let chain = CredentialsProviderChain::first_try("Profile", profile.build())
            .or_else(
                "WebIdentityToken",
                WebIdentityTokenCredentialsProvider::builder()
                    .configure(&context)
                    .build(),
            )
            .or_else(
                "EcsContainer",
                EcsCredentialsProvider::builder()
                    .configure(&context)
                    .build(),
            );
        return SharedCredentialsProvider::new(chain);
    }
    let chain = DefaultCredentialsChain::builder().configure(context);
    SharedCredentialsProvider::new(chain.build().await)
}

/// The role of the flags laid over the table.
fn role(options: &Options) -> Option<AssumeRole> {
    let table = options.assume_role.clone().unwrap_or_default();
    let role = AssumeRole {
        role_arn: options.assume_role_arn.clone().or(table.role_arn),
        external_id: options.external_id.clone().or(table.external_id),
        session_name: options.session_name.clone().or(table.session_name),
        ..table
    };
    role.role_arn.is_some().then_some(role)
}

async fn assume(
    role: AssumeRole,
    base_source: SharedCredentialsProvider,
    base: &SdkConfig,
    sts: Option<String>,
) -> SharedCredentialsProvider {
    let config = match sts {
        Some(endpoint) => base.to_builder().endpoint_url(endpoint).build(),
        None => base.clone(),
    };
    let mut provider = AssumeRoleProvider::builder(role.role_arn.unwrap_or_default())
        .session_name(role.session_name.unwrap_or_else(|| "imgimport".to_owned()))
        .configure(&config);
    if let Some(id) = role.external_id {
        provider = provider.external_id(id);
    }
    if let Some(tags) = role.tags {
        provider = provider.tags(tags);
    }
    if let Some(policy) = role.policy {
        provider = provider.policy(policy);
    }
    if let Some(arns) = role.policy_arns {
        provider = provider.policy_arns(arns);
    }
    if let Some(seconds) = role.duration_seconds {
        provider = provider.session_length(Duration::from_secs(seconds.into()));
    }
    SharedCredentialsProvider::new(provider.build_from_provider(base_source).await)
}
