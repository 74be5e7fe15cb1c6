//! Adds the Alibaba Cloud resources of a journal entry to the undo list, for callers that have
//! only the entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::client::Clients;
use super::error::{self, ServiceError};
use super::import_task::{Import, ImportRequest};
use super::options::Options;
use super::{ids, image, import_task, remove, role, upload};
use crate::config::Environment;
use crate::config::problems::Problems;
use crate::error::{Error, Result};
use crate::import;
use crate::import::journal::{Journal, JournalEntry, ObjectLocation};
use crate::import::undo::UndoList;
use crate::progress::Progress;
use crate::shell::Command;
use crate::store::oss::Oss;

/// How Alibaba Cloud is reached, for the journal: nothing secret.
pub fn account(options: &Options) -> BTreeMap<String, String> {
    let file = options.shared_credentials_file.as_deref();
    let file = file.and_then(|file| std::path::absolute(file).ok());
    let switch = |value: Option<bool>| value.map(|enabled| enabled.to_string());
    let settings = [
        ("profile", options.profile.clone()),
        (
            "shared_credentials_file",
            file.map(|file| file.display().to_string()),
        ),
        ("ram_role_name", options.ram_role_name.clone()),
        ("ram_role_arn", options.ram_role_arn.clone()),
        ("ram_session_name", options.ram_session_name.clone()),
        ("ecs_endpoint", options.ecs_endpoint.clone()),
        ("oss_endpoint", options.oss_endpoint.clone()),
        ("sts_endpoint", options.sts_endpoint.clone()),
        ("oss_path_style", switch(options.oss_path_style)),
        ("oss_cname", switch(options.oss_cname)),
    ];
    import::journal::account(settings)
}

/// The options that the entry stands for.
pub fn options(location: &ObjectLocation, account: &BTreeMap<String, String>) -> Options {
    let value_of = |name: &str| account.get(name).cloned();
    let switch = |name: &str| account.get(name).map(|value| value == "true");
    Options {
        region: Some(location.region.clone()),
        profile: value_of("profile"),
        shared_credentials_file: value_of("shared_credentials_file").map(Into::into),
        ram_role_name: value_of("ram_role_name"),
        ram_role_arn: value_of("ram_role_arn"),
        ram_session_name: value_of("ram_session_name"),
        ecs_endpoint: value_of("ecs_endpoint"),
        oss_endpoint: value_of("oss_endpoint"),
        sts_endpoint: value_of("sts_endpoint"),
        oss_path_style: switch("oss_path_style"),
        oss_cname: switch("oss_cname"),
        ..Options::default()
    }
}

/// Puts all of it on the list, in the order in which it was made. What was asked for without
/// an answer is looked up first: what is not there is not named.
pub async fn track_all(
    journal: &Journal,
    location: &ObjectLocation,
    options: &Options,
    environment: &Environment,
    remove: &Command,
    progress: &Progress,
    cleanup: &mut UndoList,
) -> Result<()> {
    let entry = journal.entry();
    ids::PREFIXES.check(&entry)?;
    let mut problems = Problems::default();
    problems.addresses(options);
    problems.finish()?;
    cleanup.set_hint(upload::removal_hint(&location.bucket, &location.key));
    let (clients, _) = Clients::new(options, environment)?;
    let store = Arc::new(clients.oss(&location.bucket, &location.key));
    let import = find_import(&clients, location, &entry, remove).await?;
    let copies = find_copies(&clients, &entry).await?;
    let tracker = ResourceTracker {
        clients,
        journal,
        remove,
    };
    if let Some(role) = &entry.created_role {
        progress.note(&role_note(role));
    }
    if entry.created_bucket {
        tracker.track_bucket(cleanup, Arc::clone(&store), &location.bucket);
    }
    let url = format!("oss://{}/{}", location.bucket, location.key);
    import::upload::track_all(&entry, cleanup, &store, &url, remove);
    let regions: BTreeSet<_> = entry.snapshots.values().map(|of| &of.region).collect();
    for region in regions {
        tracker.track_snapshots(cleanup, region);
    }
    if let Some(import) = import {
        tracker.track_import(cleanup, &location.region, import);
    }
    for (region, copy) in copies {
        tracker.track_copy(cleanup, region, copy);
    }
    Ok(())
}

/// The import of the entry: the one that it names, or the one that its request has started.
async fn find_import(
    clients: &Clients,
    location: &ObjectLocation,
    entry: &JournalEntry,
    remove: &Command,
) -> Result<Option<Import>> {
    if let Some(image) = entry.image.clone() {
        let task = entry.task.clone();
        return Ok(Some(Import { task, image }));
    }
    let Some(token) = entry.client_token.clone() else {
        return Ok(None);
    };
    let (region, url) = (
        &location.region,
        format!("oss://{}/{}", location.bucket, location.key),
    );
    let failed = |fault: ServiceError| {
        let what = format!("who reads {url} could not be asked");
        error::failed(fault, what, "ecs:DescribeImages")
    };
    let request = ImportRequest {
        token,
        name: entry.name.clone(),
        region: region.clone(),
        bucket: location.bucket.clone(),
        key: location.key.clone(),
    };
    let found = import_task::find(clients, &request).await.map_err(failed)?;
    if let Some(image) = found {
        return Ok(Some(
            import_task::existing_import(clients, region, image.image_id).await,
        ));
    }
    // Somebody else's import, or that of a run whose request had no mark.
    let other_imports =
        image::importing_from(clients, region, &location.bucket, &location.key).await;
    match other_imports.map_err(failed)?.first() {
        None => Ok(None),
        Some(image) => Err(Error::failed(format!(
            "{url} is left alone: {} is being made of it",
            image.image_id
        ))
        .hint(format!(
            "run the command of that import again, which goes on with it; or wait until it has ended, then: {remove}"
        ))),
    }
}

/// The copies of the entry, by region: those that it names, and those that its requests have
/// started.
async fn find_copies(clients: &Clients, entry: &JournalEntry) -> Result<BTreeMap<String, String>> {
    let mut copies = entry.copies.clone();
    for (region, request) in &entry.copy_requests {
        if copies.contains_key(region) {
            continue;
        }
        let found = image::find_by_token(clients, region, &request.client_token).await;
        let found = found.map_err(|fault| {
            let what = format!("the copy in {region} could not be looked up");
            error::failed(fault, what, "ecs:DescribeImages")
        })?;
        copies.extend(found.map(|image| (region.clone(), image.image_id)));
    }
    Ok(copies)
}

/// The role stays: the next import needs it, too.
fn role_note(role: &str) -> String {
    let detach = Command::new("aliyun ram DetachPolicyFromRole --PolicyType System");
    let detach = detach.option("--PolicyName", role::SYSTEM_POLICY);
    let delete = Command::new("aliyun ram DeleteRole").option("--RoleName", role);
    let remove = detach.option("--RoleName", role).then(&delete);
    format!("The role {role} stays, for the imports to come; without any, remove it with: {remove}")
}

/// How each of them is removed.
struct ResourceTracker<'a> {
    clients: Clients,
    journal: &'a Journal,
    remove: &'a Command,
}

impl ResourceTracker<'_> {
    fn track_bucket(&self, cleanup: &mut UndoList, store: Arc<Oss>, bucket: &str) {
        let what = format!("the bucket {bucket}, unless it holds other objects");
        let journal = self.journal.clone();
        cleanup.push_disposable(what, self.remove.clone(), async move || {
            upload::remove_bucket(&store).await?;
            journal.update(|entry| entry.created_bucket = false);
            Ok(())
        });
    }

    fn track_snapshots(&self, cleanup: &mut UndoList, region: &str) {
        let (clients, journal, region) = (
            self.clients.clone(),
            self.journal.clone(),
            region.to_owned(),
        );
        let label = format!("the snapshots of deleted images in {region}");
        cleanup.push_disposable(label, self.remove.clone(), async move || {
            let deleted = remove::snapshots(&clients, &journal, &region).await;
            deleted.map_err(|(.., fault)| fault.into())
        });
    }

    fn track_import(&self, cleanup: &mut UndoList, region: &str, import: Import) {
        let (clients, journal, region) = (
            self.clients.clone(),
            self.journal.clone(),
            region.to_owned(),
        );
        let image = &import.image;
        let label = match &import.task {
            Some(task) => format!("the import task {task} and its image {image}"),
            None => format!("the image {image}"),
        };
        cleanup.push_disposable(label, self.remove.clone(), async move || {
            import_task::cancel(&clients, &journal, &region, &import).await
        });
    }

    fn track_copy(&self, cleanup: &mut UndoList, region: String, copy: String) {
        let (clients, journal) = (self.clients.clone(), self.journal.clone());
        let label = format!("the copy {copy} in {region}");
        cleanup.push_disposable(label, self.remove.clone(), async move || {
            remove::copy(&clients, &journal, &region, &copy).await
        });
    }
}
