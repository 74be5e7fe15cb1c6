//! The clients of S3, EC2, EBS, STS, IAM, Systems Manager and Service Quotas: one set of
//! credentials, the endpoints that the user named, and retries for unreliable networks.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::SharedHttpClient;

use super::credentials;
use super::options::Options;
use super::profile::Profiles;
use super::request_log::RequestLog;
use crate::error::{Error, Result};
use crate::net::endpoint::is_loopback;
use crate::net::environment::Authorities;
use crate::net::sdk_http;

/// Nothing answers a SYN for this long but a host that is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// EC2's slowest answers, such as ImportImage, take some seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// For one try, its answer included: a body that comes byte by byte must end, too.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(2);
/// Tries after the first; with the SDK's pauses a dead network is told of within half a minute.
const MAX_RETRIES: u32 = 3;

/// For an answer before the upload that an import can do without.
pub const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything that speaks to AWS.
#[derive(Clone)]
pub struct Clients {
    /// Object storage.
    pub s3: aws_sdk_s3::Client,
    /// The endpoint that the user named for it.
    pub s3_endpoint: Option<String>,
    /// Images.
    pub ec2: aws_sdk_ec2::Client,
    /// Snapshots, block by block.
    pub ebs: aws_sdk_ebs::Client,
    /// Who am I.
    pub sts: aws_sdk_sts::Client,
    /// The service role.
    pub iam: aws_sdk_iam::Client,
    /// Parameters.
    pub ssm: aws_sdk_ssm::Client,
    /// What an account may have; none where EC2 is somebody else's, who has no such service.
    pub quotas: Option<aws_sdk_servicequotas::Client>,
    /// Whether there is an STS to ask: a local EC2 need not have one, and keys that are good
    /// there are none of AWS's business.
    pub has_sts: bool,
    /// The same for IAM.
    pub has_iam: bool,
    /// The region of images and parameters.
    pub region: String,
    ec2_endpoint: Option<String>,
    ssm_endpoint: Option<String>,
}

/// The region that the options name, or the profile, or the instance that this runs on.
///
/// # Errors
///
/// The profile is not known, or nothing can be asked.
pub async fn region(options: &Options) -> Result<Option<String>> {
    let http = http(&Profiles::load(options).await?)?;
    if let Some(region) = &options.region {
        return Ok(Some(region.clone()));
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .no_credentials();
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    Ok(loader.load().await.region().map(Region::to_string))
}

/// The connections. `AWS_CA_BUNDLE` comes before the profile's `ca_bundle`, as in the AWS CLI;
/// both come before what is set for all programs.
fn http(profiles: &Profiles) -> Result<SharedHttpClient> {
    let quotas_endpoint = match Authorities::of_variable("AWS_CA_BUNDLE")? {
        Some(own) => Some(own),
        None => profiles.authorities()?,
    };
    sdk_http::client(quotas_endpoint)
}

impl Clients {
    /// Sets up the clients; asks nobody yet. The address in a profile is checked as any other.
    pub async fn new(options: &Options, region: &str) -> Result<Self> {
        let profiles = Profiles::load(options).await?;
        let http = http(&profiles)?;
        let way = (!credentials::are_given(options)).then(|| profiles.way());
        let way = way.transpose()?;
        let base = base_config(options, region, http.clone()).await;
        if options.endpoint_url.is_none()
            && let Some(Err(reason)) = base.endpoint_url().map(crate::net::endpoint::check)
        {
            let what = "the endpoint_url of the profile can't be used";
            return Err(Error::usage(what).with_cause(reason));
        }
        let options = &with_endpoint(options, base.endpoint_url());
        let base = credentials::provide(
            options,
            base,
            endpoint(options, options.endpoint_url_sts.as_ref()),
            way,
            http,
        )
        .await;
        let ec2 = options
            .endpoint_url_ec2
            .clone()
            .or_else(|| options.custom_endpoint_ec2.clone());
        let ec2_endpoint = endpoint(options, ec2.as_ref());
        let ssm_endpoint = endpoint(options, options.endpoint_url_ssm.as_ref());
        let s3_endpoint = endpoint(options, options.endpoint_url_s3.as_ref());
        let sts_endpoint = endpoint(options, options.endpoint_url_sts.as_ref());
        let iam_endpoint = endpoint(options, options.endpoint_url_iam.as_ref());
        let is_local = ec2_endpoint.as_deref().is_some_and(is_loopback);
        Ok(Self {
            has_sts: !is_local || sts_endpoint.is_some(),
            has_iam: !is_local || iam_endpoint.is_some(),
            s3: {
                let mut config = aws_sdk_s3::config::Builder::from(&base)
                    .force_path_style(s3_endpoint.as_deref().is_some_and(is_loopback))
                    .interceptor(RequestLog::new("s3"));
                config.set_endpoint_url(s3_endpoint.clone());
                aws_sdk_s3::Client::from_conf(config.build())
            },
            s3_endpoint,
            ec2: {
                let mut config =
                    aws_sdk_ec2::config::Builder::from(&base).interceptor(RequestLog::new("ec2"));
                config.set_endpoint_url(ec2_endpoint.clone());
                aws_sdk_ec2::Client::from_conf(config.build())
            },
            ebs: {
                let mut config =
                    aws_sdk_ebs::config::Builder::from(&base).interceptor(RequestLog::new("ebs"));
                config.set_endpoint_url(endpoint(options, options.endpoint_url_ebs.as_ref()));
                aws_sdk_ebs::Client::from_conf(config.build())
            },
            sts: {
                let mut config =
                    aws_sdk_sts::config::Builder::from(&base).interceptor(RequestLog::new("sts"));
                config.set_endpoint_url(sts_endpoint);
                aws_sdk_sts::Client::from_conf(config.build())
            },
            iam: {
                let mut config =
                    aws_sdk_iam::config::Builder::from(&base).interceptor(RequestLog::new("iam"));
                config.set_endpoint_url(iam_endpoint);
                aws_sdk_iam::Client::from_conf(config.build())
            },
            ssm: {
                let mut config =
                    aws_sdk_ssm::config::Builder::from(&base).interceptor(RequestLog::new("ssm"));
                config.set_endpoint_url(ssm_endpoint.clone());
                aws_sdk_ssm::Client::from_conf(config.build())
            },
            quotas: {
                let own = options.endpoint_url_service_quotas.as_ref();
                let endpoint = endpoint(options, own);
                (endpoint.is_some() || ec2_endpoint.is_none()).then(|| {
                    let mut config = aws_sdk_servicequotas::config::Builder::from(&base)
                        .interceptor(RequestLog::new("servicequotas"));
                    config.set_endpoint_url(endpoint);
                    aws_sdk_servicequotas::Client::from_conf(config.build())
                })
            },
            region: region.to_owned(),
            ec2_endpoint,
            ssm_endpoint,
        })
    }

    /// The same for images and parameters of another region.
    pub fn in_region(&self, region: &str) -> Self {
        let new_region = || Region::new(region.to_owned());
        let moved = |endpoint: &Option<String>| {
            Some(endpoint_in_region(endpoint.as_ref()?, &self.region, region))
        };
        let (ec2_endpoint, ssm_endpoint) = (moved(&self.ec2_endpoint), moved(&self.ssm_endpoint));
        let mut ec2 = self.ec2.config().to_builder().region(new_region());
        ec2.set_endpoint_url(ec2_endpoint.clone());
        let mut ssm = self.ssm.config().to_builder().region(new_region());
        ssm.set_endpoint_url(ssm_endpoint.clone());
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            ssm: aws_sdk_ssm::Client::from_conf(ssm.build()),
            region: region.to_owned(),
            ec2_endpoint,
            ssm_endpoint,
            ..self.clone()
        }
    }
}

/// An endpoint of one region names it; that of another has the other's name there.
fn endpoint_in_region(endpoint: &str, from: &str, to: &str) -> String {
    endpoint.replace(from, to)
}

/// The service's own endpoint, or the one for all; none is AWS's.
fn endpoint(options: &Options, service_endpoint: Option<&String>) -> Option<String> {
    service_endpoint
        .cloned()
        .or_else(|| options.endpoint_url.clone())
}

/// A profile may name an endpoint for all services, too.
fn with_endpoint(options: &Options, profile: Option<&str>) -> Options {
    let own = options.endpoint_url.clone();
    Options {
        endpoint_url: own.or_else(|| profile.map(str::to_owned)),
        ..options.clone()
    }
}

async fn base_config(options: &Options, region: &str, http: SharedHttpClient) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let tries = options.max_retries.unwrap_or(MAX_RETRIES).saturating_add(1);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .retry_config(RetryConfig::standard().with_max_attempts(tries))
        .timeout_config(timeouts)
        .http_client(http)
        .no_credentials();
    if let Ok(name) = AppName::new("imgimport") {
        loader = loader.app_name(name);
    }
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_in_region_keeps_gateways() {
        for (endpoint, expected) in [
            (
                "https://ec2.eu-central-1.amazonaws.com",
                "https://ec2.eu-west-1.amazonaws.com",
            ),
            ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
        ] {
            assert_eq!(
                endpoint_in_region(endpoint, "eu-central-1", "eu-west-1"),
                expected
            );
        }
    }
}
