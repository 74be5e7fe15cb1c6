//! The image in further regions. The transfers are started side by side; where DigitalOcean
//! refuses one because another is running, it is asked for again after that. A region that
//! fails is named; the others go on. What an earlier run has started is found among the
//! image's actions, so that nothing of it has to be in the journal.

use super::client::{Api, Image};
use super::error::Fault;
use super::{Run, image};
use crate::error::{Error, Kind, Result};
use crate::import::poll;
use crate::import::poll::{Poll, Trouble};
use crate::progress::{Progress, Remote};

const UPDATE: &str = "image:update";

/// So often in a row DigitalOcean may refuse or not answer a transfer of an image that has
/// no other event in progress.
const TRIES: u32 = 5;

/// The transfers of one image.
struct Transfers<'a> {
    api: &'a Api,
    progress: &'a Progress,
    image: u64,
    all: Vec<Transfer>,
    /// Whether it is to be asked what the image has and what is in progress, before another
    /// transfer is asked for.
    unsure: bool,
    /// DigitalOcean has refused a transfer because of another event of the image.
    one_at_a_time: bool,
}

/// One region.
struct Transfer {
    region: String,
    state: State,
    /// Refusals and lost answers in a row.
    tried: u32,
}

enum State {
    /// Not started yet.
    Waiting,
    /// DigitalOcean's action with this id works on it.
    Running(u64, Remote),
    /// The region has the image.
    Done,
    Failed(Error),
}

impl Run<'_> {
    /// Transfers the image to every region that has none of it.
    pub(super) async fn transfer(&mut self, image: &Image) -> Result<()> {
        let pace = self.pace();
        let regions = self.job.regions.iter().skip(1);
        let transfers = regions.map(|region| Transfer {
            region: region.clone(),
            state: if image.regions.contains(region) {
                State::Done
            } else {
                State::Waiting
            },
            tried: 0,
        });
        let mut work = Transfers {
            api: &self.api,
            progress: &self.session.progress,
            image: image.id,
            all: transfers.collect(),
            // An earlier run may have started some.
            unsure: true,
            one_at_a_time: false,
        };
        let result = if work.is_over() {
            Ok(())
        } else {
            poll::until_shown(self.session, pace, |_, _| (), async || work.poll().await).await
        };
        let mut failed = Vec::new();
        for transfer in work.all {
            match transfer.state {
                State::Done => {
                    let there = (transfer.region, image.id.to_string());
                    self.outcome.images.push(there);
                }
                State::Failed(error) => failed.push((transfer.region, error)),
                State::Waiting | State::Running(..) => {}
            }
        }
        self.hold_image(image.id);
        match result {
            Err(error) if error.kind() != Kind::Failed || failed.is_empty() => Err(error),
            _ if failed.is_empty() => Ok(()),
            _ => Err(missed(image.id, &failed)),
        }
    }
}

impl Transfers<'_> {
    fn is_over(&self) -> bool {
        let is_over =
            |transfer: &Transfer| matches!(transfer.state, State::Done | State::Failed(_));
        self.all.iter().all(is_over)
    }

    /// One look at all of them.
    async fn poll(&mut self) -> Result<Poll<()>, Trouble> {
        self.ask_running().await?;
        self.start_waiting().await?;
        if self.is_over() {
            return Ok(Poll::Done(()));
        }
        Ok(Poll::NotYet {
            percent: None,
            message: String::new(),
        })
    }

    async fn ask_running(&mut self) -> Result<(), Trouble> {
        for transfer in &mut self.all {
            let State::Running(id, remote) = &transfer.state else {
                continue;
            };
            let action = self.api.action(self.image, *id).await;
            let action = action.map_err(|fault| {
                image::unknown(fault, "the transfer's state could not be asked")
            })?;
            match action.status.to_lowercase().as_str() {
                "completed" => transfer.done(self.image),
                "errored" => {
                    let error =
                        Error::failed(format!("the transfer to {} failed", transfer.region))
                            .because_of(format!("DigitalOcean's action {id} ended as errored"));
                    transfer.failed(self.image, error, self.progress);
                }
                status => remote.set(None, &format!("transfer to {}: {status}", transfer.region)),
            }
        }
        Ok(())
    }

    async fn start_waiting(&mut self) -> Result<(), Trouble> {
        let is_one = |state: fn(&State) -> bool| move |one: &Transfer| state(&one.state);
        let waits = is_one(|state| matches!(state, State::Waiting));
        let runs = is_one(|state| matches!(state, State::Running(..)));
        let is_blocked = self.one_at_a_time && self.all.iter().any(&runs);
        if is_blocked || !self.all.iter().any(&waits) {
            return Ok(());
        }
        let events = if self.unsure { self.look().await? } else { 0 };
        for number in 0..self.all.len() {
            let is_busy = events > 0 || self.all.iter().any(&runs);
            if !waits(&self.all[number]) || (self.one_at_a_time && is_busy) {
                continue;
            }
            let transfer = &mut self.all[number];
            let fault = match self.api.transfer(self.image, &transfer.region).await {
                Ok(action) => {
                    transfer.running(action.id, self.progress);
                    continue;
                }
                Err(fault) => fault,
            };
            let is_refused = fault.status() == Some(422);
            // A lost answer may have started it, and an event keeps others waiting.
            let may_pass = is_refused || !fault.did_nothing();
            transfer.tried += u32::from(!is_busy);
            if !may_pass || transfer.tried >= TRIES {
                transfer.refused(self.image, fault, self.progress);
                continue;
            }
            self.unsure = true;
            self.one_at_a_time |= is_refused;
        }
        Ok(())
    }

    /// Takes note of the regions that have the image by now, and of the transfers to others
    /// that are in progress; returns the number of other events in progress.
    async fn look(&mut self) -> Result<usize, Trouble> {
        let what = "the image's regions could not be asked for";
        let image = self.api.image(self.image).await;
        let image = image.map_err(|fault| image::unknown(fault, what))?;
        let what = "the image's actions could not be asked for";
        let actions = match self.api.actions(self.image).await {
            Ok(actions) => actions,
            Err(fault) if fault.is_passing() => return Err(image::unknown(fault, what)),
            // A service that does not list them has none.
            Err(_) => Vec::new(),
        };
        let mut events = 0;
        for action in actions {
            if !action.status.eq_ignore_ascii_case("in-progress") {
                continue;
            }
            let region = action.region_slug.filter(|_| action.kind == "transfer");
            let ours = self.all.iter_mut().find(|transfer| {
                matches!(transfer.state, State::Waiting)
                    && region.as_ref() == Some(&transfer.region)
            });
            match ours {
                Some(transfer) => transfer.running(action.id, self.progress),
                None => events += 1,
            }
        }
        for transfer in &mut self.all {
            if matches!(transfer.state, State::Waiting) && image.regions.contains(&transfer.region)
            {
                transfer.done(self.image);
            }
        }
        self.unsure = events > 0;
        Ok(events)
    }
}

impl Transfer {
    fn running(&mut self, action: u64, progress: &Progress) {
        self.tried = 0;
        self.state = State::Running(action, progress.import());
    }

    fn done(&mut self, image: u64) {
        let before = std::mem::replace(&mut self.state, State::Done);
        if let State::Running(_, remote) = before {
            remote.finish(&format!("Transferred {image} to {}", self.region));
        }
    }

    fn refused(&mut self, image: u64, fault: Fault, progress: &Progress) {
        let what = format!("the transfer to {} could not be started", self.region);
        self.failed(image, fault.fails(what, UPDATE), progress);
    }

    fn failed(&mut self, image: u64, error: Error, progress: &Progress) {
        let (region, why) = (&self.region, error.brief());
        progress.warn(&format!("{image} did not come to {region}: {why}"));
        self.state = State::Failed(error);
    }
}

/// One error for all regions that failed, with the first advice that there is.
fn missed(image: u64, failed: &[(String, Error)]) -> Error {
    let regions: Vec<_> = failed.iter().map(|(region, _)| region.as_str()).collect();
    let what = format!(
        "the image {image} could not be transferred to {}",
        regions.join(" and ")
    );
    let causes: Vec<_> = failed.iter().map(|(_, error)| error.brief()).collect();
    let error = Error::failed(what).because_of(causes.join("\n"));
    match failed.iter().find_map(|(_, error)| error.advice()) {
        Some(advice) => error.hint(advice),
        None => error,
    }
}
