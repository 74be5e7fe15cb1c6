//! The query protocol that EC2, IAM and STS share: a form with an `Action`, answered in
//! XML. Parameters that the action does not know are refused by name, so that a wrong
//! wire name in a client is found.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use percent_encoding::percent_decode;

use crate::desk::Detail;
use crate::fault::ApiError;
use crate::serve::Body;
use crate::sigv4;

/// What a query service answers: a document, or an error.
pub(crate) type Answer = Result<String, ApiError>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(body: &Bytes) -> Self {
        let decode = |text: &[u8]| {
            let spaced: Vec<u8> = text
                .iter()
                .map(|b| if *b == b'+' { b' ' } else { *b })
                .collect();
            percent_decode(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = body
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let equals = pair
                .iter()
                .position(|byte| *byte == b'=')
                .unwrap_or(pair.len());
            let value = pair.get(equals + 1..).unwrap_or_default();
            (decode(&pair[..equals]), decode(value))
        });
        Self(pairs.collect())
    }

    pub(crate) fn action(&self) -> &str {
        self.get("Action").unwrap_or("Unknown")
    }

    /// The parameters, the region signed for, and who sent them; no secrets.
    pub(crate) fn detail(&self, head: &Parts) -> Detail {
        let mut detail = self.0.clone();
        detail.remove("WebIdentityToken");
        let agent = head
            .headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        for (name, value) in [
            ("region", sigv4::claimed_region(head)),
            ("user-agent", agent),
        ] {
            detail.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
        detail
    }

    pub(crate) fn parameters(&self) -> Detail {
        self.0.clone()
    }

    /// A parameter that is present and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn get_owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        let text = || format!("The request must contain the parameter {name}");
        self.get(name)
            .ok_or_else(|| ApiError::new(400, "MissingParameter", text()))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// `Name.1`, `Name.2`, .. in the order of their numbers.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let structs = self.structs(name);
        structs
            .iter()
            .filter_map(|one| one.0.get("").cloned())
            .collect()
    }

    /// `Name.1.Field`, `Name.2.Field`, .. as a query each; a plain value has the empty name.
    pub(crate) fn structs(&self, name: &str) -> Vec<Query> {
        let mut found: BTreeMap<u32, Query> = BTreeMap::new();
        for (key, value) in &self.0 {
            let rest = key
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'));
            let Some((number, field)) = rest.map(|rest| rest.split_once('.').unwrap_or((rest, "")))
            else {
                continue;
            };
            if let Ok(number) = number.parse() {
                let one = found.entry(number).or_default();
                one.0.insert(field.to_owned(), value.clone());
            }
        }
        found.into_values().collect()
    }

    /// `Name.Field` as a query of its own.
    pub(crate) fn inner(&self, name: &str) -> Query {
        let field = |key: &String| Some(key.strip_prefix(name)?.strip_prefix('.')?.to_owned());
        let fields = self
            .0
            .iter()
            .filter_map(|(key, value)| Some((field(key)?, value.clone())));
        Self(fields.collect())
    }

    /// Refuses what is not among the wire names, in which `N` stands for a list's number.
    pub(crate) fn check_names(&self, known: &[&str]) -> Result<(), ApiError> {
        for name in self.0.keys() {
            let shape = without_indexes(name);
            if !["Action", "Version"].contains(&name.as_str()) && !known.contains(&shape.as_str()) {
                let text = format!("The parameter {name} is not recognized");
                return Err(ApiError::new(400, "UnknownParameter", text));
            }
        }
        Ok(())
    }
}

fn without_indexes(name: &str) -> String {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts = name
        .split('.')
        .map(|part| if number(part) { "N" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

pub(crate) fn respond(status: u16, document: String, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(document));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/xml;charset=UTF-8"),
    );
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

pub(crate) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_follow_their_numbers() {
        let query = Query::parse(&Bytes::from_static(
            b"A.2=b+c&A.10=d&A.1=%2Fa&B.1.X=1&B.1.Y=2",
        ));
        assert_eq!(query.list("A"), ["/a", "b c", "d"]);
        assert_eq!(query.structs("B")[0].get("Y"), Some("2"));
        assert!(query.check_names(&["A.N", "B.N.X", "B.N.Y"]).is_ok());
        let refusal = query.check_names(&["A.N", "B.N.X"]).unwrap_err();
        assert_eq!(refusal.message, "The parameter B.1.Y is not recognized");
    }
}
