//! The manual and the completions are what the command line makes of them. When they
//! differ: `BLESS=1 cargo test docs` writes them anew.

mod profiles;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap_complete::Shell;

#[test]
fn the_manual_is_that_of_this_command_line() {
    let fresh = tempfile::tempdir().unwrap();
    let command = imgimport::command().version(env!("CARGO_PKG_VERSION"));
    clap_mangen::generate_to(command, fresh.path()).unwrap();
    compare(fresh.path(), "man");
}

#[test]
fn the_completions_are_those_of_this_command_line() {
    let fresh = tempfile::tempdir().unwrap();
    for shell in [
        Shell::Bash,
        Shell::Zsh,
        Shell::Fish,
        Shell::PowerShell,
        Shell::Elvish,
    ] {
        let mut command = imgimport::command();
        let path =
            clap_complete::generate_to(shell, &mut command, "imgimport", fresh.path()).unwrap();
        let script = fs::read_to_string(&path).unwrap();
        fs::write(path, profiles::completed(shell, &script)).unwrap();
    }
    compare(fresh.path(), "completions");
}

/// What bash offers after these words.
fn bash_offers(home_directory: &Path, words: &[&str]) -> Vec<String> {
    let script = format!(
        "source {}; COMP_WORDS=({} ''); COMP_CWORD={}; _imgimport imgimport '' {}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        home("completions/imgimport.bash").display(),
        words.join(" "),
        words.len(),
        words[words.len() - 1],
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home_directory)
        .output()
        .unwrap();
    let offered = String::from_utf8(output.stdout).unwrap();
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_regions_formats_and_profiles() {
    let user = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = user.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let config = "[default]\n[profile images]\nregion = x\n[sso-session work]\n";
    write(".aws/config", config);
    write(".aws/credentials", "[builder]\naws_access_key_id = x\n");
    write(
        ".aliyun/config.json",
        r#"{"profiles": [{"name": "cn", "mode": "AK"}]}"#,
    );
    let offers = |words: &[&str]| bash_offers(user.path(), words);
    assert_eq!(
        offers(&["imgimport", "aws", "--profile"]),
        ["builder", "default", "images"]
    );
    assert_eq!(offers(&["imgimport", "alicloud", "--profile"]), ["cn"]);
    assert_eq!(
        offers(&["imgimport", "aws", "--format"]),
        ["raw", "vhd", "ova", "vmdk", "vhdx", "qcow2"]
    );
    for (cloud, option, region) in [
        ("aws", "--region", "eu-central-1"),
        ("aws", "--copy-to", "us-east-1"),
        ("alicloud", "--region", "cn-beijing"),
        ("digitalocean", "--image-region", "fra1"),
    ] {
        let offered = offers(&["imgimport", cloud, option]);
        assert!(offered.iter().any(|one| one == region), "{offered:?}");
    }
}

#[test]
fn the_command_line_is_sound() {
    imgimport::command().debug_assert();
}

#[test]
fn help_fits_a_terminal_and_names_all_three_layers() {
    let mut command = imgimport::command();
    command.build();
    let aws = command.find_subcommand_mut("aws").unwrap();
    let help = aws.render_long_help().to_string();
    assert!(help.contains("[env: IMGIMPORT_AWS_BUCKET"), "{help}");
    assert!(help.contains("[key: [aws] s3_bucket_name]"), "{help}");
    let wide: Vec<_> = help
        .lines()
        .filter(|line| line.chars().count() > 100)
        .collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn the_readme_shows_settings_that_are_accepted() {
    let readme = fs::read_to_string(home("README.md")).unwrap();
    let examples: Vec<_> = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        let table: toml::Table = toml::from_str(example).unwrap();
        assert!(!table.is_empty());
    }
}

fn home(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every file, and no file that nothing generates any more.
#[track_caller]
fn compare(fresh: &Path, name: &str) {
    let (fresh, kept) = (files(fresh), files(&home(name)));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(home(name)).unwrap();
        for stale in kept.keys().filter(|file| !fresh.contains_key(*file)) {
            fs::remove_file(home(name).join(stale)).unwrap();
        }
        for (file, text) in &fresh {
            fs::write(home(name).join(file), text).unwrap();
        }
        return;
    }
    let differing: Vec<_> = fresh
        .keys()
        .chain(kept.keys())
        .filter(|file| fresh.get(*file) != kept.get(*file))
        .collect();
    assert!(
        differing.is_empty(),
        "{name}/ is not up to date: {differing:?}; BLESS=1 cargo test docs writes it"
    );
}

fn files(dir: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read_to_string(entry.path()).unwrap(),
            )
        })
        .collect()
}
