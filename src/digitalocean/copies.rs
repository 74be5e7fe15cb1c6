//! Copies the image to further regions. The transfers are started in parallel; where
//! DigitalOcean rejects one because another is running, it is requested again after that. A
//! region that fails is reported; the others continue. Transfers of an earlier run are found
//! among the image's actions, so that the journal need not contain them.

use super::client::{Api, Image};
use super::error::{ServiceError, failed};
use super::{DigitalOceanImport, image};
use crate::error::{Error, Kind, Result};
use crate::import::poll;
use crate::import::poll::{Poll, PollError};
use crate::progress::{Progress, TaskProgress};

const UPDATE_SCOPE: &str = "image:update";

/// So often in a row DigitalOcean may refuse or not answer a transfer of an image that has
/// no other event in progress.
const MAX_TRIES: u32 = 5;

/// The transfers of one image.
struct Transfers<'a> {
    api: &'a Api,
    progress: &'a Progress,
    image: u64,
    all: Vec<RegionTransfer>,
    /// Whether it is to be asked what the image has and what is in progress, before another
    /// transfer is asked for.
    needs_refresh: bool,
    /// DigitalOcean has refused a transfer because of another event of the image.
    one_at_a_time: bool,
}

/// One region.
struct RegionTransfer {
    region: String,
    state: State,
    /// Refusals and lost answers in a row.
    tries: u32,
}

enum State {
    /// Not started yet.
    Waiting,
    /// DigitalOcean's action with this id works on it.
    Running(u64, TaskProgress),
    /// The region has the image.
    Done,
    Failed(Error),
}

impl DigitalOceanImport<'_> {
    /// Transfers the image to every region that has none of it.
    pub(super) async fn transfer_to_regions(&mut self, image: &Image) -> Result<()> {
        let pace = self.poll_schedule();
        let regions = self.job.regions.iter().skip(1);
        let transfers = regions.map(|region| RegionTransfer {
            region: region.clone(),
            state: if image.regions.contains(region) {
                State::Done
            } else {
                State::Waiting
            },
            tries: 0,
        });
        let mut work = Transfers {
            api: &self.api,
            progress: &self.session.progress,
            image: image.id,
            all: transfers.collect(),
            // An earlier run may have started some.
            needs_refresh: true,
            one_at_a_time: false,
        };
        let result = if work.has_ended() {
            Ok(())
        } else {
            poll::poll_with_display(self.session, pace, |_, _| (), async || work.poll().await).await
        };
        let mut failed = Vec::new();
        for transfer in work.all {
            match transfer.state {
                State::Done => {
                    let copied_image = (transfer.region, image.id.to_string());
                    self.outcome.images.push(copied_image);
                }
                State::Failed(error) => failed.push((transfer.region, error)),
                State::Waiting | State::Running(..) => {}
            }
        }
        self.track_image(image.id);
        match result {
            Err(error) if error.kind() != Kind::Failed || failed.is_empty() => Err(error),
            _ if failed.is_empty() => Ok(()),
            _ => Err(transfer_error(image.id, &failed)),
        }
    }
}

impl Transfers<'_> {
    fn has_ended(&self) -> bool {
        let is_over =
            |transfer: &RegionTransfer| matches!(transfer.state, State::Done | State::Failed(_));
        self.all.iter().all(is_over)
    }

    /// One look at all of them.
    async fn poll(&mut self) -> Result<Poll<()>, PollError> {
        self.ask_running().await?;
        self.start_waiting().await?;
        if self.has_ended() {
            return Ok(Poll::Done(()));
        }
        Ok(Poll::Pending {
            percent: None,
            message: String::new(),
        })
    }

    async fn ask_running(&mut self) -> Result<(), PollError> {
        for transfer in &mut self.all {
            let State::Running(id, remote) = &transfer.state else {
                continue;
            };
            let action = self.api.action(self.image, *id).await;
            let action = action.map_err(|fault| {
                image::poll_error(fault, "the transfer's state could not be asked")
            })?;
            match action.status.to_lowercase().as_str() {
                "completed" => transfer.mark_done(self.image),
                "errored" => {
                    let error =
                        Error::failed(format!("the transfer to {} failed", transfer.region))
                            .with_cause(format!("DigitalOcean's action {id} ended as errored"));
                    transfer.mark_failed(self.image, error, self.progress);
                }
                status => remote.set(None, &format!("transfer to {}: {status}", transfer.region)),
            }
        }
        Ok(())
    }

    async fn start_waiting(&mut self) -> Result<(), PollError> {
        let is_one =
            |state: fn(&State) -> bool| move |transfer: &RegionTransfer| state(&transfer.state);
        let waits = is_one(|state| matches!(state, State::Waiting));
        let runs = is_one(|state| matches!(state, State::Running(..)));
        let is_blocked = self.one_at_a_time && self.all.iter().any(&runs);
        if is_blocked || !self.all.iter().any(&waits) {
            return Ok(());
        }
        let events = if self.needs_refresh {
            self.refresh().await?
        } else {
            0
        };
        for number in 0..self.all.len() {
            let is_busy = events > 0 || self.all.iter().any(&runs);
            if !waits(&self.all[number]) || (self.one_at_a_time && is_busy) {
                continue;
            }
            let transfer = &mut self.all[number];
            let fault = match self.api.transfer_image(self.image, &transfer.region).await {
                Ok(action) => {
                    transfer.mark_running(action.id, self.progress);
                    continue;
                }
                Err(fault) => fault,
            };
            let is_refused = fault.status() == Some(422);
            // A lost answer may have started it, and an event keeps others waiting.
            let may_pass = is_refused || !fault.was_not_executed();
            transfer.tries += u32::from(!is_busy);
            if !may_pass || transfer.tries >= MAX_TRIES {
                transfer.mark_refused(self.image, fault, self.progress);
                continue;
            }
            self.needs_refresh = true;
            self.one_at_a_time |= is_refused;
        }
        Ok(())
    }

    /// Takes note of the regions that have the image by now, and of the transfers to others
    /// that are in progress; returns the number of other events in progress.
    async fn refresh(&mut self) -> Result<usize, PollError> {
        let what = "the image's regions could not be asked for";
        let image = self.api.image(self.image).await;
        let image = image.map_err(|fault| image::poll_error(fault, what))?;
        let what = "the image's actions could not be asked for";
        let actions = match self.api.actions(self.image).await {
            Ok(actions) => actions,
            Err(fault) if fault.class().is_retryable() => {
                return Err(image::poll_error(fault, what));
            }
            // A service that does not list them has none.
            Err(_) => Vec::new(),
        };
        let mut events = 0;
        for action in actions {
            if !action.status.eq_ignore_ascii_case("in-progress") {
                continue;
            }
            let region = action.region_slug.filter(|_| action.kind == "transfer");
            let matching = self.all.iter_mut().find(|transfer| {
                matches!(transfer.state, State::Waiting)
                    && region.as_ref() == Some(&transfer.region)
            });
            match matching {
                Some(transfer) => transfer.mark_running(action.id, self.progress),
                None => events += 1,
            }
        }
        for transfer in &mut self.all {
            if matches!(transfer.state, State::Waiting) && image.regions.contains(&transfer.region)
            {
                transfer.mark_done(self.image);
            }
        }
        self.needs_refresh = events > 0;
        Ok(events)
    }
}

impl RegionTransfer {
    fn mark_running(&mut self, action: u64, progress: &Progress) {
        self.tries = 0;
        self.state = State::Running(action, progress.import());
    }

    fn mark_done(&mut self, image: u64) {
        let before = std::mem::replace(&mut self.state, State::Done);
        if let State::Running(_, remote) = before {
            remote.finish(&format!("Transferred {image} to {}", self.region));
        }
    }

    fn mark_refused(&mut self, image: u64, fault: ServiceError, progress: &Progress) {
        let what = format!("the transfer to {} could not be started", self.region);
        self.mark_failed(image, failed(fault, what, UPDATE_SCOPE), progress);
    }

    fn mark_failed(&mut self, image: u64, error: Error, progress: &Progress) {
        let (region, reason) = (&self.region, error.one_line());
        progress.warn(&format!("{image} did not come to {region}: {reason}"));
        self.state = State::Failed(error);
    }
}

/// One error for all regions that failed, with the first advice that there is.
fn transfer_error(image: u64, failed: &[(String, Error)]) -> Error {
    let regions: Vec<_> = failed.iter().map(|(region, _)| region.as_str()).collect();
    let what = format!(
        "the image {image} could not be transferred to {}",
        regions.join(" and ")
    );
    let causes: Vec<_> = failed.iter().map(|(_, error)| error.one_line()).collect();
    let error = Error::failed(what).with_cause(causes.join("\n"));
    match failed.iter().find_map(|(_, error)| error.hint_text()) {
        Some(advice) => error.hint(advice),
        None => error,
    }
}
