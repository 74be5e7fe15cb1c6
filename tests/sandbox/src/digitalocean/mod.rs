//! DigitalOcean's API, version 2, as far as an import needs it: account, regions, images,
//! actions, tags. An import reads its address as a stranger and looks into what comes.
//! <https://docs.digitalocean.com/reference/api/digitalocean/>

mod fetch;
mod images;
mod model;
mod script;
mod tags;
mod verdict;
mod wire;

use std::path::PathBuf;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use time::OffsetDateTime;

pub use model::{CustomImageView, DigitalOcean};
pub use script::{CustomImageScript, TransferScript};

use crate::desk::Detail;
use crate::fault::ApiError;
use crate::serve::{Body, Service};

/// The API over an account.
pub(crate) struct DigitalOceanService {
    pub(crate) account: DigitalOcean,
    /// Where fetched images lie.
    pub(crate) dir: PathBuf,
}

/// Status and body, or the refusal.
type Answer = Result<(u16, Value), ApiError>;

impl Service for DigitalOceanService {
    const NAMED_IN_BODY: bool = true;

    fn describe(&self, head: &Parts, body: &Bytes) -> (String, Detail) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        (
            format!("do:{}", operation(head, &body)),
            detail(head, &body),
        )
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let answer = match self.authorize(&head) {
            Ok(()) => self.answer(&head, &body.unwrap_or_default()).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = match answer {
            Ok((status, body)) => wire::answer(status, &body),
            Err(refusal) => wire::error_response(&refusal),
        };
        self.set_rate_headers(&mut response);
        response
    }

    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        let mut response = wire::error_response(refusal);
        self.set_rate_headers(&mut response);
        response
    }
}

impl DigitalOceanService {
    fn authorize(&self, head: &Parts) -> Result<(), ApiError> {
        let said = head
            .headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let token = self.account.token();
        match said.and_then(|said| said.strip_prefix("Bearer ")) {
            Some(said) if said == token => Ok(()),
            _ => Err(ApiError::new(
                401,
                "unauthorized",
                "Unable to authenticate you",
            )),
        }
    }

    fn set_rate_headers(&self, response: &mut Response<Body>) {
        let mut world = self.account.world();
        world.remaining = world.remaining.saturating_sub(1);
        let now = OffsetDateTime::now_utc().unix_timestamp();
        wire::set_rate_headers(response.headers_mut(), world.remaining, now);
    }

    async fn answer(&self, head: &Parts, body: &[u8]) -> Answer {
        let path = head.uri.path().trim_matches('/').to_owned();
        let steps: Vec<_> = path.split('/').collect();
        match (&head.method, steps.as_slice()) {
            (&Method::GET, ["v2", "account"]) => Ok((200, account())),
            (&Method::GET, ["v2", "regions"]) => self.regions(head),
            (&Method::GET, ["v2", "tags"]) => self.list_tags(head),
            (&Method::POST, ["v2", "tags"]) => self.create_tag(&json_of(body)?),
            (&Method::GET, ["v2", "tags", name]) => self.get_tag(name),
            (&Method::DELETE, ["v2", "tags", name]) => self.delete_tag(name),
            (&Method::GET, ["v2", "images"]) => self.list_images(head),
            (&Method::POST, ["v2", "images"]) => self.create_image(&json_of(body)?).await,
            (&Method::GET, ["v2", "images", id]) => self.get_image(id).await,
            (&Method::DELETE, ["v2", "images", id]) => self.delete_image(id),
            (&Method::GET, ["v2", "images", id, "actions"]) => self.list_actions(id, head),
            (&Method::POST, ["v2", "images", id, "actions"]) => {
                self.create_action(id, &json_of(body)?)
            }
            (&Method::GET, ["v2", "images", _, "actions", id] | ["v2", "actions", id]) => {
                self.get_action(id)
            }
            _ => Err(not_found()),
        }
    }

    fn regions(&self, head: &Parts) -> Answer {
        let regions: Vec<_> = self
            .account
            .world()
            .regions
            .iter()
            .map(wire::region)
            .collect();
        Ok((
            200,
            wire::page("regions", &regions, paging(head)?, "/v2/regions"),
        ))
    }
}

fn account() -> Value {
    json!({"account": {
        "droplet_limit": 25,
        "floating_ip_limit": 3,
        "email": "sammy@example.com",
        "name": "Sammy the Shark",
        "uuid": "b6f8b1dc0b6e4f5c8a9d51957381efdeadbeef00",
        "email_verified": true,
        "status": "active",
        "status_message": "",
    }})
}

fn not_found() -> ApiError {
    ApiError::new(
        404,
        "not_found",
        "The resource you requested could not be found.",
    )
}

fn unprocessable(message: impl Into<String>) -> ApiError {
    ApiError::new(422, "unprocessable_entity", message)
}

fn json_of(body: &[u8]) -> Result<Value, ApiError> {
    let malformed = |_| ApiError::new(400, "bad_request", "Unable to parse JSON.");
    serde_json::from_slice(body).map_err(malformed)
}

fn query<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    let mut pairs = head
        .uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// `page` from 1, `per_page` up to 200, 20 unless said.
fn paging(head: &Parts) -> Result<(usize, usize), ApiError> {
    let number = |name, default| query(head, name).map_or(Ok(default), str::parse);
    match (number("page", 1), number("per_page", 20)) {
        (Ok(page @ 1..), Ok(per_page @ 1..=200)) => Ok((page, per_page)),
        _ => Err(unprocessable("page or per_page is out of range")),
    }
}

fn operation(head: &Parts, body: &Value) -> &'static str {
    let path = head.uri.path().trim_matches('/').to_owned();
    let steps: Vec<_> = path.split('/').collect();
    match (&head.method, steps.as_slice()) {
        (&Method::GET, ["v2", "account"]) => "GetAccount",
        (&Method::GET, ["v2", "regions"]) => "ListRegions",
        (&Method::GET, ["v2", "tags"]) => "ListTags",
        (&Method::POST, ["v2", "tags"]) => "CreateTag",
        (&Method::GET, ["v2", "tags", _]) => "GetTag",
        (&Method::DELETE, ["v2", "tags", _]) => "DeleteTag",
        (&Method::GET, ["v2", "images"]) => "ListImages",
        (&Method::POST, ["v2", "images"]) => "CreateImage",
        (&Method::GET, ["v2", "images", _]) => "GetImage",
        (&Method::DELETE, ["v2", "images", _]) => "DeleteImage",
        (&Method::GET, ["v2", "images", _, "actions"]) => "ListActions",
        (&Method::POST, ["v2", "images", _, "actions"]) if body["type"] == "transfer" => {
            "TransferImage"
        }
        (&Method::POST, ["v2", "images", _, "actions"]) => "ConvertImage",
        (&Method::GET, ["v2", "images", _, "actions", _] | ["v2", "actions", _]) => "GetAction",
        _ => "Unknown",
    }
}

/// The path, the query and the plain fields of the body; an address without its signature.
fn detail(head: &Parts, body: &Value) -> Detail {
    let mut detail = Detail::from([("path".to_owned(), head.uri.path().to_owned())]);
    let query = head.uri.query().unwrap_or_default().split('&');
    let query = query.filter_map(|pair| pair.split_once('='));
    detail.extend(query.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for (name, value) in body.as_object().into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let text = text
            .split("X-Amz-Signature")
            .next()
            .unwrap_or_default()
            .to_owned();
        detail.insert(name.clone(), text);
    }
    let agent = head
        .headers
        .get("user-agent")
        .and_then(|value| value.to_str().ok());
    detail.extend(agent.map(|agent| ("user-agent".to_owned(), agent.to_owned())));
    detail
}
