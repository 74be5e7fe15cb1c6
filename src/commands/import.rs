//! `imgimport aws`, `alicloud` and `digitalocean`: one import.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::output;
use crate::check;
use crate::cli::GlobalArgs;
use crate::config::{Environment, ImportArgs, template};
use crate::error::{Error, Result};
use crate::image;
use crate::import::cancel::{self, Cancel};
use crate::import::lifecycle::{self, FinishedImport};
use crate::import::session::Session;
use crate::settings::{CloudTable, SettingsFile};

/// Reads the settings, runs the recipe of a cloud and prints its result.
pub async fn execute<P: CloudTable>(
    flags: ImportArgs<P>,
    general: GlobalArgs,
    environment: Environment,
    recipe: impl AsyncFnOnce(
        ImportArgs<P>,
        &Environment,
        &Session,
        BoxFuture<'_, Result<()>>,
    ) -> Result<FinishedImport>,
) -> ExitCode {
    let settings = SettingsFile::find(general.config.as_deref(), &environment);
    let settings = settings.and_then(|file| Ok((file.layered_args(flags, &environment)?, file)));
    let (args, file) = match settings {
        Ok(settings) => settings,
        Err(error) => return output::fail_without_settings(error, &general, &environment),
    };
    let format = args.output.format.unwrap_or_default();
    let progress = output::start(&general, &args.output, &file);
    for note in &args.notes {
        progress.note(note);
    }
    let clock = match template::clock() {
        Ok(clock) => clock,
        Err(error) => return output::finish(Err(error), format, &progress),
    };
    let session = Session {
        cancel: Cancel::default(),
        progress,
        clock,
        started: Instant::now(),
    };
    cancel::listen(&session.cancel);
    session.progress.handle_ctrl_z();
    let result = import(args, &environment, &session, recipe).await;
    output::finish(result, format, &session.progress)
}

async fn import<P: CloudTable>(
    args: ImportArgs<P>,
    environment: &Environment,
    session: &Session,
    recipe: impl AsyncFnOnce(
        ImportArgs<P>,
        &Environment,
        &Session,
        BoxFuture<'_, Result<()>>,
    ) -> Result<FinishedImport>,
) -> Result<FinishedImport> {
    let mut args = read_head(args, session).await?;
    let check = check::PreImportCheck::new(&mut args, session)
        .await?
        .report(session)
        .boxed();
    lifecycle::run_until_abort(recipe(args, environment, session, check), session).await
}

/// Reads the beginning of an image on standard input. The other end of the pipe may take its
/// time, so this ends at Ctrl-C.
async fn read_head<P: CloudTable>(
    mut args: ImportArgs<P>,
    session: &Session,
) -> Result<ImportArgs<P>> {
    if args.image.as_deref() != Some(Path::new("-")) {
        return Ok(args);
    }
    if std::io::stdin().is_terminal() {
        return Err(Error::usage("standard input is a terminal, not an image"));
    }
    let reading = tokio::task::spawn_blocking(image::read_head);
    let head = async {
        let read = reading.await.map_err(std::io::Error::other).flatten();
        read.map_err(|error| Error::failed("standard input can't be read").with_source(error))
    };
    args.head = Some(session.cancellable(head).await?);
    Ok(args)
}
