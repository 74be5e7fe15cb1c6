//! The sub-commands, one file each: read the settings, do the work, print the result.

mod check;
mod from_packer;
mod import;
pub mod jobs;
mod output;
pub mod panics;
pub mod run;
pub mod stdout;

use std::process::ExitCode;

use crate::cli::{Cli, Command, usage_error};
use crate::clouds::{CloudId, with_args, with_cloud};
use crate::config::OutputFormat;
use crate::config::{CloudOptions, Environment};
use crate::error::{Error, Result};
use crate::platform;
use crate::progress::{Mode, Progress};
use crate::secret::Secret;
use crate::units;

/// Bytes of address space for everything but the buffers of parts: threads, requests, the
/// image's tables. As measured; half of it was too little.
const MEMORY: u64 = 64 << 20;

/// Reads the command line, executes the sub-command and returns the exit code of the program.
pub fn start() -> ExitCode {
    let cli = Cli::read();
    if let Err(error) = check_memory() {
        return cannot_start(error);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(execute(cli));
            // A read from a slow disk or pipe must not delay the exit.
            runtime.shutdown_background();
            code
        }
        Err(error) => cannot_start(Error::failed("the program can't start").with_source(error)),
    }
}

/// An allocation that fails ends the program without a word on what to do. Part buffers are
/// not among these: where they do not fit, there are fewer, or an error.
fn check_memory() -> Result<()> {
    let Some((limit, used)) = platform::address_space() else {
        return Ok(());
    };
    if limit.saturating_sub(used) >= MEMORY {
        return Ok(());
    }
    let least = units::bytes((used + MEMORY).next_multiple_of(MEMORY));
    let cause = format!("its address space is limited to {}", units::bytes(limit));
    Err(Error::failed("the program has too little memory")
        .with_cause(cause)
        .hint(format!("allow {least} or more: ulimit -v unlimited")))
}

/// Ends a program that has not read its settings.
pub fn cannot_start(error: Error) -> ExitCode {
    let progress = Progress::new(Mode::Plain, false);
    output::finish(Err(error), OutputFormat::Text, &progress)
}

async fn execute(mut cli: Cli) -> ExitCode {
    let environment = Environment::read();
    register_secrets(&environment);
    cli.general.apply_env(&environment);
    let (format, quiet) = (
        usage_error::requested_format(&environment),
        cli.general.quiet,
    );
    panics::catch_panic(async { Ok(dispatch(cli, environment).await) })
        .await
        .unwrap_or_else(|error| {
            output::finish(Err(error), format, &Progress::new(Mode::Plain, quiet))
        })
}

async fn dispatch(cli: Cli, environment: Environment) -> ExitCode {
    let general = cli.general;
    match cli.command {
        Command::Import(cloud) => {
            with_args!(cloud, flags => import::execute(*flags, general, environment).await)
        }
        Command::Run(args) => run::execute(args, general, environment).await,
        Command::Jobs(args) => jobs::execute(args, general, environment).await,
        Command::FromPacker(args) => from_packer::execute(args, &general),
        Command::Check(flags) => check::execute(flags, &general, &environment).await,
    }
}

/// Registers the values of all variables that hold secrets, so that no output contains one.
fn register_secrets(environment: &Environment) {
    let secrets = CloudId::ALL.map(|id| with_cloud!(id, C => C::SECRETS));
    let names = secrets.into_iter().flatten().flat_map(|(_, names)| *names);
    for value in names.filter_map(|name| environment.get(name)) {
        Secret::new(value);
    }
}
