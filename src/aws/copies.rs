//! The AMI in other regions: a copy each, side by side, with the same name, tags and
//! permissions and a key of the region's own. A region that fails takes no other along.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_sdk_ec2::operation::copy_image::builders::CopyImageFluentBuilder;
use aws_sdk_ec2::types::Image;
use futures_util::StreamExt;
use futures_util::stream;
use uuid::Uuid;

use super::client::Clients;
use super::job::{Copied, Job};
use super::{Run, ami, error, share, unconfirmed};
use crate::error::{Error, Kind, Result};
use crate::import::journal::{CopyRequest, Journal};
use crate::import::poll;
use crate::import::poll::{Pace, Poll};
use crate::import::session::Session;
use crate::import::undo;
use crate::import::undo::{Cleanup, Entry};
use crate::progress::Remote;
use crate::shell::Command;
use crate::units::listed;

/// Copies at the same time; EC2 takes 20 into a region, but asks for patience with its API.
const AT_ONCE: usize = 8;

impl Run<'_> {
    /// The image in every region that was asked for.
    pub(super) async fn copy(&mut self, image: &Image) -> Result<()> {
        self.forget_unwanted_copies();
        if self.job.copies.is_empty() {
            return Ok(());
        }
        let regions = self.job.copies.iter().map(|copy| copy.region.as_str());
        let regions: Vec<_> = regions.collect();
        let progress = &self.session.progress;
        progress.stage(&format!("Copying it to {}", listed(&regions)));
        let pace = self.pace();
        let remote = self.session.progress.import();
        let source = image.image_id().unwrap_or_default();
        let copies = Copies {
            job: &self.job,
            clients: &self.clients,
            session: self.session,
            journal: &self.journal,
            undo: Mutex::new(Undo {
                journal: &self.journal,
                cli: &self.job.cli,
                cleanup: &mut self.cleanup,
                held: &mut self.held.copies,
            }),
            left: Mutex::new(self.job.copies.iter().map(|copy| &*copy.region).collect()),
            remote: &remote,
            pace,
            source,
            name: image.name().unwrap_or_default(),
        };
        let made = stream::iter(&self.job.copies).map(|copy| copies.make(copy));
        let made: Vec<_> = made.buffered(AT_ONCE).collect().await;
        drop(copies);
        self.hold_in_order();
        let (mut failed, mut ended) = (Vec::new(), Ok(()));
        for (copy, made) in self.job.copies.iter().zip(made) {
            match made {
                Ok(id) => self.outcome.images.push((copy.region.clone(), id)),
                Err(error) if error.kind() == Kind::Failed => failed.push((&*copy.region, error)),
                Err(error) => ended = Err(error),
            }
        }
        ended?;
        missed(source, &failed)?;
        remote.finish(&format!("Copied to {}", places(&self.outcome.images[1..])));
        Ok(())
    }

    /// A copy that nobody asks for any more is not taken away: somebody may use it.
    fn forget_unwanted_copies(&mut self) {
        let mut copies = self.journal.entry().copies;
        copies.retain(|region, _| !self.job.copies.iter().any(|copy| copy.region == *region));
        for (region, copy) in copies {
            self.session.progress.warn(&format!(
                "{copy}, which an earlier run has copied to {region}, stays: this run was not asked for it"
            ));
            self.undo().let_go(&region);
            forget(&self.journal, &region);
        }
    }

    /// The answers came as they liked; what stays is named in the order of the wishes.
    fn hold_in_order(&mut self) {
        let made = self.journal.entry().copies;
        let regions: Vec<_> = self
            .job
            .copies
            .iter()
            .rev()
            .map(|copy| &copy.region)
            .cloned()
            .collect();
        for region in regions {
            if let Some(copy) = made.get(&region)
                && self.held.copies.contains_key(&region)
            {
                self.hold_copy_in(&region, copy);
            }
        }
    }

    /// Puts a copy of an earlier run on the undo list.
    pub(super) fn hold_copy_in(&mut self, region: &str, copy: &str) {
        let clients = self.clients.in_region(region);
        self.undo().hold(clients, region, copy);
    }

    /// Puts the copies on the undo list that an earlier run has asked for without an answer.
    pub(super) fn hold_possible_copies(&mut self) {
        let entry = self.journal.entry();
        for (region, asked) in entry.copies_unheard() {
            let clients = self.clients.in_region(region);
            if let (Some(name), Some(source)) = (&asked.name, &asked.source) {
                self.undo().hold_possible(clients, region, name, source);
            }
        }
    }

    fn undo(&mut self) -> Undo<'_> {
        Undo {
            journal: &self.journal,
            cli: &self.job.cli,
            cleanup: &mut self.cleanup,
            held: &mut self.held.copies,
        }
    }
}

/// All copies under way.
struct Copies<'a> {
    job: &'a Job,
    clients: &'a Clients,
    session: &'a Session,
    journal: &'a Journal,
    undo: Mutex<Undo<'a>>,
    /// The regions that have none yet.
    left: Mutex<Vec<&'a str>>,
    remote: &'a Remote,
    pace: Pace,
    source: &'a str,
    name: &'a str,
}

impl Copies<'_> {
    /// One copy, from the question to its permissions.
    async fn make(&self, copy: &Copied) -> Result<String> {
        let clients = self.clients.in_region(&copy.region);
        let id = match self.earlier(copy, &clients).await? {
            Some(id) => id,
            None => self.start(copy, &clients).await?,
        };
        let image = self.available(copy, &clients, &id).await?;
        let snapshots = ami::snapshots(&image);
        let finish = async {
            ami::describe_as_asked(self.job, &clients, &id, false).await?;
            share::share(self.job, &clients, &id, &snapshots).await?;
            ami::deprecate(&clients, &id, self.job.deprecate_at).await
        };
        self.session.unless_stopped(finish).await?;
        lock(&self.left).retain(|region| *region != copy.region);
        Ok(id)
    }

    /// The copy that an earlier run has started, if it is still there.
    async fn earlier(&self, copy: &Copied, clients: &Clients) -> Result<Option<String>> {
        let (region, entry) = (&copy.region, self.journal.entry());
        let Some(id) = entry.copies.get(region) else {
            return Ok(None);
        };
        let exists = ami::exists(clients, id);
        if !self.session.unless_stopped(exists).await? {
            lock(&self.undo).let_go(region);
            forget(self.journal, region);
            return Ok(None);
        }
        let asked = entry.copy_requests.get(region);
        if asked.is_none_or(|asked| asked.request != self.question(copy)) {
            let what = format!("{id} is in the way of the copy to {region}");
            return Err(Error::failed(what)
                .because_of("an earlier run was asked for it differently: with another key, description or tags")
                .hint("remove it, or ask as before"));
        }
        Ok(Some(id.clone()))
    }

    /// CopyImage. The journal knows the token before AWS does.
    async fn start(&self, copy: &Copied, clients: &Clients) -> Result<String> {
        self.session.check()?;
        let (region, request) = (&copy.region, self.question(copy));
        let asked = self.journal.entry().copy_requests.remove(region);
        let same = asked.filter(|asked| asked.request == request);
        let (known, token) = (same.is_some(), same.map(|same| same.client_token));
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        self.journal.note(|entry| {
            let asked = CopyRequest {
                request,
                client_token: token.clone(),
                source: Some(self.source.to_owned()),
                name: Some(self.name.to_owned()),
            };
            entry.copy_requests.insert(region.clone(), asked);
        });
        let encryption = copy.encryption.as_ref();
        let call = ami::copy_request(
            self.job,
            clients,
            self.source,
            self.name,
            &token,
            encryption,
        );
        lock(&self.undo).hold_possible(clients.clone(), region, self.name, self.source);
        match self.session.finish_soon(ask(call, self.source)).await {
            Ok(id) => {
                self.journal
                    .note(|entry| drop(entry.copies.insert(region.clone(), id.clone())));
                lock(&self.undo).hold(clients.clone(), region, &id);
                Ok(id)
            }
            Err(error) => {
                // Refused is not started, unless an earlier run has asked.
                if !known && !error::may_be_done(&error) {
                    lock(&self.undo).let_go(region);
                    forget(self.journal, region);
                }
                Err(error)
            }
        }
    }

    /// Waits for the copy. One that has failed is of no use to a later run.
    async fn available(&self, copy: &Copied, clients: &Clients, id: &str) -> Result<Image> {
        let began = Instant::now();
        let made = poll::until(self.session, self.pace, self.remote, async || {
            Ok(match ami::poll(clients, id, "copying", began).await? {
                Poll::NotYet { .. } => self.not_yet(),
                done @ Poll::Done(_) => done,
            })
        })
        .await;
        let failed = made.as_ref().err().map(Error::kind) == Some(Kind::Failed);
        if failed && ami::is_lost(clients, id).await {
            lock(&self.undo).spoil(&copy.region);
        }
        made
    }

    /// One sentence for all of them.
    fn not_yet(&self) -> Poll<Image> {
        Poll::NotYet {
            percent: None,
            message: format!("copying to {}", listed(&lock(&self.left))),
        }
    }

    /// Everything that makes this copy what it is.
    fn question(&self, copy: &Copied) -> String {
        let (source, name, job) = (self.source, self.name, self.job);
        let (key, text, tags) = (&copy.encryption, &job.description, &job.tags);
        format!("{source} {name:?} {key:?} {text:?} {tags:?}")
    }
}

async fn ask(call: CopyImageFluentBuilder, source: &str) -> Result<String> {
    let failed = || format!("the copy of {source} could not be started");
    let copy = ami::send_copy(&call).await;
    copy.map_err(|fault| fault.fails(failed(), "ec2:CopyImage"))
}

/// The copies' places on the undo list, one for each region.
struct Undo<'a> {
    journal: &'a Journal,
    cli: &'a Command,
    cleanup: &'a mut Cleanup,
    held: &'a mut BTreeMap<String, Entry>,
}

impl Undo<'_> {
    fn hold(&mut self, clients: Clients, region: &str, copy: &str) {
        let (id, journal) = (copy.to_owned(), self.journal.clone());
        let entry = self.cleanup.reusable(
            format!("the copy {copy} in {region}"),
            ami::removal(self.cli, copy, region),
            async move || {
                journal
                    .forgetting(&id, ami::deregister(&clients, &id))
                    .await
            },
        );
        self.take_place(region, entry);
    }

    /// A copy whose answer is not known yet.
    fn hold_possible(&mut self, clients: Clients, region: &str, name: &str, source: &str) {
        let (named, source) = (name.to_owned(), source.to_owned());
        let entry = self.cleanup.reusable(
            undo::unconfirmed::image(name, region),
            unconfirmed::removal(self.cli, name, region),
            async move || unconfirmed::remove_copy(&clients, &named, &source).await,
        );
        self.take_place(region, entry);
    }

    fn take_place(&mut self, region: &str, entry: Entry) {
        if let Some(earlier) = self.held.insert(region.to_owned(), entry) {
            self.cleanup.disarm(earlier);
        }
    }

    fn let_go(&mut self, region: &str) {
        if let Some(entry) = self.held.remove(region) {
            self.cleanup.disarm(entry);
        }
    }

    /// The copy goes at the end of the run.
    fn spoil(&mut self, region: &str) {
        if let Some(entry) = self.held.remove(region) {
            self.cleanup.spoil(entry);
        }
    }
}

fn forget(journal: &Journal, region: &str) {
    journal.note(|entry| {
        entry.copies.remove(region);
        entry.copy_requests.remove(region);
    });
}

/// One error for all regions that failed, with the first one's advice.
fn missed(source: &str, failed: &[(&str, Error)]) -> Result<()> {
    let Some((_, first)) = failed.first() else {
        return Ok(());
    };
    let regions: Vec<_> = failed.iter().map(|(region, _)| *region).collect();
    let causes = failed
        .iter()
        .map(|(region, error)| format!("{region}: {}", error.brief()));
    let causes: Vec<_> = causes.collect();
    let what = format!("{source} could not be copied to {}", listed(&regions));
    let error = Error::failed(what).because_of(causes.join("\n"));
    Err(match first.advice() {
        Some(advice) => error.hint(advice),
        None => error,
    })
}

/// "eu-west-1 as ami-1 and us-east-1 as ami-2".
fn places(images: &[(String, String)]) -> String {
    let places = images
        .iter()
        .map(|(region, id)| format!("{region} as {id}"));
    let places: Vec<_> = places.collect();
    listed(&places.iter().map(String::as_str).collect::<Vec<_>>())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
