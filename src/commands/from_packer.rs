//! `imgimport from-packer`: the settings on standard output, what was left out as warnings.

use std::process::ExitCode;

use super::output;
use crate::cli::{FromPackerArgs, GlobalArgs};
use crate::config::OutputFormat;
use crate::packer;
use crate::progress::{Mode, Progress};

/// Reads the template and prints the settings that its import blocks become.
pub fn execute(args: FromPackerArgs, general: &GlobalArgs) -> ExitCode {
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
        options: args.var,
    };
    match packer::read(&args.template, &args.var_file, &sources) {
        Ok(translation) => {
            for note in &translation.notes {
                progress.warn(note);
            }
            output::print_report(translation.toml.trim_end(), 0, &progress)
        }
        Err(error) => output::finish(Err(error), OutputFormat::Text, &progress),
    }
}
