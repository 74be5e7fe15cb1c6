//! What an entry of the journal names in AWS, put on the undo list by whoever has nothing
//! but the entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::client::Clients;
use super::options::Options;
use super::{ami, ids, task_status, unconfirmed, upload, validate};
use crate::config::problems::Problems;
use crate::error::Result;
use crate::import;
use crate::import::journal::{Entry, Whereabouts};
use crate::import::undo;
use crate::import::undo::Cleanup;
use crate::shell::Command;
use crate::store::s3::{Flavour, Place, S3, must_sign};

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
    import::journal::account(said)
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
        bucket_owner: said("bucket_owner"),
        endpoint_url: said("endpoint_url"),
        endpoint_url_s3: said("endpoint_url_s3"),
        endpoint_url_ec2: said("endpoint_url_ec2"),
        endpoint_url_ebs: said("endpoint_url_ebs"),
        endpoint_url_sts: said("endpoint_url_sts"),
        ..Options::default()
    }
}

/// Puts all of it on the list, in the order in which it was made.
pub async fn hold(
    entry: &Entry,
    place: &Whereabouts,
    options: &Options,
    remove: &Command,
    cleanup: &mut Cleanup,
) -> Result<()> {
    ids::PREFIXES.check(entry)?;
    let mut problems = Problems::default();
    if let Some(Err(why)) = options.bucket_owner.as_deref().map(validate::account) {
        problems.wrong("bucket_owner", why);
    }
    problems.addresses(options);
    problems.finish()?;
    cleanup.advised(upload::undoing(&place.region, &place.bucket, &place.key));
    let clients = Clients::new(options, &place.region).await?;
    let store = Arc::new(S3::new(
        &clients.s3,
        Place {
            bucket: place.bucket.clone(),
            key: place.key.clone(),
            flavour: Flavour::Aws,
            encryption: None,
            public_read: false,
            owner: options.bucket_owner.clone(),
            sign_payload: must_sign(clients.s3_endpoint.as_deref()),
        },
    ));
    let url = format!("s3://{}/{}", place.bucket, place.key);
    import::upload::hold_all(entry, cleanup, &store, &url, remove);
    let made = entry.image.is_some() || entry.snapshot.is_some();
    if let Some(task) = entry.task.clone().filter(|_| !made) {
        let clients = clients.clone();
        let what = format!("the import task {task}");
        cleanup.useless(what, remove.clone(), async move || {
            task_status::cancel(&clients, &task).await
        });
    }
    hold_possible_import(entry, place, &clients, remove, cleanup);
    let snapshots = [entry.filling.clone(), entry.snapshot.clone()];
    for snapshot in snapshots.into_iter().flatten() {
        let clients = clients.clone();
        cleanup.useless(
            format!("the snapshot {snapshot}"),
            remove.clone(),
            async move || ami::delete_snapshot(&clients, &snapshot).await,
        );
    }
    let images = [entry.image.clone(), entry.copy.clone()];
    for image in images.into_iter().flatten() {
        let clients = clients.clone();
        let what = format!("the image {image}");
        cleanup.useless(what, remove.clone(), async move || {
            ami::deregister(&clients, &image).await
        });
    }
    hold_possible_images(entry, place, &clients, remove, cleanup);
    for (region, copy) in entry.copies.clone() {
        let clients = clients.in_region(&region);
        let what = format!("the copy {copy} in {region}");
        cleanup.useless(what, remove.clone(), async move || {
            ami::deregister(&clients, &copy).await
        });
    }
    Ok(())
}

/// Puts on the list the import, or the snapshot, that may be there although no answer has named
/// it.
fn hold_possible_import(
    entry: &Entry,
    place: &Whereabouts,
    clients: &Clients,
    remove: &Command,
    cleanup: &mut Cleanup,
) {
    let region = &place.region;
    if entry.is_unheard() {
        let (clients, place, entry) = (clients.clone(), place.clone(), entry.clone());
        let asked = entry
            .client_token
            .clone()
            .zip(entry.snapshot_request.clone());
        if let Some((token, request)) = asked {
            let what = undo::unconfirmed::snapshot(region);
            cleanup.useless(what, remove.clone(), async move || {
                unconfirmed::delete_started(&clients, &request, &token).await
            });
        } else {
            let what = undo::unconfirmed::import(&format!("s3://{}/{}", place.bucket, place.key));
            cleanup.useless(what, remove.clone(), async move || {
                let earlier = entry.earlier_tasks.as_deref();
                unconfirmed::cancel_imports(&clients, &place.bucket, &place.key, earlier).await
            });
        }
    }
}

/// The same for images, which go before the snapshots that they need.
fn hold_possible_images(
    entry: &Entry,
    place: &Whereabouts,
    clients: &Clients,
    remove: &Command,
    cleanup: &mut Cleanup,
) {
    let region = &place.region;
    let name = entry.name.clone().unwrap_or_default();
    if let Some(snapshot) = entry.snapshot.clone().filter(|_| entry.is_registering()) {
        let (clients, what) = (clients.clone(), undo::unconfirmed::image(&name, region));
        let name = name.clone();
        cleanup.useless(what, remove.clone(), async move || {
            unconfirmed::remove_registered(&clients, &name, &snapshot).await
        });
    }
    if let Some(image) = entry.image.clone().filter(|_| entry.is_naming()) {
        let (clients, what) = (clients.clone(), undo::unconfirmed::image(&name, region));
        cleanup.useless(what, remove.clone(), async move || {
            unconfirmed::remove_copy(&clients, &name, &image).await
        });
    }
    for (region, asked) in entry.copies_unheard() {
        let name = asked.name.clone().unwrap_or_default();
        let (clients, what) = (
            clients.in_region(region),
            undo::unconfirmed::image(&name, region),
        );
        let source = asked.source.clone().unwrap_or_default();
        cleanup.useless(what, remove.clone(), async move || {
            unconfirmed::remove_copy(&clients, &name, &source).await
        });
    }
}
