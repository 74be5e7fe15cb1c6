//! Alibaba Cloud: OSS, ECS, RAM and STS in their own wire formats, with signature checks
//! written here. Their doors for tests are methods of [`Sandbox`].

mod acs3;
mod canonical;
mod ecs;
mod keys;
mod metadata;
mod moment;
mod oss;
mod oss4;
mod ram;
mod roles;
mod rpc;
#[cfg(test)]
mod stories;
mod sts;

use std::sync::Arc;

pub use self::ecs::{CopyScript, Ecs, ImageView, ImportScript, SnapshotView, TaskView};
pub use self::keys::{ACCOUNT, Key};
pub use self::oss::{ObjectView, Oss, PartView, UploadView};
pub use self::roles::{Ram, RoleView};

use self::ecs::EcsProduct;
use self::keys::Keyring;
use self::metadata::Metadata;
use self::oss::Storage;
use self::ram::RamProduct;
use self::rpc::{Nonces, Product, Rpc};
use self::sts::StsProduct;
use crate::Sandbox;
use crate::desk::RequestLog;
use crate::serve;

/// The region that [`Sandbox::alibaba_environment`] names.
pub const REGION: &str = "cn-beijing";

/// The services of one sandbox.
pub(crate) struct Alibaba {
    oss: Oss,
    ecs: Ecs,
    ram: Ram,
    keys: Keyring,
    key: Key,
    endpoints: Endpoints,
}

#[derive(Clone, Debug, Default)]
struct Endpoints {
    oss: String,
    ecs: String,
    ram: String,
    sts: String,
    metadata: String,
}

impl Alibaba {
    pub(crate) async fn open(log: Arc<RequestLog>) -> anyhow::Result<Self> {
        let (oss, ecs, ram, keys) = (Oss::new()?, Ecs::new(), Ram::new(), Keyring::default());
        let (key, nonces) = (keys.issue_user("sandbox"), Nonces::default());
        let mut alibaba = Self {
            oss,
            ecs,
            ram,
            keys,
            key,
            endpoints: Endpoints::default(),
        };
        alibaba.endpoints = alibaba.serve(&log, &nonces).await?;
        Ok(alibaba)
    }

    async fn serve(&self, log: &Arc<RequestLog>, nonces: &Nonces) -> anyhow::Result<Endpoints> {
        let Self {
            oss,
            ecs,
            ram,
            keys,
            ..
        } = self;
        let at = || Arc::clone(log);
        let storage = Storage {
            oss: oss.clone(),
            keys: keys.clone(),
        };
        let compute = EcsProduct {
            ecs: ecs.clone(),
            oss: oss.clone(),
            ram: ram.clone(),
        };
        let tokens = StsProduct {
            ram: ram.clone(),
            keys: keys.clone(),
        };
        Ok(Endpoints {
            oss: serve::open(Arc::new(storage), at()).await?,
            ecs: serve::open(self.rpc(compute, nonces), at()).await?,
            ram: serve::open(self.rpc(RamProduct { ram: ram.clone() }, nonces), at()).await?,
            sts: serve::open(self.rpc(tokens, nonces), at()).await?,
            metadata: serve::open(Arc::new(Metadata { keys: keys.clone() }), at()).await?,
        })
    }

    fn rpc<P: Product>(&self, product: P, nonces: &Nonces) -> Arc<Rpc<P>> {
        Arc::new(Rpc {
            product,
            keys: self.keys.clone(),
            nonces: nonces.clone(),
        })
    }

    pub(crate) fn remove_files(&self) {
        self.oss.remove_files();
    }
}

/// Alibaba Cloud.
impl Sandbox {
    pub fn oss(&self) -> &Oss {
        &self.alibaba.oss
    }

    pub fn ecs(&self) -> &Ecs {
        &self.alibaba.ecs
    }

    pub fn ram(&self) -> &Ram {
        &self.alibaba.ram
    }

    pub fn oss_endpoint(&self) -> &str {
        &self.alibaba.endpoints.oss
    }

    pub fn ecs_endpoint(&self) -> &str {
        &self.alibaba.endpoints.ecs
    }

    pub fn ram_endpoint(&self) -> &str {
        &self.alibaba.endpoints.ram
    }

    pub fn alibaba_sts_endpoint(&self) -> &str {
        &self.alibaba.endpoints.sts
    }

    /// Stands for `http://100.100.100.200`.
    pub fn alibaba_metadata_endpoint(&self) -> &str {
        &self.alibaba.endpoints.metadata
    }

    /// The key of [`Sandbox::alibaba_environment`].
    pub fn alibaba_key(&self) -> &Key {
        &self.alibaba.key
    }

    /// Temporary keys with a token, as a test may need them without asking STS.
    pub fn alibaba_session(&self) -> Key {
        self.alibaba
            .keys
            .issue_session("sandbox", &keys::digits(), "story")
    }

    /// Lets every key that came with a security token expire.
    pub fn expire_alibaba_sessions(&self) {
        self.alibaba.keys.expire_sessions();
    }

    /// What a client of Alibaba Cloud needs in its environment.
    pub fn alibaba_environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("ALICLOUD_ECS_ENDPOINT", self.ecs_endpoint()),
            ("ALICLOUD_OSS_ENDPOINT", self.oss_endpoint()),
            ("ALICLOUD_RAM_ENDPOINT", self.ram_endpoint()),
            ("ALICLOUD_STS_ENDPOINT", self.alibaba_sts_endpoint()),
            ("ALICLOUD_ACCESS_KEY", &self.alibaba_key().access_key),
            ("ALICLOUD_SECRET_KEY", &self.alibaba_key().secret_key),
            ("ALICLOUD_REGION", REGION),
        ];
        variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }
}
