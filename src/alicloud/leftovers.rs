//! What an entry of the journal names in Alibaba Cloud, put on the undo list by whoever has
//! nothing but the entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clients::Clients;
use super::options::Options;
use super::{image, import, object};
use crate::cleanup::Cleanup;
use crate::error::{Error, Result};
use crate::journal::{Entry, Whereabouts};
use crate::layers::Environment;
use crate::store::{Store, UploadId};

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
    crate::journal::account(said)
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

/// Puts all of it on the list, in the order in which it was made.
pub async fn hold(
    entry: &Entry,
    place: &Whereabouts,
    options: &Options,
    environment: &Environment,
    remove: &str,
    cleanup: &mut Cleanup,
) -> Result<()> {
    cleanup.advised(object::undoing(&place.bucket, &place.key));
    let (clients, _) = Clients::new(options, environment)?;
    let store = Arc::new(clients.oss(&place.bucket, &place.key));
    let url = format!("oss://{}/{}", place.bucket, place.key);
    if entry.is_unheard() {
        let found = image::made_of(&clients, &place.region, &place.bucket, &place.key).await;
        let found = found.map_err(|fault| {
            fault.fails(
                format!("who reads {url} could not be asked"),
                "ecs:DescribeImages",
            )
        })?;
        if let Some(image) = found.first() {
            let what = format!(
                "{url} is left alone: {} is being made of it",
                image.image_id
            );
            return Err(Error::failed(what)
                .hint("run the command of that import again, which goes on with it"));
        }
    }
    if let Some(upload) = entry.upload.clone().map(UploadId) {
        let store = Arc::clone(&store);
        cleanup.useless(format!("the parts of {url}"), remove, async move || {
            Ok(store.abort(&upload).await?)
        });
    }
    if entry.sent {
        cleanup.useless(url, remove, async move || Ok(store.remove().await?));
    }
    if let (Some(task), Some(image)) = (entry.task.clone(), entry.image.clone()) {
        let (clients, region) = (clients.clone(), place.region.clone());
        let what = format!("the import task {task} and its image {image}");
        cleanup.useless(what, remove, async move || {
            import::cancel(&clients, &region, &task, &image).await
        });
    }
    for (region, copy) in entry.copies.clone() {
        let clients = clients.clone();
        let what = format!("the copy {copy} in {region}");
        cleanup.useless(what, remove, async move || {
            image::cancel_copy(&clients, &region, &copy).await
        });
    }
    Ok(())
}
