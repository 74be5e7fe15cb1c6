//! The trait that each cloud implements once, in `CLOUD/provider.rs`. The steps of an import
//! are not part of it: each cloud has its own, in `CLOUD/steps.rs`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::config::{CloudOptions, Environment, ImportArgs};
use crate::error::Result;
use crate::guest::Guest;
use crate::image::Image;
use crate::import::finding::Finding;
use crate::import::job::{Job, OpenedImage};
use crate::import::journal::{Journal, JournalEntry, ObjectLocation};
use crate::import::outcome::Outcome;
use crate::import::session::Session;
use crate::import::undo::UndoList;
use crate::progress::Progress;
use crate::shell::Command;

/// A cloud that images are imported into.
pub trait Cloud: CloudOptions {
    /// The cloud's name in messages.
    const TITLE: &'static str;

    /// Packer's post-processor for the cloud.
    const PACKER: PackerImport;

    /// The clients of the services; `()` where they need the job.
    type Clients;

    /// An import with all settings decided.
    type Job;

    /// Checks whether the import accepts the file. The error is the reason and the remedy.
    fn accepts(image: &Image) -> Result<(), (String, String)>;

    /// Returns the findings about the file.
    fn check_format(image: &Image) -> Vec<Finding>;

    /// Returns the findings about the system in the image. `checks_guest` is true where the
    /// cloud's import inspects the system, too.
    fn check_guest(guest: &Guest, checks_guest: bool) -> Vec<Finding>;

    /// Returns the keys of Packer that are set and not supported, each with what to do instead.
    fn unsupported(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Returns what the journal stores about access to the cloud, without secrets.
    fn account(&self) -> BTreeMap<String, String>;

    /// Keeps what an earlier run of the job has stored beside the account.
    fn keep_account(_earlier: BTreeMap<String, String>, _account: &mut BTreeMap<String, String>) {}

    /// Returns the options that `account` was made from.
    fn from_journal(location: &ObjectLocation, account: &BTreeMap<String, String>) -> Self;

    /// Checks that the ids of a journal entry have the form of the cloud's ids.
    fn check_entry(_entry: &JournalEntry) -> Result<()> {
        Ok(())
    }

    /// Adds everything that a journal entry names to the undo list, in the order in which it
    /// was created.
    async fn track_resources(&self, stored: &Stored<'_>, cleanup: &mut UndoList) -> Result<()>;

    /// Sets up the clients and finds the region. Makes no request to the cloud's services.
    async fn connect(&self, environment: &Environment) -> Result<(Self::Clients, Option<String>)>;

    /// Decides everything that needs no network. One error lists all wrong settings; an error
    /// about the image comes after them.
    fn resolve(
        args: ImportArgs<Self>,
        opened: OpenedImage,
        region: Option<String>,
        clock: Timestamp,
        environment: &Environment,
    ) -> Result<Self::Job>;

    /// Returns the part of the job that all clouds have.
    fn common(job: &Self::Job) -> &Job;

    /// Returns the name of the temporary object.
    fn key(job: &mut Self::Job) -> &mut String;

    /// Returns the words that identify the job in the journal: cloud, region, bucket and
    /// template of the key, then the others.
    fn identity(job: &Self::Job) -> Vec<String>;

    /// Runs the steps of the import.
    async fn import(
        job: Self::Job,
        clients: Self::Clients,
        journal: Journal,
        session: &Session,
    ) -> ImportEnd;
}

/// The state of an import after its last step.
pub struct ImportEnd {
    /// The job.
    pub job: Job,
    /// What is left to remove.
    pub cleanup: UndoList,
    /// The result, as far as it is known.
    pub outcome: Outcome,
    /// Whether all steps succeeded.
    pub result: Result<()>,
}

/// An entry of the journal with what is needed to remove its resources.
pub struct Stored<'a> {
    /// The journal of the entry.
    pub journal: &'a Journal,
    /// The entry.
    pub entry: &'a JournalEntry,
    /// The temporary object of the entry.
    pub location: &'a ObjectLocation,
    /// The variables of this process.
    pub environment: &'a Environment,
    /// The command that removes the job.
    pub remove: &'a Command,
    /// Standard error.
    pub progress: &'a Progress,
}

/// Packer's post-processor for a cloud, as `from-packer` reads it.
pub struct PackerImport {
    /// Its name.
    pub post_processor: &'static str,
    /// The endings of the files that it imports; `None` where its option `format` decides.
    pub extensions: Option<&'static [&'static str]>,
    /// The keys that are secrets, each with the variable to set instead.
    pub secrets: &'static [(&'static str, &'static str)],
    /// Returns a line that the settings need, given the lines of the cloud's table.
    pub added_line: fn(&[String]) -> Option<&'static str>,
}
