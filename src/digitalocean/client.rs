//! The API, version 2: the requests of an import, their retries, and the fields that are read
//! from the responses. <https://docs.digitalocean.com/reference/api/digitalocean/>

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::{self, ServiceError};
use crate::error::{Error, Result};
use crate::net::http::{Body, Http, Method, RESPONSE_TIMEOUT, Request, without_nulls};
use crate::net::retry::{self, Backoff, RetryPolicy};
use crate::net::service_error::ErrorClass;
use crate::progress::Progress;
use crate::secret::Secret;
use crate::units;

/// "Pagination" of the API reference: the most for a page.
const PAGE_SIZE: u32 = 200;

/// No account has so many images that a list of them needs more pages.
const MAX_PAGES: u32 = 500;

/// A shorter pause is not worth a word.
const MIN_REPORTED_DELAY: Duration = Duration::from_secs(2);

/// The API of one account. Clones share the connections.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    http: Http,
    base: String,
    token: Secret,
    retry_policy: RetryPolicy,
    progress: Progress,
}

/// Which failures are worth another try.
#[derive(Clone, Copy)]
enum Retry {
    /// All that may pass: the request can be repeated.
    Idempotent,
    /// Only where nothing was done: a second one would make a second thing.
    OnlyIfNotExecuted,
}

/// Who asks.
#[derive(Debug, Deserialize)]
pub struct Account {
    /// Whose it is.
    #[serde(default)]
    pub email: String,
    /// `active`, `warning`, `locked`.
    #[serde(default)]
    pub status: String,
    /// Why, if it is not active.
    #[serde(default)]
    pub status_message: String,
}

/// A place where images can be.
#[derive(Debug, Deserialize)]
pub struct Region {
    /// Its name in requests.
    pub slug: String,
    /// `image_transfer` and others.
    #[serde(default)]
    pub features: Option<Vec<String>>,
}

/// An image, as far as an import looks at it.
#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    /// The id, the same in all regions.
    pub id: u64,
    /// Not unique.
    #[serde(default)]
    pub name: Option<String>,
    /// `NEW`, `pending`, `available`, `deleted`, `retired`, in any case.
    #[serde(default)]
    pub status: Option<String>,
    /// Why the import failed; blank otherwise.
    #[serde(default)]
    pub error_message: Option<String>,
    /// Where it is.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

impl Image {
    /// Whether nothing will come of it: DigitalOcean keeps images whose import has failed.
    pub fn is_unusable(&self) -> bool {
        self.has_status("deleted") || self.failure_reason().is_some()
    }

    /// Compares without case: the API also answers `NEW`, in capitals.
    pub fn has_status(&self, status: &str) -> bool {
        let status_text = self.status.as_deref();
        status_text.is_some_and(|status_text| status_text.eq_ignore_ascii_case(status))
    }

    /// Why the import failed. The API reference's example of no error is one blank.
    pub fn failure_reason(&self) -> Option<&str> {
        let message = self.error_message.as_deref().map(str::trim);
        message.filter(|text| !text.is_empty())
    }
}

/// Work on an image.
#[derive(Clone, Debug, Deserialize)]
pub struct Action {
    /// The id.
    pub id: u64,
    /// `in-progress`, `completed`, `errored`.
    pub status: String,
    /// `transfer` and others.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Where to, for a transfer.
    #[serde(default)]
    pub region_slug: Option<String>,
}

impl Api {
    /// Returns the delays between the attempts of one request.
    pub fn backoff(&self) -> Backoff {
        self.0.retry_policy.backoff()
    }

    /// Speaks to `base` with this token; asks nothing yet.
    pub fn new(
        base: &str,
        token: &Secret,
        retry_policy: RetryPolicy,
        progress: &Progress,
    ) -> Result<Self> {
        if !token.expose().bytes().all(|sign| sign.is_ascii_graphic()) {
            return Err(Error::usage("the API token has signs that no token has"));
        }
        Ok(Self(Arc::new(Inner {
            http: Http::new()?,
            base: base.trim_end_matches('/').to_owned(),
            token: token.clone(),
            retry_policy,
            progress: progress.clone(),
        })))
    }

    /// `GET /v2/account`.
    pub async fn account(&self) -> Result<Account, ServiceError> {
        self.get("/v2/account", "account").await
    }

    /// `GET /v2/regions`, all pages.
    pub async fn regions(&self) -> Result<Vec<Region>, ServiceError> {
        self.list("/v2/regions?", "regions").await
    }

    /// The account's own images, all pages.
    pub async fn private_images(&self) -> Result<Vec<Image>, ServiceError> {
        self.list("/v2/images?private=true&", "images").await
    }

    /// The images that carry this tag, all pages.
    pub async fn tagged_images(&self, tag: &str) -> Result<Vec<Image>, ServiceError> {
        self.list(&format!("/v2/images?tag_name={tag}&"), "images")
            .await
    }

    /// `POST /v2/images`, which makes an image each time.
    pub async fn create_image(&self, body: &Value) -> Result<Image, ServiceError> {
        let post = (Method::POST, "/v2/images");
        self.call_with(post, Some(body), Retry::OnlyIfNotExecuted, |answer| {
            let image: Image = parse(&answer, "image")?;
            if image.name.as_deref() == body["name"].as_str() {
                Ok(image)
            } else {
                let why = "the answer is not the image that was asked for";
                Err(error::unexpected_response(why.to_owned()))
            }
        })
        .await
    }

    /// One image.
    pub async fn image(&self, id: u64) -> Result<Image, ServiceError> {
        let path = format!("/v2/images/{id}");
        let get = (Method::GET, path.as_str());
        self.call_with(get, None, Retry::Idempotent, |answer| {
            let image: Image = parse(&answer, "image")?;
            // Every custom image has a status.
            if image.id == id && image.status.is_some() {
                Ok(image)
            } else {
                Err(error::unexpected_response(format!(
                    "the answer is not the image {id}"
                )))
            }
        })
        .await
    }

    /// Removes an image everywhere; one that is gone already is a success.
    pub async fn delete_image(&self, id: u64) -> Result<(), ServiceError> {
        self.delete(&format!("/v2/images/{id}")).await
    }

    /// Removes a tag, from what carries it too; one that is gone already is a success.
    pub async fn delete_tag(&self, tag: &str) -> Result<(), ServiceError> {
        self.delete(&format!("/v2/tags/{tag}")).await
    }

    /// Starts the transfer of an image to another region.
    pub async fn transfer_image(&self, image: u64, region: &str) -> Result<Action, ServiceError> {
        let path = format!("/v2/images/{image}/actions");
        let body = json!({"type": "transfer", "region": region});
        let post = (Method::POST, path.as_str());
        self.call(post, Some(&body), Retry::OnlyIfNotExecuted, "action")
            .await
    }

    /// All actions on an image, all pages.
    pub async fn actions(&self, image: u64) -> Result<Vec<Action>, ServiceError> {
        self.list(&format!("/v2/images/{image}/actions?"), "actions")
            .await
    }

    /// How the work goes.
    pub async fn action(&self, image: u64, action: u64) -> Result<Action, ServiceError> {
        let path = format!("/v2/images/{image}/actions/{action}");
        let get = (Method::GET, path.as_str());
        self.call_with(get, None, Retry::Idempotent, |answer| {
            let found: Action = parse(&answer, "action")?;
            if found.id == action {
                Ok(found)
            } else {
                Err(error::unexpected_response(format!(
                    "the answer is not the action {action}"
                )))
            }
        })
        .await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, key: &str) -> Result<T, ServiceError> {
        self.call((Method::GET, path), None, Retry::Idempotent, key)
            .await
    }

    /// A 204 or any other success.
    async fn delete(&self, path: &str) -> Result<(), ServiceError> {
        let delete = (Method::DELETE, path);
        match self
            .call_with(delete, None, Retry::Idempotent, |_| Ok(()))
            .await
        {
            Err(fault) if fault.status() != Some(404) => Err(fault),
            _ => Ok(()),
        }
    }

    /// Every page; `path` ends where a query goes on.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
    ) -> Result<Vec<T>, ServiceError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let path = format!("{path}page={page}&per_page={PAGE_SIZE}");
            let (found, more) = self
                .call_with((Method::GET, &path), None, Retry::Idempotent, |body| {
                    let more = body["links"]["pages"]["next"].is_string();
                    Ok((parse::<Vec<T>>(&body, key)?, more))
                })
                .await?;
            let nothing = found.is_empty();
            all.extend(found);
            if nothing || !more {
                break;
            }
        }
        Ok(all)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        request: (Method, &str),
        body: Option<&Value>,
        retry: Retry,
        key: &str,
    ) -> Result<T, ServiceError> {
        self.call_with(request, body, retry, |body| parse(&body, key))
            .await
    }

    /// One request, as often as patience allows, and what is in its answer.
    async fn call_with<T>(
        &self,
        (method, path): (Method, &str),
        body: Option<&Value>,
        retry: Retry,
        parse: impl Fn(Value) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let send_once = async || {
            let answer = self.send_once(method.clone(), path, body).await;
            answer.and_then(&parse)
        };
        let class = |error: &ServiceError| match retry {
            Retry::OnlyIfNotExecuted if !error.was_not_executed() => ErrorClass::Permanent,
            _ => error.class(),
        };
        let on_retry = |error: &ServiceError, _, delay| {
            if delay >= MIN_REPORTED_DELAY {
                let delay = units::seconds(delay);
                let note = format!("DigitalOcean: {error}; again in {delay}");
                self.0.progress.note(&note);
            }
        };
        retry::call(self.0.retry_policy, send_once, class, on_retry).await
    }

    async fn send_once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ServiceError> {
        let authorization = format!("Bearer {}", self.0.token.expose());
        let mut headers = vec![("authorization".to_owned(), authorization)];
        let body = body.map_or(Body::Empty, |body| {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
            Body::Document(body.to_string().into())
        });
        let call = Request {
            service: "digitalocean",
            method,
            url: format!("{}{path}", self.0.base),
            headers,
            body,
            timeout: Some(RESPONSE_TIMEOUT),
            secret: false,
            direct: false,
        };
        let answer = self.0.http.send(call).await.map_err(error::no_response)?;
        match answer.status {
            204 => Ok(Value::Null),
            200..=299 => serde_json::from_slice(&answer.body)
                .map_err(|cause| error::invalid_response(answer.status, &cause)),
            _ => Err(error::from_response(&answer)),
        }
    }
}

/// What is in the answer under this key; the description shows an action without one.
fn parse<T: DeserializeOwned>(answer: &Value, key: &str) -> Result<T, ServiceError> {
    let mut inner = answer.get(key).unwrap_or(answer).clone();
    without_nulls(&mut inner);
    serde_json::from_value(inner).map_err(|cause| error::invalid_response(200, &cause))
}
