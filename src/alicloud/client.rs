//! The clients of Alibaba Cloud: one key for ECS, OSS, RAM and STS, and the endpoints that the
//! user named.

use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::{Action, ECS, Product, RAM, STS};
use super::credentials::CredentialConfig;
use super::credentials::cache::{CredentialCache, Services};
use super::error::ServiceError;
use super::hints;
use super::options::Options;
use super::sign::{self, KeySource, Pairs, sign_oss4};
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::net::endpoint;
use crate::net::endpoint::{is_loopback, with_scheme};
use crate::net::http::Http;
use crate::net::retry::RetryPolicy;
use crate::store::oss::{Addressing, Oss, OssObject, Signer, UnsignedRequest};
use crate::store::{self, ErrorClass};

/// Names another place of the metadata service.
const METADATA_VARIABLE: &str = "ALIBABA_CLOUD_ECS_METADATA_ENDPOINT";
/// Where every ECS instance finds its metadata.
const METADATA_URL: &str = "http://100.100.100.200";

/// The services. Clones share connections and key.
#[derive(Clone)]
pub struct Clients {
    http: Http,
    credentials: CredentialCache,
    endpoints: Arc<Endpoints>,
    retry_policy: RetryPolicy,
    /// The profile of the aliyun CLI that the key comes from.
    profile: Option<String>,
}

#[derive(Debug)]
struct Endpoints {
    region: String,
    /// The user's; otherwise each region has its own.
    ecs: Option<String>,
    ram: String,
    sts: String,
    oss: String,
    addressing: Addressing,
}

impl Clients {
    /// Sets up the clients; asks nobody yet. The caller's profile may name the region.
    pub fn new(options: &Options, environment: &Environment) -> Result<(Self, Option<String>)> {
        let http = Http::new()?;
        let caller = CredentialConfig::find(options, environment)?;
        let region = options.region.clone().or(caller.region);
        // Packer tolerates the name of OSS's endpoint as a region.
        let region = region.map(|name| name.strip_prefix("oss-").unwrap_or(&name).to_owned());
        let endpoints = Endpoints::new(
            options,
            region.as_deref().unwrap_or_default(),
            caller.sts.as_deref(),
        );
        let retry_policy = RetryPolicy::with_retries(options.max_retries);
        let metadata = environment.get(METADATA_VARIABLE);
        let metadata = metadata.unwrap_or_else(|| METADATA_URL.to_owned());
        endpoint::check_source(&metadata).map_err(|why| {
            Error::usage(format!("the variable {METADATA_VARIABLE} is wrong")).with_cause(why)
        })?;
        let services = Services {
            sts: endpoints.sts.clone(),
            metadata,
            metadata_v1: environment
                .get("ALIBABA_CLOUD_IMDSV1_DISABLED")
                .is_none_or(|value| value != "1" && !value.eq_ignore_ascii_case("true")),
            retry_policy,
        };
        let credentials = CredentialCache::new(caller.source, http.clone(), services);
        let endpoints = Arc::new(endpoints);
        let clients = Self {
            http,
            credentials,
            endpoints,
            retry_policy,
            profile: caller.profile,
        };
        Ok((clients, region))
    }

    /// An action of ECS in the import's region.
    pub async fn ecs<T: DeserializeOwned>(
        &self,
        action: &str,
        parameters: Pairs,
    ) -> Result<T, ServiceError> {
        self.ecs_in(&self.endpoints.region, action, parameters)
            .await
    }

    /// An action of ECS in any region.
    pub async fn ecs_in<T: DeserializeOwned>(
        &self,
        region: &str,
        action: &str,
        mut parameters: Pairs,
    ) -> Result<T, ServiceError> {
        parameters.push(("RegionId".to_owned(), region.to_owned()));
        self.ecs_at(region, action, &parameters).await
    }

    /// An action whose region is its endpoint's, and that knows no RegionId.
    pub async fn ecs_at<T: DeserializeOwned>(
        &self,
        region: &str,
        action: &str,
        parameters: &Pairs,
    ) -> Result<T, ServiceError> {
        let default_endpoint = || format!("https://ecs.{region}.aliyuncs.com");
        let endpoint = self.endpoints.ecs.clone().unwrap_or_else(default_endpoint);
        self.call(ECS, &endpoint, action, parameters).await
    }

    /// Whether there is a RAM to ask: a local ECS need not have one, and keys that are good
    /// there are none of Alibaba Cloud's business.
    pub fn has_ram(&self) -> bool {
        let is_local = self.endpoints.ecs.as_deref().is_some_and(is_loopback);
        !is_local || is_loopback(&self.endpoints.ram)
    }

    /// An action of RAM, which knows no regions.
    pub async fn ram<T: DeserializeOwned>(
        &self,
        action: &str,
        parameters: Pairs,
    ) -> Result<T, ServiceError> {
        self.call(RAM, &self.endpoints.ram, action, &parameters)
            .await
    }

    /// Who asks, in RAM's words.
    pub async fn caller_identity(&self) -> Result<String, ServiceError> {
        let (name, endpoint) = ("GetCallerIdentity", &self.endpoints.sts);
        let answer: Value = self.call(STS, endpoint, name, &Vec::new()).await?;
        Ok(answer["Arn"].as_str().unwrap_or("unknown").to_owned())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        product: Product,
        endpoint: &str,
        name: &str,
        parameters: &Pairs,
    ) -> Result<T, ServiceError> {
        let action = Action {
            product,
            endpoint,
            name,
            parameters,
        };
        let answer = action
            .call(&self.http, &self.credentials, self.retry_policy)
            .await;
        answer.map_err(|error| {
            let error = error.requiring(format!("{}:{name}", product.name));
            match &self.profile {
                Some(profile) if error.class() == ErrorClass::ExpiredCredentials => {
                    error.with_hint(hints::expired_profile_hint(profile))
                }
                _ => error,
            }
        })
    }

    /// An object in OSS, or its bucket.
    pub fn oss(&self, bucket: &str, key: &str) -> Oss {
        let object = OssObject {
            endpoint: self.endpoints.oss.clone(),
            addressing: self.endpoints.addressing,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        };
        let signer = OssSigner {
            credentials: self.credentials.clone(),
            region: self.endpoints.region.clone(),
        };
        Oss::new(
            self.http.clone(),
            Arc::new(signer),
            object,
            self.retry_policy,
        )
    }
}

impl Endpoints {
    fn new(options: &Options, region: &str, profile_sts: Option<&str>) -> Self {
        let url = |named: &Option<String>| named.as_deref().map(with_scheme);
        let oss = url(&options.oss_endpoint);
        let near = oss.as_deref().is_some_and(is_loopback);
        let addressing = match options.oss_cname {
            Some(true) => Addressing::Custom,
            _ if options.oss_path_style.unwrap_or(near) => Addressing::Path,
            _ => Addressing::Virtual,
        };
        let sts = profile_sts.map(with_scheme);
        Self {
            region: region.to_owned(),
            ecs: url(&options.ecs_endpoint),
            ram: url(&options.ram_endpoint)
                .unwrap_or_else(|| "https://ram.aliyuncs.com".to_owned()),
            sts: url(&options.sts_endpoint)
                .or(sts)
                .unwrap_or_else(|| format!("https://sts.{region}.aliyuncs.com")),
            oss: oss.unwrap_or_else(|| format!("https://oss-{region}.aliyuncs.com")),
            addressing,
        }
    }
}

/// OSS4-HMAC-SHA256 with the caller's key.
struct OssSigner {
    credentials: CredentialCache,
    region: String,
}

impl Signer for OssSigner {
    fn sign<'a>(
        &'a self,
        request: &'a UnsignedRequest<'a>,
    ) -> Pin<Box<dyn Future<Output = store::Result<Pairs>> + Send + 'a>> {
        Box::pin(async move {
            let key = self.credentials.key().await.map_err(|fault| {
                let error = store::Error::other(fault.to_string());
                if fault.is_transient() {
                    error.with_class(ErrorClass::Transient)
                } else {
                    error
                }
            })?;
            let request = sign::OssRequest {
                region: &self.region,
                method: request.method,
                path: request.path,
                query: request.query,
                headers: request.headers,
                time: jiff::Timestamp::now(),
            };
            Ok(sign_oss4(&key, &request))
        })
    }

    fn credentials_expired(&self) {
        self.credentials.invalidate();
    }
}
