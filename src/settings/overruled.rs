//! Where a variable overrides a different value of the file: who set the variable may not know
//! of it, so one line says so.

use merge::Merge;

use super::{SettingsFile, tree};
use crate::config::{Environment, ImportArgs, VariableSetting};
use crate::import::cloud::Cloud;

/// The tables in which an option of an import can stand, the top level first.
fn tables<C: Cloud>() -> [&'static str; 5] {
    ["", "upload", "wait", "output", C::NAME]
}

/// A line for each variable that overrides a different value of the file, secrets without
/// their values.
pub fn notes<C: Cloud>(
    flags: &ImportArgs<C>,
    environment: &Environment,
    settings: &[VariableSetting<C>],
    file: &SettingsFile,
) -> Vec<String> {
    let Some(origin) = &file.origin else {
        return Vec::new();
    };
    let path = origin.path.display();
    let mut lines = Vec::new();
    for table in tables::<C>() {
        let values = match table {
            "" => Some(&origin.table),
            name => origin.table.get(name).and_then(toml::Value::as_table),
        };
        for (key, value) in values.into_iter().flatten() {
            let Some(lower) = with_single_key::<C>(table, key, value) else {
                continue;
            };
            let sets = |setting: &&VariableSetting<C>| is_covered(&setting.layer, &lower);
            let Some(setting) = settings.iter().find(sets) else {
                continue;
            };
            if !is_covered(flags, &setting.layer) && !is_same(&setting.layer, &lower) {
                let file_text = tree::text(value);
                lines.push(note(key, setting, &path.to_string(), &file_text));
            }
        }
    }
    let cloud_table = origin.table.get(C::NAME).and_then(toml::Value::as_table);
    for (id, _) in C::SECRETS {
        let variable = environment.secret_variable(C::SECRETS, id);
        let file_value = cloud_table.and_then(|own| own.get(*id)?.as_str());
        if let (Some((variable, value)), Some(there)) = (variable, file_value)
            && value != there
        {
            lines.push(format!("{id} from {variable}; {path} has another"));
        }
    }
    lines
}

/// `region eu-central-1 from AWS_REGION; imgimport.toml has us-east-1`. Where the flag means the
/// opposite of the key, both are named.
fn note<C: Cloud>(key: &str, setting: &VariableSetting<C>, path: &str, file_value: &str) -> String {
    let (option, text, variable) = (&setting.option, &setting.text, &setting.variable);
    if ["keep_input_artifact", "resume", "wait"].contains(&key) {
        return format!("{option} {text} from {variable}; {path} has {key} = {file_value}");
    }
    format!("{key} {text} from {variable}; {path} has {file_value}")
}

/// The invocation of a file that has this key alone.
fn with_single_key<C: Cloud>(table: &str, key: &str, value: &toml::Value) -> Option<ImportArgs<C>> {
    if table.is_empty() && !["image", "skip_checks"].contains(&key) {
        return None;
    }
    let mut file = toml::Table::from_iter([(key.to_owned(), value.clone())]);
    if !table.is_empty() {
        file = toml::Table::from_iter([(table.to_owned(), file.into())]);
    }
    let file: SettingsFile = file.try_into().ok()?;
    Some(file.import_args())
}

/// Whether the upper layer sets all that the lower one sets, to whatever value.
fn is_covered<C: Cloud>(upper: &ImportArgs<C>, lower: &ImportArgs<C>) -> bool {
    let mut merged = upper.clone();
    let lower = lower.clone();
    // Not `Invocation::merge`, in which keys can rule each other out.
    merge::option::overwrite_none(&mut merged.image, lower.image);
    merge::option::overwrite_none(&mut merged.dry_run, lower.dry_run);
    merge::option::overwrite_none(&mut merged.skip_checks, lower.skip_checks);
    merged.provider.merge(lower.provider);
    merged.upload.merge(lower.upload);
    merged.wait.merge(lower.wait);
    merged.output.merge(lower.output);
    is_same(&merged, upper)
}

fn is_same<C: Cloud>(left: &ImportArgs<C>, other: &ImportArgs<C>) -> bool {
    format!("{left:?}") == format!("{other:?}")
}
