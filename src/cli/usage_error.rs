//! The end of a command line that can't be understood: in clap's words for people, as the
//! error object for programs that asked for JSON, however wrong the rest is.

use std::ffi::OsString;
use std::io::Write;

use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::OutputFormat;
use crate::config::{Environment, clap_reason};
use crate::error::Error;
use crate::secret::mask;

/// Prints the error, or the help that was asked for, and ends the program.
pub fn exit_with(mut error: clap::Error, commands: &clap::Command) -> ! {
    suggest(&mut error, commands);
    if error.use_stderr() && requested_format(&Environment::read()) == OutputFormat::Json {
        let object = to_json(&error);
        // Nobody reads it; the sentence on standard error follows anyway.
        let _ = writeln!(std::io::stdout(), "{}", mask(&object.to_string()));
    }
    if error.use_stderr() {
        error.exit()
    }
    // clap's own exit would hide that the help could not be written.
    let code = match error.print().and_then(|()| std::io::stdout().flush()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
            let failed =
                Error::failed("could not write the help to standard output").with_source(why);
            let _ = writeln!(std::io::stderr(), "{failed}");
            failed.kind().exit_code().into()
        }
        _ => error.exit_code(),
    };
    #[expect(clippy::exit, reason = "nothing has begun that would need an end")]
    std::process::exit(code)
}

fn to_json(error: &clap::Error) -> serde_json::Value {
    let usage = Error::usage(clap_reason(error));
    let rendered = error.render().to_string();
    let tip = rendered
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "));
    usage
        .hint(tip.unwrap_or("--help shows what there is"))
        .to_json()
}

/// What the flags say, or the variables; the file is not read by a run that goes wrong so early.
pub fn requested_format(environment: &Environment) -> OutputFormat {
    let arguments: Vec<_> = std::env::args_os().collect();
    format_from(&arguments, environment)
}

fn format_from(arguments: &[OsString], environment: &Environment) -> OutputFormat {
    let texts: Vec<_> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy())
        .collect();
    let flag = texts.iter().enumerate().rev().find_map(|(at, argument)| {
        let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
        let next = texts.get(at + 1).map_or("", |next| next);
        let value = if argument.contains('=') { value } else { next };
        (name == "--output").then(|| value.to_owned())
    });
    let command = texts
        .get(1)
        .map(|word| word.to_uppercase())
        .unwrap_or_default();
    let name = flag
        .or_else(|| environment.get(&format!("IMGIMPORT_{command}_OUTPUT")))
        .or_else(|| environment.get("IMGIMPORT_OUTPUT"));
    name.and_then(|name| OutputFormat::from_str(&name, true).ok())
        .unwrap_or_default()
}

/// clap finds no likeness between `asw` and `aws`: it knows no letters that changed places.
fn suggest(error: &mut clap::Error, commands: &clap::Command) {
    if error.kind() != ErrorKind::InvalidSubcommand
        || error.get(ContextKind::SuggestedSubcommand).is_some()
    {
        return;
    }
    let Some(ContextValue::String(command)) = error.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    let typed = command.to_lowercase();
    let names = commands.get_subcommands().map(clap::Command::get_name);
    let near = names
        .map(|name| (strsim::damerau_levenshtein(&typed, name), name))
        .filter(|(typos, name)| *typos <= 1 || *typos * 3 <= name.len())
        .min();
    if let Some((_, name)) = near {
        let name = ContextValue::Strings(vec![name.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_format_survives_invalid_arguments() {
        for (arguments, variables, expected) in [
            ("aws --nonsense --output json", &[][..], OutputFormat::Json),
            ("aws --output=JSON disk.raw --x", &[], OutputFormat::Json),
            ("aws --output json --output text", &[], OutputFormat::Text),
            ("aws --output", &[], OutputFormat::Text),
            ("aws --output yaml", &[], OutputFormat::Text),
            ("asw", &[("IMGIMPORT_OUTPUT", "json")], OutputFormat::Json),
            (
                "aws",
                &[("IMGIMPORT_AWS_OUTPUT", "json")],
                OutputFormat::Json,
            ),
            (
                "aws --output text",
                &[("IMGIMPORT_OUTPUT", "json")],
                OutputFormat::Text,
            ),
        ] {
            let words = ["imgimport"].into_iter().chain(arguments.split(' '));
            let words: Vec<_> = words.map(OsString::from).collect();
            let variables = variables.iter();
            let variables = variables.map(|&(name, value)| (name.to_owned(), value.to_owned()));
            let environment = Environment::from_variables(variables);
            assert_eq!(format_from(&words, &environment), expected, "{arguments}");
        }
    }
}
