//! The completions in the shells themselves, which load them and say what they offer.
//! Where a shell is missing its story says so and is not told.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::home;
use crate::support::find_tool;

/// A user with profiles of both clouds and an image.
fn user() -> TempDir {
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
    write("disk.ova", "");
    user
}

/// What the shell prints, which must complain of nothing.
fn says(shell: &Path, user: &Path, script: &str) -> Vec<String> {
    let output = Command::new(shell)
        .args(["-c", script])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", user)
        .env("TERM", "dumb")
        .current_dir(user)
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaints, "", "{}: {script}", shell.display());
    let offered = String::from_utf8(output.stdout).unwrap();
    offered.lines().map(str::to_owned).collect()
}

/// Asks for what follows these words, in each way that matters.
fn complete(offers: impl Fn(&str) -> Vec<String>) {
    assert_eq!(
        offers("imgimport aws --profile "),
        ["builder", "default", "images"]
    );
    assert_eq!(offers("imgimport alicloud --profile "), ["cn"]);
    let mut formats = offers("imgimport aws --format ");
    formats.sort();
    assert_eq!(formats, ["ova", "qcow2", "raw", "vhd", "vhdx", "vmdk"]);
    for (words, expected) in [
        ("imgimport ", "alicloud"),
        ("imgimport ", "from-packer"),
        ("imgimport aws --ami-na", "--ami-name"),
        ("imgimport check --for ", "digitalocean"),
        ("imgimport aws --region ", "eu-central-1"),
        ("imgimport aws --copy-to ", "us-east-1"),
        ("imgimport alicloud --region ", "cn-beijing"),
        ("imgimport digitalocean --image-region ", "fra1"),
        ("imgimport aws --config disk", "disk.ova"),
    ] {
        let offered = offers(words);
        assert!(
            offered.iter().any(|one| one == expected),
            "{words}: {offered:?}"
        );
    }
}

#[test]
fn bash_completes() {
    let user = user();
    let file = home("completions/imgimport.bash");
    complete(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let script = format!(
            "source {}; COMP_WORDS=({} '{last}'); COMP_CWORD={}; _imgimport imgimport '{last}' '{before}' 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            words[..words.len() - 1].join(" "),
            words.len() - 1,
        );
        says(Path::new("/bin/bash"), user.path(), &script)
    });
}

#[test]
fn fish_completes() {
    let Some(fish) = find_tool("fish", "fish") else {
        return;
    };
    let user = user();
    let file = home("completions/imgimport.fish");
    let offers = |line: &str| {
        let script = format!("source {}; complete -C '{line}'", file.display());
        let offered = says(&fish, user.path(), &script);
        let words = offered.iter().filter_map(|line| line.split('\t').next());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    complete(offers);
    assert_eq!(offers("imgimport aws disk"), ["disk.ova"]);
    assert!(offers("imgimport help ").contains(&"alicloud".to_owned()));
}

#[test]
fn zsh_loads() {
    let Some(zsh) = find_tool("zsh", "zsh") else {
        return;
    };
    let user = user();
    let script = format!(
        "fpath=({} $fpath); autoload -Uz compinit; compinit -u -D; autoload +X _imgimport; print $_comps[imgimport]",
        home("completions").display()
    );
    assert_eq!(says(&zsh, user.path(), &script), ["_imgimport"]);
}
