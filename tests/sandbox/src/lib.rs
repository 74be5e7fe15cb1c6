//! The clouds that imgimport speaks to, on this machine: loopback stand-ins of their
//! services, strict where the real ones are. Every request passes the desk, which keeps
//! the journal and lets faults strike; every signature is checked by code of its own;
//! an import really reads what was uploaded. Tests start a [`Sandbox`] each; the program
//! of this package serves one for people to try the tool without an account.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test may panic

pub mod alibaba;
mod clock;
mod content;
mod desk;
mod digitalocean;
mod ebs;
mod ec2;
mod fault;
mod gate;
mod iam;
mod json11;
mod keys;
mod policy;
mod query;
mod quotas;
mod roles;
mod s3;
pub mod sample;
mod serve;
#[cfg(unix)]
pub mod shells;
mod sigv4;
mod spelled;
mod ssm;
#[cfg(test)]
mod stories;
mod sts;
mod xml;

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

pub use content::Content;
pub use desk::{Detail, LoggedRequest, Outcome};
pub use digitalocean::{CustomImageScript, CustomImageView, DigitalOcean, TransferScript};
pub use ec2::{CopyScript, Ec2, ImageView, ImportScript, Permission, SnapshotView, TaskView};
pub use fault::{Fault, When};
pub use gate::Gate;
pub use keys::{ACCOUNT, Key};
pub use quotas::Quotas;
pub use roles::{Iam, RoleView};
pub use s3::{Buckets, ObjectView, PartView, UploadView};
pub use ssm::{ParameterView, Parameters};

use alibaba::Alibaba;
use desk::RequestLog;
use digitalocean::DigitalOceanService;
use ebs::EbsService;
use ec2::Ec2Service;
use iam::IamService;
use keys::Keyring;
use quotas::QuotasService;
use s3::Storage;
use ssm::SsmService;
use sts::StsService;

/// The region that [`Sandbox::environment`] names.
pub const REGION: &str = "eu-central-1";

/// The region of the Spaces that [`Sandbox::digitalocean_environment`] is about.
pub const SPACES_REGION: &str = "nyc3";

/// A running sandbox; its services end when it is dropped.
pub struct Sandbox {
    log: Arc<RequestLog>,
    s3: Buckets,
    ec2: Ec2,
    iam: Iam,
    quotas: Quotas,
    ssm: Parameters,
    spaces: Buckets,
    digitalocean: DigitalOcean,
    keys: Keyring,
    key: Key,
    spaces_key: Key,
    endpoints: Endpoints,
    alibaba: Alibaba,
    /// Its own threads, so that a test may block its own
    runtime: Option<Runtime>,
}

#[derive(Clone, Debug)]
struct Endpoints {
    s3: String,
    ec2: String,
    ebs: String,
    iam: String,
    quotas: String,
    ssm: String,
    sts: String,
    spaces: String,
    digitalocean: String,
}

impl Sandbox {
    /// Starts all services on free ports of 127.0.0.1.
    pub async fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let (desk, keys) = (Arc::<RequestLog>::default(), Keyring::default());
        let (s3, ec2, iam) = (Buckets::new()?, Ec2::new(), Iam::new());
        let storage = Storage::new("s3", &s3, &keys);
        let compute = Ec2Service {
            ec2: ec2.clone(),
            iam: iam.clone(),
            buckets: s3.clone(),
            keys: keys.clone(),
        };
        let block_storage = EbsService {
            ec2: ec2.clone(),
            keys: keys.clone(),
            dir: s3.directory().to_owned(),
        };
        let roles = IamService {
            iam: iam.clone(),
            keys: keys.clone(),
        };
        let quotas = Quotas::default();
        let limits = QuotasService {
            quotas: quotas.clone(),
            iam: iam.clone(),
            keys: keys.clone(),
        };
        let ssm = Parameters::default();
        let parameters = SsmService {
            parameters: ssm.clone(),
            ec2: ec2.clone(),
            iam: iam.clone(),
            keys: keys.clone(),
        };
        let tokens = StsService {
            iam: iam.clone(),
            keys: keys.clone(),
        };
        let (spaces, digitalocean, spaces_keys) =
            (Buckets::new()?, DigitalOcean::new(), Keyring::default());
        let space_storage = Storage::new("spaces", &spaces, &spaces_keys);
        let custom_images = DigitalOceanService {
            account: digitalocean.clone(),
            dir: spaces.directory().to_owned(),
        };
        let at = Arc::clone(&desk);
        let opening = runtime.spawn(async move {
            anyhow::Ok(Endpoints {
                s3: serve::open(Arc::new(storage), Arc::clone(&at)).await?,
                ec2: serve::open(Arc::new(compute), Arc::clone(&at)).await?,
                ebs: serve::open(Arc::new(block_storage), Arc::clone(&at)).await?,
                iam: serve::open(Arc::new(roles), Arc::clone(&at)).await?,
                quotas: serve::open(Arc::new(limits), Arc::clone(&at)).await?,
                ssm: serve::open(Arc::new(parameters), Arc::clone(&at)).await?,
                sts: serve::open(Arc::new(tokens), Arc::clone(&at)).await?,
                spaces: serve::open(Arc::new(space_storage), Arc::clone(&at)).await?,
                digitalocean: serve::open(Arc::new(custom_images), at).await?,
            })
        });
        let endpoints = opening.await??;
        let alibaba = runtime.spawn(Alibaba::open(Arc::clone(&desk))).await??;
        Ok(Self {
            alibaba,
            log: desk,
            s3,
            ec2,
            iam,
            quotas,
            ssm,
            spaces,
            digitalocean,
            key: keys.issue_user("sandbox"),
            spaces_key: spaces_keys.issue_spaces(),
            keys,
            endpoints,
            runtime: Some(runtime),
        })
    }

    pub fn s3_endpoint(&self) -> &str {
        &self.endpoints.s3
    }

    pub fn ec2_endpoint(&self) -> &str {
        &self.endpoints.ec2
    }

    pub fn ebs_endpoint(&self) -> &str {
        &self.endpoints.ebs
    }

    pub fn iam_endpoint(&self) -> &str {
        &self.endpoints.iam
    }

    pub fn ssm_endpoint(&self) -> &str {
        &self.endpoints.ssm
    }

    pub fn sts_endpoint(&self) -> &str {
        &self.endpoints.sts
    }

    /// What a client needs in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("AWS_ENDPOINT_URL_S3", self.s3_endpoint()),
            ("AWS_ENDPOINT_URL_EC2", self.ec2_endpoint()),
            ("AWS_ENDPOINT_URL_EBS", self.ebs_endpoint()),
            ("AWS_ENDPOINT_URL_IAM", self.iam_endpoint()),
            ("AWS_ENDPOINT_URL_SERVICE_QUOTAS", &self.endpoints.quotas),
            ("AWS_ENDPOINT_URL_SSM", self.ssm_endpoint()),
            ("AWS_ENDPOINT_URL_STS", self.sts_endpoint()),
            ("AWS_ACCESS_KEY_ID", &self.key.access_key),
            ("AWS_SECRET_ACCESS_KEY", &self.key.secret_key),
            ("AWS_REGION", REGION),
        ];
        variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    pub fn spaces_endpoint(&self) -> &str {
        &self.endpoints.spaces
    }

    pub fn digitalocean_endpoint(&self) -> &str {
        &self.endpoints.digitalocean
    }

    /// What a client of DigitalOcean needs in its environment.
    pub fn digitalocean_environment(&self) -> Vec<(String, String)> {
        let token = self.digitalocean.token();
        let variables = [
            ("DIGITALOCEAN_API_URL", self.digitalocean_endpoint()),
            ("DIGITALOCEAN_TOKEN", &token),
            ("SPACES_ENDPOINT_URL", self.spaces_endpoint()),
            ("SPACES_ACCESS_KEY_ID", &self.spaces_key.access_key),
            ("SPACES_SECRET_ACCESS_KEY", &self.spaces_key.secret_key),
        ];
        variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    pub fn spaces(&self) -> &Buckets {
        &self.spaces
    }

    pub fn digitalocean(&self) -> &DigitalOcean {
        &self.digitalocean
    }

    /// The key of the Spaces; none of AWS's opens them.
    pub fn spaces_key(&self) -> &Key {
        &self.spaces_key
    }

    pub fn s3(&self) -> &Buckets {
        &self.s3
    }

    pub fn ec2(&self) -> &Ec2 {
        &self.ec2
    }

    pub fn iam(&self) -> &Iam {
        &self.iam
    }

    /// Systems Manager's parameters.
    pub fn ssm(&self) -> &Parameters {
        &self.ssm
    }

    /// What the account may have.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The key of [`Sandbox::environment`].
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Lets every key that STS has issued expire.
    pub fn expire_sessions(&self) {
        self.keys.expire_sessions();
    }

    /// How the imports that start from now on go.
    pub fn import_script(&self, script: ImportScript) {
        self.ec2.import_script(script);
    }

    /// Every request so far, in order of arrival.
    pub fn requests_so_far(&self) -> Vec<LoggedRequest> {
        self.log.requests()
    }

    /// The requests of one operation, in order of arrival.
    pub fn requests(&self, operation: &str) -> Vec<LoggedRequest> {
        let mut journal = self.requests_so_far();
        journal.retain(|entry| entry.operation == operation);
        journal
    }

    /// Waits until `count` requests of the operation were answered, whatever the answer.
    pub async fn wait_for_requests(&self, operation: &str, count: usize) {
        self.wait_until(operation, count, |entry| entry.status().is_some())
            .await;
    }

    /// Waits until `count` requests of the operation were answered with success.
    pub async fn wait_for_successes(&self, operation: &str, count: usize) {
        self.wait_until(operation, count, LoggedRequest::succeeded)
            .await;
    }

    /// Waits until `count` requests of the operation have come, answered or not.
    pub async fn wait_for_arrivals(&self, operation: &str, count: usize) {
        self.wait_until(operation, count, |_| true).await;
    }

    /// Waits until `count` connections of the operation ended without an answer.
    pub async fn wait_for_cuts(&self, operation: &str, count: usize) {
        let is_cut = |entry: &LoggedRequest| entry.outcome == Outcome::Cut;
        self.wait_until(operation, count, is_cut).await;
    }

    async fn wait_until(
        &self,
        operation: &str,
        count: usize,
        is_counted: impl Fn(&LoggedRequest) -> bool,
    ) {
        let meant = |entry: &&LoggedRequest| entry.operation == operation && is_counted(entry);
        let enough = |journal: &[LoggedRequest]| journal.iter().filter(meant).count() >= count;
        self.log.wait_until(enough).await;
    }

    /// Sets a fault; it counts the requests that come from now on.
    pub fn fault(&self, fault: Fault) {
        self.log.fault(fault);
    }

    /// Holds such requests before any work is done, until the gate is released.
    pub fn hold(&self, when: When) -> Gate {
        let gate = Gate::new();
        self.fault(when.hold(&gate));
        gate
    }

    /// Lets such requests do their work and holds the answers.
    pub fn hold_answer(&self, when: When) -> Gate {
        let gate = Gate::new();
        self.fault(when.hold_answer(&gate));
        gate
    }

    pub fn clear_faults(&self) {
        self.log.clear_faults();
    }
}

impl Drop for Sandbox {
    /// A runtime may not wait for its threads inside another one. They may thus outlive the
    /// process's last moments, so the files are removed here.
    fn drop(&mut self) {
        self.s3.remove_files();
        self.alibaba.remove_files();
        self.spaces.remove_files();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
