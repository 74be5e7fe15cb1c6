//! Alibaba's access keys: one made at every start, and those STS and the metadata service
//! hand out. They are random, so that a leak of them in any output can be searched for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;

/// The account all of the sandbox belongs to.
pub const ACCOUNT: &str = "1234567890123456";

/// An access key, with a security token when it is temporary.
#[derive(Clone)]
pub struct Key {
    pub access_key: String,
    pub secret_key: String,
    pub security_token: Option<String>,
    pub(super) arn: String,
    pub(super) identity: &'static str,
    pub(super) principal_id: String,
    pub(super) expired: bool,
}

#[derive(Clone, Default)]
pub(super) struct Keyring(Arc<Mutex<HashMap<String, Key>>>);

impl Keyring {
    pub(super) fn issue_user(&self, name: &str) -> Key {
        self.add(Key {
            access_key: format!("LTAI5t{}", &letters()[..18]),
            secret_key: letters()[..30].to_owned(),
            security_token: None,
            arn: format!("acs:ram::{ACCOUNT}:user/{name}"),
            identity: "RAMUser",
            principal_id: digits(),
            expired: false,
        })
    }

    /// Temporary keys of an assumed role; they work only together with their token.
    pub(super) fn issue_session(&self, role: &str, role_id: &str, session: &str) -> Key {
        self.add(Key {
            access_key: format!("STS.{}", &letters()[..24]),
            secret_key: letters() + &letters()[..12],
            security_token: Some(format!("CAIS{}{}+/==", letters(), letters())),
            arn: format!("acs:ram::{ACCOUNT}:assumed-role/{role}/{session}"),
            identity: "AssumedRoleUser",
            principal_id: format!("{role_id}:{session}"),
            expired: false,
        })
    }

    fn add(&self, key: Key) -> Key {
        self.all().insert(key.access_key.clone(), key.clone());
        key
    }

    pub(super) fn get(&self, access_key: &str) -> Option<Key> {
        self.all().get(access_key).cloned()
    }

    pub(super) fn expire_sessions(&self) {
        let temporary = |key: &&mut Key| key.security_token.is_some();
        for key in self.all().values_mut().filter(temporary) {
            key.expired = true;
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Key>> {
        self.0.lock().expect("nothing panics with the keys in hand")
    }
}

fn letters() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Sixteen digits, as RAM numbers users and roles.
pub(super) fn digits() -> String {
    let number = Uuid::new_v4().as_u128() % 10_u128.pow(15);
    format!("2{number:015}")
}
