//! `imgimport aws`, `alicloud` and `digitalocean`: one import.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::output;
use crate::cli::GlobalArgs;
use crate::config::{Environment, ImportArgs, template};
use crate::error::{Error, Result};
use crate::image;
use crate::import::cancel::{self, Cancel};
use crate::import::cloud::Cloud;
use crate::import::lifecycle::{self, FinishedImport};
use crate::import::session::Session;
use crate::settings::SettingsFile;

/// Reads the settings, imports the image and prints the result.
pub async fn execute<C: Cloud>(
    flags: ImportArgs<C>,
    general: GlobalArgs,
    environment: Environment,
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
    let result = import(args, &environment, &session).await;
    output::finish(result, format, &session.progress)
}

async fn import<C: Cloud>(
    args: ImportArgs<C>,
    environment: &Environment,
    session: &Session,
) -> Result<FinishedImport> {
    let args = read_head(args, session).await?;
    lifecycle::run(args, environment, session).await
}

/// Reads the beginning of an image on standard input. The other end of the pipe may take its
/// time, so this ends at Ctrl-C.
async fn read_head<C: Cloud>(mut args: ImportArgs<C>, session: &Session) -> Result<ImportArgs<C>> {
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
