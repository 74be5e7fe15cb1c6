//! The options as the layers of settings use them, and the cloud as an import uses it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::client::Clients;
use super::job::Job;
use super::options::Options;
use super::validate::image::accepts;
use super::{check, detect, ids, packer, resources, trust, unsupported};
use crate::config::trust::TrustTable;
use crate::config::{CloudOptions, Environment, ImportArgs};
use crate::error::Result;
use crate::guest::Guest;
use crate::image::{Format, Image};
use crate::import::cloud::{Cloud, ImportEnd, PackerImport, Stored};
use crate::import::finding::Finding;
use crate::import::job;
use crate::import::job::OpenedImage;
use crate::import::journal::{Journal, JournalEntry, ObjectLocation};
use crate::import::session::Session;
use crate::import::undo::UndoList;

impl CloudOptions for Options {
    const NAME: &'static str = "alicloud";

    const VARIABLES: &'static [(&'static str, &'static [&'static str])] = &[
        (
            "region",
            &[
                "ALICLOUD_REGION",
                "ALIBABA_CLOUD_REGION_ID",
                "ALIBABA_CLOUD_REGION",
            ],
        ),
        ("profile", &["ALICLOUD_PROFILE", "ALIBABA_CLOUD_PROFILE"]),
        (
            "shared_credentials_file",
            &[
                "ALICLOUD_SHARED_CREDENTIALS_FILE",
                "ALIBABA_CLOUD_CONFIG_FILE",
            ],
        ),
        ("ram_role_name", &["ALICLOUD_ECS_ROLE_NAME"]),
        ("ram_role_arn", &["ALICLOUD_ASSUME_ROLE_ARN"]),
        ("ecs_endpoint", &["ALICLOUD_ECS_ENDPOINT"]),
        ("oss_endpoint", &["ALICLOUD_OSS_ENDPOINT"]),
        ("ram_endpoint", &["ALICLOUD_RAM_ENDPOINT"]),
        ("sts_endpoint", &["ALICLOUD_STS_ENDPOINT"]),
    ];

    const SECRETS: &'static [(&'static str, &'static [&'static str])] = trust::SECRETS;
    const TRUST: &'static TrustTable = trust::TRUST;
    const DOMAINS: &'static [&'static str] = trust::DOMAINS;

    fn holds_secret(&self) -> bool {
        self.secret_key.is_some() || self.security_token.is_some()
    }

    fn addresses(&self) -> Vec<(&'static str, String)> {
        trust::addresses(self)
    }

    fn has_secret_for(&self, _: &str) -> bool {
        self.access_key.is_some() && self.secret_key.is_some()
    }

    fn format(&self) -> Option<Format> {
        self.format
    }

    fn from_environment_only(environment: &Environment) -> Self {
        Self {
            access_key: environment.secret(Self::SECRETS, "access_key"),
            secret_key: environment.secret(Self::SECRETS, "secret_key"),
            security_token: environment.secret(Self::SECRETS, "security_token"),
            ..Self::default()
        }
    }

    /// A layer that says who asks says all of it: keys of the file never mix with a
    /// profile of the command line.
    fn clear_conflicts_with(&mut self, above: &Self) {
        let has_credentials = above.profile.is_some()
            || above.access_key.is_some()
            || above.secret_key.is_some()
            || above.ram_role_name.is_some();
        if has_credentials {
            (self.profile, self.ram_role_name) = (None, None);
            (self.access_key, self.secret_key, self.security_token) = (None, None, None);
        }
    }

    fn fill_from_image(&mut self, guest: &Guest) -> Vec<String> {
        detect::fill_from_image(self, guest)
    }

    fn contradictions(&self, guest: &Guest) -> Vec<String> {
        detect::contradictions(self, guest)
    }
}

impl Cloud for Options {
    const TITLE: &'static str = "Alibaba Cloud";
    const PACKER: PackerImport = packer::PACKER;

    type Clients = Clients;
    type Job = Job;

    fn accepts(image: &Image) -> Result<(), (String, String)> {
        accepts(image).map(drop)
    }

    fn check_format(image: &Image) -> Vec<Finding> {
        check::check_format(image)
    }

    fn check_guest(guest: &Guest, _checks_guest: bool) -> Vec<Finding> {
        check::check_guest(guest)
    }

    fn unsupported(&self) -> Vec<(&'static str, String)> {
        unsupported::unsupported(self)
    }

    fn account(&self) -> BTreeMap<String, String> {
        resources::account(self)
    }

    fn from_journal(location: &ObjectLocation, account: &BTreeMap<String, String>) -> Self {
        resources::options(location, account)
    }

    fn check_entry(entry: &JournalEntry) -> Result<()> {
        ids::PREFIXES.check(entry)
    }

    async fn track_resources(&self, stored: &Stored<'_>, cleanup: &mut UndoList) -> Result<()> {
        resources::track_all(
            stored.journal,
            stored.location,
            self,
            stored.environment,
            stored.remove,
            stored.progress,
            cleanup,
        )
        .await
    }

    async fn connect(&self, environment: &Environment) -> Result<(Clients, Option<String>)> {
        Clients::new(self, environment)
    }

    fn resolve(
        args: ImportArgs<Self>,
        opened: OpenedImage,
        region: Option<String>,
        clock: Timestamp,
        environment: &Environment,
    ) -> Result<Job> {
        Job::resolve(args, opened, region, clock, environment)
    }

    fn common(job: &Job) -> &job::Job {
        &job.common
    }

    fn key(job: &mut Job) -> &mut String {
        &mut job.key
    }

    fn identity(job: &Job) -> Vec<String> {
        vec![
            Self::NAME.to_owned(),
            job.region.clone(),
            job.bucket.clone(),
            job.key_template.clone(),
            job.name_template.clone(),
            job.common.path(),
        ]
    }

    async fn import(job: Job, clients: Clients, journal: Journal, session: &Session) -> ImportEnd {
        super::import(job, clients, journal, session).await
    }
}
