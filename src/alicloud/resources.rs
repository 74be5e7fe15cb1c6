//! What an entry of the journal names in Alibaba Cloud, put on the undo list by whoever has
//! nothing but the entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::client::Clients;
use super::error::Fault;
use super::import_task::{Import, Request};
use super::options::Options;
use super::{ids, image, import_task, remove, role, upload};
use crate::config::Environment;
use crate::config::problems::Problems;
use crate::error::{Error, Result};
use crate::import;
use crate::import::journal::{Entry, Journal, Whereabouts};
use crate::import::undo::Cleanup;
use crate::progress::Progress;
use crate::shell::Command;
use crate::store::oss::Oss;

/// How Alibaba Cloud is reached, for the journal: nothing secret.
pub fn account(options: &Options) -> BTreeMap<String, String> {
    let file = options.shared_credentials_file.as_deref();
    let file = file.and_then(|file| std::path::absolute(file).ok());
    let switch = |said: Option<bool>| said.map(|said| said.to_string());
    let said = [
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
    import::journal::account(said)
}

/// The options that the entry stands for.
pub fn options(place: &Whereabouts, account: &BTreeMap<String, String>) -> Options {
    let said = |name: &str| account.get(name).cloned();
    let switch = |name: &str| account.get(name).map(|said| said == "true");
    Options {
        region: Some(place.region.clone()),
        profile: said("profile"),
        shared_credentials_file: said("shared_credentials_file").map(Into::into),
        ram_role_name: said("ram_role_name"),
        ram_role_arn: said("ram_role_arn"),
        ram_session_name: said("ram_session_name"),
        ecs_endpoint: said("ecs_endpoint"),
        oss_endpoint: said("oss_endpoint"),
        sts_endpoint: said("sts_endpoint"),
        oss_path_style: switch("oss_path_style"),
        oss_cname: switch("oss_cname"),
        ..Options::default()
    }
}

/// Puts all of it on the list, in the order in which it was made. What was asked for without
/// an answer is looked up first: what is not there is not named.
pub async fn hold(
    journal: &Journal,
    place: &Whereabouts,
    options: &Options,
    environment: &Environment,
    remove: &Command,
    progress: &Progress,
    cleanup: &mut Cleanup,
) -> Result<()> {
    let entry = journal.entry();
    ids::PREFIXES.check(&entry)?;
    let mut problems = Problems::default();
    problems.addresses(options);
    problems.finish()?;
    cleanup.advised(upload::undoing(&place.bucket, &place.key));
    let (clients, _) = Clients::new(options, environment)?;
    let store = Arc::new(clients.oss(&place.bucket, &place.key));
    let import = import_of(&clients, place, &entry, remove).await?;
    let copies = copies_of(&clients, &entry).await?;
    let things = Things {
        clients,
        journal,
        remove,
    };
    if let Some(role) = &entry.created_role {
        progress.note(&kept_role(role));
    }
    if entry.created_bucket {
        things.bucket(cleanup, Arc::clone(&store), &place.bucket);
    }
    let url = format!("oss://{}/{}", place.bucket, place.key);
    import::upload::hold_all(&entry, cleanup, &store, &url, remove);
    let regions: BTreeSet<_> = entry.snapshots.values().map(|of| &of.region).collect();
    for region in regions {
        things.snapshots(cleanup, region);
    }
    if let Some(import) = import {
        things.import(cleanup, &place.region, import);
    }
    for (region, copy) in copies {
        things.copy(cleanup, region, copy);
    }
    Ok(())
}

/// The import of the entry: the one that it names, or the one that its request has started.
async fn import_of(
    clients: &Clients,
    place: &Whereabouts,
    entry: &Entry,
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
        &place.region,
        format!("oss://{}/{}", place.bucket, place.key),
    );
    let failed = |fault: Fault| {
        let what = format!("who reads {url} could not be asked");
        fault.fails(what, "ecs:DescribeImages")
    };
    let request = Request {
        token,
        name: entry.name.clone(),
        region: region.clone(),
        bucket: place.bucket.clone(),
        key: place.key.clone(),
    };
    let found = import_task::find(clients, &request).await.map_err(failed)?;
    if let Some(image) = found {
        return Ok(Some(
            import_task::attached(clients, region, image.image_id).await,
        ));
    }
    // Somebody else's import, or that of a run whose request had no mark.
    let others = image::made_of(clients, region, &place.bucket, &place.key).await;
    match others.map_err(failed)?.first() {
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
async fn copies_of(clients: &Clients, entry: &Entry) -> Result<BTreeMap<String, String>> {
    let mut copies = entry.copies.clone();
    for (region, asked) in &entry.copy_requests {
        if copies.contains_key(region) {
            continue;
        }
        let found = image::requested(clients, region, &asked.client_token).await;
        let found = found.map_err(|fault| {
            let what = format!("the copy in {region} could not be looked up");
            fault.fails(what, "ecs:DescribeImages")
        })?;
        copies.extend(found.map(|image| (region.clone(), image.image_id)));
    }
    Ok(copies)
}

/// The role stays: the next import needs it, too.
fn kept_role(role: &str) -> String {
    let detach = Command::new("aliyun ram DetachPolicyFromRole --PolicyType System");
    let detach = detach.option("--PolicyName", role::POLICY);
    let delete = Command::new("aliyun ram DeleteRole").option("--RoleName", role);
    let remove = detach.option("--RoleName", role).then(&delete);
    format!("The role {role} stays, for the imports to come; without any, remove it with: {remove}")
}

/// How each of them is removed.
struct Things<'a> {
    clients: Clients,
    journal: &'a Journal,
    remove: &'a Command,
}

impl Things<'_> {
    fn bucket(&self, cleanup: &mut Cleanup, store: Arc<Oss>, bucket: &str) {
        let what = format!("the bucket {bucket}, unless it holds other objects");
        let journal = self.journal.clone();
        cleanup.useless(what, self.remove.clone(), async move || {
            upload::remove_bucket(&store).await?;
            journal.note(|entry| entry.created_bucket = false);
            Ok(())
        });
    }

    fn snapshots(&self, cleanup: &mut Cleanup, region: &str) {
        let (clients, journal, region) = (
            self.clients.clone(),
            self.journal.clone(),
            region.to_owned(),
        );
        let what = format!("the snapshots of deleted images in {region}");
        cleanup.useless(what, self.remove.clone(), async move || {
            let gone = remove::snapshots(&clients, &journal, &region).await;
            gone.map_err(|(.., fault)| fault.into())
        });
    }

    fn import(&self, cleanup: &mut Cleanup, region: &str, import: Import) {
        let (clients, journal, region) = (
            self.clients.clone(),
            self.journal.clone(),
            region.to_owned(),
        );
        let image = &import.image;
        let what = match &import.task {
            Some(task) => format!("the import task {task} and its image {image}"),
            None => format!("the image {image}"),
        };
        cleanup.useless(what, self.remove.clone(), async move || {
            import_task::cancel(&clients, &journal, &region, &import).await
        });
    }

    fn copy(&self, cleanup: &mut Cleanup, region: String, copy: String) {
        let (clients, journal) = (self.clients.clone(), self.journal.clone());
        let what = format!("the copy {copy} in {region}");
        cleanup.useless(what, self.remove.clone(), async move || {
            remove::copy(&clients, &journal, &region, &copy).await
        });
    }
}
