//! Takes a disk image from a local file to a machine image in the cloud.
//!
//! ```text
//!  flags ──┐
//!  env   ──┼─► Options ── resolve ──► Job ──┐
//!  TOML  ──┘                 ▲              ▼
//!  file  ──► Image ──────────┘   preflight ► upload ► import ► wait ► finish ──► Outcome
//!                                            └── cleanup: what stays is named ──► Error
//! ```
//!
//! Rooms, lowest floor first; imports point downwards alone:
//! `error secret cancel units progress endpoint permission` · `compress http image template outcome plan
//! retry session` · `guest advice` · `layers problems job journal wait cleanup frame` · `store` · `upload` ·
//! `sending` · the clouds, which
//! never know each other · `check` · `settings packer batch leftovers usage cli` ·
//! this file.

mod alicloud;
mod aws;
mod check;
mod cli;
mod commands;
mod config;
mod digitalocean;
mod error;
mod guest;
mod image;
mod import;
#[cfg(test)]
mod messages;
mod net;
mod packer;
mod platform;
mod progress;
mod secret;
mod settings;
mod shell;
mod store;
mod transfer;
mod units;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use cli::{Cli, Command, General};
pub use cli::{command, help_text};
use config::{Environment, Invocation, Provider};
use error::{Error, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use import::cancel::Cancel;
use import::lifecycle::Done;
use import::session::Session;
use progress::{Mode, Progress};
use settings::{File, Table};

/// Bytes of stack for the run: as many as Linux gives a main thread.
const STACK: usize = 8 << 20;

/// Bytes of address space for everything but the buffers of parts: threads, requests, the
/// image's tables. As measured; half of it was too little.
const MEMORY: u64 = 64 << 20;

/// The program.
pub fn main() -> ExitCode {
    commands::panics::install();
    // A main thread's stack is mapped as it grows, and a process whose address space is used up
    // ends there with SIGSEGV. The stack of another thread is mapped before it starts.
    let run = thread::Builder::new()
        .name("main".to_owned())
        .stack_size(STACK)
        .spawn(start);
    match run.map(thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(payload)) => refuse(commands::panics::error(payload.as_ref())),
        Err(error) => refuse(Error::failed("the program can't start").because(error)),
    }
}

fn start() -> ExitCode {
    let cli = Cli::read();
    if let Err(error) = enough_memory() {
        return refuse(error);
    }
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let code = runtime.block_on(run(cli));
            // A read from a slow disk or pipe must not hold the exit up.
            runtime.shutdown_background();
            code
        }
        Err(error) => refuse(Error::failed("the program can't start").because(error)),
    }
}

/// An allocation that fails ends the program without a word on what to do. Part buffers are
/// not among these: where they do not fit, there are fewer, or an error.
fn enough_memory() -> Result<()> {
    let Some((limit, used)) = platform::address_space() else {
        return Ok(());
    };
    if limit.saturating_sub(used) >= MEMORY {
        return Ok(());
    }
    let least = units::bytes((used + MEMORY).next_multiple_of(MEMORY));
    let cause = format!("its address space is limited to {}", units::bytes(limit));
    Err(Error::failed("the program has too little memory")
        .because_of(cause)
        .hint(format!("allow {least} or more: ulimit -v unlimited")))
}

/// Ends a program that has not read its settings.
fn refuse(error: Error) -> ExitCode {
    let progress = Progress::new(Mode::Plain, false);
    end(Err(error), import::outcome::Format::Text, &progress)
}

/// Does what the command line says; prints the result and how it ended.
async fn run(mut cli: Cli) -> ExitCode {
    let environment = Environment::read();
    hide_secrets(&environment);
    cli.general.lay_over(&environment);
    let (format, quiet) = (cli::usage_error::said(&environment), cli.general.quiet);
    let ended = commands::panics::caught(async { Ok(command_of(cli, environment).await) });
    ended
        .await
        .unwrap_or_else(|error| end(Err(error), format, &Progress::new(Mode::Plain, quiet)))
}

async fn command_of(cli: Cli, environment: Environment) -> ExitCode {
    match cli.command {
        Command::Aws(flags) => go(*flags, cli.general, environment, aws::run).await,
        Command::Alicloud(flags) => go(*flags, cli.general, environment, alicloud::run).await,
        Command::Digitalocean(flags) => {
            go(*flags, cli.general, environment, digitalocean::run).await
        }
        Command::Run(said) => many(said, cli.general, environment).await,
        Command::Jobs(said) => jobs(said, cli.general, environment).await,
        Command::FromPacker(said) => from_packer(said, &cli.general),
        Command::Check(flags) => look(flags, &cli.general, &environment).await,
    }
}

/// From here on nothing that is printed has a secret of these variables in it.
fn hide_secrets(environment: &Environment) {
    let secrets = [
        aws::Options::SECRETS,
        alicloud::Options::SECRETS,
        digitalocean::Options::SECRETS,
    ];
    let names = secrets.into_iter().flatten().flat_map(|(_, names)| *names);
    for value in names.filter_map(|name| environment.get(name)) {
        secret::Secret::new(value);
    }
}

/// `imgimport run`: the frame of a single command around all jobs of a file.
async fn many(said: cli::Run, general: General, environment: Environment) -> ExitCode {
    let twice =
        || Error::usage("run reads the file that it is given, and no other: leave --config out");
    let file = general
        .config
        .as_ref()
        .map_or(Ok(&said.file), |_| Err(twice()));
    let read = file.and_then(|file| File::read(file)).and_then(|file| {
        let output = cli::output(&said.output, &environment, file.output())?;
        let jobs = file.jobs(&environment, &output, said.dry_run)?;
        let parallel = said.parallel(&environment, file.parallel())?;
        Ok((file, jobs, output, parallel, config::template::clock()?))
    });
    let (file, jobs, output, parallel, clock) = match read {
        Ok(read) => read,
        Err(error) => {
            return end(
                Err(error),
                cli::usage_error::said(&environment),
                &Progress::new(Mode::Plain, general.quiet),
            );
        }
    };
    let progress = Progress::new(output.progress.unwrap_or(Mode::Auto), general.quiet);
    log(general.verbose, &progress);
    file.tell(&progress);
    let batch = commands::run::Batch {
        environment: &environment,
        cancel: Cancel::default(),
        progress: progress.clone(),
        clock,
        format: output.format.unwrap_or_default(),
        done: commands::run::Done::open(import::journal::directory().as_deref(), &said.file),
    };
    import::cancel::listen(&batch.cancel);
    batch.progress.minds_the_shell();
    let code = batch
        .run(jobs, parallel, |line| {
            commands::stdout::write(line, &progress)
        })
        .await;
    progress.close();
    ExitCode::from(code)
}

/// `imgimport jobs`: the journal, listed or cleared.
async fn jobs(said: cli::Jobs, general: General, environment: Environment) -> ExitCode {
    let read = File::find(general.config.as_deref(), &environment).and_then(|file| {
        let output = cli::output(&said.output, &environment, file.output())?;
        let shelf =
            import::journal::directory().map(|directory| import::journal::shelf(&directory));
        let shelf = shelf.transpose().map_err(|why| {
            Error::failed("the journal can't be read")
                .because(why)
                .hint("keep it in a directory of your own, and name that in XDG_STATE_HOME")
        });
        let shelf = commands::jobs::choose(shelf?.unwrap_or_default(), &said.ids)?;
        Ok((file, output, shelf, config::template::clock()?))
    });
    let (file, output, shelf, clock) = match read {
        Ok(read) => read,
        Err(error) => {
            return end(
                Err(error),
                cli::usage_error::said(&environment),
                &Progress::new(Mode::Plain, general.quiet),
            );
        }
    };
    let format = output.format.unwrap_or_default();
    let progress = Progress::new(output.progress.unwrap_or(Mode::Auto), general.quiet);
    log(general.verbose, &progress);
    file.tell(&progress);
    if !said.clean {
        if shelf.is_empty() {
            progress.note("the journal has no unfinished jobs");
        }
        let list = commands::jobs::list(&shelf, clock, format);
        return report(&list, 0, &progress);
    }
    let session = Session {
        cancel: Cancel::default(),
        progress,
        clock,
        began: Instant::now(),
    };
    import::cancel::listen(&session.cancel);
    session.progress.minds_the_shell();
    let named = !said.ids.is_empty();
    let cleaned = commands::jobs::clean_all(&shelf, named, &file, &environment, &session).await;
    session.progress.close();
    let text = cleaned.render(format);
    report(&text, cleaned.exit_code(), &session.progress)
}

/// `imgimport from-packer`: the settings on standard output, the rest as warnings.
fn from_packer(said: cli::FromPacker, general: &General) -> ExitCode {
    let progress = Progress::new(Mode::Plain, general.quiet);
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        Some((
            name.strip_prefix("PKR_VAR_")?.to_owned(),
            value.into_string().ok()?,
        ))
    });
    let sources = packer::VariableSources {
        environment: variables.collect(),
        options: said.var,
    };
    match packer::read(&said.template, &said.var_file, &sources) {
        Ok(translation) => {
            for note in &translation.notes {
                progress.warn(note);
            }
            report(translation.toml.trim_end(), 0, &progress)
        }
        Err(error) => end(Err(error), import::outcome::Format::Text, &progress),
    }
}

/// The same frame around every cloud's recipe: settings, session, recipe, result.
async fn go<P: Table>(
    flags: Invocation<P>,
    general: General,
    environment: Environment,
    recipe: impl AsyncFnOnce(
        Invocation<P>,
        &Environment,
        &Session,
        BoxFuture<'_, Result<()>>,
    ) -> Result<Done>,
) -> ExitCode {
    let settings = File::find(general.config.as_deref(), &environment);
    let settings = settings.and_then(|file| Ok((file.under(flags, &environment)?, file)));
    let (said, file) = match settings {
        Ok(settings) => settings,
        Err(error) => {
            return end(
                Err(error),
                cli::usage_error::said(&environment),
                &Progress::new(Mode::Plain, general.quiet),
            );
        }
    };
    let format = said.output.format.unwrap_or_default();
    let progress = Progress::new(said.output.progress.unwrap_or(Mode::Auto), general.quiet);
    log(general.verbose, &progress);
    file.tell(&progress);
    for note in &said.notes {
        progress.note(note);
    }
    let clock = match config::template::clock() {
        Ok(clock) => clock,
        Err(error) => return end(Err(error), format, &progress),
    };
    let session = Session {
        cancel: Cancel::default(),
        progress,
        clock,
        began: Instant::now(),
    };
    import::cancel::listen(&session.cancel);
    session.progress.minds_the_shell();
    let mut said = match read_head(said, &session).await {
        Ok(said) => said,
        Err(error) => return end(Err(error), format, &session.progress),
    };
    let look = match check::Look::new(&mut said, &session).await {
        Ok(look) => look.judge(&session).boxed(),
        Err(error) => return end(Err(error), format, &session.progress),
    };
    let work = recipe(said, &environment, &session, look);
    let result = import::lifecycle::until_left(work, &session).await;
    end(result, format, &session.progress)
}

/// `imgimport check`: a page, nobody is asked and nothing is left behind, so that a signal
/// may end it anywhere.
async fn look(flags: check::Options, general: &General, environment: &Environment) -> ExitCode {
    let progress = Progress::new(Mode::Plain, general.quiet);
    log(general.verbose, &progress);
    let format = flags.output.unwrap_or_default();
    let options = File::find(general.config.as_deref(), environment).and_then(|file| {
        file.tell(&progress);
        let (image, output, path) = file.for_check();
        for note in flags.overrides(environment, image.as_deref(), output, path.as_deref()) {
            progress.note(&note);
        }
        flags.over(environment, image, output)
    });
    let options = match options {
        Ok(options) => options,
        Err(error) => return end(Err(error), format, &progress),
    };
    let format = options.output.unwrap_or_default();
    let looking = tokio::task::spawn_blocking(move || check::Report::new(&options));
    let report = looking.await.unwrap_or_else(|error| {
        Err(Error::failed("the image can't be looked into").because(error))
    });
    match report {
        Ok(report) => {
            let code = report.exit_code();
            self::report(&report.render(format), code, &progress)
        }
        Err(error) => end(Err(error), format, &progress),
    }
}

/// Standard input is looked at here: a pipe may let us wait, and Ctrl-C must be heard.
async fn read_head<P: Table>(mut said: Invocation<P>, session: &Session) -> Result<Invocation<P>> {
    if said.image.as_deref() != Some(Path::new("-")) {
        return Ok(said);
    }
    if std::io::stdin().is_terminal() {
        return Err(Error::usage("standard input is a terminal, not an image"));
    }
    let reading = tokio::task::spawn_blocking(image::read_head);
    let head = async {
        let read = reading.await.map_err(std::io::Error::other).flatten();
        read.map_err(|error| Error::failed("standard input can't be read").because(error))
    };
    said.head = Some(session.unless_stopped(head).await?);
    Ok(said)
}

/// Prints the result on standard output, the error on standard error. The journal closes once
/// the result was printed.
fn end(result: Result<Done>, format: import::outcome::Format, progress: &Progress) -> ExitCode {
    let error = match result {
        Ok(done) => {
            progress.close();
            let text = done.outcome.render(format);
            if !text.is_empty()
                && let Err(error) = commands::stdout::write(&text, progress)
            {
                progress.error(&commands::stdout::unwritten(done.outcome.id(), error));
                return ExitCode::FAILURE;
            }
            done.close(progress);
            return ExitCode::SUCCESS;
        }
        Err(error) => error,
    };
    progress.error(&error);
    progress.close();
    if format == import::outcome::Format::Json {
        // The same error is on standard error, and the exit code says that there is one.
        let _ = commands::stdout::write(&error.to_json().to_string(), progress);
    }
    ExitCode::from(error.kind().exit_code())
}

/// Prints a report on standard output; ends with this exit code, or with 1 if it could not be
/// written.
fn report(text: &str, code: u8, progress: &Progress) -> ExitCode {
    if text.is_empty() {
        return ExitCode::from(code);
    }
    match commands::stdout::write_report(text, progress) {
        Ok(()) => ExitCode::from(code),
        Err(error) => {
            progress.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// `-v` shows our own steps and requests. What the libraries log may hold signatures.
fn log(verbose: u8, progress: &Progress) {
    let level = match verbose {
        0 => "imgimport=warn",
        1 => "imgimport=debug",
        _ => "imgimport=trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_ansi(progress.colours())
        .with_target(false)
        .without_time()
        .with_writer(progress.log_writer())
        .init();
}
