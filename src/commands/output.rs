//! How a sub-command starts its output and ends it.

use std::process::ExitCode;

use super::stdout;
use crate::cli::{GlobalArgs, usage_error};
use crate::config::OutputFormat;
use crate::config::{Environment, OutputArgs};
use crate::error::{Error, Result};
use crate::import::lifecycle::FinishedImport;
use crate::progress::{Mode, Progress};
use crate::settings::SettingsFile;

/// Starts the output of a command: progress and log on standard error, and the line that
/// names a settings file that was found.
pub fn start(general: &GlobalArgs, output: &OutputArgs, file: &SettingsFile) -> Progress {
    let progress = Progress::new(output.progress.unwrap_or(Mode::Auto), general.quiet);
    init_log(general.verbose, &progress);
    file.announce(&progress);
    progress
}

/// Ends a command whose settings could not be read: neither their format nor their kind of
/// progress is known.
pub fn fail_without_settings(
    error: Error,
    general: &GlobalArgs,
    environment: &Environment,
) -> ExitCode {
    let progress = Progress::new(Mode::Plain, general.quiet);
    finish(
        Err(error),
        usage_error::requested_format(environment),
        &progress,
    )
}

/// Prints the result on standard output, or the error on standard error, and returns the exit
/// code. The journal is closed only after the result was printed.
pub fn finish(
    result: Result<FinishedImport>,
    format: OutputFormat,
    progress: &Progress,
) -> ExitCode {
    let error = match result {
        Ok(done) => {
            progress.close();
            let text = done.outcome.render(format);
            if !text.is_empty()
                && let Err(error) = stdout::write(&text, progress)
            {
                progress.error(&stdout::write_error(done.outcome.id(), error));
                return ExitCode::FAILURE;
            }
            done.close(progress);
            return ExitCode::SUCCESS;
        }
        Err(error) => error,
    };
    progress.error(&error);
    progress.close();
    if format == OutputFormat::Json {
        // The same error is on standard error, and the exit code says that there is one.
        let _ = stdout::write(&error.to_json().to_string(), progress);
    }
    ExitCode::from(error.kind().exit_code())
}

/// Prints a report on standard output. Returns the exit code `code`, or 1 if the report could
/// not be written.
pub fn print_report(text: &str, code: u8, progress: &Progress) -> ExitCode {
    if text.is_empty() {
        return ExitCode::from(code);
    }
    match stdout::write_report(text, progress) {
        Ok(()) => ExitCode::from(code),
        Err(error) => {
            progress.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Starts the log of `-v` and `-vv`. It has this program's own lines only: what libraries log
/// may contain signatures.
pub fn init_log(verbose: u8, progress: &Progress) {
    let level = match verbose {
        0 => "imgimport=warn",
        1 => "imgimport=debug",
        _ => "imgimport=trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_ansi(progress.uses_color())
        .with_target(false)
        .without_time()
        .with_writer(progress.log_writer())
        .init();
}
