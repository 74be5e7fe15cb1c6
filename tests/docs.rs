//! The manual and the completions are what the command line makes of them. When they
//! differ: `BLESS=1 cargo test docs` writes them anew.

mod elvish;
mod examples;
mod help;
mod imports;
mod manual;
mod permissions;
mod profiles;
mod shells;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap_complete::Shell;

#[test]
fn no_files_of_src_take_names_from_each_other_in_a_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let circles = imports::Crate::read(&src).circles();
    assert!(
        circles.is_empty(),
        "move what an arrow hangs on to where it belongs:\n\n{}",
        circles.join("\n")
    );
}

#[test]
fn the_manual_is_that_of_this_command_line() {
    let fresh = tempfile::tempdir().unwrap();
    for (file, text) in manual::pages() {
        fs::write(fresh.path().join(file), text).unwrap();
    }
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

#[test]
fn the_command_line_is_sound() {
    imgimport::command().debug_assert();
}

#[test]
fn the_settings_in_the_readme_are_valid() {
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
