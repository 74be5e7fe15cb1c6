//! What an earlier run left of the object: parts, or all of it. The journal is a hint;
//! what counts is what the service has, compared with the local bytes.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use super::{Sent, UploadContext, UploadTarget, track_object};
use crate::error::{Error, Result};
use crate::image::{Image, ImageSource};
use crate::import::journal::Journal;
use crate::store::{Checksum, ContentCheck, Hasher, Store, UploadId};
use crate::transfer::gzip::GzipReader;

/// Read and hashed at a time.
const READ_SIZE: usize = 1 << 20;

/// What tells a file from the same file after a change. Its device says nothing: a volume
/// gets another number each time it is mounted.
pub fn fingerprint(image: &Image) -> Option<String> {
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
    let recorded = journal.entry().source;
    recorded.is_some() && recorded == fingerprint(image)
}

/// Parts and object of an image that has changed since are of no use: they go.
pub(super) async fn discard_if_changed<S: Store>(context: &UploadContext<'_>, store: &S) {
    let entry = context.journal.entry();
    if entry.source.is_none() || is_same_source(context.journal, &context.job.image) {
        return;
    }
    context
        .session
        .progress
        .note("The image has changed since the last run: it is sent anew");
    if let Some(upload) = entry.upload {
        let _ = store.abort(&UploadId(upload)).await;
    }
    // An object of the other image stays noted until this one takes its place.
    context.journal.update(|entry| {
        (entry.source, entry.upload, entry.part_size) = (None, None, None);
        // Another image is another question.
        entry.client_token = None;
    });
}

/// Without a journal of its own this run goes on with what another machine has begun:
/// what is there counts only as far as the local bytes are the same.
pub(super) async fn resume_found_upload<S: Store>(
    context: &UploadContext<'_>,
    store: &S,
    target: &UploadTarget,
) {
    let is_recorded = context.journal.entry().upload.is_some();
    if is_recorded || !target.is_deterministic_key || !context.job.resumes() {
        return;
    }
    // Who may not list uploads begins one.
    let uploads = context
        .session
        .cancellable(async { Ok(store.open_uploads().await.unwrap_or_default()) });
    if let Some(newest) = uploads.await.ok().and_then(|all| all.into_iter().next()) {
        context
            .session
            .progress
            .note("an unfinished upload of this key is there: it is gone on with");
        context
            .journal
            .update(|entry| entry.upload = Some(newest.0));
    }
}

/// Whether a key's template gives the same name in every run.
pub fn is_deterministic_key(template: &str) -> bool {
    !["timestamp", "isotime", "uuid"]
        .iter()
        .any(|changing| template.contains(changing))
}

/// The object of an earlier run. The journal may not know of it: the run was another
/// machine's, or its last answer was not written down.
pub(super) async fn previous_object<S: Store>(
    context: &mut UploadContext<'_>,
    store: &Arc<S>,
    target: &UploadTarget,
) -> Result<Option<Sent>> {
    let entry = context.journal.entry();
    let nothing_known = entry.upload.is_none() && context.job.image.size.is_some();
    if entry.uploaded {
        existing_object(context, store, target).await
    } else if entry.completing.is_some() {
        // Whoever may not look asks for the parts.
        Ok(existing_object(context, store, target)
            .await
            .unwrap_or(None))
    } else if nothing_known && target.is_deterministic_key && context.job.resumes() {
        // Who may not look sends it.
        Ok(existing_object(context, store, target)
            .await
            .unwrap_or(None))
    } else {
        Ok(None)
    }
}

/// The object of an earlier run, if the service has it with the local bytes.
async fn existing_object<S: Store>(
    context: &mut UploadContext<'_>,
    store: &Arc<S>,
    target: &UploadTarget,
) -> Result<Option<Sent>> {
    let began = Instant::now();
    let head = store.object_info().await.map_err(|error| {
        Error::failed(format!("{} can't be asked for", target.url)).with_source(error)
    })?;
    let planned = super::plan(context.job, store.limits())?.part_size;
    let part_size = context.journal.entry().part_size.unwrap_or(planned);
    let uncompressed_size = context.job.image.size.filter(|_| !context.job.gzip);
    let head = head.filter(|head| uncompressed_size.is_none_or(|size| size == head.size));
    let Some((head, proof)) =
        head.and_then(|head| head.content_check(part_size).map(|check| (head, check)))
    else {
        return Ok(None);
    };
    let same = matches_local_bytes(
        &context.job.image,
        context.job.gzip,
        store.checksum(),
        proof,
    );
    if !context.session.cancellable(same).await? {
        return Ok(None);
    }
    context
        .session
        .progress
        .info(&format!("{} is there from an earlier run", target.url));
    let source = fingerprint(&context.job.image);
    context.journal.update(|entry| {
        (entry.source, entry.uploaded) = (source, true);
        (entry.upload, entry.completing) = (None, None);
    });
    super::abort_others(context, &**store, target).await;
    let object = track_object(context.cleanup, store, target);
    Ok(Some(Sent {
        uploaded_bytes: 0,
        size: head.size,
        elapsed: began.elapsed(),
        sha256: None,
        object,
    }))
}

/// Whether the object has the local bytes, gzipped or not: the journal's word is not enough.
pub async fn matches_local_bytes(
    image: &Image,
    gzip: bool,
    checksum: Checksum,
    check: ContentCheck,
) -> Result<bool> {
    let path = match &image.source {
        ImageSource::File(path) => path.clone(),
        ImageSource::Stdin => return Err(Error::failed("standard input can't be read twice")),
    };
    let name = path.display().to_string();
    let hashed = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        if gzip {
            return is_equal(GzipReader::new(file, false)?, checksum, check);
        }
        is_equal(file, checksum, check)
    });
    let unreadable = || Error::failed(format!("{name} can't be read"));
    hashed
        .await
        .map_err(|error| unreadable().with_source(error))?
        .map_err(|error| unreadable().with_source(error))
}

fn is_equal(
    mut local: impl Read,
    checksum: Checksum,
    mut check: ContentCheck,
) -> std::io::Result<bool> {
    let (mut hasher, mut buffer) = (Hasher::new(checksum), vec![0; READ_SIZE]);
    loop {
        match local.read(&mut buffer)? {
            0 => return Ok(check.matches(hasher.finish())),
            bytes => {
                hasher.update(&buffer[..bytes]);
                check.update(&buffer[..bytes]);
            }
        }
    }
}
