//! The catalogue of messages: the tables of help, and the sentences of errors and hints in
//! the source, read and held against the manner of the house.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Names that begin a sentence with a capital.
const NAMES: &[&str] = &[
    "AWS",
    "Alibaba",
    "DigitalOcean",
    "EC2",
    "ECS",
    "OSS",
    "Packer",
    "S3",
    "Spaces",
    "VM",
    "GPT",
    "OVF",
    "VMDK",
    "VHD",
    "VHDX",
    "QCOW2",
    "SHA-256",
    "SOURCE_DATE_EPOCH",
    "CRC",
    "LVM",
    "LUKS",
    "BitLocker",
    "Windows",
    "Systems",
    "Vault",
    "Linux",
    "IMGIMPORT",
    "KMS",
    "IAM",
    "TOML",
    "HCL",
    "HCL2",
    "JSON",
    "UEFI",
    "ZIP",
    "OVA",
];
/// What nobody outside of the source can do anything with.
const INNER: &str = r"Some\(|None(?-u:\b)|Ok\(|Err\(|ErrorKind|unwrap|panicked|caused by|internal error|(?-u:\b)null(?-u:\b)|enum(?-u:\b)|mutex";

/// Programs that a hint may tell to run.
const PROGRAMS: &[&str] = &[
    "aws",
    "aliyun",
    "doctl",
    "qemu-img",
    "imgimport",
    "dracut",
    "grub2-mkconfig",
    "gzip",
    "lvm",
    "update-initramfs",
    "xz",
    "gunzip",
    "bunzip2",
    "unzip",
    "tar",
    "sgdisk",
    "cp",
    "chmod",
];

/// Every known refusal and reason of the clouds, and what helps.
fn tables() -> impl Iterator<Item = (&'static str, &'static str)> {
    let clouds = [
        crate::alicloud::HELP,
        crate::aws::HELP,
        crate::digitalocean::HELP,
    ];
    let tables = clouds.into_iter().flatten();
    tables.flat_map(|table| table.iter().copied())
}

/// What an error or a warning says.
const ERRORS: &str =
    r"(?:Error::(?:failed|usage|refused)|\.hint|with_cause|\.warn)\(\s*&?(?:format!\(\s*)?";
/// What is done, or has been found.
const STEPS: &str = r"\.(?:stage|info|finish)\(\s*&?(?:format!\(\s*)?";
/// What a real run would do, after "Would ".
const PLANS: &str = r"plan\.step\(\s*&?(?:format!\(\s*)?";
/// Anything: hints of tables, texts that functions build, notes.
const ANY: &str = r"(?:[(\[{,=>|&]|return)\s*";

/// Literals that follow this in the source, with the file in which they stand.
fn literals(before: &str) -> Vec<(PathBuf, String)> {
    let literal = Regex::new(&format!(r#"{before}"((?:[^"\\]|\\(?s:.))*)""#));
    let literal = literal.expect("a pattern");
    let comment = Regex::new(r"(?m)^\s*//.*$").expect("a pattern");
    let mut found = Vec::new();
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).expect("a source");
        let text = text
            .split("#[cfg(test)]\n#[allow")
            .next()
            .unwrap_or_default();
        let text = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let text = &comment.replace_all(text, "");
        found.extend(
            literal
                .captures_iter(text)
                .map(|found| (file.clone(), shown_text(&found[1]))),
        );
    }
    found
}

/// The literal as it is printed.
fn shown_text(literal: &str) -> String {
    let joined = Regex::new(r"\\\n\s*").expect("a pattern");
    let text = joined.replace_all(literal, "");
    text.replace(r#"\""#, "\"")
        .replace(r"\n", "\n")
        .replace(r"\\", r"\")
}

fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut all = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            if !path.ends_with("tests") {
                all.extend(files(&path));
            }
        } else if path
            .file_name()
            .is_some_and(|name| name != "tests.rs" && name != "messages.rs")
        {
            all.insert(path);
        }
    }
    all
}

/// What is wrong with a sentence that completes "error: ", "cause: " or "hint: ".
fn style_problems(text: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let first = text.chars().next().unwrap_or(' ');
    let named = NAMES.iter().any(|name| text.starts_with(name));
    if first.is_whitespace() || (first.is_uppercase() && !named) {
        faults.push("begins with a capital, or with a blank");
    }
    if text.ends_with(['.', '!', ' ', '\n']) {
        faults.push("ends in a period, a mark or a blank");
    }
    if text.contains('!') {
        faults.push("cries");
    }
    if text.contains("{:?}") || Regex::new(INNER).expect("a pattern").is_match(text) {
        faults.push("speaks of its inside");
    }
    let length = text.chars().count();
    if !(3..=400).contains(&length) {
        faults.push("is too short or too long");
    }
    faults
}

#[test]
fn all_messages_are_sentences_that_help() {
    let sentences = literals(ERRORS);
    assert!(sentences.len() > 150, "only {} were found", sentences.len());
    let here = || PathBuf::from("help.rs");
    let helps = tables().map(|(_, help)| (here(), help.to_owned()));
    let wrong: Vec<_> = sentences
        .into_iter()
        .chain(helps)
        .map(|(file, text)| (style_problems(&text), file, text))
        .filter(|(faults, ..)| !faults.is_empty())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_step_is_a_sentence() {
    let (steps, plans) = (literals(STEPS), literals(PLANS));
    let count = steps.len() + plans.len();
    assert!(count > 40, "only {count} were found");
    let plans = plans
        .into_iter()
        .map(|(file, text)| (file, format!("Would {text}")));
    let wrong = steps.into_iter().chain(plans).filter(|(_, text)| {
        let first = text.trim_start_matches("Would ").chars().next();
        let planned = text.starts_with("Would ");
        let begins = first.is_some_and(|c| c == '{' || c.is_uppercase() != planned);
        !begins || text.ends_with(['.', '!', ' '])
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Of whatever reads like a sentence, wherever it is built.
#[test]
fn no_message_shouts_or_names_rust_internals() {
    let inner = Regex::new(INNER).expect("a pattern");
    let mark = Regex::new(r"\{[^}]*\}").expect("a pattern");
    let words = |text: &str| mark.replace_all(text, "").split_whitespace().count();
    // A password field, and a word of cloud-init's.
    let plain = |text: &str| text.replace("'!'", "").replace("NoCloud, None", "");
    // The pages of help have paragraphs; test_support.rs is the tests'.
    let is_said = |(file, text): &(PathBuf, String)| {
        let is_page = file
            .components()
            .any(|part| part.as_os_str() == "help_text");
        words(text) > 4 && !is_page && !text.contains("\n\n") && !file.ends_with("test_support.rs")
    };
    let messages: Vec<_> = literals(ANY).into_iter().filter(is_said).collect();
    assert!(messages.len() > 500, "only {} were found", messages.len());
    let wrong = messages.into_iter().filter(|(_, text)| {
        let text = plain(text);
        text.contains('!') || text.ends_with(['.', ' ']) || inner.is_match(&text)
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_command_in_a_hint_is_one_that_is_there() {
    let command = Regex::new(r": ([a-z][a-z0-9-]*) (?:[a-z0-9]+ |-)").expect("a pattern");
    let helps = tables().map(|(_, help)| help.to_owned());
    let hints = literals(ERRORS).into_iter().map(|(_, text)| text);
    let command_hint = Regex::new(r"(?:convert it|with|run|create it|anew in the machine): ");
    let command_hint = command_hint.expect("a pattern");
    let mut met = 0;
    for text in helps.chain(hints) {
        for found in command_hint.find_iter(&text) {
            let rest = &text[found.end() - 2..];
            if let Some(program) = command
                .captures(rest)
                .filter(|found| rest.starts_with(&found[0]))
            {
                met += 1;
                assert!(
                    PROGRAMS.contains(&&program[1]),
                    "{} in: {text}",
                    &program[1]
                );
            }
        }
    }
    assert!(met > 5, "only {met} commands were found");
}

/// The beginning of a call of a program, in a literal.
const CALL: &str = r"(?-u:\b)(?:aws (?:account|ebs|ec2|iam|kms|s3|s3api|ssm|sso|sts)|aliyun [a-z]+|doctl [a-z]+|qemu-img [a-z]+|(?:tar|gzip|bzip2|xz|zstd) -[-a-z]|unzip|mkdir|truncate -|chmod [0-7]|usermod -|imgimport (?:aws|alicloud|digitalocean|check|jobs|run)) ";

#[test]
fn a_command_with_names_in_it_is_built_by_the_type_that_quotes_them() {
    let call = Regex::new(CALL).expect("a pattern");
    let calls: Vec<_> = literals(ANY)
        .into_iter()
        .filter(|(file, text)| {
            let is_page = file
                .components()
                .any(|part| part.as_os_str() == "help_text");
            !is_page && !file.ends_with("test_support.rs") && call.is_match(&format!("{text} "))
        })
        .collect();
    assert!(calls.len() > 15, "only {} were found", calls.len());
    // A table's marks are filled in with whole commands and quoted words.
    let wrong = calls.into_iter().filter(|(_, text)| text.contains('{'));
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_entry_hides_behind_another() {
    for table in [
        crate::alicloud::HELP,
        crate::aws::HELP,
        crate::digitalocean::HELP,
    ]
    .into_iter()
    .flatten()
    {
        for (number, (known, _)) in table.iter().enumerate() {
            let previous = &table[..number];
            let hidden = previous.iter().find(|(earlier, _)| known.contains(earlier));
            assert!(hidden.is_none(), "{known} is never met: {hidden:?}");
        }
    }
}
