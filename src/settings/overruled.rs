//! Where a variable overrides a different value of the file: who set the variable may not know
//! of it, so one line says so.

use merge::Merge;

use super::{File, Table, tree};
use crate::config::{Environment, Invocation, Said};

/// The tables in which an option of an import can stand, the top level first.
fn tables<P: Table>() -> [&'static str; 5] {
    ["", "upload", "wait", "output", P::NAME]
}

/// A line for each variable that overrides a different value of the file, secrets without
/// their values.
pub fn lines<P: Table>(
    flags: &Invocation<P>,
    environment: &Environment,
    said: &[Said<P>],
    file: &File,
) -> Vec<String> {
    let Some(origin) = &file.origin else {
        return Vec::new();
    };
    let path = origin.path.display();
    let mut lines = Vec::new();
    for table in tables::<P>() {
        let values = match table {
            "" => Some(&origin.table),
            name => origin.table.get(name).and_then(toml::Value::as_table),
        };
        for (key, value) in values.into_iter().flatten() {
            let Some(lower) = alone::<P>(table, key, value) else {
                continue;
            };
            let sets = |said: &&Said<P>| is_covered(&said.layer, &lower);
            let Some(said) = said.iter().find(sets) else {
                continue;
            };
            if !is_covered(flags, &said.layer) && !is_same(&said.layer, &lower) {
                let there = tree::text(value);
                lines.push(line(key, said, &path.to_string(), &there));
            }
        }
    }
    let own = origin.table.get(P::NAME).and_then(toml::Value::as_table);
    for (id, _) in P::SECRETS {
        let variable = environment.secret_variable(P::SECRETS, id);
        let there = own.and_then(|own| own.get(*id)?.as_str());
        if let (Some((variable, value)), Some(there)) = (variable, there)
            && value != there
        {
            lines.push(format!("{id} from {variable}; {path} has another"));
        }
    }
    lines
}

/// `region eu-central-1 from AWS_REGION; imgimport.toml has us-east-1`. Where the flag means the
/// opposite of the key, both are named.
fn line<P: Table>(key: &str, said: &Said<P>, path: &str, there: &str) -> String {
    let (option, text, variable) = (&said.option, &said.text, &said.variable);
    if ["keep_input_artifact", "resume", "wait"].contains(&key) {
        return format!("{option} {text} from {variable}; {path} has {key} = {there}");
    }
    format!("{key} {text} from {variable}; {path} has {there}")
}

/// The invocation of a file that has this key alone.
fn alone<P: Table>(table: &str, key: &str, value: &toml::Value) -> Option<Invocation<P>> {
    if table.is_empty() && !["image", "skip_checks"].contains(&key) {
        return None;
    }
    let mut file = toml::Table::from_iter([(key.to_owned(), value.clone())]);
    if !table.is_empty() {
        file = toml::Table::from_iter([(table.to_owned(), file.into())]);
    }
    let file: File = file.try_into().ok()?;
    Some(file.invocation())
}

/// Whether the upper layer sets all that the lower one sets, to whatever value.
fn is_covered<P: Table>(upper: &Invocation<P>, lower: &Invocation<P>) -> bool {
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

fn is_same<P: Table>(one: &Invocation<P>, other: &Invocation<P>) -> bool {
    format!("{one:?}") == format!("{other:?}")
}
