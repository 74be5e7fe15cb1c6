//! The ECS metadata service, as far as credentials need it: the role of the machine, its
//! temporary keys, the region. It asks for the token of the hardened mode.
//! <https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata>

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};

use super::REGION;
use super::canonical::header;
use super::keys::{Keyring, digits};
use super::sts::credentials;
use crate::desk::Detail;
use crate::fault::ApiError;
use crate::serve::{Body, Service};

/// The role the sandbox's machine has.
const ROLE: &str = "sandbox-machine";
const TOKEN: &str = "c2FuZGJveC1tYWNoaW5l";
const CREDENTIALS: &str = "/latest/meta-data/ram/security-credentials/";

pub(super) struct Metadata {
    pub(super) keys: Keyring,
}

impl Service for Metadata {
    const NAMED_IN_BODY: bool = false;

    /// `metadata:Token`, `metadata:Get`
    fn describe(&self, head: &Parts, _body: &Bytes) -> (String, Detail) {
        let name = if head.method == Method::PUT {
            "Token"
        } else {
            "Get"
        };
        let detail = [("path".to_owned(), head.uri.path().to_owned())];
        (format!("metadata:{name}"), detail.into())
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (head, _) = request.into_parts();
        match self.answer(&head) {
            Ok(text) => Response::new(Body::from(text)),
            Err(status) => status_only(status),
        }
    }

    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        status_only(
            StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        )
    }
}

impl Metadata {
    fn answer(&self, head: &Parts) -> Result<String, StatusCode> {
        let path = head.uri.path();
        if head.method == Method::PUT && path == "/latest/api/token" {
            let lifetime = header(head, "x-aliyun-ecs-metadata-token-ttl-seconds");
            return lifetime
                .map(|_| TOKEN.to_owned())
                .ok_or(StatusCode::BAD_REQUEST);
        }
        if header(head, "x-aliyun-ecs-metadata-token") != Some(TOKEN) {
            return Err(StatusCode::FORBIDDEN);
        }
        match path.strip_prefix(CREDENTIALS) {
            Some("") => Ok(ROLE.to_owned()),
            Some(ROLE) => Ok(self.credentials()),
            _ if path == "/latest/meta-data/region-id" => Ok(REGION.to_owned()),
            _ => Err(StatusCode::NOT_FOUND),
        }
    }

    fn credentials(&self) -> String {
        let key = self.keys.issue_session(ROLE, &digits(), "machine");
        let mut answer = credentials(&key, 6 * 3600);
        answer["Code"] = "Success".into();
        answer.to_string()
    }
}

fn status_only(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
