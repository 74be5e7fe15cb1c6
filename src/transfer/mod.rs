//! The upload engine: reads a source in order, sends its parts in parallel, and ends
//! with an object of exactly those bytes or with a failure that says what stays.
//! Pure: it gets a store, a source, a plan, an observer and a stop token, and knows no
//! cloud, no bars and no signals. It never removes anything by itself: whether an
//! unfinished upload is kept for a resume or aborted is the caller's decision.

mod begin;
mod buffer_pool;
mod concurrency;
pub mod gzip;
mod line;
mod parts;
mod reader;
mod resume;
mod sender;
mod source;
#[cfg(test)]
mod tests;
mod throttle;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::store::{self, Checksum, Class, Digest, SentPart, Store, UploadId, Whole};
use crate::units;
use begin::{Opened, Opening};
pub use buffer_pool::{Lease, Pool};
pub use concurrency::{Bounds, Width};
pub use line::{Line, Moved};
pub use parts::{MAX_CONCURRENCY, Plan, count, plan};
use reader::{Chunk, Read, Reader};
use resume::Known;
pub use sender::Patience;
use sender::Sender;
pub use source::{Source, changed};
pub use throttle::Window;

/// Hears what happens, on whatever thread it happens; must return at once.
pub trait Observer: Send + Sync + 'static {
    /// The service has acknowledged a part of this many bytes that were sent now.
    fn acknowledged(&self, _bytes: u64) {}

    /// Bytes have left since the last call; called a few times a second.
    fn moved(&self, _moved: Moved) {}

    /// A part of this many bytes was there already.
    fn resumed(&self, _bytes: u64) {}

    /// A part's try (from 1) failed; the next follows after `pause`.
    fn retrying(&self, _part: u32, _attempt: u32, _pause: Duration, _why: &store::Error) {}

    /// The service asked to slow down: this many parts at once for now.
    fn narrowed(&self, _parts: usize) {}

    /// The object could not be made of its parts yet; so many tries follow at most.
    fn unfinished(&self, _tries: u32, _why: &store::Error) {}

    /// The upload that was to be continued is gone; a new one is begun.
    fn forgotten(&self, _upload: &UploadId) {}
}

/// Nobody listens.
impl Observer for () {}

/// Writes down what the service is asked to make, before it is asked, so that it can be
/// found again however this process ends.
pub trait Notes: Send + Sync + 'static {
    /// CreateMultipartUpload is sent next; not called for an upload that is continued.
    fn beginning(&self) {}

    /// The service has refused: no upload was begun.
    fn refused(&self) {}

    /// Parts of so many bytes go to this upload. `alone`: no other one can have been begun.
    fn begun(&self, _upload: &UploadId, _part_size: u64, _alone: bool) {}

    /// CompleteMultipartUpload is sent next; it makes an object of these parts.
    fn completing(&self, _parts: &[SentPart], _whole: &Whole) {}

    /// The service has refused: it has made no object.
    fn not_completed(&self) {}
}

/// Nothing is written down.
impl Notes for () {}

/// An upload to be done.
pub struct Upload<S> {
    /// Where to.
    pub store: Arc<S>,
    /// The bytes.
    pub source: Source,
    /// How.
    pub plan: Plan,
    /// The unfinished upload to go on with.
    pub resume: Option<UploadId>,
    /// An earlier run may have begun an upload whose id was not written down.
    pub unnoted: bool,
    /// Part size of the upload to go on with, where that is known.
    pub part_size: Option<u64>,
    /// Who writes down what the service is asked for.
    pub notes: Arc<dyn Notes>,
    /// Who shows it.
    pub observer: Arc<dyn Observer>,
    /// Stop: begin no more parts.
    pub stop: CancellationToken,
    /// Wait no longer for those on their way.
    pub leave: CancellationToken,
}

/// The object is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The upload that made it.
    pub upload: UploadId,
    /// Bytes of the object.
    pub size: u64,
    /// Bytes that travelled in this run and were acknowledged.
    pub uploaded_bytes: u64,
    /// Bytes that were there from an earlier run.
    pub resumed_bytes: u64,
    /// The CRC of all bytes; `None` for MD5.
    pub digest: Option<Digest>,
    /// In hex, when the plan asks for it.
    pub sha256: Option<String>,
    /// From the start to the finished object.
    pub elapsed: Duration,
}

/// Why there is no object.
#[derive(Debug)]
pub enum Cause {
    /// The stop token was cancelled.
    Stopped,
    /// Something failed.
    Failed(Error),
}

/// No object; this is what stays.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// The upload whose parts are kept by the service, if one was begun.
    pub upload: Option<UploadId>,
    /// Parts that the service has, those of earlier runs that were met again included.
    pub parts: u32,
    /// Their bytes.
    pub bytes: u64,
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Uploads. When this returns, no part is on its way any more.
pub async fn run<S: Store>(job: Upload<S>) -> Result<Sent, Failure> {
    let started = Instant::now();
    let mut tally = Tally::default();
    match go(job, &mut tally).await {
        Ok((size, digest, sha256, upload)) => Ok(Sent {
            upload,
            size,
            uploaded_bytes: tally.uploaded,
            resumed_bytes: tally.resumed,
            digest,
            sha256,
            elapsed: started.elapsed(),
        }),
        Err(cause) => Err(Failure {
            cause,
            parts: u32::try_from(tally.parts.len()).unwrap_or(u32::MAX),
            bytes: tally.uploaded + tally.resumed,
            upload: tally.upload,
        }),
    }
}

/// What the service is known to have.
#[derive(Default)]
struct Tally {
    upload: Option<UploadId>,
    parts: Vec<SentPart>,
    uploaded: u64,
    resumed: u64,
}

impl Tally {
    /// The parts in order, and the digest of the whole.
    fn whole(&mut self, checksum: Checksum, size: u64) -> Whole {
        self.parts.sort_by_key(|part| part.number);
        Whole {
            size,
            digest: checksum.combine(self.parts.iter().map(|part| (part.digest, part.size))),
        }
    }
}

type Done = (u64, Option<Digest>, Option<String>, UploadId);

async fn go<S: Store>(job: Upload<S>, tally: &mut Tally) -> Result<Done, Cause> {
    let Upload {
        store,
        source,
        plan,
        resume,
        unnoted,
        part_size,
        notes,
        observer,
        stop,
        leave,
    } = job;
    let limits = store.limits();
    let (size, origin, watched) = (source.size(), source.origin(), source.watched());
    let opening = Opening {
        store: &*store,
        origin: origin.clone(),
        plan: &plan,
        made_in: part_size.unwrap_or(plan.part_size),
        unnoted,
        notes: &*notes,
        observer: &*observer,
        stop: &stop,
        leave: &leave,
    };
    let (upload, listed) = match opening.open(resume, tally).await? {
        Opened::Upload(upload, listed) => (upload, listed),
        Opened::Object(upload, made) => {
            return Ok((made.size, Some(made.digest), made.sha256, upload));
        }
    };
    let plan = size.map_or(plan.clone(), |size| {
        resume::continued(plan, &listed, size, limits)
    });
    let total = size.map(|size| count(size, plan.part_size));

    let most = plan.widest.unwrap_or(plan.concurrency);
    let buffers = plan.concurrency + 1;
    // A small image needs no large buffers; one byte more, so that its end is seen.
    let buffer = plan.part_size.min(size.map_or(u64::MAX, |size| size + 1));
    let pool = Pool::new(usize::try_from(buffer).unwrap_or(usize::MAX), buffers);
    let (checksum, max_parts, sha256) = (store.checksum(), limits.max_parts, plan.sha256);
    let reads = Reader {
        source,
        pool: Arc::clone(&pool),
        checksum,
        max_parts,
        sha256,
    }
    .start(most + 1)?;
    let _closed = CloseOnDrop(Arc::clone(&pool));

    let width = plan.widest.map(|most| Bounds {
        part_size: plan.part_size,
        longest: parts::LONGEST,
        plenty: plan.concurrency,
        most,
    });
    let sender = Arc::new(Sender {
        store: Arc::clone(&store),
        upload: upload.clone(),
        total,
        origin,
        line: Line::new(plan.limit_rate, plan.stall),
        window: Window::new(width.map_or(plan.concurrency, |bounds| bounds.first())),
        width: width.map(|bounds| Mutex::new(Width::new(bounds))),
        pool,
        observer,
        stop: stop.clone(),
        leave: leave.clone(),
        plan,
    });
    let (size, sha256) = Flight {
        sender: Arc::clone(&sender),
        known: Known::new(listed),
        parts: JoinSet::new(),
        tally,
    }
    .fly(reads)
    .await?;

    if let Some(origin) = watched {
        origin.unchanged()?;
    }
    let whole = tally.whole(checksum, size);
    notes.completing(&tally.parts, &whole);
    let finishing = finish(&sender, &*notes, &tally.parts, &whole);
    within_grace(&stop, &leave, sender.plan.grace, finishing)
        .await
        .ok_or(Cause::Stopped)??;
    Ok((size, whole.digest, sha256, upload))
}

/// Wakes the reader when the upload ends, however it ends.
struct CloseOnDrop(Arc<Pool>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The result, unless the stop came and the grace is over.
async fn within_grace<T>(
    stop: &CancellationToken,
    leave: &CancellationToken,
    grace: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let too_late = async {
        stop.cancelled().await;
        leave.run_until_cancelled(sleep(grace)).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = too_late => None,
    }
}

/// The parts on their way.
struct Flight<'a, S: Store> {
    sender: Arc<Sender<S>>,
    known: Known,
    parts: JoinSet<Result<SentPart>>,
    tally: &'a mut Tally,
}

impl<S: Store> Flight<'_, S> {
    /// Sends all that is read; the size of it at the end. Whatever comes, the set is empty then.
    async fn fly(
        mut self,
        reads: mpsc::Receiver<Result<Read>>,
    ) -> Result<(u64, Option<String>), Cause> {
        let end = self.send_all(reads).await;
        if matches!(end, Err(Cause::Stopped)) {
            self.land_in_time().await;
        }
        self.parts.shutdown().await;
        end
    }

    async fn send_all(
        &mut self,
        mut reads: mpsc::Receiver<Result<Read>>,
    ) -> Result<(u64, Option<String>), Cause> {
        let stop = self.sender.stop.clone();
        let plan = &self.sender.plan;
        let most = plan.widest.unwrap_or(plan.concurrency);
        let line = Arc::clone(&self.sender.line);
        let mut looks = Line::looks();
        let mut end = None;
        while end.is_none() || !self.parts.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Cause::Stopped),
                Some(landed) = self.parts.join_next() => self.land(landed)?,
                _ = looks.tick() => self.sender.observer.moved(line.look()),
                read = reads.recv(), if end.is_none() && self.parts.len() < most => match read {
                    Some(Ok(Read::Part(chunk))) => self.begin(chunk),
                    Some(Ok(Read::End { size, sha256 })) => end = Some((size, sha256)),
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(Error::failed("the image could not be read to its end").into()),
                },
            }
        }
        end.ok_or_else(|| Error::failed("the image could not be read to its end").into())
    }

    fn begin(&mut self, chunk: Chunk) {
        if let Some(part) = self.known.has(&chunk) {
            self.tally.resumed += part.size;
            self.sender.observer.resumed(part.size);
            self.tally.parts.push(part);
        } else {
            self.parts.spawn(Arc::clone(&self.sender).send(chunk));
        }
    }

    fn land(&mut self, landed: Result<Result<SentPart>, JoinError>) -> Result<()> {
        let part = match landed {
            Ok(sent) => sent?,
            Err(broken) => return Err(Error::failed("a part could not be sent").because(broken)),
        };
        self.tally.uploaded += part.size;
        self.sender.observer.acknowledged(part.size);
        self.tally.parts.push(part);
        Ok(())
    }

    /// What lands within the grace need not travel again.
    async fn land_in_time(&mut self) {
        let sender = Arc::clone(&self.sender);
        let landing = async {
            while let Some(landed) = self.parts.join_next().await {
                // The stop is the reason that is reported, whatever else fails now.
                drop(self.land(landed));
            }
        };
        within_grace(&sender.stop, &sender.leave, sender.plan.grace, landing).await;
    }
}

/// Makes the object of its parts, with patience for a busy service.
async fn finish<S: Store>(
    sender: &Sender<S>,
    notes: &dyn Notes,
    parts: &[SentPart],
    whole: &Whole,
) -> Result<()> {
    let (mut patience, mut unclear) = (Patience::new(sender.plan.retries), false);
    for attempt in 1.. {
        let Err(failure) = sender.store.finish(&sender.upload, parts, whole).await else {
            return Ok(());
        };
        unclear |= failure.is_unclear();
        let class = if failure.class() == Class::Garbled {
            Class::Final
        } else {
            failure.class()
        };
        let Some(pause) = patience.after(class) else {
            if !unclear {
                notes.not_completed();
            }
            let parts = units::number(parts.len() as u64, "part");
            let what = format!("the object could not be made of its {parts}");
            return Err(Error::failed(what).because(failure));
        };
        if attempt == 1 {
            sender.observer.unfinished(sender.plan.retries, &failure);
        }
        sleep(pause).await;
    }
    Err(Error::failed("no more tries"))
}

/// The uploads of the store's key that have no part, the newest first. A run whose
/// CreateMultipartUpload was not answered has sent none.
pub async fn without_parts<S: Store>(store: &S) -> store::Result<Vec<UploadId>> {
    let mut empty = Vec::new();
    for upload in store.open_uploads().await? {
        if store
            .list(&upload)
            .await?
            .is_some_and(|parts| parts.is_empty())
        {
            empty.push(upload);
        }
    }
    Ok(empty)
}
