//! Adds the AWS resources of a journal entry to the undo list, for callers that have only the
//! entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::client::Clients;
use super::options::Options;
use super::{ami, ids, task_status, unconfirmed, upload, validate};
use crate::config::problems::Problems;
use crate::error::Result;
use crate::import;
use crate::import::journal::{JournalEntry, ObjectLocation};
use crate::import::undo;
use crate::import::undo::UndoList;
use crate::shell::Command;
use crate::store::s3::{Dialect, S3, S3Object, must_sign_payload};

/// How AWS is reached, for the journal: nothing secret.
pub fn account(options: &Options) -> BTreeMap<String, String> {
    let role = options.assume_role.clone().unwrap_or_default();
    let file = options.shared_credentials_file.as_deref();
    let file = file.and_then(|file| std::path::absolute(file).ok());
    let settings = [
        ("profile", options.profile.clone()),
        (
            "shared_credentials_file",
            file.map(|file| file.display().to_string()),
        ),
        (
            "assume_role_arn",
            options.assume_role_arn.clone().or(role.role_arn),
        ),
        (
            "external_id",
            options.external_id.clone().or(role.external_id),
        ),
        (
            "session_name",
            options.session_name.clone().or(role.session_name),
        ),
        ("bucket_owner", options.bucket_owner.clone()),
        ("endpoint_url", options.endpoint_url.clone()),
        ("endpoint_url_s3", options.endpoint_url_s3.clone()),
        (
            "endpoint_url_ec2",
            options
                .endpoint_url_ec2
                .clone()
                .or(options.custom_endpoint_ec2.clone()),
        ),
        ("endpoint_url_ebs", options.endpoint_url_ebs.clone()),
        ("endpoint_url_sts", options.endpoint_url_sts.clone()),
    ];
    import::journal::account(settings)
}

/// The options that the entry stands for.
pub fn options(location: &ObjectLocation, account: &BTreeMap<String, String>) -> Options {
    let value_of = |name: &str| account.get(name).cloned();
    Options {
        region: Some(location.region.clone()),
        profile: value_of("profile"),
        shared_credentials_file: value_of("shared_credentials_file").map(Into::into),
        assume_role_arn: value_of("assume_role_arn"),
        external_id: value_of("external_id"),
        session_name: value_of("session_name"),
        bucket_owner: value_of("bucket_owner"),
        endpoint_url: value_of("endpoint_url"),
        endpoint_url_s3: value_of("endpoint_url_s3"),
        endpoint_url_ec2: value_of("endpoint_url_ec2"),
        endpoint_url_ebs: value_of("endpoint_url_ebs"),
        endpoint_url_sts: value_of("endpoint_url_sts"),
        ..Options::default()
    }
}

/// Puts all of it on the list, in the order in which it was made.
pub async fn track_all(
    entry: &JournalEntry,
    location: &ObjectLocation,
    options: &Options,
    remove: &Command,
    cleanup: &mut UndoList,
) -> Result<()> {
    ids::PREFIXES.check(entry)?;
    let mut problems = Problems::default();
    if let Some(Err(why)) = options.bucket_owner.as_deref().map(validate::account) {
        problems.invalid("bucket_owner", why);
    }
    problems.addresses(options);
    problems.finish()?;
    cleanup.set_hint(upload::removal_hint(
        &location.region,
        &location.bucket,
        &location.key,
    ));
    let clients = Clients::new(options, &location.region).await?;
    let store = Arc::new(S3::new(
        &clients.s3,
        S3Object {
            bucket: location.bucket.clone(),
            key: location.key.clone(),
            dialect: Dialect::Aws,
            encryption: None,
            public_read: false,
            owner: options.bucket_owner.clone(),
            sign_payload: must_sign_payload(clients.s3_endpoint.as_deref()),
        },
    ));
    let url = format!("s3://{}/{}", location.bucket, location.key);
    import::upload::track_all(entry, cleanup, &store, &url, remove);
    let has_result = entry.image.is_some() || entry.snapshot.is_some();
    if let Some(task) = entry.task.clone().filter(|_| !has_result) {
        let clients = clients.clone();
        let label = format!("the import task {task}");
        cleanup.push_disposable(label, remove.clone(), async move || {
            task_status::cancel(&clients, &task).await
        });
    }
    track_possible_import(entry, location, &clients, remove, cleanup);
    let snapshots = [entry.pending_snapshot.clone(), entry.snapshot.clone()];
    for snapshot in snapshots.into_iter().flatten() {
        let clients = clients.clone();
        cleanup.push_disposable(
            format!("the snapshot {snapshot}"),
            remove.clone(),
            async move || ami::delete_snapshot(&clients, &snapshot).await,
        );
    }
    let images = [entry.image.clone(), entry.named_image.clone()];
    for image in images.into_iter().flatten() {
        let clients = clients.clone();
        let label = format!("the image {image}");
        cleanup.push_disposable(label, remove.clone(), async move || {
            ami::deregister(&clients, &image).await
        });
    }
    track_possible_images(entry, location, &clients, remove, cleanup);
    for (region, copy) in entry.copies.clone() {
        let clients = clients.in_region(&region);
        let label = format!("the copy {copy} in {region}");
        cleanup.push_disposable(label, remove.clone(), async move || {
            ami::deregister(&clients, &copy).await
        });
    }
    Ok(())
}

/// Puts on the list the import, or the snapshot, that may be there although no answer has named
/// it.
fn track_possible_import(
    entry: &JournalEntry,
    location: &ObjectLocation,
    clients: &Clients,
    remove: &Command,
    cleanup: &mut UndoList,
) {
    let region = &location.region;
    if entry.has_unconfirmed_request() {
        let (clients, location, entry) = (clients.clone(), location.clone(), entry.clone());
        let request = entry
            .client_token
            .clone()
            .zip(entry.snapshot_request.clone());
        if let Some((token, request)) = request {
            let what = undo::unconfirmed::snapshot(region);
            cleanup.push_disposable(what, remove.clone(), async move || {
                unconfirmed::delete_started(&clients, &request, &token).await
            });
        } else {
            let what =
                undo::unconfirmed::import(&format!("s3://{}/{}", location.bucket, location.key));
            cleanup.push_disposable(what, remove.clone(), async move || {
                let earlier = entry.earlier_tasks.as_deref();
                unconfirmed::cancel_imports(&clients, &location.bucket, &location.key, earlier)
                    .await
            });
        }
    }
}

/// The same for images, which go before the snapshots that they need.
fn track_possible_images(
    entry: &JournalEntry,
    location: &ObjectLocation,
    clients: &Clients,
    remove: &Command,
    cleanup: &mut UndoList,
) {
    let region = &location.region;
    let name = entry.name.clone().unwrap_or_default();
    if let Some(snapshot) = entry.snapshot.clone().filter(|_| entry.is_registering()) {
        let (clients, what) = (clients.clone(), undo::unconfirmed::image(&name, region));
        let name = name.clone();
        cleanup.push_disposable(what, remove.clone(), async move || {
            unconfirmed::remove_registered(&clients, &name, &snapshot).await
        });
    }
    if let Some(image) = entry.image.clone().filter(|_| entry.is_naming()) {
        let (clients, what) = (clients.clone(), undo::unconfirmed::image(&name, region));
        cleanup.push_disposable(what, remove.clone(), async move || {
            unconfirmed::remove_copy(&clients, &name, &image).await
        });
    }
    for (region, request) in entry.unconfirmed_copies() {
        let name = request.name.clone().unwrap_or_default();
        let (clients, what) = (
            clients.in_region(region),
            undo::unconfirmed::image(&name, region),
        );
        let source = request.source.clone().unwrap_or_default();
        cleanup.push_disposable(what, remove.clone(), async move || {
            unconfirmed::remove_copy(&clients, &name, &source).await
        });
    }
}
