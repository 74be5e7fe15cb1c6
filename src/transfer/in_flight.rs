//! The parts in flight: starts one for each chunk that was read, and collects the results.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::line::Line;
use super::outcome::{Cause, Totals};
use super::reader::{Chunk, ReadEvent};
use super::resume::ListedParts;
use super::sender::PartSender;
use super::stop::within_grace;
use crate::error::{Error, Result};
use crate::store::{SentPart, Store};

/// The parts in flight.
pub(super) struct InFlight<'a, S: Store> {
    pub(super) sender: Arc<PartSender<S>>,
    pub(super) listed: ListedParts,
    pub(super) parts: JoinSet<Result<SentPart>>,
    pub(super) totals: &'a mut Totals,
}

impl<S: Store> InFlight<'_, S> {
    /// Sends all parts, and returns the size and the SHA-256 of the source. No part is in
    /// flight afterwards, whatever the result.
    pub(super) async fn run(
        mut self,
        reads: mpsc::Receiver<Result<ReadEvent>>,
    ) -> Result<(u64, Option<String>), Cause> {
        let end = self.send_all(reads).await;
        if matches!(end, Err(Cause::Stopped)) {
            self.drain().await;
        }
        // No request may outlive the upload: the caller may abort it next.
        self.parts.shutdown().await;
        end
    }

    async fn send_all(
        &mut self,
        mut reads: mpsc::Receiver<Result<ReadEvent>>,
    ) -> Result<(u64, Option<String>), Cause> {
        let stop = self.sender.stop.clone();
        let plan = &self.sender.plan;
        let max = plan.max_concurrency.unwrap_or(plan.concurrency);
        let line = Arc::clone(&self.sender.line);
        let mut looks = Line::sample_interval();
        let mut end = None;
        while end.is_none() || !self.parts.is_empty() {
            tokio::select! {
                // The stop comes first; then results, so that a failure ends the upload before
                // more parts start.
                biased;
                () = stop.cancelled() => return Err(Cause::Stopped),
                Some(landed) = self.parts.join_next() => self.completed(landed)?,
                _ = looks.tick() => self.sender.observer.line_progress(line.sample()),
                read = reads.recv(), if end.is_none() && self.parts.len() < max => match read {
                    Some(Ok(ReadEvent::Part(chunk))) => self.start_part(chunk),
                    Some(Ok(ReadEvent::End { size, sha256 })) => end = Some((size, sha256)),
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(Error::failed("the image could not be read to its end").into()),
                },
            }
        }
        end.ok_or_else(|| Error::failed("the image could not be read to its end").into())
    }

    fn start_part(&mut self, chunk: Chunk) {
        if let Some(part) = self.listed.matching_part(&chunk) {
            self.totals.resumed += part.size;
            self.sender.observer.resumed(part.size);
            self.totals.parts.push(part);
        } else {
            self.parts.spawn(Arc::clone(&self.sender).send(chunk));
        }
    }

    fn completed(&mut self, result: Result<Result<SentPart>, JoinError>) -> Result<()> {
        let part = match result {
            Ok(sent) => sent?,
            Err(broken) => {
                return Err(Error::failed("a part could not be sent").with_source(broken));
            }
        };
        self.totals.uploaded += part.size;
        self.sender.observer.acknowledged(part.size);
        self.totals.parts.push(part);
        Ok(())
    }

    /// Waits for the parts in flight within the grace period, so that the next run need not
    /// send them again.
    async fn drain(&mut self) {
        let sender = Arc::clone(&self.sender);
        let landing = async {
            while let Some(result) = self.parts.join_next().await {
                // The reported reason is the stop, whatever else fails now.
                drop(self.completed(result));
            }
        };
        within_grace(&sender.stop, &sender.leave, sender.plan.grace, landing).await;
    }
}
