//! The RPC protocol that ECS, RAM and STS share: parameters in the query or a form, an
//! action in a header, answers and errors in JSON. What the action does not know is
//! refused by name, so that a wrong wire name in a client is found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::acs3;
use super::canonical::header;
use super::keys::{Key, Keyring};
use crate::desk::Detail;
use crate::fault::ApiError;
use crate::query::Query;
use crate::serve::{Body, Service};

pub(super) type Answer = Result<Value, ApiError>;

/// A product behind the protocol.
pub(super) trait Product: Send + Sync + 'static {
    /// `ecs`: how its operations begin in the journal
    const NAME: &'static str;
    const VERSION: &'static str;

    /// The parameters of an action, `N` for a list's number; none when there is no such action.
    fn parameters_of(action: &str) -> Option<&'static [&'static str]>;

    fn is_unsigned(_action: &str) -> bool {
        false
    }

    fn perform(&self, call: &Call<'_>) -> Answer;
}

/// One request, once it is known to be genuine.
pub(super) struct Call<'a> {
    pub(super) action: &'a str,
    pub(super) query: &'a Query,
    /// Nobody, in an unsigned request
    pub(super) caller: Option<Key>,
}

impl Call<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name)
    }

    pub(super) fn require(&self, name: &str) -> Result<&str, ApiError> {
        require(self.query, name)
    }
}

pub(super) fn require<'q>(query: &'q Query, name: &str) -> Result<&'q str, ApiError> {
    let text = || {
        format!(
            "The input parameter \"{name}\" that is mandatory for processing this request is not supplied."
        )
    };
    query
        .get(name)
        .ok_or_else(|| ApiError::new(400, "MissingParameter", text()))
}

/// The nonces of all requests so far; every one may come once, whatever its answer was.
#[derive(Clone, Default)]
pub(super) struct Nonces(Arc<Mutex<HashMap<String, usize>>>);

impl Nonces {
    fn record(&self, nonce: &str) {
        let mut seen = self
            .0
            .lock()
            .expect("nothing panics with the nonces in hand");
        *seen.entry(nonce.to_owned()).or_default() += 1;
    }

    fn check(&self, nonce: &str) -> Result<(), ApiError> {
        let seen = self
            .0
            .lock()
            .expect("nothing panics with the nonces in hand");
        if seen.get(nonce).is_some_and(|times| *times > 1) {
            let text = "Specified signature nonce was used already.";
            return Err(ApiError::new(400, "SignatureNonceUsed", text));
        }
        Ok(())
    }
}

pub(super) struct Rpc<P> {
    pub(super) product: P,
    pub(super) keys: Keyring,
    pub(super) nonces: Nonces,
}

impl<P: Product> Service for Rpc<P> {
    const NAMED_IN_BODY: bool = true;

    fn describe(&self, head: &Parts, body: &Bytes) -> (String, Detail) {
        let query = parameters(head, body);
        self.nonces.record(nonce(head));
        let mut detail = query.parameters();
        detail.remove("OIDCToken");
        let agent = head.headers.get(USER_AGENT);
        for (name, value) in [
            ("access-key", acs3::claimed_key(head)),
            (
                "x-acs-signature-nonce",
                header(head, "x-acs-signature-nonce"),
            ),
            ("user-agent", agent.and_then(|agent| agent.to_str().ok())),
        ] {
            detail.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
        (format!("{}:{}", P::NAME, action(head, &query)), detail)
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        match self.perform(&head, &body.unwrap_or_default()) {
            Ok(answer) => respond(200, answer),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        let recommend = "https://api.aliyun.com/troubleshoot";
        let answer = json!({
            "HostId": format!("{}.aliyuncs.com", P::NAME),
            "Code": refusal.code,
            "Message": refusal.message,
            "Recommend": format!("{recommend}?q={}&product={}", refusal.code, P::NAME),
        });
        respond(refusal.status, answer)
    }
}

impl<P: Product> Rpc<P> {
    fn perform(&self, head: &Parts, body: &Bytes) -> Answer {
        let query = parameters(head, body);
        let action = action(head, &query);
        let version = header(head, "x-acs-version").or(query.get("Version"));
        if version != Some(P::VERSION) {
            let text = "Specified parameter Version is not valid.";
            return Err(ApiError::new(400, "InvalidVersion", text));
        }
        let known = P::parameters_of(action).ok_or_else(|| {
            let text = "Specified api is not found, please check your url and method.";
            ApiError::new(404, "InvalidAction.NotFound", text)
        })?;
        let caller = if P::is_unsigned(action) {
            None
        } else {
            let caller = acs3::verify(head, body, &self.keys)?;
            self.nonces.check(nonce(head))?;
            Some(caller)
        };
        query.check_names(&[known, COMMON].concat())?;
        self.product.perform(&Call {
            action,
            query: &query,
            caller,
        })
    }
}

/// What every action takes; `Format` and `Timestamp` belong to the unsigned ones.
const COMMON: &[&str] = &[
    "Format",
    "OwnerAccount",
    "OwnerId",
    "ResourceOwnerAccount",
    "ResourceOwnerId",
    "SignatureNonce",
    "Timestamp",
];

fn nonce(head: &Parts) -> &str {
    header(head, "x-acs-signature-nonce").unwrap_or_default()
}

fn action<'a>(head: &'a Parts, query: &'a Query) -> &'a str {
    header(head, "x-acs-action").unwrap_or_else(|| query.action())
}

fn parameters(head: &Parts, body: &Bytes) -> Query {
    let form = header(head, "content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let mut text = head.uri.query().unwrap_or_default().as_bytes().to_vec();
    if form {
        text.push(b'&');
        text.extend_from_slice(body);
    }
    Query::parse(&text.into())
}

fn respond(status: u16, mut answer: Value) -> Response<Body> {
    let request_id = uuid::Uuid::new_v4().to_string().to_uppercase();
    answer["RequestId"] = request_id.as_str().into();
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json;charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert("x-acs-request-id", id);
    }
    response
}
