//! The options as the layers of settings use them, and the cloud as an import uses it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::job::Job;
use super::options::{ObjectAccess, Options};
use super::validate::accepts;
use super::{check, detect, packer, resources, trust};
use crate::config::trust::TrustTable;
use crate::config::{CloudOptions, Environment, ImportArgs};
use crate::error::Result;
use crate::guest::Guest;
use crate::image::{Format, Image};
use crate::import::cloud::{Cloud, ImportEnd, PackerImport, Stored};
use crate::import::finding::Finding;
use crate::import::job;
use crate::import::job::OpenedImage;
use crate::import::journal::{Journal, ObjectLocation};
use crate::import::session::Session;
use crate::import::undo::UndoList;

impl CloudOptions for Options {
    const NAME: &'static str = "digitalocean";

    const VARIABLES: &'static [(&'static str, &'static [&'static str])] = &[
        ("api_url", &["DIGITALOCEAN_API_URL"]),
        ("spaces_endpoint", &["SPACES_ENDPOINT_URL"]),
        ("http_retry_max", &["DIGITALOCEAN_HTTP_RETRY_MAX"]),
        ("http_retry_wait_min", &["DIGITALOCEAN_HTTP_RETRY_WAIT_MIN"]),
        ("http_retry_wait_max", &["DIGITALOCEAN_HTTP_RETRY_WAIT_MAX"]),
    ];

    const SECRETS: &'static [(&'static str, &'static [&'static str])] = trust::SECRETS;
    const TRUST: &'static TrustTable = trust::TRUST;
    const DOMAINS: &'static [&'static str] = trust::DOMAINS;

    fn holds_secret(&self) -> bool {
        self.api_token.is_some() || self.spaces_secret.is_some()
    }

    fn addresses(&self) -> Vec<(&'static str, String)> {
        trust::addresses(self)
    }

    fn has_secret_for(&self, address: &str) -> bool {
        match address {
            "api_url" => self.api_token.is_some(),
            _ => self.spaces_key.is_some() && self.spaces_secret.is_some(),
        }
    }

    fn format(&self) -> Option<Format> {
        self.format
    }

    fn from_environment_only(environment: &Environment) -> Self {
        Self {
            api_token: environment.secret(Self::SECRETS, "api_token"),
            spaces_key: environment.secret(Self::SECRETS, "spaces_key"),
            spaces_secret: environment.secret(Self::SECRETS, "spaces_secret"),
            ..Self::default()
        }
    }

    /// The halves of a key come from one layer, never from two.
    fn clear_conflicts_with(&mut self, above: &Self) {
        if above.spaces_key.is_some() || above.spaces_secret.is_some() {
            (self.spaces_key, self.spaces_secret) = (None, None);
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
    const TITLE: &'static str = "DigitalOcean";
    const PACKER: PackerImport = packer::PACKER;

    type Clients = ();
    type Job = Job;

    fn accepts(image: &Image) -> Result<(), (String, String)> {
        accepts(image)
    }

    fn check_format(image: &Image) -> Vec<Finding> {
        check::check_format(image)
    }

    fn check_guest(guest: &Guest, _checks_guest: bool) -> Vec<Finding> {
        check::check_guest(guest)
    }

    fn account(&self) -> BTreeMap<String, String> {
        resources::account(self)
    }

    fn from_journal(location: &ObjectLocation, account: &BTreeMap<String, String>) -> Self {
        resources::options(location, account)
    }

    async fn track_resources(&self, stored: &Stored<'_>, cleanup: &mut UndoList) -> Result<()> {
        resources::track_all(
            stored.entry,
            stored.location,
            self,
            stored.environment,
            stored.remove,
            stored.progress,
            cleanup,
        )
    }

    async fn connect(&self, _environment: &Environment) -> Result<((), Option<String>)> {
        Ok(((), None))
    }

    fn resolve(
        args: ImportArgs<Self>,
        opened: OpenedImage,
        _region: Option<String>,
        clock: Timestamp,
        environment: &Environment,
    ) -> Result<Job> {
        Job::resolve(args, opened, clock, environment)
    }

    fn common(job: &Job) -> &job::Job {
        &job.common
    }

    fn key(job: &mut Job) -> &mut String {
        &mut job.key
    }

    fn identity(job: &Job) -> Vec<String> {
        let mut words = vec![
            Self::NAME.to_owned(),
            job.space.region.clone(),
            job.space.name.clone(),
            job.key_template.clone(),
            job.name_template.clone(),
            job.region().to_owned(),
            job.common.path(),
        ];
        // Parts keep the access that their upload began with.
        if job.access == ObjectAccess::Presigned {
            words.push("presigned".to_owned());
        }
        words
    }

    async fn import(job: Job, (): (), journal: Journal, session: &Session) -> ImportEnd {
        super::import(job, journal, session).await
    }
}
