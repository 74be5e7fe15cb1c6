//! Removes what an import has created: images, copies and the snapshots behind them. The
//! journal contains what remains to be removed before each request, so that an interrupted
//! removal continues where it ended.

use std::time::Duration;

use anyhow::bail;

use super::api::{EmptyResponse, params};
use super::client::Clients;
use super::error::ServiceError;
use super::image;
use crate::import::journal::{ImageSnapshot, Journal};
use crate::net::retry::{RetryPolicy, wait_while};

/// Retries while ECS does not know yet that an import or a copy has ended.
const RELEASED: RetryPolicy = RetryPolicy::new(120, Duration::from_secs(1), Duration::from_secs(1));

/// A code that says that the thing is not there.
fn is_not_found(fault: &ServiceError) -> bool {
    fault.code().unwrap_or_default().ends_with("NotFound")
}

/// Removes an image; one that is gone already is fine. The snapshots stay.
pub async fn delete(clients: &Clients, region: &str, image: &str) -> Result<(), ServiceError> {
    let ask = || async {
        let parameters = params([("ImageId", image)]);
        let deleted: Result<EmptyResponse, ServiceError> =
            clients.ecs_in(region, "DeleteImage", parameters).await;
        deleted.map(drop)
    };
    // A cancelled task has not let go of it yet.
    let is_held = |fault: &ServiceError| fault.code().unwrap_or_default() == "ImageIsImporting";
    match wait_while(RELEASED, ask, is_held).await {
        Err(fault) if !is_not_found(&fault) => Err(fault),
        _ => Ok(()),
    }
}

/// Removes the image and the snapshots behind it. An image that has taken the place of one
/// that is deleted already stays: without it there would be none.
pub async fn image(
    clients: &Clients,
    journal: &Journal,
    region: &str,
    image: &str,
) -> anyhow::Result<()> {
    if let Some(found) = image::find(clients, region, image).await? {
        if let Some(old) = journal.entry().replaced.get(region)
            && image::find(clients, region, old).await?.is_none()
        {
            bail!("{old}, which it replaces, is deleted already; the same command finishes it");
        }
        let owner = ImageSnapshot {
            region: region.to_owned(),
            image: image.to_owned(),
        };
        let all = found.snapshots().into_iter();
        let all = all.map(|snapshot| (snapshot, owner.clone()));
        journal.update(|entry| entry.snapshots.extend(all));
    }
    // One that is not shown may be there all the same.
    delete(clients, region, image).await?;
    let deleted = snapshots(clients, journal, region).await;
    deleted.map_err(|(.., fault)| fault.into())
}

/// Stops a copy that is under way; removes one that is done.
pub async fn copy(
    clients: &Clients,
    journal: &Journal,
    region: &str,
    id: &str,
) -> anyhow::Result<()> {
    let found = image::find(clients, region, id).await?;
    if found.is_some_and(|found| found.is_in_progress()) {
        let cancelled: Result<EmptyResponse, ServiceError> = clients
            .ecs_in(region, "CancelCopyImage", params([("ImageId", id)]))
            .await;
        // Its first answer was lost, or the copy was quicker.
        let late = |fault: &ServiceError| {
            is_not_found(fault) || fault.code().unwrap_or_default() == "IncorrectImageStatus"
        };
        if let Err(fault) = cancelled
            && !late(&fault)
        {
            return Err(fault.into());
        }
    }
    image(clients, journal, region, id).await?;
    journal.update(|entry| {
        entry.copies.remove(region);
        entry.copy_requests.remove(region);
    });
    Ok(())
}

/// Removes the snapshots that the journal knows of images of this region that are gone. The
/// error names the snapshot and its image, too.
pub async fn snapshots(
    clients: &Clients,
    journal: &Journal,
    region: &str,
) -> Result<(), (String, String, ServiceError)> {
    let recorded = journal.entry().snapshots.into_iter();
    for (snapshot, owner) in recorded.filter(|(_, owner)| owner.region == region) {
        let failed = |fault| (snapshot.clone(), owner.image.clone(), fault);
        let stays = image::find(clients, region, &owner.image).await;
        if stays.map_err(failed)?.is_some() {
            continue;
        }
        let parameters = params([("SnapshotId", &snapshot)]);
        let deleted: Result<EmptyResponse, ServiceError> =
            clients.ecs_at(region, "DeleteSnapshot", &parameters).await;
        match deleted {
            Err(fault) if !is_not_found(&fault) => return Err(failed(fault)),
            _ => journal.update(|entry| drop(entry.snapshots.remove(&snapshot))),
        }
    }
    Ok(())
}
