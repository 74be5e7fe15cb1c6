//! The roles of the account, and whether VM Import can use one. What the API changes is
//! seen by the other services only a few requests later, as IAM is eventually consistent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::keys::ACCOUNT;
use crate::policy;
use crate::xml::Xml;

pub(crate) const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) trust: String,
    pub(crate) description: Option<String>,
    pub(crate) created: String,
    pub(crate) policies: BTreeMap<String, String>,
    pub(crate) attached: Vec<String>,
    /// How many more times other services do not see the last change
    pub(crate) hidden_requests: usize,
}

/// The roles of the account.
#[derive(Clone)]
pub struct Iam {
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) delay: usize,
    /// What the users may do; without one, everything
    pub(crate) user_policy: Option<String>,
}

/// A role as tests see it.
#[derive(Clone, Debug)]
pub struct RoleView {
    pub name: String,
    pub trust: String,
    pub policies: BTreeMap<String, String>,
}

impl Iam {
    pub(crate) fn new() -> Self {
        let state = State {
            roles: BTreeMap::new(),
            delay: 2,
            user_policy: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Puts a role there with one inline policy, as if it had been there for long.
    pub fn put_role(&self, name: &str, trust: &str, policy: &str) {
        let mut role = Role::new(name, trust);
        role.policies.insert(name.to_owned(), policy.to_owned());
        "2024-01-01T00:00:00Z".clone_into(&mut role.created);
        self.state().roles.insert(name.to_owned(), role);
    }

    /// The role as AWS's guide has it, for one bucket.
    pub fn put_import_role(&self, name: &str, bucket: &str) {
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"vmie.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:Externalid":"vmimport"}}}]}"#;
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"],
             "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")]},
            {"Effect": "Allow", "Action": ["ec2:ModifySnapshotAttribute", "ec2:CopySnapshot",
             "ec2:RegisterImage", "ec2:Describe*"], "Resource": "*"}]});
        self.put_role(name, trust, &policy.to_string());
    }

    /// What the users of the account may do from now on with images and parameters.
    pub fn put_user_policy(&self, policy: &str) {
        self.state().user_policy = Some(policy.to_owned());
    }

    /// Whether this caller may do that; assumed roles may do everything.
    pub(crate) fn user_may(&self, arn: &str, action: &str, resource: &str) -> bool {
        let state = self.state();
        match &state.user_policy {
            Some(policy) if arn.contains(":user/") => {
                policy::allows(std::iter::once(policy), action, resource)
            }
            _ => true,
        }
    }

    /// Attaches the managed policy `AdministratorAccess` to the role.
    pub fn attach_administrator(&self, name: &str) {
        if let Some(role) = self.state().roles.get_mut(name) {
            role.attached.push(ADMINISTRATOR.to_owned());
        }
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
            policies: role.policies.clone(),
        })
    }

    /// How many imports a change made through the API stays unseen (2 by default).
    pub fn set_delay(&self, requests: usize) {
        self.state().delay = requests;
    }

    /// Whether VM Import can use the role for this object; each question lets time pass.
    pub(crate) fn serves_import(&self, role: &str, bucket: &str, key: &str) -> bool {
        let mut state = self.state();
        let Some(role) = state.roles.get_mut(role) else {
            return false;
        };
        if role.hidden_requests > 0 {
            role.hidden_requests -= 1;
            return false;
        }
        let bucket = format!("arn:aws:s3:::{bucket}");
        let object = format!("{bucket}/{key}");
        let needs = [
            ("s3:GetBucketLocation", bucket.as_str()),
            ("s3:ListBucket", &bucket),
            ("s3:GetObject", &object),
            ("ec2:ModifySnapshotAttribute", "*"),
            ("ec2:CopySnapshot", "*"),
            ("ec2:RegisterImage", "*"),
            ("ec2:DescribeImages", "*"),
        ];
        let trusted = policy::trusts(
            &role.trust,
            "Service",
            &["vmie.amazonaws.com"],
            Some("vmimport"),
        );
        trusted && (role.is_admin() || needs.iter().all(|(action, on)| role.may(action, on)))
    }

    /// The role of an ARN, if it lets the caller in.
    pub(crate) fn assume(
        &self,
        arn: &str,
        kind: &str,
        callers: &[&str],
        external_id: Option<&str>,
    ) -> Option<Role> {
        let name = arn.strip_prefix(&format!("arn:aws:iam::{ACCOUNT}:role/"))?;
        let state = self.state();
        let role = state.roles.get(name)?;
        policy::trusts(&role.trust, kind, callers, external_id).then(|| role.clone())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics with the roles in hand")
    }
}

impl Role {
    pub(crate) fn new(name: &str, trust: &str) -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
        Self {
            name: name.to_owned(),
            id: format!("AROA{}", &id[..17]),
            trust: trust.to_owned(),
            description: None,
            created: crate::clock::now(),
            policies: BTreeMap::new(),
            attached: Vec::new(),
            hidden_requests: 0,
        }
    }

    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role/{}", self.name)
    }

    fn is_admin(&self) -> bool {
        self.attached
            .iter()
            .any(|attached| attached == ADMINISTRATOR)
    }

    fn may(&self, action: &str, resource: &str) -> bool {
        policy::allows(self.policies.values(), action, resource)
    }

    pub(crate) fn write(&self, xml: &mut Xml) {
        xml.element("Role", |xml| {
            xml.text("Path", "/").text("RoleName", &self.name);
            xml.text("RoleId", &self.id).text("Arn", self.arn());
            xml.text("CreateDate", &self.created);
            xml.text("AssumeRolePolicyDocument", encoded(&self.trust));
            xml.optional("Description", self.description.as_ref());
            xml.text("MaxSessionDuration", 3600);
        });
    }
}

/// IAM URL-encodes the documents in its answers (RFC 3986).
pub(crate) fn encoded(document: &str) -> String {
    utf8_percent_encode(document, NON_ALPHANUMERIC).to_string()
}
