//! How many imports an account runs at once, and how many it may: EC2 refuses a further one
//! only after the upload (`ResourceCountLimitExceeded`).

use aws_sdk_ec2::types::{ImportImageTask, ImportSnapshotTask};
use aws_sdk_servicequotas::types::ServiceQuota;

use super::client::{Clients, PREFLIGHT_TIMEOUT};
use super::error::Fault;
use super::pages;
use crate::import::dry_run::Quota;

/// "Concurrent task limit for ImportImage, ImportSnapshot, and ExportImage", by region, 20
/// unless it was raised (AWS General Reference, "VM Import/Export endpoints and quotas").
const SERVICE: &str = "vmimportexport";
const CODE: &str = "L-66ABAAD5";

/// The imports of the region. Who may not ask, or gets no answer, learns nothing.
pub async fn imports(clients: &Clients) -> Option<Quota> {
    let quotas = clients.quotas.as_ref()?;
    let asked = async { tokio::try_join!(running(clients), limit(quotas)) };
    let answer = tokio::time::timeout(PREFLIGHT_TIMEOUT, asked).await;
    match answer.ok()? {
        Ok((used, limit)) => Some(Quota {
            name: format!("imports are running in {}", clients.region),
            used,
            limit: limit?,
        }),
        Err(fault) => {
            tracing::debug!("the quota of imports can't be asked: {fault}");
            None
        }
    }
}

/// The quota as it was granted, or what everybody has.
async fn limit(quotas: &aws_sdk_servicequotas::Client) -> Result<Option<u64>, Fault> {
    let granted = quotas.get_service_quota();
    let granted = granted.service_code(SERVICE).quota_code(CODE).send().await;
    let quota = match granted.map_err(Fault::from) {
        Ok(answer) => answer.quota,
        Err(fault) if fault.code() == "NoSuchResourceException" => {
            let usual = quotas.get_aws_default_service_quota();
            let usual = usual.service_code(SERVICE).quota_code(CODE).send().await;
            usual.map_err(Fault::from)?.quota
        }
        Err(fault) => return Err(fault),
    };
    Ok(quota.as_ref().and_then(whole))
}

/// The model has quotas as doubles; no count has a fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(quota: &ServiceQuota) -> Option<u64> {
    quota
        .value
        .filter(|value| *value >= 0.0)
        .map(|value| value as u64)
}

async fn running(clients: &Clients) -> Result<u64, Fault> {
    let (images, snapshots) = tokio::try_join!(images(clients), snapshots(clients))?;
    let images = images.iter().map(ImportImageTask::status);
    let snapshots = snapshots
        .iter()
        .map(ImportSnapshotTask::snapshot_task_detail);
    let snapshots = snapshots.map(|detail| detail?.status());
    let running = images.chain(snapshots).filter(|status| is_running(*status));
    Ok(running.count() as u64)
}

pub(super) async fn images(clients: &Clients) -> Result<Vec<ImportImageTask>, Fault> {
    let tasks = clients.ec2.describe_import_image_tasks();
    let list = tasks.into_paginator().send();
    let tasks = pages::all(list, |page| page.import_image_tasks);
    Ok(tasks.await?)
}

pub(super) async fn snapshots(clients: &Clients) -> Result<Vec<ImportSnapshotTask>, Fault> {
    let tasks = clients.ec2.describe_import_snapshot_tasks();
    let list = tasks.into_paginator().send();
    let tasks = pages::all(list, |page| page.import_snapshot_tasks);
    Ok(tasks.await?)
}

/// A task that fails is `deleting` first ("Monitor an import image task").
fn is_running(status: Option<&str>) -> bool {
    !matches!(status, Some("completed" | "deleting" | "deleted"))
}
