//! STS: who is calling, and temporary keys of an assumed role, which then work for all
//! services of the sandbox.

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt;

use crate::clock;
use crate::desk::Detail;
use crate::fault::ApiError;
use crate::iam::{error_response, result_document, signature_error};
use crate::keys::{ACCOUNT, Key, Keyring};
use crate::query::{self, Answer, Query};
use crate::roles::{Iam, Role};
use crate::serve::{Body, Service};
use crate::sigv4;
use crate::xml::Xml;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(crate) struct StsService {
    pub(crate) iam: Iam,
    pub(crate) keys: Keyring,
}

impl Service for StsService {
    const NAMED_IN_BODY: bool = true;

    fn describe(&self, head: &Parts, body: &Bytes) -> (String, Detail) {
        let query = Query::parse(body);
        (format!("sts:{}", query.action()), query.detail(head))
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        match self.perform(&head, &body.unwrap_or_default()) {
            Ok(document) => query::respond(200, document, &query::request_id()),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn refuse(&self, refusal: &ApiError) -> Response<Body> {
        error_response(refusal, NAMESPACE)
    }
}

impl StsService {
    fn perform(&self, head: &Parts, body: &Bytes) -> Answer {
        let query = Query::parse(body);
        if query.action() == "AssumeRoleWithWebIdentity" {
            return self.assume_with_web_identity(&query);
        }
        let caller = sigv4::verify(head, body, "sts", &self.keys)
            .map_err(|forgery| signature_error(&forgery))?;
        match query.action() {
            "GetCallerIdentity" => Ok(caller_identity(&caller.key)),
            "AssumeRole" => self.assume(&query, &caller.key),
            other => {
                let text = format!("Could not find operation {other} for version 2011-06-15");
                Err(ApiError::new(400, "InvalidAction", text))
            }
        }
    }

    fn assume(&self, query: &Query, caller: &Key) -> Answer {
        query.check_names(&[
            "DurationSeconds",
            "ExternalId",
            "Policy",
            "PolicyArns.member.N.arn",
            "RoleArn",
            "RoleSessionName",
            "SourceIdentity",
            "Tags.member.N.Key",
            "Tags.member.N.Value",
            "TransitiveTagKeys.member.N",
        ])?;
        let (arn, session) = (
            query.required("RoleArn")?,
            query.required("RoleSessionName")?,
        );
        let root = format!("arn:aws:iam::{ACCOUNT}:root");
        let callers = [caller.arn.as_str(), &root, ACCOUNT, "*"];
        let role = self
            .iam
            .assume(arn, "AWS", &callers, query.get("ExternalId"));
        let role = role.ok_or_else(|| {
            let who = &caller.arn;
            let text = format!(
                "User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            );
            ApiError::new(403, "AccessDenied", text)
        })?;
        Ok(self.session(query.action(), &role, session, None))
    }

    /// Any token will do; the role must trust some federated provider.
    fn assume_with_web_identity(&self, query: &Query) -> Answer {
        let (arn, session) = (
            query.required("RoleArn")?,
            query.required("RoleSessionName")?,
        );
        query.required("WebIdentityToken")?;
        let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/sandbox");
        let role = self.iam.assume(arn, "Federated", &[&provider, "*"], None);
        let text = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
        let role = role.ok_or_else(|| ApiError::new(403, "AccessDenied", text))?;
        Ok(self.session(query.action(), &role, session, Some("sandbox")))
    }

    fn session(&self, action: &str, role: &Role, session: &str, subject: Option<&str>) -> String {
        let key = self.keys.issue_session(&role.name, &role.id, session);
        result_document(action, NAMESPACE, |xml| {
            xml.optional("SubjectFromWebIdentityToken", subject);
            write_session(xml, &key);
        })
    }
}

fn caller_identity(key: &Key) -> String {
    result_document("GetCallerIdentity", NAMESPACE, |xml| {
        xml.text("Arn", &key.arn).text("UserId", &key.user_id);
        xml.text("Account", ACCOUNT);
    })
}

fn write_session(xml: &mut Xml, key: &Key) {
    xml.element("AssumedRoleUser", |xml| {
        xml.text("AssumedRoleId", &key.user_id)
            .text("Arn", &key.arn);
    });
    xml.element("Credentials", |xml| {
        xml.text("AccessKeyId", &key.access_key);
        xml.text("SecretAccessKey", &key.secret_key);
        xml.optional("SessionToken", key.session_token.as_ref());
        xml.text("Expiration", clock::in_an_hour());
    });
    xml.text("PackedPolicySize", 0);
}
