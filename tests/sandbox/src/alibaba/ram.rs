//! RAM as far as an import needs it: the service role and its policies.

use serde_json::{Value, json};

use super::keys::ACCOUNT;
use super::roles::{Ram, Role, State, system_policy};
use super::rpc::{Answer, Call, Product};
use crate::fault::ApiError;

/// <https://www.alibabacloud.com/help/en/ram>, limits of a custom policy
const MAX_POLICY: usize = 6144;

pub(super) struct RamProduct {
    pub(super) ram: Ram,
}

impl Product for RamProduct {
    const NAME: &'static str = "ram";
    const VERSION: &'static str = "2015-05-01";

    fn parameters_of(action: &str) -> Option<&'static [&'static str]> {
        Some(match action {
            "GetRole" | "ListPoliciesForRole" | "DeleteRole" => &["RoleName"],
            "CreateRole" => &[
                "AssumeRolePolicyDocument",
                "Description",
                "MaxSessionDuration",
                "RoleName",
            ],
            "UpdateRole" => &[
                "NewAssumeRolePolicyDocument",
                "NewDescription",
                "NewMaxSessionDuration",
                "RoleName",
            ],
            "AttachPolicyToRole" | "DetachPolicyFromRole" => {
                &["PolicyName", "PolicyType", "RoleName"]
            }
            "CreatePolicy" => &["Description", "PolicyDocument", "PolicyName"],
            "GetPolicy" => &["PolicyName", "PolicyType"],
            _ => return None,
        })
    }

    fn perform(&self, call: &Call<'_>) -> Answer {
        self.check_right(call)?;
        let mut state = self.ram.state();
        match call.action {
            "GetRole" => Ok(json!({"Role": role(&state, call)?.json()})),
            "CreateRole" => create_role(&mut state, call),
            "UpdateRole" => update_role(&mut state, call),
            "DeleteRole" => delete_role(&mut state, call),
            "AttachPolicyToRole" => attach(&mut state, call),
            "DetachPolicyFromRole" => detach(&mut state, call),
            "ListPoliciesForRole" => Ok(list_policies(role(&state, call)?)),
            "CreatePolicy" => create_policy(&mut state, call),
            _ => get_policy(&state, call),
        }
    }
}

impl RamProduct {
    fn check_right(&self, call: &Call<'_>) -> Result<(), ApiError> {
        let action = format!("ram:{}", call.action);
        if !self.ram.is_forbidden(&action) {
            return Ok(());
        }
        let on = call
            .get("RoleName")
            .map_or("*".to_owned(), |role| format!("role/{role}"));
        let text = format!(
            "You are not authorized to do this action. Resource: acs:ram:*:{ACCOUNT}:{on} Action: {action}"
        );
        Err(ApiError::new(403, "NoPermission", text))
    }
}

fn no_role(name: &str) -> ApiError {
    let text = format!("The role not exists: {name} .");
    ApiError::new(404, "EntityNotExist.Role", text)
}

fn role<'s>(state: &'s State, call: &Call<'_>) -> Result<&'s Role, ApiError> {
    let name = call.require("RoleName")?;
    state.roles.get(name).ok_or_else(|| no_role(name))
}

fn role_mut<'s>(state: &'s mut State, call: &Call<'_>) -> Result<&'s mut Role, ApiError> {
    let name = call.require("RoleName")?;
    state.touch(name).ok_or_else(|| no_role(name))
}

fn create_role(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.require("RoleName")?;
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || ".-_@".contains(letter);
    if name.len() > 64 || !name.chars().all(allowed) {
        let text = "The parameter RoleName is invalid.";
        return Err(ApiError::new(
            400,
            "InvalidParameter.RoleName.InvalidChars",
            text,
        ));
    }
    let trust = trust(call.require("AssumeRolePolicyDocument")?)?;
    if state.roles.contains_key(name) {
        let text = format!("The role already exists: {name} .");
        return Err(ApiError::new(409, "EntityAlreadyExists.Role", text));
    }
    let mut role = Role::new(name, trust);
    role.description = call.query.get_owned("Description").unwrap_or_default();
    role.max_session = session(call.get("MaxSessionDuration"))?.unwrap_or(3600);
    state.roles.insert(name.to_owned(), role);
    Ok(json!({"Role": role_mut(state, call)?.json()}))
}

fn update_role(state: &mut State, call: &Call<'_>) -> Answer {
    let trust = call
        .get("NewAssumeRolePolicyDocument")
        .map(trust)
        .transpose()?;
    let longest = session(call.get("NewMaxSessionDuration"))?;
    let description = call.query.get_owned("NewDescription");
    let role = role_mut(state, call)?;
    role.trust = trust.map_or(std::mem::take(&mut role.trust), str::to_owned);
    role.max_session = longest.unwrap_or(role.max_session);
    role.description = description.unwrap_or_else(|| std::mem::take(&mut role.description));
    Ok(json!({"Role": role.json()}))
}

fn delete_role(state: &mut State, call: &Call<'_>) -> Answer {
    let role = role(state, call)?;
    if !role.attached.is_empty() {
        let text = "The role has policies attached.";
        return Err(ApiError::new(409, "DeleteConflict.Role.Policy", text));
    }
    let name = role.name.clone();
    state.roles.remove(&name);
    Ok(json!({}))
}

fn session(seconds: Option<&str>) -> Result<Option<u64>, ApiError> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let seconds = seconds
        .parse()
        .ok()
        .filter(|seconds| (3600..=43200).contains(seconds));
    let text = "The parameter MaxSessionDuration is invalid.";
    let invalid = || ApiError::new(400, "InvalidParameter.MaxSessionDuration", text);
    seconds.ok_or_else(invalid).map(Some)
}

/// A trust policy that says whom it trusts.
fn trust(document: &str) -> Result<&str, ApiError> {
    let statements = statements(document)?;
    if statements
        .iter()
        .all(|statement| statement["Principal"].is_object())
    {
        Ok(document)
    } else {
        Err(malformed("Principal"))
    }
}

fn statements(document: &str) -> Result<Vec<Value>, ApiError> {
    let value: Value = serde_json::from_str(document).map_err(|_| malformed("JSON"))?;
    if value["Version"] != "1" {
        return Err(malformed("Version"));
    }
    let statements = value["Statement"].as_array().cloned().unwrap_or_default();
    let whole = |one: &Value| !one["Action"].is_null() && !one["Effect"].is_null();
    if statements.is_empty() || !statements.iter().all(whole) {
        return Err(malformed("Statement"));
    }
    Ok(statements)
}

fn malformed(description: &str) -> ApiError {
    let text = format!("The policy document is malformed: {description}.");
    ApiError::new(400, "MalformedPolicyDocument", text)
}

/// The policy a request names, which must exist.
fn policy(state: &State, call: &Call<'_>) -> Result<(String, String, String), ApiError> {
    let (kind, name) = (call.require("PolicyType")?, call.require("PolicyName")?);
    let document = match kind {
        "System" => system_policy(name),
        "Custom" => state.policies.get(name).cloned(),
        _ => {
            let text = "The parameter PolicyType is invalid.";
            return Err(ApiError::new(400, "InvalidParameter.PolicyType", text));
        }
    };
    let text = format!("The policy not exists: {name} .");
    let document = document.ok_or_else(|| ApiError::new(404, "EntityNotExist.Policy", text))?;
    Ok((kind.to_owned(), name.to_owned(), document))
}

fn attach(state: &mut State, call: &Call<'_>) -> Answer {
    let (kind, name, _) = policy(state, call)?;
    if role(state, call)?
        .attached
        .contains(&(kind.clone(), name.clone()))
    {
        let text = "The policy is already attached to the role.";
        return Err(ApiError::new(409, "EntityAlreadyExists.Role.Policy", text));
    }
    role_mut(state, call)?.attached.insert((kind, name));
    Ok(json!({}))
}

fn detach(state: &mut State, call: &Call<'_>) -> Answer {
    let (kind, name, _) = policy(state, call)?;
    if !role_mut(state, call)?.attached.remove(&(kind, name)) {
        let text = "The policy is not attached to the role.";
        return Err(ApiError::new(404, "EntityNotExist.Role.Policy", text));
    }
    Ok(json!({}))
}

fn list_policies(role: &Role) -> Value {
    let policy = |(kind, name): &(String, String)| {
        json!({
            "PolicyName": name, "PolicyType": kind, "DefaultVersion": "v1",
            "AttachDate": role.created, "Description": "",
        })
    };
    let policies: Vec<_> = role.attached.iter().map(policy).collect();
    json!({"Policies": {"Policy": policies}})
}

fn create_policy(state: &mut State, call: &Call<'_>) -> Answer {
    let (name, document) = (call.require("PolicyName")?, call.require("PolicyDocument")?);
    if document.len() > MAX_POLICY {
        let text = "The policy document is too long.";
        return Err(ApiError::new(
            400,
            "InvalidParameter.PolicyDocument.Length",
            text,
        ));
    }
    statements(document)?;
    if state.policies.contains_key(name) {
        let text = format!("The policy already exists: {name} .");
        return Err(ApiError::new(409, "EntityAlreadyExists.Policy", text));
    }
    state.policies.insert(name.to_owned(), document.to_owned());
    Ok(json!({"Policy": {"PolicyName": name, "PolicyType": "Custom", "DefaultVersion": "v1"}}))
}

fn get_policy(state: &State, call: &Call<'_>) -> Answer {
    let (kind, name, document) = policy(state, call)?;
    Ok(json!({
        "Policy": {"PolicyName": name, "PolicyType": kind, "DefaultVersion": "v1"},
        "DefaultPolicyVersion": {"IsDefaultVersion": true, "VersionId": "v1", "PolicyDocument": document},
    }))
}
