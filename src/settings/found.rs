//! The settings file of the current directory, which nobody named: it counts only where it
//! belongs to the user, and it may not set everything. See [`Trust`].

use std::path::Path;

use super::tree;
use crate::clouds::{CloudId, with_cloud};
use crate::config::trust;
use crate::config::trust::Trust;
use crate::config::{CloudOptions, ImportArgs};
use crate::error::Result;
use crate::net::endpoint;
use crate::platform;

/// The decisions on the tables that all clouds share, and on the top level.
const SHARED: &[(&str, &trust::TrustTable)] = &[
    (
        "",
        &[
            (Trust::Any, &CloudId::NAMES),
            (
                Trust::Any,
                &[
                    "image",
                    "job",
                    "output",
                    "parallel",
                    "skip_checks",
                    "upload",
                    "wait",
                ],
            ),
        ],
    ),
    (
        "upload",
        &[(
            Trust::Any,
            &[
                "concurrency",
                "limit_rate",
                "part_size",
                "resume",
                "stall_timeout",
            ],
        )],
    ),
    (
        "wait",
        &[(
            Trust::Any,
            &["interval", "poll_interval", "timeout", "wait"],
        )],
    ),
    ("output", &[(Trust::Any, &["format", "output", "progress"])]),
];

/// The decisions on every table. Entries `[[job]]` are for `imgimport run`, whose file is named.
fn tables() -> impl Iterator<Item = (&'static str, &'static trust::TrustTable)> {
    let clouds = CloudId::ALL.map(|id| with_cloud!(id, C => (C::NAME, C::TRUST)));
    SHARED.iter().copied().chain(clouds)
}

/// What a file that was found has to be told to become one that was named.
fn hint(path: &Path) -> String {
    format!("if you trust this file: --config {}", path.display())
}

/// An error where the file belongs to somebody else, or others can write it.
pub fn check_owner(path: &Path) -> Result<()> {
    platform::check_owner(path)
        .map_err(|why| super::file_error(path).with_cause(why).hint(hint(path)))
}

/// An error where the file sets what only a file that was named may set.
pub fn check_keys(path: &Path, file: &toml::Table) -> Result<()> {
    let mut refused = Vec::new();
    for (name, decisions) in tables() {
        let table = match name {
            "" => Some(file),
            name => file.get(name).and_then(toml::Value::as_table),
        };
        for (key, value) in table.into_iter().flatten() {
            if let Some(reason) = reason(trust::decision(decisions, key), value) {
                refused.push(format!("{key} in [{name}] says {reason}"));
            }
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let list = refused.join("; ");
    let why = format!("it was found here and not named, so it can't decide this: {list}");
    Err(super::file_error(path).with_cause(why).hint(hint(path)))
}

/// What the value decides; none where any file may set it.
fn reason(trust: Trust, value: &toml::Value) -> Option<&'static str> {
    match trust {
        Trust::Any => None,
        Trust::Named(reason) => Some(reason),
        Trust::Address => {
            let near = value.as_str().is_some_and(endpoint::is_loopback);
            (!near).then_some("where secrets are sent")
        }
        Trust::Except(refused, reason) => refused(&tree::text(value)).then_some(reason),
    }
}

/// An error where an address of the file would get a secret that is not in the file, too.
/// `above` is what flags and variables say.
pub fn check_secrets<P: CloudOptions>(path: &Path, above: &ImportArgs<P>, file: &P) -> Result<()> {
    let (above, mut below) = (&above.provider, file.clone());
    below.clear_conflicts_with(above);
    let overruled = above.addresses();
    let addresses = below.addresses().into_iter();
    let mut foreign = addresses.filter(|(id, _)| {
        let file_has_secret = below.has_secret_for(id) && !above.has_secret_for(id);
        !file_has_secret && overruled.iter().all(|(other, _)| other != id)
    });
    let Some((id, _)) = foreign.next() else {
        return Ok(());
    };
    let why = format!(
        "it was found here and not named, and {id} in [{}] would get secrets that it does not hold itself",
        P::NAME
    );
    Err(super::file_error(path).with_cause(why).hint(hint(path)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{OutputArgs, UploadArgs, WaitArgs, fields};
    use crate::settings::SettingsFile;

    fn keys() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        let clouds = CloudId::ALL.map(|id| with_cloud!(id, C => (C::NAME, fields::<C>())));
        let shared = [
            ("", fields::<SettingsFile>()),
            ("upload", fields::<UploadArgs>()),
            ("wait", fields::<WaitArgs>()),
            ("output", fields::<OutputArgs>()),
        ];
        shared.into_iter().chain(clouds)
    }

    /// A new key stands in the table `TRUST` of its cloud.
    #[test]
    fn every_key_has_a_trust_decision() {
        for ((name, decisions), (table, keys)) in tables().zip(keys()) {
            assert_eq!(name, table);
            let rows = decisions.iter().flat_map(|(_, keys)| keys.iter());
            let decided: Vec<_> = rows.copied().collect();
            let unique: BTreeSet<_> = decided.iter().copied().collect();
            assert_eq!(unique.len(), decided.len(), "[{name}] has a key twice");
            let present: BTreeSet<_> = keys.iter().copied().collect();
            let undecided: Vec<_> = present.symmetric_difference(&unique).collect();
            assert!(undecided.is_empty(), "[{name}]: {undecided:?}");
        }
    }

    fn check_addresses<P: CloudOptions>() {
        for (trust, keys) in P::TRUST {
            for &key in *keys {
                let file = toml::Table::from_iter([(key.to_owned(), "http://127.0.0.1:1".into())]);
                let options: Result<P, _> = file.try_into();
                let count = options
                    .map(|options| options.addresses().len())
                    .unwrap_or_default();
                let expected = usize::from(matches!(trust, Trust::Address));
                assert_eq!(count, expected, "{key} in [{}]", P::NAME);
            }
        }
    }

    #[test]
    fn every_address_key_is_checked() {
        for id in CloudId::ALL {
            with_cloud!(id, C => check_addresses::<C>());
        }
    }

    #[test]
    fn undecided_key_requires_a_named_file() {
        for (_, decisions) in tables() {
            let decision = trust::decision(decisions, "new");
            assert!(matches!(decision, Trust::Named(_)));
        }
    }
}
