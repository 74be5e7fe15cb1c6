//! The caller's key: fetched when it is first needed, kept, renewed before it is over.
//! Where it comes from was decided in `credentials`.

use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::super::api::{Action, STS, pairs};
use super::super::error::Fault;
use super::super::sign::{Key, KeySource, Pairs};
use super::cli_profile::Profile;
use super::{Role, Source, keys};
use crate::net::http::{ANSWER, Answer, Call, Http, Method, Payload, encode, one_line};
use crate::net::permission;
use crate::net::retry::Patience;
use crate::secret::Secret;

/// The SDKs renew a key that has less left than this.
const LEFT: i64 = 180;
/// The metadata service is on the same host, or it is not there.
const METADATA: Duration = Duration::from_secs(1);
/// How long a metadata token is asked for, in seconds: the longest.
const METADATA_TOKEN: &str = "21600";
/// A program that brings keys may ask a person.
const PROCESS: Duration = Duration::from_mins(1);

/// Holds the key of this run. Clones hold the same.
#[derive(Clone)]
pub struct Wallet(Arc<Inside>);

struct Inside {
    source: Source,
    http: Http,
    services: Services,
    held: Mutex<Option<Held>>,
    over: std::sync::atomic::AtomicBool,
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
    pub patience: Patience,
}

#[derive(Clone)]
struct Held {
    key: Key,
    until: Option<Timestamp>,
}

/// Keys as the metadata service, STS and credentials addresses write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: Secret,
    access_key_secret: Secret,
    security_token: Option<Secret>,
    expiration: Option<String>,
}

impl From<Credentials> for Held {
    fn from(keys: Credentials) -> Self {
        Self {
            key: Key {
                id: keys.access_key_id.expose().to_owned(),
                secret: keys.access_key_secret,
                token: keys.security_token,
            },
            until: keys.expiration.and_then(|time| time.parse().ok()),
        }
    }
}

impl Held {
    fn has(&self, seconds: i64) -> bool {
        self.until
            .is_none_or(|until| Timestamp::now() + seconds.seconds() < until)
    }
}

impl Wallet {
    /// Asks nobody yet.
    pub fn new(source: Source, http: Http, services: Services) -> Self {
        Self(Arc::new(Inside {
            source,
            http,
            services,
            held: Mutex::new(None),
            over: false.into(),
        }))
    }
}

impl KeySource for Wallet {
    async fn key(&self) -> Result<Key, Fault> {
        use std::sync::atomic::Ordering::SeqCst;
        let mut held = self.0.held.lock().await;
        if self.0.over.swap(false, SeqCst) {
            *held = None;
        }
        if let Some(held) = held.as_ref().filter(|held| held.has(LEFT)) {
            return Ok(held.key.clone());
        }
        match self.0.fetch(&self.0.source).await {
            Ok(new) => Ok(held.insert(new).key.clone()),
            // The old one may do until the source is back.
            Err(fault) => match held.as_ref().filter(|held| held.has(0)) {
                Some(held) => Ok(held.key.clone()),
                None => Err(fault),
            },
        }
    }

    fn expired(&self) -> bool {
        self.0.over.store(true, std::sync::atomic::Ordering::SeqCst);
        true
    }
}

impl Inside {
    async fn fetch(&self, source: &Source) -> Result<Held, Fault> {
        match source {
            Source::Keys(key) => Ok(Held {
                key: key.clone(),
                until: None,
            }),
            Source::Ecs { role } => self.ecs(role.as_deref()).await,
            Source::Role { own, role } => {
                let own = Box::pin(self.fetch(own)).await?;
                self.assume(role, &own.key).await
            }
            Source::Oidc {
                role,
                provider,
                token_file,
            } => {
                let file = token_file.display();
                let token = std::fs::read_to_string(token_file).map_err(|error| {
                    Fault::unsigned(format!("the OIDC token in {file} can't be read: {error}"))
                        .hinted("name the file with the token in ALIBABA_CLOUD_OIDC_TOKEN_FILE, or oidc_token_file of the profile")
                })?;
                let granted = self.exchange(role, provider, token.trim()).await;
                granted.map_err(|fault| ungranted(fault, role, Some(&file.to_string())))
            }
            Source::Uri(address) => {
                let failed = |why: &dyn std::fmt::Display| {
                    Fault::unsigned(format!("{address}: {why}")).hinted(
                        "check the address: ALIBABA_CLOUD_CREDENTIALS_URI, or credentials_uri of the profile",
                    )
                };
                let answer = self.get(Method::GET, address, &[]).await;
                let answer = answer.map_err(|fault| failed(&fault))?;
                credentials(&answer).map_err(|why| failed(&why))
            }
            Source::Process(command) => process(command).await,
            Source::None => Err(Fault::unsigned("there are no credentials")),
        }
    }

    /// The metadata service; its second version wants a token first. A role that was named
    /// says that it is meant; otherwise it is the last place to look.
    async fn ecs(&self, role: Option<&str>) -> Result<Held, Fault> {
        let unreachable = |fault: Fault| {
            match role {
            Some(role) => Fault::unsigned(format!(
                "the ECS metadata service has no keys for the role {role}: {fault}"
            ))
            .hinted(format!(
                "run this on an ECS instance that has the RAM role {role}, or set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY"
            )),
            None => Fault::unsigned(format!(
                "no credentials are set, and the ECS metadata service does not help: {fault}"
            )),
        }
        };
        let base = self.services.metadata.trim_end_matches('/');
        let ttl = [("x-aliyun-ecs-metadata-token-ttl-seconds", METADATA_TOKEN)];
        let token = self
            .get(Method::PUT, &format!("{base}/latest/api/token"), &ttl)
            .await;
        let token = match token {
            Ok(answer) => Some(text(&answer)),
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
            None => one_line(&text(
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
        credentials(&answer)
            .map_err(|why| Fault::unsigned(format!("the role {named} of this ECS instance: {why}")))
    }

    async fn assume(&self, role: &Role, own: &Key) -> Result<Held, Fault> {
        let mut parameters = pairs([("RoleArn", &role.arn), ("RoleSessionName", &role.session)]);
        parameters.extend(optional(role));
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
        let patience = self.services.patience;
        let answer = Box::pin(action.ask(&self.http, own, patience)).await;
        granted(answer.map_err(|fault| ungranted(fault, role, None))?)
    }

    /// AssumeRoleWithOIDC is not signed: the token says who asks.
    async fn exchange(&self, role: &Role, provider: &str, token: &str) -> Result<Held, Fault> {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let query = pairs([
            ("Action", "AssumeRoleWithOIDC"),
            ("Format", "JSON"),
            ("Timestamp", &now),
            ("SignatureNonce", &uuid::Uuid::new_v4().simple().to_string()),
            ("Version", "2015-04-01"),
        ]);
        let mut form = pairs([
            ("RoleArn", &role.arn),
            ("OIDCProviderArn", provider),
            ("OIDCToken", token),
            ("RoleSessionName", &role.session),
        ]);
        form.extend(optional(role));
        let call = Call {
            service: "sts",
            method: Method::POST,
            url: format!(
                "{}/?{}",
                self.services.sts.trim_end_matches('/'),
                joined(&query)
            ),
            headers: pairs([
                ("accept", "application/json"),
                ("content-type", "application/x-www-form-urlencoded"),
            ]),
            body: Payload::Document(joined(&form).into()),
            timeout: Some(ANSWER),
            secret: true,
            direct: false,
        };
        let answer = self.http.send(call).await?;
        if !answer.is_success() {
            return Err(Fault::answered(&answer));
        }
        granted(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    async fn get(
        &self,
        method: Method,
        address: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Fault> {
        let near = address.starts_with(&self.services.metadata);
        let call = Call {
            service: "credentials",
            method,
            url: address.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Payload::Empty,
            timeout: Some(if near { METADATA } else { ANSWER }),
            secret: true,
            direct: near,
        };
        let answer = self.http.send(call).await?;
        if answer.is_success() {
            Ok(answer)
        } else {
            Err(Fault::answered(&answer))
        }
    }
}

/// STS's refusal of a role, with what helps: it is not about the request that needed the key.
fn ungranted(fault: Fault, role: &Role, token_file: Option<&str>) -> Fault {
    let arn = one_line(&role.arn);
    let code = fault.code().to_owned();
    match (code.as_str(), token_file) {
        (code, _) if code.starts_with("EntityNotExist") => {
            fault.hinted(format!("check the role's ARN: {arn}"))
        }
        (code, Some(file)) if code.contains("OIDCToken") => {
            fault.hinted(format!("get a new OIDC token into {file}"))
        }
        (code, Some(_)) if code.starts_with("AuthenticationFail") => fault.hinted(format!(
            "let the trust policy of {arn} name the OIDC provider and the token's subject"
        )),
        (_, None) if fault.is_denied() => fault.hinted(format!(
            "{}; and let the role's trust policy name the caller",
            permission::allow(permission::RAM, &format!("sts:AssumeRole on {arn}"))
        )),
        _ => fault,
    }
}

/// What AssumeRole takes besides who and what.
fn optional(role: &Role) -> Pairs {
    let seconds = role
        .seconds
        .map(|seconds| ("DurationSeconds".to_owned(), seconds.to_string()));
    let policy = role
        .policy
        .clone()
        .map(|policy| ("Policy".to_owned(), policy));
    seconds.into_iter().chain(policy).collect()
}

fn joined(pairs: &Pairs) -> String {
    let words = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    words.collect::<Vec<_>>().join("&")
}

/// STS's answer. What it holds is never shown, not even where it can't be read.
fn granted(mut answer: Value) -> Result<Held, Fault> {
    let keys = serde_json::from_value::<Credentials>(answer["Credentials"].take());
    keys.map(Held::from)
        .map_err(|_| Fault::unsigned("STS's answer holds no credentials"))
}

fn credentials(answer: &Answer) -> Result<Held, &'static str> {
    let keys = serde_json::from_slice::<Credentials>(&answer.body);
    keys.map(Held::from)
        .map_err(|_| "the answer holds no credentials")
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).trim().to_owned()
}

/// Runs the command as the aliyun CLI does: words between blanks, no shell.
async fn process(command: &str) -> Result<Held, Fault> {
    let failed = |why: String| {
        Fault::unsigned(format!(
            "the profile's process_command brings no credentials: {why}"
        ))
        .hinted("run the profile's process_command by hand: it must print a profile in JSON")
    };
    let mut words = command.split_whitespace();
    let mut program = tokio::process::Command::new(words.next().unwrap_or_default());
    program
        .args(words)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PROCESS, program.output())
        .await
        .map_err(|_| failed("it does not end".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let profile: Profile = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("what it prints is not a profile in JSON".to_owned()))?;
    let temporary = profile.mode.eq_ignore_ascii_case("StsToken");
    match keys(&profile, temporary) {
        Ok(Source::Keys(key)) => Ok(Held { key, until: None }),
        Ok(_) => Err(failed("it prints no keys".to_owned())),
        Err(why) => Err(failed(why)),
    }
}
