//! The IAM service: roles and their policies, in the query protocol.

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt;

use crate::desk::Detail;
use crate::fault::ApiError;
use crate::keys::Keyring;
use crate::query::{self, Answer, Query};
use crate::roles::{ADMINISTRATOR, Iam, Role, State, encoded};
use crate::serve::{Body, Service};
use crate::sigv4::{self, SignatureError};
use crate::xml::{Xml, document};

const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The IAM service over the roles.
pub(crate) struct IamService {
    pub(crate) iam: Iam,
    pub(crate) keys: Keyring,
}

impl Service for IamService {
    const NAMED_IN_BODY: bool = true;

    fn describe(&self, head: &Parts, body: &Bytes) -> (String, Detail) {
        let query = Query::parse(body);
        (format!("iam:{}", query.action()), query.detail(head))
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let body = body.unwrap_or_default();
        let signed = sigv4::verify(&head, &body, "iam", &self.keys)
            .map_err(|forgery| signature_error(&forgery));
        match signed.and_then(|_| self.perform(&Query::parse(&body))) {
            Ok(document) => query::respond(200, document, &query::request_id()),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        error_response(refusal, NAMESPACE)
    }
}

/// What IAM and STS say to a wrong signature.
pub(crate) fn signature_error(error: &SignatureError) -> ApiError {
    let (code, message) = match error {
        SignatureError::Missing => (
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
        SignatureError::Malformed(text) => ("SignatureDoesNotMatch", text.as_str()),
        SignatureError::UnknownKey | SignatureError::WrongToken => (
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        ),
        SignatureError::ExpiredToken => (
            "ExpiredToken",
            "The security token included in the request is expired",
        ),
        SignatureError::Stale => (
            "SignatureDoesNotMatch",
            "Signature expired or not yet current",
        ),
        SignatureError::Mismatch => (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        ),
    };
    ApiError::new(403, code, message)
}

/// The error body that IAM and STS share.
pub(crate) fn error_response(error: &ApiError, namespace: &str) -> Response<Body> {
    let id = query::request_id();
    let kind = if error.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    let text = document("ErrorResponse", Some(namespace), |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", kind).text("Code", &error.code);
            xml.text("Message", &error.message);
        });
        xml.text("RequestId", &id);
    });
    query::respond(error.status, text, &id)
}

/// The answer of the actions that only do.
fn empty_result(action: &str) -> String {
    document(&format!("{action}Response"), Some(NAMESPACE), |xml| {
        write_metadata(xml);
    })
}

fn write_metadata(xml: &mut Xml) {
    xml.element("ResponseMetadata", |xml| {
        xml.text("RequestId", query::request_id());
    });
}

/// The answer shape that IAM and STS share.
pub(crate) fn result_document(
    action: &str,
    namespace: &str,
    write: impl FnOnce(&mut Xml),
) -> String {
    document(&format!("{action}Response"), Some(namespace), |xml| {
        xml.element(&format!("{action}Result"), write);
        write_metadata(xml);
    })
}

impl IamService {
    fn perform(&self, query: &Query) -> Answer {
        let action = query.action();
        query.check_names(parameters_of(action)?)?;
        if let Some(answer) = managed_policy(query) {
            return answer;
        }
        let mut state = self.iam.state();
        let delay = state.delay;
        let name = query.required("RoleName")?;
        if action == "CreateRole" {
            return create_role(&mut state, query, name);
        }
        let missing = || {
            ApiError::new(
                404,
                "NoSuchEntity",
                format!("The role with name {name} cannot be found."),
            )
        };
        let role = state.roles.get_mut(name).ok_or_else(missing)?;
        update_role(role, query, delay)?;
        if action == "DeleteRole" {
            state.roles.remove(name);
            return Ok(empty_result(action));
        }
        let role = state.roles.get(name).ok_or_else(missing)?;
        let policy = query.get("PolicyName").unwrap_or_default();
        if action == "GetRolePolicy" && !role.policies.contains_key(policy) {
            let text = format!("The role policy with name {policy} cannot be found.");
            return Err(ApiError::new(404, "NoSuchEntity", text));
        }
        if !(action.starts_with("Get") || action.starts_with("List")) {
            return Ok(empty_result(action));
        }
        Ok(result_document(action, NAMESPACE, |xml| {
            write_answer(xml, action, role, policy);
        }))
    }
}

fn parameters_of(action: &str) -> Result<&'static [&'static str], ApiError> {
    Ok(match action {
        "GetRole" | "DeleteRole" => &["RoleName"],
        "GetPolicy" => &["PolicyArn"],
        "GetPolicyVersion" => &["PolicyArn", "VersionId"],
        "GetRolePolicy" | "DeleteRolePolicy" => &["RoleName", "PolicyName"],
        "ListRolePolicies" => &["RoleName", "Marker", "MaxItems"],
        "ListAttachedRolePolicies" => &["RoleName", "Marker", "MaxItems", "PathPrefix"],
        "PutRolePolicy" => &["RoleName", "PolicyName", "PolicyDocument"],
        "AttachRolePolicy" => &["RoleName", "PolicyArn"],
        "UpdateAssumeRolePolicy" => &["RoleName", "PolicyDocument"],
        "CreateRole" => &[
            "RoleName",
            "AssumeRolePolicyDocument",
            "Description",
            "MaxSessionDuration",
            "Path",
            "PermissionsBoundary",
            "Tags.member.N.Key",
            "Tags.member.N.Value",
        ],
        other => {
            let text = format!("Could not find operation {other} for version 2010-05-08");
            return Err(ApiError::new(400, "InvalidAction", text));
        }
    })
}

/// The one managed policy that the sandbox knows.
fn managed_policy(query: &Query) -> Option<Answer> {
    const VERSION: &str = "v1";
    const ADMIN: &str =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let action = query.action();
    if !["GetPolicy", "GetPolicyVersion"].contains(&action) {
        return None;
    }
    let arn = query.get("PolicyArn").unwrap_or_default();
    if arn != ADMINISTRATOR {
        let text = format!("Policy {arn} was not found.");
        return Some(Err(ApiError::new(404, "NoSuchEntity", text)));
    }
    Some(Ok(result_document(action, NAMESPACE, |xml| match action {
        "GetPolicy" => {
            xml.element("Policy", |xml| {
                xml.text("Arn", arn).text("DefaultVersionId", VERSION);
            });
        }
        _ => {
            xml.element("PolicyVersion", |xml| {
                xml.text("Document", encoded(ADMIN))
                    .text("VersionId", VERSION);
            });
        }
    })))
}

fn policy_document<'a>(query: &'a Query, name: &str) -> Result<&'a str, ApiError> {
    let text = query.required(name)?;
    let policy: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    if policy["Statement"].is_null() {
        return Err(ApiError::new(
            400,
            "MalformedPolicyDocument",
            "Syntax errors in policy.",
        ));
    }
    Ok(text)
}

fn create_role(state: &mut State, query: &Query, name: &str) -> Answer {
    if state.roles.contains_key(name) {
        let text = format!("Role with name {name} already exists.");
        return Err(ApiError::new(409, "EntityAlreadyExists", text));
    }
    let mut role = Role::new(name, policy_document(query, "AssumeRolePolicyDocument")?);
    role.description = query.get_owned("Description");
    role.hidden_requests = state.delay;
    let answer = result_document("CreateRole", NAMESPACE, |xml| role.write(xml));
    state.roles.insert(name.to_owned(), role);
    Ok(answer)
}

fn update_role(role: &mut Role, query: &Query, delay: usize) -> Result<(), ApiError> {
    match query.action() {
        "PutRolePolicy" => {
            let policy = policy_document(query, "PolicyDocument")?.to_owned();
            role.policies
                .insert(query.required("PolicyName")?.to_owned(), policy);
        }
        "DeleteRolePolicy" => {
            role.policies.remove(query.required("PolicyName")?);
        }
        "AttachRolePolicy" => role.attached.push(query.required("PolicyArn")?.to_owned()),
        "UpdateAssumeRolePolicy" => {
            policy_document(query, "PolicyDocument")?.clone_into(&mut role.trust);
        }
        _ => return Ok(()),
    }
    role.hidden_requests = delay;
    Ok(())
}

fn write_answer(xml: &mut Xml, action: &str, role: &Role, policy: &str) {
    match action {
        "GetRole" => role.write(xml),
        "GetRolePolicy" => {
            let document = role.policies.get(policy).map(|document| encoded(document));
            xml.text("RoleName", &role.name).text("PolicyName", policy);
            xml.optional("PolicyDocument", document);
        }
        "ListRolePolicies" => {
            xml.element("PolicyNames", |xml| {
                for name in role.policies.keys() {
                    xml.text("member", name);
                }
            });
            xml.text("IsTruncated", false);
        }
        "ListAttachedRolePolicies" => {
            xml.list("AttachedPolicies", "member", &role.attached, |xml, arn| {
                let name = arn.rsplit('/').next().unwrap_or_default();
                xml.text("PolicyName", name).text("PolicyArn", arn);
            });
            xml.text("IsTruncated", false);
        }
        _ => {}
    }
}
