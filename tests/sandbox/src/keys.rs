//! The access keys of the sandbox: one made at every start, and those STS hands out.
//! They are random, so that a leak of them in any output can be searched for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;

/// The account all of the sandbox belongs to.
pub const ACCOUNT: &str = "123456789012";

#[derive(Clone)]
pub struct Key {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    pub(crate) expired: bool,
}

impl Key {
    fn random(prefix: &str, arn: String) -> Self {
        let access_key = format!("{prefix}{}", &random_letters()[..16]);
        Self {
            user_id: format!("AIDA{}", &random_letters()[..17]),
            secret_key: format!("{}{}", random_letters(), &random_letters()[..8]),
            session_token: None,
            access_key,
            arn,
            expired: false,
        }
    }
}

fn random_letters() -> String {
    Uuid::new_v4().simple().to_string().to_uppercase()
}

#[derive(Clone, Default)]
pub(crate) struct Keyring(Arc<Mutex<HashMap<String, Key>>>);

impl Keyring {
    pub(crate) fn issue_user(&self, name: &str) -> Key {
        self.add(Key::random(
            "AKIA",
            format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
        ))
    }

    /// A key of Spaces, which is no key of AWS.
    pub(crate) fn issue_spaces(&self) -> Key {
        self.add(Key::random("DO00", "spaces".to_owned()))
    }

    /// Temporary keys of an assumed role; they work only together with their token.
    pub(crate) fn issue_session(&self, role: &str, role_id: &str, session: &str) -> Key {
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}");
        let mut key = Key::random("ASIA", arn);
        key.user_id = format!("{role_id}:{session}");
        key.session_token = Some(format!(
            "{}{}{}",
            random_letters(),
            random_letters(),
            random_letters()
        ));
        self.add(key)
    }

    fn add(&self, key: Key) -> Key {
        self.all().insert(key.access_key.clone(), key.clone());
        key
    }

    pub(crate) fn get(&self, access_key: &str) -> Option<Key> {
        self.all().get(access_key).cloned()
    }

    pub(crate) fn expire_sessions(&self) {
        let temporary = |key: &&mut Key| key.session_token.is_some();
        for key in self.all().values_mut().filter(temporary) {
            key.expired = true;
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Key>> {
        self.0.lock().expect("nothing panics with the keys in hand")
    }
}
