//! The roles of the account, and whether ECS can use one to import. What the API changes is
//! seen by ECS only a few imports later, as it takes about a minute in the cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::keys::{ACCOUNT, digits};
use super::moment;
use crate::policy;

/// Grants what an import needs; Alibaba keeps it.
pub(super) const IMPORT_POLICY: &str = "AliyunECSImageImportRolePolicy";

#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) trust: String,
    pub(super) description: String,
    pub(super) created: String,
    pub(super) max_session: u64,
    /// `System` or `Custom`, and the name
    pub(super) attached: BTreeSet<(String, String)>,
    /// How many more imports do not see the last change
    hidden_requests: usize,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) policies: BTreeMap<String, String>,
    forbidden: Vec<String>,
    delay: usize,
}

/// The roles and policies of the account.
#[derive(Clone)]
pub struct Ram {
    state: Arc<Mutex<State>>,
}

/// A role as tests see it.
#[derive(Clone, Debug)]
pub struct RoleView {
    pub name: String,
    pub trust: String,
    /// `System:AliyunECSImageImportRolePolicy`
    pub policies: Vec<String>,
}

impl Ram {
    pub(super) fn new() -> Self {
        let state = State {
            roles: BTreeMap::new(),
            policies: BTreeMap::new(),
            forbidden: Vec::new(),
            delay: 2,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Puts a role there, seen at once; policies as `System:Name` or `Custom:Name`.
    pub fn put_role(&self, name: &str, trust: &str, policies: &[&str]) {
        let mut role = Role::new(name, trust);
        let named = policies.iter().filter_map(|policy| policy.split_once(':'));
        role.attached = named
            .map(|(kind, name)| (kind.to_owned(), name.to_owned()))
            .collect();
        self.state().roles.insert(name.to_owned(), role);
    }

    /// The role that ECS asks for, as Alibaba's guide has it.
    pub fn put_import_role(&self) {
        let policy = format!("System:{IMPORT_POLICY}");
        self.put_role("AliyunECSImageImportDefaultRole", &ecs_trust(), &[&policy]);
    }

    /// A role that any user of the account may assume.
    pub fn put_assumable_role(&self, name: &str) {
        let root = format!("acs:ram::{ACCOUNT}:root");
        let trust = trust(&json!({"RAM": [root], "Federated": ["*"]}));
        self.put_role(name, &trust, &["System:AdministratorAccess"]);
    }

    pub fn put_policy(&self, name: &str, document: &str) {
        self.state()
            .policies
            .insert(name.to_owned(), document.to_owned());
    }

    pub fn policy(&self, name: &str) -> Option<String> {
        self.state().policies.get(name).cloned()
    }

    pub fn remove_role(&self, name: &str) {
        self.state().roles.remove(name);
    }

    pub fn role(&self, name: &str) -> Option<RoleView> {
        let state = self.state();
        let role = state.roles.get(name)?;
        Some(RoleView {
            name: role.name.clone(),
            trust: role.trust.clone(),
            policies: role
                .attached
                .iter()
                .map(|(kind, name)| format!("{kind}:{name}"))
                .collect(),
        })
    }

    pub fn roles(&self) -> Vec<String> {
        self.state().roles.keys().cloned().collect()
    }

    /// From now on the caller lacks the right to an action: `ram:CreateRole`, `ram:*`.
    pub fn forbid(&self, action: &str) {
        self.state().forbidden.push(action.to_owned());
    }

    pub fn allow_all(&self) {
        self.state().forbidden.clear();
    }

    /// How many imports a change made through the API stays unseen (2 by default).
    pub fn set_delay(&self, requests: usize) {
        self.state().delay = requests;
    }

    pub(super) fn is_forbidden(&self, action: &str) -> bool {
        let state = self.state();
        let meant = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => action.starts_with(prefix),
            None => pattern == action,
        };
        state.forbidden.iter().any(meant)
    }

    /// Whether ECS can use the role for this object; each question lets time pass.
    pub(super) fn serves_import(&self, role: &str, bucket: &str, key: &str) -> bool {
        let mut state = self.state();
        let State {
            roles, policies, ..
        } = &mut *state;
        let Some(role) = roles.get_mut(role) else {
            return false;
        };
        if role.hidden_requests > 0 {
            role.hidden_requests -= 1;
            return false;
        }
        let trusted = policy::trusts(&role.trust, "Service", &["ecs.aliyuncs.com"], None);
        let bucket = format!("acs:oss:cn-any:{ACCOUNT}:{bucket}");
        let object = format!("{bucket}/{key}");
        let needs = [
            ("oss:GetObject", &object),
            ("oss:GetBucketLocation", &bucket),
            ("oss:GetBucketInfo", &bucket),
        ];
        let may = |(action, on): (&str, &String)| role.may(policies, action, on);
        trusted && needs.into_iter().all(may)
    }

    /// The role of an ARN, if it lets the caller in.
    pub(super) fn assume(
        &self,
        arn: &str,
        kind: &str,
        callers: &[&str],
        id: Option<&str>,
    ) -> Option<Role> {
        let name = arn.strip_prefix(&format!("acs:ram::{ACCOUNT}:role/"))?;
        let state = self.state();
        let role = state
            .roles
            .values()
            .find(|role| role.name.eq_ignore_ascii_case(name))?;
        policy::trusts(&role.trust, kind, callers, id).then(|| role.clone())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics with the roles in hand")
    }
}

impl State {
    /// A role about to be changed through the API.
    pub(super) fn touch(&mut self, name: &str) -> Option<&mut Role> {
        let role = self.roles.get_mut(name)?;
        role.hidden_requests = self.delay;
        Some(role)
    }
}

impl Role {
    pub(super) fn new(name: &str, trust: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: digits(),
            trust: trust.to_owned(),
            description: String::new(),
            created: moment::extended(moment::now()),
            max_session: 3600,
            attached: BTreeSet::new(),
            hidden_requests: 0,
        }
    }

    pub(super) fn arn(&self) -> String {
        format!("acs:ram::{ACCOUNT}:role/{}", self.name.to_lowercase())
    }

    fn may(&self, policies: &BTreeMap<String, String>, action: &str, on: &str) -> bool {
        let documents = self
            .attached
            .iter()
            .filter_map(|(kind, name)| match kind.as_str() {
                "System" => system_policy(name),
                _ => policies.get(name).cloned(),
            });
        let documents: Vec<_> = documents.collect();
        policy::allows(documents.iter(), action, on)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "RoleId": self.id,
            "RoleName": self.name,
            "Arn": self.arn(),
            "Description": self.description,
            "AssumeRolePolicyDocument": self.trust,
            "CreateDate": self.created,
            "UpdateDate": self.created,
            "MaxSessionDuration": self.max_session,
        })
    }
}

/// The documents Alibaba keeps, as far as imports care.
pub(super) fn system_policy(name: &str) -> Option<String> {
    let actions = match name {
        IMPORT_POLICY => json!([
            "oss:GetObject",
            "oss:GetBucketLocation",
            "oss:GetBucketInfo"
        ]),
        "AliyunOSSReadOnlyAccess" => json!(["oss:Get*", "oss:List*"]),
        "AliyunOSSFullAccess" => json!("oss:*"),
        "AdministratorAccess" => json!("*"),
        _ => return None,
    };
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    Some(json!({"Version": "1", "Statement": [statement]}).to_string())
}

fn ecs_trust() -> String {
    trust(&json!({"Service": ["ecs.aliyuncs.com"]}))
}

fn trust(principal: &Value) -> String {
    let statement = json!({"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": principal});
    json!({"Statement": [statement], "Version": "1"}).to_string()
}
