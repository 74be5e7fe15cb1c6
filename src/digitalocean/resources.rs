//! What an entry of the journal names in DigitalOcean, put on the undo list by whoever has
//! nothing but the entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::client::Api;
use super::image_marker;
use super::image_marker::Mark;
use super::job::{Account, patience, space};
use super::options::Options;
use super::upload;
use crate::config::Environment;
use crate::config::problems::Problems;
use crate::error::Result;
use crate::import;
use crate::import::journal::{Entry, Whereabouts};
use crate::import::undo::{Cleanup, unconfirmed};
use crate::progress::Progress;
use crate::shell::Command;
use crate::store::s3::{Flavour, Place, S3, must_sign};

/// How DigitalOcean is reached, for the journal: nothing secret.
pub fn account(options: &Options) -> BTreeMap<String, String> {
    import::journal::account([
        ("api_url", options.api_url.clone()),
        ("spaces_endpoint", options.spaces_endpoint.clone()),
    ])
}

/// The options that the entry stands for.
pub fn options(place: &Whereabouts, account: &BTreeMap<String, String>) -> Options {
    Options {
        spaces_region: Some(place.region.clone()),
        space_name: Some(place.bucket.clone()),
        api_url: account.get("api_url").cloned(),
        spaces_endpoint: account.get("spaces_endpoint").cloned(),
        ..Options::default()
    }
}

/// Puts all of it on the list, in the order in which it was made.
pub fn hold(
    entry: &Entry,
    place: &Whereabouts,
    options: &Options,
    environment: &Environment,
    remove: &Command,
    progress: &Progress,
    cleanup: &mut Cleanup,
) -> Result<()> {
    let mut problems = Problems::default();
    let account = Account::find(options, environment, &mut problems);
    let space = space(options, &mut problems);
    problems.finish()?;
    let api = Api::new(
        &account.api_url,
        &account.token,
        patience(options),
        progress,
    )?;
    let store = Arc::new(S3::new(
        &upload::client(&space, patience(options))?,
        Place {
            bucket: place.bucket.clone(),
            key: place.key.clone(),
            flavour: Flavour::Spaces,
            encryption: None,
            public_read: false,
            owner: None,
            sign_payload: must_sign(Some(&space.endpoint)),
        },
    ));
    let url = format!("s3://{}/{}", place.bucket, place.key);
    cleanup.advised(upload::undoing(&place.bucket));
    import::upload::hold_all(entry, cleanup, &store, &url, remove);
    let id = entry.task.as_deref().and_then(|id| id.parse().ok());
    let mark = entry.client_token.as_deref().and_then(Mark::read);
    let what = match (id, &mark) {
        (Some(id), _) => format!("the import {id}"),
        (None, Some(_)) => unconfirmed::import(&url),
        (None, None) => return Ok(()),
    };
    cleanup.useless(what, remove.clone(), async move || {
        Ok(image_marker::delete(&api, mark.as_ref(), id).await?)
    });
    Ok(())
}
