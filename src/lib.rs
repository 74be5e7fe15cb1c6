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
//! `error secret cancel units progress endpoint` · `compress http image template outcome retry
//! session` ·
//! `guest` · `layers problems job journal wait cleanup frame` · `store` · `upload` · `sending` · the clouds, which
//! never know each other · `check` · `settings usage cli` · this file.

mod alicloud;
mod aws;
mod cancel;
mod check;
mod cleanup;
mod cli;
mod compress;
mod digitalocean;
mod endpoint;
mod error;
mod frame;
mod guest;
mod http;
mod image;
mod job;
mod journal;
mod layers;
mod outcome;
mod problems;
mod progress;
mod retry;
mod secret;
mod sending;
mod session;
mod settings;
mod shell;
mod store;
mod template;
mod units;
mod upload;
mod usage;
mod wait;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cancel::Cancel;
pub use cli::command;
use cli::{Cli, Command, General};
use error::{Error, Result};
use layers::{Environment, Invocation};
use outcome::Outcome;
use progress::{Mode, Progress};
use session::Session;
use settings::{File, Table};

/// How long a run that is told to leave at once may take to say what stays.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The program.
pub fn main() -> ExitCode {
    let cli = Cli::read();
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
        Err(error) => {
            let error = Error::failed("the program can't start").because(error);
            end(
                Err(error),
                outcome::Format::Text,
                &Progress::new(Mode::Plain, false),
            )
        }
    }
}

/// Does what the command line says; prints the result and how it ended.
async fn run(cli: Cli) -> ExitCode {
    let environment = Environment::read();
    let mut cli = cli;
    cli.general.lay_over(&environment);
    match cli.command {
        Command::Aws(flags) => go(*flags, cli.general, environment, aws::run).await,
        Command::Alicloud(flags) => go(*flags, cli.general, environment, alicloud::run).await,
        Command::Digitalocean(flags) => {
            go(*flags, cli.general, environment, digitalocean::run).await
        }
        Command::Check(flags) => look(flags, &cli.general, &environment).await,
    }
}

/// The same frame around every cloud's recipe: settings, session, recipe, result.
async fn go<P: Table>(
    flags: Invocation<P>,
    general: General,
    environment: Environment,
    recipe: impl AsyncFnOnce(Invocation<P>, &Environment, &Session) -> Result<Outcome>,
) -> ExitCode {
    let settings = File::find(general.config.as_deref(), &environment);
    let settings = settings
        .and_then(|(file, warning)| Ok((flags.over(&environment, file.invocation())?, warning)));
    let (said, warning) = match settings {
        Ok(settings) => settings,
        Err(error) => {
            let arguments: Vec<_> = std::env::args_os().collect();
            return end(
                Err(error),
                usage::format(&arguments, &environment),
                &Progress::new(Mode::Plain, general.quiet),
            );
        }
    };
    let format = said.output.format.unwrap_or_default();
    let progress = Progress::new(said.output.progress.unwrap_or(Mode::Auto), general.quiet);
    log(general.verbose, &progress);
    if let Some(warning) = warning {
        progress.warn(&warning);
    }
    let clock = match template::clock() {
        Ok(clock) => clock,
        Err(error) => return end(Err(error), format, &progress),
    };
    let session = Session {
        cancel: Cancel::default(),
        progress,
        clock,
        began: Instant::now(),
    };
    cancel::listen(&session.cancel);
    let mut said = match read_head(said, &session).await {
        Ok(said) => said,
        Err(error) => return end(Err(error), format, &session.progress),
    };
    if let Err(error) = check::before(&mut said, &session).await {
        return end(Err(error), format, &session.progress);
    }
    let work = recipe(said, &environment, &session);
    let mut work = std::pin::pin!(work);
    let result = tokio::select! {
        result = &mut work => result,
        // The undo list hears it, too, and names what stays.
        () = session.cancel.leave.cancelled() => {
            let named = tokio::time::timeout(LAST_WORDS, work).await;
            named.unwrap_or_else(|_| Err(session.stopped()))
        }
    };
    end(result, format, &session.progress)
}

/// `imgimport check`: a page, nobody is asked and nothing is left behind, so that a signal
/// may end it anywhere.
async fn look(flags: check::Options, general: &General, environment: &Environment) -> ExitCode {
    let progress = Progress::new(Mode::Plain, general.quiet);
    log(general.verbose, &progress);
    let format = flags.output.unwrap_or_default();
    let options = File::find(general.config.as_deref(), environment).and_then(|(file, _)| {
        let (image, output) = file.for_check();
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
            tell(&report.render(format), &progress);
            ExitCode::from(report.exit_code())
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

/// Prints the result on standard output, the error on standard error.
fn end(result: Result<Outcome>, format: outcome::Format, progress: &Progress) -> ExitCode {
    let (text, code) = match result {
        Ok(outcome) => (outcome.render(format), 0),
        Err(error) => {
            progress.error(&error);
            let json = (format == outcome::Format::Json).then(|| error.to_json().to_string());
            (json.unwrap_or_default(), error.kind().exit_code())
        }
    };
    progress.close();
    if !text.is_empty() {
        tell(&text, progress);
    }
    ExitCode::from(code)
}

/// The result must not get lost; that nobody reads on is the reader's own wish.
fn tell(text: &str, progress: &Progress) {
    let mut out = std::io::stdout();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        progress.warn(&format!(
            "standard output can't be written ({error}); the result is: {text}"
        ));
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
