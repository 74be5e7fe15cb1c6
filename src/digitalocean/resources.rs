//! Adds the DigitalOcean resources of a journal entry to the undo list, for callers that have
//! only the entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::client::Api;
use super::image_marker;
use super::image_marker::ImageMarker;
use super::job::{Account, retry_policy, space};
use super::options::Options;
use super::upload;
use crate::config::Environment;
use crate::config::problems::Problems;
use crate::error::Result;
use crate::import;
use crate::import::journal::{JournalEntry, ObjectLocation};
use crate::import::undo::{UndoList, unconfirmed};
use crate::progress::Progress;
use crate::shell::Command;
use crate::store::s3::{Dialect, S3, S3Object, must_sign_payload};

/// How DigitalOcean is reached, for the journal: nothing secret.
pub fn account(options: &Options) -> BTreeMap<String, String> {
    import::journal::account([
        ("api_url", options.api_url.clone()),
        ("spaces_endpoint", options.spaces_endpoint.clone()),
    ])
}

/// The options that the entry stands for.
pub fn options(location: &ObjectLocation, account: &BTreeMap<String, String>) -> Options {
    Options {
        spaces_region: Some(location.region.clone()),
        space_name: Some(location.bucket.clone()),
        api_url: account.get("api_url").cloned(),
        spaces_endpoint: account.get("spaces_endpoint").cloned(),
        ..Options::default()
    }
}

/// Puts all of it on the list, in the order in which it was made.
pub fn track_all(
    entry: &JournalEntry,
    location: &ObjectLocation,
    options: &Options,
    environment: &Environment,
    remove: &Command,
    progress: &Progress,
    cleanup: &mut UndoList,
) -> Result<()> {
    let mut problems = Problems::default();
    let account = Account::find(options, environment, &mut problems);
    let space = space(options, &mut problems);
    problems.finish()?;
    let api = Api::new(
        &account.api_url,
        &account.token,
        retry_policy(options),
        progress,
    )?;
    let store = Arc::new(S3::new(
        &upload::client(&space, retry_policy(options))?,
        S3Object {
            bucket: location.bucket.clone(),
            key: location.key.clone(),
            dialect: Dialect::Spaces,
            encryption: None,
            public_read: false,
            owner: None,
            sign_payload: must_sign_payload(Some(&space.endpoint)),
        },
    ));
    let url = format!("s3://{}/{}", location.bucket, location.key);
    cleanup.set_hint(upload::removal_hint(&location.bucket));
    import::upload::track_all(entry, cleanup, &store, &url, remove);
    let id = entry.task.as_deref().and_then(|id| id.parse().ok());
    let mark = entry.client_token.as_deref().and_then(ImageMarker::parse);
    let label = match (id, &mark) {
        (Some(id), _) => format!("the import {id}"),
        (None, Some(_)) => unconfirmed::import(&url),
        (None, None) => return Ok(()),
    };
    cleanup.push_disposable(label, remove.clone(), async move || {
        Ok(image_marker::delete(&api, mark.as_ref(), id).await?)
    });
    Ok(())
}
