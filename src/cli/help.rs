//! The command line with all that help shows: each option's variables and key, the groups
//! of options, examples and exit codes.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use super::Cli;
use super::help_groups::with_groups;
use super::help_text::{PAGES, Page, Rows};
use crate::check;
use crate::clouds::{CloudId, with_cloud};
use crate::config::trust;
use crate::config::trust::Trust;
use crate::config::{CloudOptions, variables};

/// The command line.
pub fn command() -> Command {
    let command = CloudId::ALL
        .into_iter()
        .fold(Cli::command(), |command, id| {
            with_cloud!(id, C => {
                command.mut_subcommand(C::NAME, |import| import.mut_args(with_layers::<C>))
            })
        });
    let command = command.mut_subcommand("check", |check| check.mut_args(with_variables));
    PAGES.into_iter().fold(command, |command, page| {
        if page.command.is_empty() {
            return with_page(command, page);
        }
        command.mut_subcommand(page.command, |sub| with_groups(with_page(sub, page)))
    })
}

/// The texts above and below the options.
fn with_page(command: Command, page: &Page) -> Command {
    let style = *command.get_styles().get_header();
    let title = |text: &str| format!("{style}{text}:{style:#}\n");
    let about = command.get_about().cloned().unwrap_or_default();
    let about = format!("{about}\n\n{}\n\n{}", page.description, page.output);
    let short = format!(
        "{}{}\n{}",
        title("Example"),
        short_examples(page),
        more_help(page)
    );
    let mut long = String::new();
    if !page.environment.is_empty() {
        long += &(title("Environment") + &definitions(page.environment) + "\n");
    }
    long += &(title("Examples") + &examples(page.examples) + "\n");
    long += &(title("Exit codes") + &exit_codes(page.exit_status));
    command
        .long_about(about)
        .after_help(short)
        .after_long_help(long.trim_end().to_owned())
}

/// The shortest example; a newcomer to the program sees the import, too.
fn short_examples(page: &Page) -> String {
    let count = if page.command.is_empty() { 2 } else { 1 };
    let examples = page.examples.iter().take(count);
    examples.fold(String::new(), |mut text, (_, command)| {
        let _ = writeln!(text, "  {}", command.replace('\n', "\n  "));
        text
    })
}

/// Where the rest is.
fn more_help(page: &Page) -> String {
    match page.command {
        "" => "Options, examples and exit codes of a command: imgimport COMMAND --help".to_owned(),
        command => {
            format!("More options, examples and exit codes: imgimport {command} --help")
        }
    }
}

/// Each name on a line of its own, its meaning below it.
fn definitions(rows: Rows) -> String {
    rows.iter()
        .fold(String::new(), |mut text, (name, meaning)| {
            let _ = writeln!(
                text,
                "  {}\n          {meaning}",
                name.replace(", ", "\n  ")
            );
            text
        })
}

fn examples(rows: Rows) -> String {
    let texts: Vec<_> = rows
        .iter()
        .map(|(what, command)| format!("  {what}\n      {}\n", command.replace('\n', "\n      ")))
        .collect();
    texts.join("\n")
}

fn exit_codes(rows: Rows) -> String {
    rows.iter()
        .fold(String::new(), |mut text, (name, meaning)| {
            let _ = writeln!(text, "  {name:>3}  {meaning}");
            text
        })
}

/// Adds the variables of an option of `check`.
fn with_variables(option: Arg) -> Arg {
    let id = option.get_id().as_str();
    let key = match id {
        "image" => return option,
        "output" => " [key: [output] format]",
        _ => "",
    };
    let variables = check::variables(id).join(", ");
    let help = option.get_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    option.long_help(format!("{help}\n[env: {variables}]{key}"))
}

/// Adds what the other two layers call the option.
fn with_layers<P: CloudOptions>(option: Arg) -> Arg {
    let variables = shown_variables::<P>(&option);
    if variables.is_empty() {
        return option;
    }
    let help = option
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let key = settings_key::<P>(&option)
        .map(|key| format!(" [key: {key}]"))
        .unwrap_or_default();
    option.long_help(format!("{help}\n[env: {}]{key}", variables.join(", ")))
}

/// One of our own variables, and the provider's: the others follow from the rule that the
/// program's page has.
fn shown_variables<P: CloudOptions>(option: &Arg) -> Vec<String> {
    let (own_variables, others): (Vec<_>, Vec<_>) = variables::<P>(option)
        .into_iter()
        .partition(|name| name.starts_with("IMGIMPORT_"));
    let is_shared =
        is_shared_table(option) || matches!(option.get_id().as_str(), "dry_run" | "skip_checks");
    let own_variable = own_variables.into_iter().nth(usize::from(is_shared));
    own_variable.into_iter().chain(others).collect()
}

/// Whether it stands in a table that all clouds share.
fn is_shared_table(option: &Arg) -> bool {
    matches!(
        option.get_help_heading(),
        Some("Upload" | "Wait" | "Output")
    )
}

/// The option in the settings file, `[table] key`.
fn settings_key<P: CloudOptions>(option: &Arg) -> Option<String> {
    let id = option.get_id().as_str();
    match (option.get_help_heading(), id) {
        (None, _) | (_, "dry_run") => None,
        (_, "skip_checks") => Some("skip_checks".to_owned()),
        (_, "output") => Some("[output] format".to_owned()),
        (Some(table), _) if is_shared_table(option) => {
            Some(format!("[{}] {id}", table.to_lowercase()))
        }
        _ => {
            let location = match trust::decision(P::TRUST, id) {
                Trust::Any => "",
                _ => ", in a file that was named",
            };
            Some(format!("[{}] {id}{location}", P::NAME))
        }
    }
}
