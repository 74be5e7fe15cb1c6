//! What an earlier run left of the object: parts, or all of it. The journal is a hint;
//! what counts is what the service has, compared with the local bytes.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use super::{Run, Sent, Target, hold};
use crate::error::{Error, Result};
use crate::image::{Image, Source};
use crate::import::journal::Journal;
use crate::store::{Checksum, Hasher, Proof, Store, UploadId};
use crate::transfer::gzip::Gzip;

/// Read and hashed at a time.
const READ: usize = 1 << 20;

/// What tells a file from the same file after a change. Its device says nothing: a volume
/// gets another number each time it is mounted.
pub fn mark(image: &Image) -> Option<String> {
    let modified = image
        .modified?
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?
        .as_nanos();
    let file = image.identity?;
    Some(format!(
        "{} bytes, modified {modified}, inode {}",
        image.size?, file.inode
    ))
}

/// Whether the journal's entry is about the image as it is now.
pub fn is_same_source(journal: &Journal, image: &Image) -> bool {
    let noted = journal.entry().source;
    noted.is_some() && noted == mark(image)
}

/// Parts and object of an image that has changed since are of no use: they go.
pub(super) async fn forget_if_changed<S: Store>(run: &Run<'_>, store: &S) {
    let entry = run.journal.entry();
    if entry.source.is_none() || is_same_source(run.journal, &run.job.image) {
        return;
    }
    run.session
        .progress
        .note("The image has changed since the last run: it is sent anew");
    if let Some(upload) = entry.upload {
        let _ = store.abort(&UploadId(upload)).await;
    }
    // An object of the other image stays noted until this one takes its place.
    run.journal.note(|entry| {
        (entry.source, entry.upload, entry.part_size) = (None, None, None);
        // Another image is another question.
        entry.client_token = None;
    });
}

/// Without a journal of its own this run goes on with what another machine has begun:
/// what is there counts only as far as the local bytes are the same.
pub(super) async fn adopt<S: Store>(run: &Run<'_>, store: &S, target: &Target) {
    let known = run.journal.entry().upload.is_some();
    if known || !target.is_steady || !run.job.resumes() {
        return;
    }
    // Who may not list uploads begins one.
    let uploads = run
        .session
        .unless_stopped(async { Ok(store.open_uploads().await.unwrap_or_default()) });
    if let Some(newest) = uploads.await.ok().and_then(|all| all.into_iter().next()) {
        run.session
            .progress
            .note("an unfinished upload of this key is there: it is gone on with");
        run.journal.note(|entry| entry.upload = Some(newest.0));
    }
}

/// Whether a key's template gives the same name in every run.
pub fn is_steady(template: &str) -> bool {
    !["timestamp", "isotime", "uuid"]
        .iter()
        .any(|changing| template.contains(changing))
}

/// The object of an earlier run. The journal may not know of it: the run was another
/// machine's, or its last answer was not written down.
pub(super) async fn object<S: Store>(
    run: &mut Run<'_>,
    store: &Arc<S>,
    target: &Target,
) -> Result<Option<Sent>> {
    let entry = run.journal.entry();
    let nothing_known = entry.upload.is_none() && run.job.image.size.is_some();
    if entry.sent {
        already_there(run, store, target).await
    } else if entry.completing.is_some() {
        // Whoever may not look asks for the parts.
        Ok(already_there(run, store, target).await.unwrap_or(None))
    } else if nothing_known && target.is_steady && run.job.resumes() {
        // Who may not look sends it.
        Ok(already_there(run, store, target).await.unwrap_or(None))
    } else {
        Ok(None)
    }
}

/// The object of an earlier run, if the service has it with the local bytes.
async fn already_there<S: Store>(
    run: &mut Run<'_>,
    store: &Arc<S>,
    target: &Target,
) -> Result<Option<Sent>> {
    let began = Instant::now();
    let head = store.head().await.map_err(|error| {
        Error::failed(format!("{} can't be asked for", target.url)).because(error)
    })?;
    let planned = super::plan(run.job, store.limits())?.part_size;
    let part_size = run.journal.entry().part_size.unwrap_or(planned);
    let known = run.job.image.size.filter(|_| !run.job.gzip);
    let head = head.filter(|head| known.is_none_or(|size| size == head.size));
    let Some((head, proof)) =
        head.and_then(|head| head.proof(part_size).map(|proof| (head, proof)))
    else {
        return Ok(None);
    };
    let same = is_of(&run.job.image, run.job.gzip, store.checksum(), proof);
    if !run.session.unless_stopped(same).await? {
        return Ok(None);
    }
    run.session
        .progress
        .fact(&format!("{} is there from an earlier run", target.url));
    let source = mark(&run.job.image);
    run.journal.note(|entry| {
        (entry.source, entry.sent) = (source, true);
        (entry.upload, entry.completing) = (None, None);
    });
    super::abort_others(run, &**store, target).await;
    let object = hold(run.cleanup, store, target);
    Ok(Some(Sent {
        uploaded_bytes: 0,
        size: head.size,
        elapsed: began.elapsed(),
        sha256: None,
        object,
    }))
}

/// Whether the object has the local bytes, gzipped or not: the journal's word is not enough.
pub async fn is_of(image: &Image, gzip: bool, checksum: Checksum, proof: Proof) -> Result<bool> {
    let path = match &image.source {
        Source::File(path) => path.clone(),
        Source::Stdin => return Err(Error::failed("standard input can't be read twice")),
    };
    let name = path.display().to_string();
    let hashed = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        if gzip {
            return is_equal(Gzip::new(file, false)?, checksum, proof);
        }
        is_equal(file, checksum, proof)
    });
    let unreadable = || Error::failed(format!("{name} can't be read"));
    hashed
        .await
        .map_err(|error| unreadable().because(error))?
        .map_err(|error| unreadable().because(error))
}

fn is_equal(mut local: impl Read, checksum: Checksum, mut proof: Proof) -> std::io::Result<bool> {
    let (mut hasher, mut buffer) = (Hasher::new(checksum), vec![0; READ]);
    loop {
        match local.read(&mut buffer)? {
            0 => return Ok(proof.holds(hasher.finish())),
            bytes => {
                hasher.update(&buffer[..bytes]);
                proof.update(&buffer[..bytes]);
            }
        }
    }
}
