//! Names of profiles lie in files of the user's, where the shells look while they complete.
//! clap's generator knows nothing of such values.

use std::fmt::Write as _;

use clap_complete::Shell;

/// Sections of the AWS CLI's two files, names in the aliyun CLI's one.
const AWS: &str = r#"sed -n 's/^\[\(profile \)\{0,1\}\([^] ]*\)\]$/\2/p' "${AWS_CONFIG_FILE:-$HOME/.aws/config}" "${AWS_SHARED_CREDENTIALS_FILE:-$HOME/.aws/credentials}""#;
const ALICLOUD: &str = r#"sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' "$HOME/.aliyun/config.json""#;

/// The script, with the profiles of each cloud where `--profile` is completed.
pub fn completed(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => bash(script) + "\n" + &function(),
        Shell::Zsh => zsh(script),
        Shell::Fish => fish(script),
        Shell::Elvish => super::elvish::completed(script),
        _ => script.to_owned(),
    }
}

/// The command line that prints the names of a cloud's profiles.
pub fn lookup(cloud: &str) -> String {
    let names = if cloud == "aws" { AWS } else { ALICLOUD };
    format!("{names} 2>/dev/null | sort -u")
}

fn function() -> String {
    format!(
        "_imgimport_profiles() {{\n    case \"$1\" in\n        aws) {AWS} ;;\n        alicloud) {ALICLOUD} ;;\n    esac 2>/dev/null | sort -u\n}}\n"
    )
}

/// The word after `--profile)` of each cloud's case.
fn bash(script: &str) -> String {
    let (mut cloud, mut asked, mut whole) = ("", false, String::new());
    for line in script.lines() {
        let word = line.trim();
        if word.starts_with("imgimport__subcmd__") && word.ends_with(')') {
            cloud = word
                .trim_start_matches("imgimport__subcmd__")
                .trim_end_matches(')');
        }
        let line = if asked {
            let names = format!("compgen -W \"$(_imgimport_profiles {cloud})\" -- \"${{cur}}\"");
            line.replace("compgen -f \"${cur}\"", &names)
        } else {
            line.to_owned()
        };
        asked = word == "--profile)";
        let _ = writeln!(whole, "{line}");
    }
    whole
}

fn zsh(script: &str) -> String {
    let mut whole = String::new();
    for line in script.lines() {
        if line.starts_with("if [ \"$funcstack[1]\"") {
            whole += &function();
            whole += "\n";
        }
        let cloud = cloud_of(line);
        let names = format!(":NAME:{{compadd -- $(_imgimport_profiles {cloud})}}'");
        let line = if line.starts_with("'--profile=") {
            line.replace(":NAME:_default'", &names)
        } else {
            line.to_owned()
        };
        let _ = writeln!(whole, "{line}");
    }
    whole
}

fn fish(script: &str) -> String {
    let single = |command: &str| {
        command
            .replace("${AWS_CONFIG_FILE:-$HOME/.aws/config}", "$HOME/.aws/config")
            .replace(
                "${AWS_SHARED_CREDENTIALS_FILE:-$HOME/.aws/credentials}",
                "$HOME/.aws/credentials",
            )
    };
    let mut whole = format!(
        "function __imgimport_profiles\n    switch $argv[1]\n        case aws\n            {} 2>/dev/null | sort -u\n        case alicloud\n            {} 2>/dev/null | sort -u\n    end\nend\n\n",
        single(AWS),
        single(ALICLOUD)
    );
    for line in script.lines() {
        let cloud = cloud_of(line);
        let names = format!(" -f -a '(__imgimport_profiles {cloud})'");
        let names = if line.contains(" -l profile ") {
            names.as_str()
        } else {
            ""
        };
        // After "help" the word itself has been seen, which says nothing of what follows.
        let line = if line.contains("_using_subcommand help;") {
            line.replace(" help\" -f -a", "\" -f -a")
        } else {
            line.to_owned()
        };
        let _ = writeln!(whole, "{line}{names}");
    }
    whole
}

fn cloud_of(line: &str) -> &'static str {
    if line.contains("aliyun") {
        "alicloud"
    } else {
        "aws"
    }
}
