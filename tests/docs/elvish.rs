//! clap's completions for elvish know commands and options; here they learn the values,
//! the names of profiles, and files.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::profiles::lookup;

/// What the script ends with: the candidates of a command.
const LAST: &str = "    $completions[$command]\n}\n";

/// The script with values where one is asked for, and files beside the options.
pub fn completed(script: &str) -> String {
    let (start, _) = script.split_once(LAST).unwrap();
    format!(
        "{start}    var values = [\n{}    ]
    var profiles = [
        &aws={{ sh -c '{}' | from-lines }}
        &alicloud={{ sh -c '{}' | from-lines }}
    ]
    var asked = $command';'$words[-2]
    if (has-key $values $asked) {{
        all $values[$asked]
    }} elif (and (eq $words[-2] --profile) (has-key $profiles $words[1])) {{
        $profiles[$words[1]]
    }} else {{
        if (has-key $completions $command) {{
            $completions[$command]
        }}
        if (not-eq $command imgimport) {{
            edit:complete-filename $@words
        }}
    }}
}}
",
        values(),
        quoted(&lookup("aws")),
        quoted(&lookup("alicloud")),
    )
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

/// `&'imgimport;aws;--format'=[raw vhd …]`.
fn values() -> String {
    let mut program = imgimport::command();
    program.build();
    let mut text = String::new();
    for command in program.get_subcommands() {
        for option in command.get_opts() {
            write(&mut text, command, option);
        }
    }
    text
}

fn write(text: &mut String, command: &Command, option: &Arg) {
    let values = option.get_possible_values();
    let values: Vec<_> = values
        .iter()
        .map(clap::builder::PossibleValue::get_name)
        .collect();
    if values.is_empty() {
        return;
    }
    for long in option.get_long_and_visible_aliases().unwrap_or_default() {
        let (command, values) = (command.get_name(), values.join(" "));
        let _ = writeln!(text, "        &'imgimport;{command};--{long}'=[{values}]");
    }
}
