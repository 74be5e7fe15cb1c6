//! ECS, RAM and STS: one POST for each call, signed with ACS3-HMAC-SHA256, with a JSON
//! response. Transient errors are retried, each time with a new nonce. The callers interpret
//! the responses.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{self, ServiceError};
use super::sign::{KeySource, Pairs, Rpc, sign_acs3};
use crate::net::http::{
    Body, Http, Method, RESPONSE_TIMEOUT, Request, Response, encode, one_line, without_controls,
    without_nulls,
};
use crate::net::retry::{self, RetryPolicy};
use crate::net::service_error::ErrorClass;

/// Characters of a parser's complaint, which may quote the answer.
const MAX_PARSER_MESSAGE: usize = 200;

/// A product of Alibaba Cloud's OpenAPI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Product {
    /// In endpoints and permissions.
    pub name: &'static str,
    version: &'static str,
}

/// Elastic Compute Service.
pub const ECS: Product = Product {
    name: "ecs",
    version: "2014-05-26",
};
/// Resource Access Management.
pub const RAM: Product = Product {
    name: "ram",
    version: "2015-05-01",
};
/// Security Token Service; its answers are keys, so no log shows them.
pub const STS: Product = Product {
    name: "sts",
    version: "2015-04-01",
};

/// An answer that says only that it was done.
#[derive(Deserialize)]
pub struct EmptyResponse {}

/// One action.
pub struct Action<'a> {
    /// Which product.
    pub product: Product,
    /// A full URL.
    pub endpoint: &'a str,
    /// Such as `ImportImage`.
    pub name: &'a str,
    /// Its parameters; lists and structures are spelt out, as in `Tag.1.Key`.
    pub parameters: &'a [(String, String)],
}

impl Action<'_> {
    /// Sends the request until there is an answer that will not change. An answer that is
    /// none of Alibaba Cloud's, or that can't be read, is as good as none: the request is
    /// sent again, which the recipe's requests allow (they read, carry a ClientToken, or come
    /// to the same end).
    ///
    /// # Errors
    ///
    /// The last error, once it is final or the retries are used up.
    pub async fn call<T: DeserializeOwned>(
        &self,
        http: &Http,
        keys: &impl KeySource,
        retry_policy: RetryPolicy,
    ) -> Result<T, ServiceError> {
        let class = |error: &ServiceError| match error.class() {
            ErrorClass::ExpiredCredentials if !keys.invalidate() => ErrorClass::Permanent,
            class => class,
        };
        let on_retry = |error: &ServiceError, class, delay| {
            retry::log(self.product.name, error, class, delay);
        };
        retry::call(retry_policy, || self.send_once(http, keys), class, on_retry).await
    }

    async fn send_once<T: DeserializeOwned>(
        &self,
        http: &Http,
        keys: &impl KeySource,
    ) -> Result<T, ServiceError> {
        let key = keys.key().await?;
        let host = self.endpoint.split("://").last().unwrap_or_default();
        let mut headers = sign_acs3(
            &key,
            &Rpc {
                host: host.trim_end_matches('/'),
                action: self.name,
                version: self.product.version,
                query: self.parameters,
                nonce: &uuid::Uuid::new_v4().simple().to_string(),
                time: jiff::Timestamp::now(),
            },
        );
        headers.push(("accept".to_owned(), "application/json".to_owned()));
        tracing::debug!("{}: {}", self.product.name, self.name);
        let call = Request {
            service: self.product.name,
            method: Method::POST,
            url: self.url(),
            headers,
            body: Body::Empty,
            timeout: Some(RESPONSE_TIMEOUT),
            secret: self.product == STS,
            direct: false,
        };
        let answer = http.send(call).await.map_err(error::no_response)?;
        if !answer.is_success() {
            return Err(error::from_response(&answer));
        }
        self.parse(&answer)
    }

    /// What a successful answer says. Every answer of the OpenAPI names its request; one that
    /// does not is a gateway's. The message names no value: STS answers with keys.
    fn parse<T: DeserializeOwned>(&self, response: &Response) -> Result<T, ServiceError> {
        let unreadable = |reason: &str, request: Option<&str>| {
            let what = format!("the answer to {} can't be read: {reason}", self.name);
            error::invalid_response(what, request.map(one_line).as_deref())
        };
        let mut body: Value = serde_json::from_slice(&response.body)
            .map_err(|_| unreadable("it is not JSON", response.request_id()))?;
        without_nulls(&mut body);
        without_controls(&mut body);
        let request = body["RequestId"].as_str().or(response.request_id());
        let Some(request) = request.map(str::to_owned) else {
            return Err(unreadable("it names no request", None));
        };
        serde_json::from_value(body).map_err(|error| {
            let reason = if self.product == STS {
                "a member is missing".to_owned()
            } else {
                one_line(&error.to_string())
                    .chars()
                    .take(MAX_PARSER_MESSAGE)
                    .collect()
            };
            unreadable(&reason, Some(&request))
        })
    }

    fn url(&self) -> String {
        let encoded = self
            .parameters
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        let query = encoded.collect::<Vec<_>>().join("&");
        format!("{}/?{query}", self.endpoint.trim_end_matches('/'))
    }
}

/// `pairs([("RegionId", region)])`: parameters as they are most easily written.
pub fn params<const N: usize>(list: [(&str, &str); N]) -> Pairs {
    list.into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// `Tag.1.Key`, `Tag.1.Value`, …
pub fn tags(tags: &[(String, String)]) -> Pairs {
    let numbered = (1..).zip(tags);
    let both = numbered.flat_map(|(n, (key, value))| {
        [
            (format!("Tag.{n}.Key"), key.clone()),
            (format!("Tag.{n}.Value"), value.clone()),
        ]
    });
    both.collect()
}

/// `Name.1`, `Name.2`, …
pub fn indexed<'a>(name: &str, values: impl IntoIterator<Item = &'a String>) -> Pairs {
    let numbered = (1..).zip(values);
    numbered
        .map(|(n, value)| (format!("{name}.{n}"), value.clone()))
        .collect()
}
