//! The number of imports that an account runs at once, and its quota: EC2 rejects a further one
//! only after the upload (`ResourceCountLimitExceeded`).

use aws_sdk_ec2::types::{ImportImageTask, ImportSnapshotTask};
use aws_sdk_servicequotas::types::ServiceQuota;

use super::client::{Clients, PREFLIGHT_TIMEOUT};
use super::error::ServiceError;
use super::pages;
use crate::import::dry_run::Quota;

/// "Concurrent task limit for ImportImage, ImportSnapshot, and ExportImage", by region, 20
/// unless it was raised (AWS General Reference, "VM Import/Export endpoints and quotas").
const SERVICE_CODE: &str = "vmimportexport";
const QUOTA_CODE: &str = "L-66ABAAD5";

/// The imports of the region. Who may not ask, or gets no answer, learns nothing.
pub async fn import_quota(clients: &Clients) -> Option<Quota> {
    let quotas = clients.quotas.as_ref()?;
    let answers = async { tokio::try_join!(running_tasks(clients), limit(quotas)) };
    let answer = tokio::time::timeout(PREFLIGHT_TIMEOUT, answers).await;
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
async fn limit(quotas: &aws_sdk_servicequotas::Client) -> Result<Option<u64>, ServiceError> {
    let granted = quotas.get_service_quota();
    let granted = granted
        .service_code(SERVICE_CODE)
        .quota_code(QUOTA_CODE)
        .send()
        .await;
    let quota = match granted.map_err(ServiceError::from) {
        Ok(answer) => answer.quota,
        Err(fault) if fault.code() == "NoSuchResourceException" => {
            let usual = quotas.get_aws_default_service_quota();
            let usual = usual
                .service_code(SERVICE_CODE)
                .quota_code(QUOTA_CODE)
                .send()
                .await;
            usual.map_err(ServiceError::from)?.quota
        }
        Err(fault) => return Err(fault),
    };
    Ok(quota.as_ref().and_then(quota_value))
}

/// The model has quotas as doubles; no count has a fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn quota_value(quota: &ServiceQuota) -> Option<u64> {
    quota
        .value
        .filter(|value| *value >= 0.0)
        .map(|value| value as u64)
}

async fn running_tasks(clients: &Clients) -> Result<u64, ServiceError> {
    let (images, snapshots) = tokio::try_join!(image_tasks(clients), snapshot_tasks(clients))?;
    let images = images.iter().map(ImportImageTask::status);
    let snapshots = snapshots
        .iter()
        .map(ImportSnapshotTask::snapshot_task_detail);
    let snapshots = snapshots.map(|detail| detail?.status());
    let running = images.chain(snapshots).filter(|status| is_running(*status));
    Ok(running.count() as u64)
}

pub(super) async fn image_tasks(clients: &Clients) -> Result<Vec<ImportImageTask>, ServiceError> {
    let tasks = clients.ec2.describe_import_image_tasks();
    let list = tasks.into_paginator().send();
    let tasks = pages::collect_pages(list, |page| page.import_image_tasks);
    Ok(tasks.await?)
}

pub(super) async fn snapshot_tasks(
    clients: &Clients,
) -> Result<Vec<ImportSnapshotTask>, ServiceError> {
    let tasks = clients.ec2.describe_import_snapshot_tasks();
    let list = tasks.into_paginator().send();
    let tasks = pages::collect_pages(list, |page| page.import_snapshot_tasks);
    Ok(tasks.await?)
}

/// A task that fails is `deleting` first ("Monitor an import image task").
fn is_running(status: Option<&str>) -> bool {
    !matches!(status, Some("completed" | "deleting" | "deleted"))
}
