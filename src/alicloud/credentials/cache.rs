//! The cached key of the caller: fetched when it is first needed, and renewed before it
//! expires. `credentials` decides its source.

use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::super::api::{Action, STS, params};
use super::super::error::{self, ServiceError};
use super::super::sign::{Key, KeySource, Pairs};
use super::cli_profile::Profile;
use super::{CredentialSource, Role, profile_keys};
use crate::net::http::{Body, Http, Method, RESPONSE_TIMEOUT, Request, Response, encode, one_line};
use crate::net::permission;
use crate::net::retry::RetryPolicy;
use crate::secret::Secret;

/// The SDKs renew a key that has less left than this.
const REFRESH_MARGIN: i64 = 180;
/// The metadata service is on the same host, or it is not there.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a metadata token is asked for, in seconds: the longest.
const METADATA_TOKEN_SECONDS: &str = "21600";
/// A program that brings keys may ask a person.
const PROCESS_TIMEOUT: Duration = Duration::from_mins(1);

/// Holds the key of this run. Clones hold the same.
#[derive(Clone)]
pub struct CredentialCache(Arc<Inner>);

struct Inner {
    source: CredentialSource,
    http: Http,
    services: Services,
    cached: Mutex<Option<CachedKey>>,
    invalidated: std::sync::atomic::AtomicBool,
}

/// Who can be asked for keys.
#[derive(Clone, Debug)]
pub struct Services {
    /// STS, a full URL.
    pub sts: String,
    /// The ECS metadata service, a full URL.
    pub metadata: String,
    /// Whether its first version, without a token, may be asked.
    pub metadata_v1: bool,
    /// How often STS is asked again.
    pub retry_policy: RetryPolicy,
}

#[derive(Clone)]
struct CachedKey {
    key: Key,
    expires_at: Option<Timestamp>,
}

/// Keys as the metadata service, STS and credentials addresses write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyResponse {
    access_key_id: Secret,
    access_key_secret: Secret,
    security_token: Option<Secret>,
    expiration: Option<String>,
}

impl From<KeyResponse> for CachedKey {
    fn from(keys: KeyResponse) -> Self {
        Self {
            key: Key {
                id: keys.access_key_id.expose().to_owned(),
                secret: keys.access_key_secret,
                token: keys.security_token,
            },
            expires_at: keys.expiration.and_then(|time| time.parse().ok()),
        }
    }
}

impl CachedKey {
    fn is_valid_for(&self, seconds: i64) -> bool {
        self.expires_at
            .is_none_or(|until| Timestamp::now() + seconds.seconds() < until)
    }
}

impl CredentialCache {
    /// Asks nobody yet.
    pub fn new(source: CredentialSource, http: Http, services: Services) -> Self {
        Self(Arc::new(Inner {
            source,
            http,
            services,
            cached: Mutex::new(None),
            invalidated: false.into(),
        }))
    }
}

impl KeySource for CredentialCache {
    async fn key(&self) -> Result<Key, ServiceError> {
        use std::sync::atomic::Ordering::SeqCst;
        let mut cached = self.0.cached.lock().await;
        if self.0.invalidated.swap(false, SeqCst) {
            *cached = None;
        }
        if let Some(cached) = cached
            .as_ref()
            .filter(|cached| cached.is_valid_for(REFRESH_MARGIN))
        {
            return Ok(cached.key.clone());
        }
        match self.0.fetch(&self.0.source).await {
            Ok(new) => Ok(cached.insert(new).key.clone()),
            // The old one may do until the source is back.
            Err(fault) => match cached.as_ref().filter(|cached| cached.is_valid_for(0)) {
                Some(cached) => Ok(cached.key.clone()),
                None => Err(fault),
            },
        }
    }

    fn invalidate(&self) -> bool {
        self.0
            .invalidated
            .store(true, std::sync::atomic::Ordering::SeqCst);
        true
    }
}

impl Inner {
    async fn fetch(&self, source: &CredentialSource) -> Result<CachedKey, ServiceError> {
        match source {
            CredentialSource::Keys(key) => Ok(CachedKey {
                key: key.clone(),
                expires_at: None,
            }),
            CredentialSource::Ecs { role } => self.ecs_role(role.as_deref()).await,
            CredentialSource::Role { base, role } => {
                let base_key = Box::pin(self.fetch(base)).await?;
                self.assume(role, &base_key.key).await
            }
            CredentialSource::Oidc {
                role,
                provider,
                token_file,
            } => {
                let file = token_file.display();
                let token = std::fs::read_to_string(token_file).map_err(|error| {
                    error::no_credentials(format!("the OIDC token in {file} can't be read: {error}"))
                        .with_hint("name the file with the token in ALIBABA_CLOUD_OIDC_TOKEN_FILE, or oidc_token_file of the profile")
                })?;
                let granted = self
                    .assume_role_with_oidc(role, provider, token.trim())
                    .await;
                granted.map_err(|fault| assume_role_error(fault, role, Some(&file.to_string())))
            }
            CredentialSource::Uri(address) => {
                let failed = |reason: &dyn std::fmt::Display| {
                    error::no_credentials(format!("{address}: {reason}")).with_hint(
                        "check the address: ALIBABA_CLOUD_CREDENTIALS_URI, or credentials_uri of the profile",
                    )
                };
                let answer = self.get(Method::GET, address, &[]).await;
                let answer = answer.map_err(|fault| failed(&fault))?;
                parse_credentials(&answer).map_err(|reason| failed(&reason))
            }
            CredentialSource::Process(command) => run_process(command).await,
            CredentialSource::None => Err(error::no_credentials("there are no credentials")),
        }
    }

    /// The metadata service; its second version wants a token first. A role that was named
    /// says that it is meant; otherwise it is the last place to look.
    async fn ecs_role(&self, role: Option<&str>) -> Result<CachedKey, ServiceError> {
        let unreachable = |fault: ServiceError| {
            match role {
            Some(role) => error::no_credentials(format!(
                "the ECS metadata service has no keys for the role {role}: {fault}"
            ))
            .with_hint(format!(
                "run this on an ECS instance that has the RAM role {role}, or set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY"
            )),
            None => error::no_credentials(format!(
                "no credentials are set, and the ECS metadata service does not help: {fault}"
            )),
        }
        };
        let base = self.services.metadata.trim_end_matches('/');
        let ttl = [(
            "x-aliyun-ecs-metadata-token-ttl-seconds",
            METADATA_TOKEN_SECONDS,
        )];
        let token = self
            .get(Method::PUT, &format!("{base}/latest/api/token"), &ttl)
            .await;
        let token = match token {
            Ok(answer) => Some(response_text(&answer)),
            Err(_) if self.services.metadata_v1 => None,
            Err(fault) => return Err(unreachable(fault)),
        };
        let headers: Vec<_> = token
            .iter()
            .map(|token| ("x-aliyun-ecs-metadata-token", token.as_str()))
            .collect();
        let roles = format!("{base}/latest/meta-data/ram/security-credentials/");
        let named = match role {
            Some(role) => role.to_owned(),
            None => one_line(&response_text(
                &self
                    .get(Method::GET, &roles, &headers)
                    .await
                    .map_err(unreachable)?,
            )),
        };
        let address = format!("{roles}{}", encode(&named));
        let answer = self
            .get(Method::GET, &address, &headers)
            .await
            .map_err(unreachable)?;
        parse_credentials(&answer).map_err(|reason| {
            error::no_credentials(format!("the role {named} of this ECS instance: {reason}"))
        })
    }

    async fn assume(&self, role: &Role, base_key: &Key) -> Result<CachedKey, ServiceError> {
        let mut parameters = params([("RoleArn", &role.arn), ("RoleSessionName", &role.session)]);
        parameters.extend(optional_parameters(role));
        parameters.extend(
            role.external_id
                .iter()
                .map(|id| ("ExternalId".to_owned(), id.clone())),
        );
        let action = Action {
            product: STS,
            endpoint: &self.services.sts,
            name: "AssumeRole",
            parameters: &parameters,
        };
        // Boxed: signing a request may need a key that another request brings.
        let retry_policy = self.services.retry_policy;
        let answer = Box::pin(action.call(&self.http, base_key, retry_policy)).await;
        parse_sts_response(answer.map_err(|fault| assume_role_error(fault, role, None))?)
    }

    /// AssumeRoleWithOIDC is not signed: the token says who asks.
    async fn assume_role_with_oidc(
        &self,
        role: &Role,
        provider: &str,
        token: &str,
    ) -> Result<CachedKey, ServiceError> {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let query = params([
            ("Action", "AssumeRoleWithOIDC"),
            ("Format", "JSON"),
            ("Timestamp", &now),
            ("SignatureNonce", &uuid::Uuid::new_v4().simple().to_string()),
            ("Version", "2015-04-01"),
        ]);
        let mut form = params([
            ("RoleArn", &role.arn),
            ("OIDCProviderArn", provider),
            ("OIDCToken", token),
            ("RoleSessionName", &role.session),
        ]);
        form.extend(optional_parameters(role));
        let call = Request {
            service: "sts",
            method: Method::POST,
            url: format!(
                "{}/?{}",
                self.services.sts.trim_end_matches('/'),
                encode_form(&query)
            ),
            headers: params([
                ("accept", "application/json"),
                ("content-type", "application/x-www-form-urlencoded"),
            ]),
            body: Body::Document(encode_form(&form).into()),
            timeout: Some(RESPONSE_TIMEOUT),
            secret: true,
            direct: false,
        };
        let answer = self.http.send(call).await.map_err(error::no_response)?;
        if !answer.is_success() {
            return Err(error::from_response(&answer));
        }
        parse_sts_response(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    async fn get(
        &self,
        method: Method,
        address: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response, ServiceError> {
        let near = address.starts_with(&self.services.metadata);
        let call = Request {
            service: "credentials",
            method,
            url: address.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Body::Empty,
            timeout: Some(if near {
                METADATA_TIMEOUT
            } else {
                RESPONSE_TIMEOUT
            }),
            secret: true,
            direct: near,
        };
        let answer = self.http.send(call).await.map_err(error::no_response)?;
        if answer.is_success() {
            Ok(answer)
        } else {
            Err(error::from_response(&answer))
        }
    }
}

/// STS's refusal of a role, with what helps: it is not about the request that needed the key.
fn assume_role_error(fault: ServiceError, role: &Role, token_file: Option<&str>) -> ServiceError {
    let arn = one_line(&role.arn);
    let code = fault.code().unwrap_or_default().to_owned();
    match (code.as_str(), token_file) {
        (code, _) if code.starts_with("EntityNotExist") => {
            fault.with_hint(format!("check the role's ARN: {arn}"))
        }
        (code, Some(file)) if code.contains("OIDCToken") => {
            fault.with_hint(format!("get a new OIDC token into {file}"))
        }
        (code, Some(_)) if code.starts_with("AuthenticationFail") => fault.with_hint(format!(
            "let the trust policy of {arn} name the OIDC provider and the token's subject"
        )),
        (_, None) if fault.is_denied() => fault.with_hint(format!(
            "{}; and let the role's trust policy name the caller",
            permission::allow(permission::RAM, &format!("sts:AssumeRole on {arn}"))
        )),
        _ => fault,
    }
}

/// What AssumeRole takes besides who and what.
fn optional_parameters(role: &Role) -> Pairs {
    let seconds = role
        .seconds
        .map(|seconds| ("DurationSeconds".to_owned(), seconds.to_string()));
    let policy = role
        .policy
        .clone()
        .map(|policy| ("Policy".to_owned(), policy));
    seconds.into_iter().chain(policy).collect()
}

fn encode_form(pairs: &Pairs) -> String {
    let encoded = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// STS's answer. What it holds is never shown, not even where it can't be read.
fn parse_sts_response(mut answer: Value) -> Result<CachedKey, ServiceError> {
    let keys = serde_json::from_value::<KeyResponse>(answer["Credentials"].take());
    keys.map(CachedKey::from)
        .map_err(|_| error::no_credentials("STS's answer holds no credentials"))
}

fn parse_credentials(answer: &Response) -> Result<CachedKey, &'static str> {
    let keys = serde_json::from_slice::<KeyResponse>(&answer.body);
    keys.map(CachedKey::from)
        .map_err(|_| "the answer holds no credentials")
}

fn response_text(answer: &Response) -> String {
    String::from_utf8_lossy(&answer.body).trim().to_owned()
}

/// Runs the command as the aliyun CLI does: words between blanks, no shell.
async fn run_process(command: &str) -> Result<CachedKey, ServiceError> {
    let failed = |reason: String| {
        error::no_credentials(format!(
            "the profile's process_command brings no credentials: {reason}"
        ))
        .with_hint("run the profile's process_command by hand: it must print a profile in JSON")
    };
    let mut arguments = command.split_whitespace();
    let mut program = tokio::process::Command::new(arguments.next().unwrap_or_default());
    program
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PROCESS_TIMEOUT, program.output())
        .await
        .map_err(|_| failed("it does not end".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let profile: Profile = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("what it prints is not a profile in JSON".to_owned()))?;
    let temporary = profile.mode.eq_ignore_ascii_case("StsToken");
    match profile_keys(&profile, temporary) {
        Ok(CredentialSource::Keys(key)) => Ok(CachedKey {
            key,
            expires_at: None,
        }),
        Ok(_) => Err(failed("it prints no keys".to_owned())),
        Err(reason) => Err(failed(reason)),
    }
}
