//! What an entry of the journal names in AWS, put on the undo list by whoever has nothing
//! but the entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_ec2::types::UserBucketDetails;

use super::clients::Clients;
use super::fault::Fault;
use super::options::Options;
use super::{image, object, task};
use crate::cleanup::Cleanup;
use crate::error::Result;
use crate::journal::{Entry, Whereabouts};
use crate::store::s3::{Flavour, Place, S3, must_sign};
use crate::store::{Store, UploadId};

/// How AWS is reached, for the journal: nothing secret.
pub fn account(options: &Options) -> BTreeMap<String, String> {
    let role = options.assume_role.clone().unwrap_or_default();
    let file = options.shared_credentials_file.as_deref();
    let file = file.and_then(|file| std::path::absolute(file).ok());
    let said = [
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
        ("endpoint_url", options.endpoint_url.clone()),
        ("endpoint_url_s3", options.endpoint_url_s3.clone()),
        (
            "endpoint_url_ec2",
            options
                .endpoint_url_ec2
                .clone()
                .or(options.custom_endpoint_ec2.clone()),
        ),
        ("endpoint_url_sts", options.endpoint_url_sts.clone()),
    ];
    crate::journal::account(said)
}

/// The options that the entry stands for.
pub fn options(place: &Whereabouts, account: &BTreeMap<String, String>) -> Options {
    let said = |name: &str| account.get(name).cloned();
    Options {
        region: Some(place.region.clone()),
        profile: said("profile"),
        shared_credentials_file: said("shared_credentials_file").map(Into::into),
        assume_role_arn: said("assume_role_arn"),
        external_id: said("external_id"),
        session_name: said("session_name"),
        endpoint_url: said("endpoint_url"),
        endpoint_url_s3: said("endpoint_url_s3"),
        endpoint_url_ec2: said("endpoint_url_ec2"),
        endpoint_url_sts: said("endpoint_url_sts"),
        ..Options::default()
    }
}

/// Puts all of it on the list, in the order in which it was made.
pub async fn hold(
    entry: &Entry,
    place: &Whereabouts,
    options: &Options,
    remove: &str,
    cleanup: &mut Cleanup,
) -> Result<()> {
    cleanup.advised(object::undoing(&place.region, &place.bucket, &place.key));
    let clients = Clients::new(options, &place.region).await;
    let store = Arc::new(S3::new(
        &clients.s3,
        Place {
            bucket: place.bucket.clone(),
            key: place.key.clone(),
            flavour: Flavour::Aws,
            encryption: None,
            public_read: false,
            owner: None,
            sign_payload: must_sign(clients.s3_endpoint.as_deref()),
        },
    ));
    let url = format!("s3://{}/{}", place.bucket, place.key);
    if let Some(upload) = entry.upload.clone().map(UploadId) {
        let store = Arc::clone(&store);
        cleanup.useless(format!("the parts of {url}"), remove, async move || {
            Ok(store.abort(&upload).await?)
        });
    }
    if entry.sent {
        cleanup.useless(url.clone(), remove, async move || {
            Ok(store.remove().await?)
        });
    }
    let mut tasks: Vec<_> = entry.task.iter().cloned().collect();
    if entry.is_unheard() {
        let found = reading(&clients, place).await;
        tasks = found.map_err(|fault| {
            let what = format!("who reads {url} could not be asked");
            fault.fails(
                what,
                "ec2:DescribeImportImageTasks and ec2:DescribeImportSnapshotTasks",
            )
        })?;
    }
    let made = entry.image.is_some() || entry.snapshot.is_some();
    for task in tasks.into_iter().filter(|_| !made) {
        let clients = clients.clone();
        let what = format!("the import task {task}");
        cleanup.useless(what, remove, async move || {
            task::cancel(&clients, &task).await
        });
    }
    let snapshots = [entry.filling.clone(), entry.snapshot.clone()];
    for snapshot in snapshots.into_iter().flatten() {
        let clients = clients.clone();
        cleanup.useless(
            format!("the snapshot {snapshot}"),
            remove,
            async move || image::delete_snapshot(&clients, &snapshot).await,
        );
    }
    let images = [entry.image.clone(), entry.copy.clone()];
    for image in images.into_iter().flatten() {
        let clients = clients.clone();
        let what = format!("the image {image}");
        cleanup.useless(what, remove, async move || {
            image::deregister(&clients, &image).await
        });
    }
    for (region, copy) in entry.copies.clone() {
        let clients = clients.in_region(&region);
        let what = format!("the copy {copy} in {region}");
        cleanup.useless(what, remove, async move || {
            image::deregister(&clients, &copy).await
        });
    }
    Ok(())
}

/// The tasks that read this object now.
async fn reading(clients: &Clients, place: &Whereabouts) -> Result<Vec<String>, Fault> {
    let is_this = |bucket: Option<&UserBucketDetails>| {
        bucket.is_some_and(|bucket| {
            bucket.s3_bucket() == Some(&place.bucket) && bucket.s3_key() == Some(&place.key)
        })
    };
    let works =
        |status: Option<&str>| !matches!(status, Some("completed" | "deleting" | "deleted"));
    let mut found = Vec::new();
    let call = clients.ec2.describe_import_image_tasks().into_paginator();
    let mut tasks = call.items().send();
    while let Some(task) = tasks.next().await {
        let task = task?;
        let mut disks = task.snapshot_details().iter();
        if works(task.status()) && disks.any(|disk| is_this(disk.user_bucket())) {
            found.extend(task.import_task_id);
        }
    }
    let call = clients
        .ec2
        .describe_import_snapshot_tasks()
        .into_paginator();
    let mut tasks = call.items().send();
    while let Some(task) = tasks.next().await {
        let task = task?;
        let detail = task.snapshot_task_detail();
        let this = detail.is_some_and(|disk| works(disk.status()) && is_this(disk.user_bucket()));
        found.extend(task.import_task_id.filter(|_| this));
    }
    Ok(found)
}
