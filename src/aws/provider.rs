//! The options as the layers of settings use them, and the cloud as an import uses it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::client::Clients;
use super::job::Job;
use super::method;
use super::method::ImportMethod;
use super::options::{AssumeRole, Options, Polling};
use super::{OWNER, check, client, detect, ids, packer, resources, trust, unsupported};
use crate::config::problems::Problems;
use crate::config::trust::TrustTable;
use crate::config::{CloudOptions, Environment, ImportArgs, fields};
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
    const NAME: &'static str = "aws";

    const VARIABLES: &'static [(&'static str, &'static [&'static str])] = &[
        ("region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
        ("profile", &["AWS_PROFILE"]),
        ("shared_credentials_file", &["AWS_SHARED_CREDENTIALS_FILE"]),
        ("endpoint_url", &["AWS_ENDPOINT_URL"]),
        ("endpoint_url_s3", &["AWS_ENDPOINT_URL_S3"]),
        ("endpoint_url_ec2", &["AWS_ENDPOINT_URL_EC2"]),
        ("endpoint_url_ebs", &["AWS_ENDPOINT_URL_EBS"]),
        ("endpoint_url_ssm", &["AWS_ENDPOINT_URL_SSM"]),
        (
            "endpoint_url_service_quotas",
            &["AWS_ENDPOINT_URL_SERVICE_QUOTAS"],
        ),
        ("endpoint_url_sts", &["AWS_ENDPOINT_URL_STS"]),
        ("endpoint_url_iam", &["AWS_ENDPOINT_URL_IAM"]),
    ];

    const SECRETS: &'static [(&'static str, &'static [&'static str])] = trust::SECRETS;
    const TRUST: &'static TrustTable = trust::TRUST;
    const DOMAINS: &'static [&'static str] = trust::DOMAINS;

    fn known_keys(table: &str) -> &'static [&'static str] {
        match table {
            "" => fields::<Self>(),
            "assume_role" => fields::<AssumeRole>(),
            "aws_polling" => fields::<Polling>(),
            _ => &[],
        }
    }

    fn holds_secret(&self) -> bool {
        self.secret_key.is_some() || self.token.is_some()
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
            token: environment.secret(Self::SECRETS, "token"),
            endpoint_url_s3: environment.get("AWS_ENDPOINT_URL_S3"),
            endpoint_url_ec2: environment.get("AWS_ENDPOINT_URL_EC2"),
            endpoint_url_ebs: environment.get("AWS_ENDPOINT_URL_EBS"),
            endpoint_url_ssm: environment.get("AWS_ENDPOINT_URL_SSM"),
            endpoint_url_service_quotas: environment.get("AWS_ENDPOINT_URL_SERVICE_QUOTAS"),
            endpoint_url_sts: environment.get("AWS_ENDPOINT_URL_STS"),
            endpoint_url_iam: environment.get("AWS_ENDPOINT_URL_IAM"),
            ..Self::default()
        }
    }

    /// A layer that says who asks says all of it: keys of the file never mix with a
    /// profile of the command line. The same goes for endpoints.
    fn clear_conflicts_with(&mut self, above: &Self) {
        if above.endpoint_url.is_some() {
            (self.endpoint_url_s3, self.endpoint_url_ec2) = (None, None);
            (self.endpoint_url_ssm, self.endpoint_url_service_quotas) = (None, None);
            (
                self.endpoint_url_ebs,
                self.endpoint_url_sts,
                self.endpoint_url_iam,
                self.custom_endpoint_ec2,
            ) = (None, None, None, None);
        }
        if above.profile.is_some() || above.access_key.is_some() || above.secret_key.is_some() {
            (self.profile, self.access_key, self.secret_key, self.token) = (None, None, None, None);
        }
    }

    fn fill_from_image(&mut self, guest: &Guest) -> Vec<String> {
        detect::fill_from_image(self, guest)
    }

    fn contradictions(&self, guest: &Guest) -> Vec<String> {
        detect::contradictions(self, guest)
    }

    fn checks_guest(&self) -> bool {
        let mut problems = Problems::<Self>::default();
        method::choose_method(self, &mut problems).method == ImportMethod::ImportImage
    }
}

impl Cloud for Options {
    const TITLE: &'static str = "AWS";
    const PACKER: PackerImport = packer::PACKER;

    type Clients = Clients;
    type Job = Job;

    fn accepts(image: &Image) -> Result<(), (String, String)> {
        check::accepts(image)
    }

    fn check_format(image: &Image) -> Vec<Finding> {
        check::check_format(image)
    }

    fn check_guest(guest: &Guest, checks_guest: bool) -> Vec<Finding> {
        check::check_guest(guest, checks_guest)
    }

    fn unsupported(&self) -> Vec<(&'static str, String)> {
        unsupported::unsupported(self)
    }

    fn account(&self) -> BTreeMap<String, String> {
        resources::account(self)
    }

    /// Until the caller is known, the owner of the bucket is the one that an earlier run found.
    fn keep_account(mut earlier: BTreeMap<String, String>, account: &mut BTreeMap<String, String>) {
        let owner = earlier.remove(OWNER).filter(|owner| ids::is_account(owner));
        if let (Some(owner), false) = (owner, account.contains_key(OWNER)) {
            account.insert(OWNER.to_owned(), owner);
        }
    }

    fn from_journal(location: &ObjectLocation, account: &BTreeMap<String, String>) -> Self {
        resources::options(location, account)
    }

    fn check_entry(entry: &JournalEntry) -> Result<()> {
        ids::PREFIXES.check(entry)
    }

    async fn track_resources(&self, stored: &Stored<'_>, cleanup: &mut UndoList) -> Result<()> {
        let (entry, location) = (stored.entry, stored.location);
        resources::track_all(entry, location, self, stored.remove, cleanup).await
    }

    async fn connect(&self, _environment: &Environment) -> Result<(Clients, Option<String>)> {
        let region = client::region(self).await?;
        let clients = Clients::new(self, region.as_deref().unwrap_or_default()).await?;
        Ok((clients, region))
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
        let destination = match job.method {
            // No bucket has such a name.
            ImportMethod::EbsDirect => "/ebs-direct",
            _ => &job.bucket,
        };
        let mut words = vec![
            Self::NAME.to_owned(),
            job.region.clone(),
            destination.to_owned(),
            job.key_template.clone(),
            job.name_template.clone().unwrap_or_default(),
            job.common.path(),
        ];
        // Parts keep the encryption that their upload began with.
        words.extend(
            job.s3_encryption
                .as_ref()
                .map(|encryption| format!("{encryption:?}")),
        );
        words
    }

    async fn import(job: Job, clients: Clients, journal: Journal, session: &Session) -> ImportEnd {
        super::import(job, clients, journal, session).await
    }
}
