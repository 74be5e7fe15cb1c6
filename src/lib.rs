//! Uploads a local disk image and imports it as a cloud machine image.
//!
//! ```text
//!  flags ──┐
//!  env   ──┼─► Options ── resolve ──► Job ──┐
//!  TOML  ──┘                 ▲              ▼
//!  file  ──► Image ──────────┘   preflight ► upload ► import task ► poll ► finish ──► Outcome
//!                                            └── undo list: what is left behind ──► Error
//! ```
//!
//! Imports point down this list:
//!
//! | modules | |
//! |---|---|
//! | `commands` | one file for each sub-command |
//! | `cli` | the command line, its help, usage errors |
//! | `settings` `check` `packer` | the TOML file; the report on an image; `from-packer` |
//! | `clouds` | the list of clouds |
//! | `aws` `alicloud` `digitalocean` | one recipe each, in `mod.rs` and `steps.rs`; they never import each other |
//! | `import` | what every import shares: session, journal, undo list, polling, result |
//! | `transfer` | the upload engine: reads in order, sends parts in parallel |
//! | `store` `config` | object stores; flags over environment over file |
//! | `guest` `net` | the system inside an image; HTTP, retries, network errors |
//! | `image` `progress` | formats of disk images; bars, lines and JSON on standard error |
//! | `error` `secret` `shell` `units` `platform` | the error of the program, secrets, commands to paste, sizes and times |
//!
//! | to change | open |
//! |---|---|
//! | the clouds: a new one is a folder and a line | `clouds.rs`, the trait in `import/cloud.rs` |
//! | an option, its variable and its key | `CLOUD/options.rs` |
//! | which settings are refused | `CLOUD/validate`, `CLOUD/unsupported.rs` |
//! | the order of an import | `CLOUD/steps.rs` |
//! | the upload | `CLOUD/upload.rs`, the engine in `transfer` |
//! | the import task | `CLOUD/import_task.rs`, `CLOUD/task_status.rs` |
//! | the hint of a service's error | `CLOUD/hints.rs` |
//! | what Ctrl-C and `jobs --clean` remove | `CLOUD/resources.rs`, `import/undo` |
//! | what is tried again, and how long | `net/retry.rs`, `store/error.rs`, `CLOUD/error.rs` |
//! | a format of disk images | `image/formats` |
//! | what `check` finds | `CLOUD/check.rs`, `import/guest_rules.rs`, from what `guest` reads |
//! | help and manual pages | `cli/help_text` |

mod alicloud;
mod aws;
mod check;
mod cli;
mod clouds;
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

use std::process::ExitCode;
use std::thread;

pub use cli::{command, help_text};

use error::Error;

/// Bytes of stack for the run: as many as Linux gives a main thread.
const STACK: usize = 8 << 20;

/// Runs the program: reads the command line, executes the sub-command, returns the exit code.
pub fn main() -> ExitCode {
    commands::panics::install();
    // A main thread's stack is mapped as it grows, and a process whose address space is used up
    // ends there with SIGSEGV. The stack of another thread is mapped before it starts.
    let run = thread::Builder::new()
        .name("main".to_owned())
        .stack_size(STACK)
        .spawn(commands::start);
    match run.map(thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(payload)) => commands::cannot_start(commands::panics::panic_error(payload.as_ref())),
        Err(error) => {
            commands::cannot_start(Error::failed("the program can't start").with_source(error))
        }
    }
}
