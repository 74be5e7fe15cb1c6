//! The command line before it is parsed: an option with an empty value counts as unset, as an
//! empty variable or key does, and white space around a value is removed.

use std::ffi::OsString;

use clap::{Arg, Command};

/// The arguments without options whose value is empty. Paths and other positional arguments
/// stay as they are.
pub fn drop_empty_options(
    command: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut remaining: Vec<_> = arguments.by_ref().take(1).collect();
    let mut current = command;
    while let Some(argument) = arguments.next() {
        let Some(text) = argument.to_str() else {
            remaining.push(argument);
            continue;
        };
        if text == "--" {
            remaining.push(argument);
            break;
        }
        let Some(long) = text.strip_prefix("--") else {
            if !text.starts_with('-') && std::ptr::eq(current, command) {
                current = command.find_subcommand(text).unwrap_or(current);
            }
            // A script's empty variable in place of the image's path is no path.
            let is_image = |option: &Arg| option.get_id() == "image";
            if !text.is_empty() || !current.get_positionals().any(is_image) {
                remaining.push(argument);
            }
            continue;
        };
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let option = option(current, name).or_else(|| option(command, name));
        let option = option.filter(|option| option.get_action().takes_values());
        match (option, value) {
            (Some(option), Some(value)) => {
                if let Some(value) = trim(option, value) {
                    remaining.push(format!("--{name}={value}").into());
                }
            }
            (Some(option), None) if !option.is_require_equals_set() => match arguments.next() {
                Some(value) => match value.to_str().map(|value| trim(option, value)) {
                    Some(Some(value)) => remaining.extend([argument, value.into()]),
                    Some(None) => {}
                    None => remaining.extend([argument, value]),
                },
                None => remaining.push(argument),
            },
            _ => remaining.push(argument),
        }
    }
    remaining.extend(arguments);
    remaining
}

fn option<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut options = command.get_arguments();
    options.find(|option| {
        option
            .get_long_and_visible_aliases()
            .is_some_and(|names| names.contains(&name))
    })
}

/// The value, or none where nothing is left of it; of a list, the entries that are not empty.
fn trim(option: &Arg, value: &str) -> Option<String> {
    let value = if option.get_value_delimiter() == Some(',') {
        let entries = value.split(',').map(str::trim);
        let entries: Vec<_> = entries.filter(|entry| !entry.is_empty()).collect();
        entries.join(",")
    } else {
        value.trim().to_owned()
    };
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_with_an_empty_value_is_unset() {
        let command = crate::cli::command();
        for (arguments, expected) in [
            (
                &["aws", "--region", "", "disk.raw"][..],
                &["aws", "disk.raw"][..],
            ),
            (&["aws", "--region=", "--part-size= "], &["aws"]),
            (
                &["aws", "--region", " eu-x ", "a b "],
                &["aws", "--region", "eu-x", "a b "],
            ),
            (
                &["aws", "--ami-users=,", "--ami-users", " a, ,b"],
                &["aws", "--ami-users", "a,b"],
            ),
            (
                &["aws", "--skip-clean=", "--public", ""],
                &["aws", "--public"],
            ),
            (&["--config=", "aws", "--config", ""], &["aws"]),
            (&["aws", "--nonsense", ""], &["aws", "--nonsense"]),
            (&["jobs", "--clean", ""], &["jobs", "--clean", ""]),
            (&["aws", "--tag", "a=", "--tag="], &["aws", "--tag", "a="]),
            (&["aws", "--", "--region="], &["aws", "--", "--region="]),
            (&["aws", "--region"], &["aws", "--region"]),
            (
                &["digitalocean", "--bucket", "", "-"],
                &["digitalocean", "-"],
            ),
        ] {
            let words = |words: &[&str]| -> Vec<OsString> {
                ["imgimport"]
                    .iter()
                    .chain(words)
                    .map(OsString::from)
                    .collect()
            };
            assert_eq!(
                drop_empty_options(&command, words(arguments)),
                words(expected)
            );
        }
    }
}
