//! The upload engine: reads a source in order, sends its parts in parallel, and ends
//! with an object of exactly those bytes or with a failure that says what stays.
//! Pure: it gets a store, a source, a plan, an observer and a stop token, and knows no
//! cloud, no bars and no signals. It never removes anything by itself: whether an
//! unfinished upload is kept for a resume or aborted is the caller's decision.

mod buffers;
mod pace;
mod parts;
mod reader;
mod resume;
mod sender;
mod source;
#[cfg(test)]
mod tests;
mod width;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::store::{self, Checksum, Class, Digest, SentPart, Store, UploadId, Whole};
pub use buffers::{Lease, Pool};
pub use pace::{Rate, Watch, Window};
pub use parts::{MAX_CONCURRENCY, Plan, count, plan};
use reader::{Chunk, Read, Reader};
use resume::{Known, Made};
pub use sender::Patience;
use sender::Sender;
use source::Origin;
pub use source::{Source, changed};
use width::Width;

/// Hears what happens, on whatever thread it happens; must return at once.
pub trait Observer: Send + Sync + 'static {
    /// The service has acknowledged a part of this many bytes that were sent now.
    fn acknowledged(&self, _bytes: u64) {}

    /// A part of this many bytes was there already.
    fn resumed(&self, _bytes: u64) {}

    /// A part's try (from 1) failed; the next follows after `pause`.
    fn retrying(&self, _part: u32, _attempt: u32, _pause: Duration, _why: &store::Error) {}

    /// The service asked to slow down: this many parts at once for now.
    fn narrowed(&self, _parts: usize) {}

    /// The upload that was to be continued is gone; a new one is begun.
    fn forgotten(&self, _upload: &UploadId) {}
}

/// Nobody listens.
impl Observer for () {}

/// Called with the upload's id before its first part travels, so that it can be written down.
pub type OnBegin = Box<dyn FnOnce(&UploadId) -> Result<()> + Send>;

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
    /// Who writes down what was begun; not called for an upload that is continued.
    pub on_begin: OnBegin,
    /// Who shows it.
    pub observer: Arc<dyn Observer>,
    /// Stop: begin no more parts.
    pub stop: CancellationToken,
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
        on_begin,
        observer,
        stop,
    } = job;
    let limits = store.limits();
    let (size, origin, watched) = (source.size(), source.origin(), source.watched());
    let opening = Opening {
        store: &*store,
        origin: origin.clone(),
        plan: &plan,
        observer: &*observer,
        stop: &stop,
    };
    let (upload, listed) = match opening.open(resume, on_begin, tally).await? {
        Opened::Upload(upload, listed) => (upload, listed),
        Opened::Object(upload, made) => {
            return Ok((made.size, Some(made.digest), made.sha256, upload));
        }
    };
    let plan = size.map_or(plan.clone(), |size| {
        resume::continued(plan, &listed, size, limits)
    });
    let total = size.map(|size| count(size, plan.part_size));

    let plan = within_rate(plan);
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

    let sender = Arc::new(Sender {
        store: Arc::clone(&store),
        upload: upload.clone(),
        total,
        origin,
        rate: plan.limit_rate.map(|rate| Arc::new(Rate::new(rate))),
        window: Window::new(plan.concurrency),
        width: plan
            .widest
            .map(|most| Mutex::new(Width::new(plan.part_size, plan.concurrency, most))),
        pool,
        observer,
        stop: stop.clone(),
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
    let finishing = finish(&sender, &tally.parts, &whole);
    within_grace(&stop, sender.plan.grace, finishing)
        .await
        .ok_or(Cause::Stopped)??;
    Ok((size, whole.digest, sha256, upload))
}

/// Under `--limit-rate` it is known beforehand how many parts at once are bearable.
fn within_rate(mut plan: Plan) -> Plan {
    if let (Some(rate), Some(_)) = (plan.limit_rate, plan.widest) {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = rate as f64;
        plan.concurrency = width::at_rate(rate, plan.part_size, plan.concurrency);
    }
    plan
}

/// Wakes the reader when the upload ends, however it ends.
struct CloseOnDrop(Arc<Pool>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What there is at the start.
enum Opened {
    /// Parts are missing.
    Upload(UploadId, Vec<store::ListedPart>),
    /// Nothing is.
    Object(UploadId, Made),
}

/// The start of an upload.
struct Opening<'a, S> {
    store: &'a S,
    origin: Option<Origin>,
    plan: &'a Plan,
    observer: &'a dyn Observer,
    stop: &'a CancellationToken,
}

impl<S: Store> Opening<'_, S> {
    /// The upload to be continued with what the service has of it, the object that it
    /// has become, or a new one.
    async fn open(
        self,
        resume: Option<UploadId>,
        on_begin: OnBegin,
        tally: &mut Tally,
    ) -> Result<Opened, Cause> {
        if let Some(upload) = resume {
            tally.upload = Some(upload.clone());
            if let Some(listed) = self.unless_stopped(self.list(&upload)).await? {
                return Ok(Opened::Upload(upload, listed));
            }
            tally.upload = None;
            let (part_size, sha256) = (self.plan.part_size, self.plan.sha256);
            let origin = self.origin.clone();
            let made = resume::made(self.store, origin, part_size, sha256, self.stop);
            if let Some(made) = self.unless_stopped(made).await? {
                tally.resumed = made.size;
                self.observer.resumed(made.size);
                return Ok(Opened::Object(upload, made));
            }
            self.observer.forgotten(&upload);
        }
        if self.stop.is_cancelled() {
            return Err(Cause::Stopped);
        }
        // An upload whose beginning is not waited for would stay unnamed.
        let begun = within_grace(self.stop, self.plan.grace, self.store.begin())
            .await
            .ok_or(Cause::Stopped)?;
        let upload = begun
            .map_err(|error| Error::failed("the upload could not be started").because(error))?;
        tally.upload = Some(upload.clone());
        on_begin(&upload)?;
        Ok(Opened::Upload(upload, Vec::new()))
    }

    async fn list(&self, upload: &UploadId) -> Result<Option<Vec<store::ListedPart>>> {
        self.store.list(upload).await.map_err(|error| {
            Error::failed("the parts that are there cannot be listed").because(error)
        })
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T, Cause> {
        let done = self.stop.run_until_cancelled(work).await;
        Ok(done.ok_or(Cause::Stopped)??)
    }
}

/// The result, unless the stop came and the grace is over.
async fn within_grace<T>(
    stop: &CancellationToken,
    grace: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let too_late = async {
        stop.cancelled().await;
        sleep(grace).await;
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
        let mut end = None;
        while end.is_none() || !self.parts.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Cause::Stopped),
                Some(landed) = self.parts.join_next() => self.land(landed)?,
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
        let end = Instant::now() + self.sender.plan.grace;
        while let Ok(Some(landed)) = timeout_at(end, self.parts.join_next()).await {
            // The stop is the reason that is reported, whatever else fails now.
            drop(self.land(landed));
        }
    }
}

/// Makes the object of its parts, with patience for a busy service.
async fn finish<S: Store>(sender: &Sender<S>, parts: &[SentPart], whole: &Whole) -> Result<()> {
    let mut patience = Patience::new(sender.plan.retries);
    loop {
        let Err(failure) = sender.store.finish(&sender.upload, parts, whole).await else {
            return Ok(());
        };
        let class = if failure.class() == Class::Garbled {
            Class::Final
        } else {
            failure.class()
        };
        let Some(pause) = patience.after(class) else {
            let what = format!("the object could not be made of its {} parts", parts.len());
            return Err(Error::failed(what).because(failure));
        };
        sleep(pause).await;
    }
}
