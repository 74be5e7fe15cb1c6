//! `imgimport check`: a report on an image. It makes no requests and leaves nothing behind, so
//! that a signal may end it anywhere.

use std::process::ExitCode;

use super::output;
use crate::check::{Options, Report};
use crate::cli::GlobalArgs;
use crate::config::Environment;
use crate::error::Error;
use crate::progress::{Mode, Progress};
use crate::settings::SettingsFile;

/// Inspects the image and prints the report.
pub async fn execute(flags: Options, general: &GlobalArgs, environment: &Environment) -> ExitCode {
    let progress = Progress::new(Mode::Plain, general.quiet);
    output::init_log(general.verbose, &progress);
    let format = flags.output.unwrap_or_default();
    let options = SettingsFile::find(general.config.as_deref(), environment).and_then(|file| {
        file.announce(&progress);
        let (image, output, path) = file.check_args();
        for note in flags.overrides(environment, image.as_deref(), output, path.as_deref()) {
            progress.note(&note);
        }
        flags.layered(environment, image, output)
    });
    let options = match options {
        Ok(options) => options,
        Err(error) => return output::finish(Err(error), format, &progress),
    };
    let format = options.output.unwrap_or_default();
    let inspecting = tokio::task::spawn_blocking(move || Report::new(&options));
    let report = inspecting.await.unwrap_or_else(|error| {
        Err(Error::failed("the image can't be looked into").with_source(error))
    });
    match report {
        Ok(report) => output::print_report(&report.render(format), report.exit_code(), &progress),
        Err(error) => output::finish(Err(error), format, &progress),
    }
}
