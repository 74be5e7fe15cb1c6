//! Copies the AMI to other regions in parallel, with the same name, tags and permissions and
//! each region's own key. A region that fails does not affect the others.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_sdk_ec2::operation::copy_image::builders::CopyImageFluentBuilder;
use aws_sdk_ec2::types::Image;
use futures_util::StreamExt;
use futures_util::stream;
use uuid::Uuid;

use super::client::Clients;
use super::job::{CopyTarget, Job};
use super::{AwsImport, ami, error, share, unconfirmed};
use crate::error::{Error, Kind, Result};
use crate::import::journal::{CopyRequest, Journal};
use crate::import::poll;
use crate::import::poll::{Poll, PollSchedule};
use crate::import::session::Session;
use crate::import::undo;
use crate::import::undo::{Handle, UndoList};
use crate::progress::TaskProgress;
use crate::shell::Command;
use crate::units::join_with_and;

/// Copies at the same time; EC2 takes 20 into a region, but asks for patience with its API.
const MAX_CONCURRENT_COPIES: usize = 8;

impl AwsImport<'_> {
    /// The image in every region that was asked for.
    pub(super) async fn copy(&mut self, image: &Image) -> Result<()> {
        self.discard_unwanted_copies();
        if self.job.copies.is_empty() {
            return Ok(());
        }
        let regions = self.job.copies.iter().map(|copy| copy.region.as_str());
        let regions: Vec<_> = regions.collect();
        let progress = &self.session.progress;
        progress.stage(&format!("Copying it to {}", join_with_and(&regions)));
        let pace = self.poll_schedule();
        let remote = self.session.progress.import();
        let source = image.image_id().unwrap_or_default();
        let copies = Copies {
            job: &self.job,
            clients: &self.clients,
            session: self.session,
            journal: &self.journal,
            copy_undo: Mutex::new(CopyUndo {
                journal: &self.journal,
                cli: &self.job.cli,
                cleanup: &mut self.cleanup,
                handles: &mut self.handles.copies,
            }),
            remaining: Mutex::new(self.job.copies.iter().map(|copy| &*copy.region).collect()),
            remote: &remote,
            schedule: pace,
            source,
            name: image.name().unwrap_or_default(),
        };
        let results = stream::iter(&self.job.copies).map(|copy| copies.make(copy));
        let results: Vec<_> = results.buffered(MAX_CONCURRENT_COPIES).collect().await;
        drop(copies);
        self.reorder();
        let (mut failed, mut ended) = (Vec::new(), Ok(()));
        for (copy, result) in self.job.copies.iter().zip(results) {
            match result {
                Ok(id) => self.outcome.images.push((copy.region.clone(), id)),
                Err(error) if error.kind() == Kind::Failed => failed.push((&*copy.region, error)),
                Err(error) => ended = Err(error),
            }
        }
        ended?;
        copy_error(source, &failed)?;
        remote.finish(&format!(
            "Copied to {}",
            list_copies(&self.outcome.images[1..])
        ));
        Ok(())
    }

    /// A copy that nobody asks for any more is not taken away: somebody may use it.
    fn discard_unwanted_copies(&mut self) {
        let mut copies = self.journal.entry().copies;
        copies.retain(|region, _| !self.job.copies.iter().any(|copy| copy.region == *region));
        for (region, copy) in copies {
            self.session.progress.warn(&format!(
                "{copy}, which an earlier run has copied to {region}, stays: this run was not asked for it"
            ));
            self.copy_undo().untrack(&region);
            forget_in_journal(&self.journal, &region);
        }
    }

    /// The answers came as they liked; what stays is named in the order of the wishes.
    fn reorder(&mut self) {
        let in_journal = self.journal.entry().copies;
        let regions: Vec<_> = self
            .job
            .copies
            .iter()
            .rev()
            .map(|copy| &copy.region)
            .cloned()
            .collect();
        for region in regions {
            if let Some(copy) = in_journal.get(&region)
                && self.handles.copies.contains_key(&region)
            {
                self.track_copy_in(&region, copy);
            }
        }
    }

    /// Puts a copy of an earlier run on the undo list.
    pub(super) fn track_copy_in(&mut self, region: &str, copy: &str) {
        let clients = self.clients.in_region(region);
        self.copy_undo().track(clients, region, copy);
    }

    /// Puts the copies on the undo list that an earlier run has asked for without an answer.
    pub(super) fn track_possible_copies(&mut self) {
        let entry = self.journal.entry();
        for (region, request) in entry.unconfirmed_copies() {
            let clients = self.clients.in_region(region);
            if let (Some(name), Some(source)) = (&request.name, &request.source) {
                self.copy_undo()
                    .track_possible(clients, region, name, source);
            }
        }
    }

    fn copy_undo(&mut self) -> CopyUndo<'_> {
        CopyUndo {
            journal: &self.journal,
            cli: &self.job.cli,
            cleanup: &mut self.cleanup,
            handles: &mut self.handles.copies,
        }
    }
}

/// All copies under way.
struct Copies<'a> {
    job: &'a Job,
    clients: &'a Clients,
    session: &'a Session,
    journal: &'a Journal,
    copy_undo: Mutex<CopyUndo<'a>>,
    /// The regions that have none yet.
    remaining: Mutex<Vec<&'a str>>,
    remote: &'a TaskProgress,
    schedule: PollSchedule,
    source: &'a str,
    name: &'a str,
}

impl Copies<'_> {
    /// One copy, from the question to its permissions.
    async fn make(&self, copy: &CopyTarget) -> Result<String> {
        let clients = self.clients.in_region(&copy.region);
        let id = match self.earlier(copy, &clients).await? {
            Some(id) => id,
            None => self.start(copy, &clients).await?,
        };
        let image = self.wait_available(copy, &clients, &id).await?;
        let snapshots = ami::snapshots(&image);
        let finish = async {
            ami::set_attributes(self.job, &clients, &id, false).await?;
            share::share(self.job, &clients, &id, &snapshots).await?;
            ami::deprecate(&clients, &id, self.job.deprecate_at).await
        };
        self.session.cancellable(finish).await?;
        lock(&self.remaining).retain(|region| *region != copy.region);
        Ok(id)
    }

    /// The copy that an earlier run has started, if it is still there.
    async fn earlier(&self, copy: &CopyTarget, clients: &Clients) -> Result<Option<String>> {
        let (region, entry) = (&copy.region, self.journal.entry());
        let Some(id) = entry.copies.get(region) else {
            return Ok(None);
        };
        let exists = ami::exists(clients, id);
        if !self.session.cancellable(exists).await? {
            lock(&self.copy_undo).untrack(region);
            forget_in_journal(self.journal, region);
            return Ok(None);
        }
        let request = entry.copy_requests.get(region);
        if request.is_none_or(|request| request.request_fingerprint != self.fingerprint(copy)) {
            let what = format!("{id} is in the way of the copy to {region}");
            return Err(Error::failed(what)
                .with_cause("an earlier run was asked for it differently: with another key, description or tags")
                .hint("remove it, or ask as before"));
        }
        Ok(Some(id.clone()))
    }

    /// CopyImage. The journal knows the token before AWS does.
    async fn start(&self, copy: &CopyTarget, clients: &Clients) -> Result<String> {
        self.session.check()?;
        let (region, request) = (&copy.region, self.fingerprint(copy));
        let previous = self.journal.entry().copy_requests.remove(region);
        let matching = previous.filter(|previous| previous.request_fingerprint == request);
        let (is_known, token) = (
            matching.is_some(),
            matching.map(|previous| previous.client_token),
        );
        let token = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        self.journal.update(|entry| {
            let request_entry = CopyRequest {
                request_fingerprint: request,
                client_token: token.clone(),
                source: Some(self.source.to_owned()),
                name: Some(self.name.to_owned()),
            };
            entry.copy_requests.insert(region.clone(), request_entry);
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
        lock(&self.copy_undo).track_possible(clients.clone(), region, self.name, self.source);
        match self
            .session
            .with_stop_grace(send_copy(call, self.source))
            .await
        {
            Ok(id) => {
                self.journal
                    .update(|entry| drop(entry.copies.insert(region.clone(), id.clone())));
                lock(&self.copy_undo).track(clients.clone(), region, &id);
                Ok(id)
            }
            Err(error) => {
                // Refused is not started, unless an earlier run has asked.
                if !is_known && !error::may_have_been_executed(&error) {
                    lock(&self.copy_undo).untrack(region);
                    forget_in_journal(self.journal, region);
                }
                Err(error)
            }
        }
    }

    /// Waits for the copy. One that has failed is of no use to a later run.
    async fn wait_available(
        &self,
        copy: &CopyTarget,
        clients: &Clients,
        id: &str,
    ) -> Result<Image> {
        let started = Instant::now();
        let image = poll::poll_until_done(self.session, self.schedule, self.remote, async || {
            Ok(match ami::poll(clients, id, "copying", started).await? {
                Poll::Pending { .. } => self.pending(),
                done @ Poll::Done(_) => done,
            })
        })
        .await;
        let failed = image.as_ref().err().map(Error::kind) == Some(Kind::Failed);
        if failed && ami::has_failed(clients, id).await {
            lock(&self.copy_undo).discard(&copy.region);
        }
        image
    }

    /// One sentence for all of them.
    fn pending(&self) -> Poll<Image> {
        Poll::Pending {
            percent: None,
            message: format!("copying to {}", join_with_and(&lock(&self.remaining))),
        }
    }

    /// Everything that makes this copy what it is.
    fn fingerprint(&self, copy: &CopyTarget) -> String {
        let (source, name, job) = (self.source, self.name, self.job);
        let (key, text, tags) = (&copy.encryption, &job.description, &job.tags);
        format!("{source} {name:?} {key:?} {text:?} {tags:?}")
    }
}

async fn send_copy(call: CopyImageFluentBuilder, source: &str) -> Result<String> {
    let failed = || format!("the copy of {source} could not be started");
    let copy = ami::send_copy(&call).await;
    copy.map_err(|fault| fault.into_error(failed(), "ec2:CopyImage"))
}

/// The copies' places on the undo list, one for each region.
struct CopyUndo<'a> {
    journal: &'a Journal,
    cli: &'a Command,
    cleanup: &'a mut UndoList,
    handles: &'a mut BTreeMap<String, Handle>,
}

impl CopyUndo<'_> {
    fn track(&mut self, clients: Clients, region: &str, copy: &str) {
        let (id, journal) = (copy.to_owned(), self.journal.clone());
        let entry = self.cleanup.push_resumable(
            format!("the copy {copy} in {region}"),
            ami::deregister_command(self.cli, copy, region),
            async move || journal.removing(&id, ami::deregister(&clients, &id)).await,
        );
        self.replace(region, entry);
    }

    /// A copy whose answer is not known yet.
    fn track_possible(&mut self, clients: Clients, region: &str, name: &str, source: &str) {
        let (named, source) = (name.to_owned(), source.to_owned());
        let entry = self.cleanup.push_resumable(
            undo::unconfirmed::image(name, region),
            unconfirmed::find_and_remove_commands(self.cli, name, region),
            async move || unconfirmed::remove_copy(&clients, &named, &source).await,
        );
        self.replace(region, entry);
    }

    fn replace(&mut self, region: &str, entry: Handle) {
        if let Some(earlier) = self.handles.insert(region.to_owned(), entry) {
            self.cleanup.remove(earlier);
        }
    }

    fn untrack(&mut self, region: &str) {
        if let Some(entry) = self.handles.remove(region) {
            self.cleanup.remove(entry);
        }
    }

    /// The copy goes at the end of the run.
    fn discard(&mut self, region: &str) {
        if let Some(entry) = self.handles.remove(region) {
            self.cleanup.make_disposable(entry);
        }
    }
}

fn forget_in_journal(journal: &Journal, region: &str) {
    journal.update(|entry| {
        entry.copies.remove(region);
        entry.copy_requests.remove(region);
    });
}

/// One error for all regions that failed, with the first one's advice.
fn copy_error(source: &str, failed: &[(&str, Error)]) -> Result<()> {
    let Some((_, first)) = failed.first() else {
        return Ok(());
    };
    let regions: Vec<_> = failed.iter().map(|(region, _)| *region).collect();
    let causes = failed
        .iter()
        .map(|(region, error)| format!("{region}: {}", error.one_line()));
    let causes: Vec<_> = causes.collect();
    let what = format!(
        "{source} could not be copied to {}",
        join_with_and(&regions)
    );
    let error = Error::failed(what).with_cause(causes.join("\n"));
    Err(match first.hint_text() {
        Some(advice) => error.hint(advice),
        None => error,
    })
}

/// "eu-west-1 as ami-1 and us-east-1 as ami-2".
fn list_copies(images: &[(String, String)]) -> String {
    let places = images
        .iter()
        .map(|(region, id)| format!("{region} as {id}"));
    let places: Vec<_> = places.collect();
    join_with_and(&places.iter().map(String::as_str).collect::<Vec<_>>())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
