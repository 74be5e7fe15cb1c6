//! Writes imports as a settings file: accepted keys, comments for the others, and a note for
//! everything that the user must review.

use std::fmt::Write;

use ::toml::Value;

use super::blocks::{Entry, EntryValue, Import, Known};
use super::document::Place;
use super::keys::{PackerCloud, UNKNOWN};
use crate::clouds::CloudId;

/// The translation of a template.
#[derive(Debug)]
pub struct Translation {
    /// A settings file.
    pub toml: String,
    /// The omitted values, each with its place, the reason and what to do instead.
    pub notes: Vec<String>,
}

/// Returns the settings file with the notes. A single import of a cloud becomes that cloud's
/// table; several become jobs.
pub(super) fn write(name: &str, imports: Vec<Import>) -> Translation {
    let mut writer = Writer {
        toml: format!("# {} as settings of imgimport\n", one_line(name)),
        notes: Vec::new(),
    };
    let image = |import: &Import| import.image.clone().and_then(Result::ok);
    let is_single = |import: &Import| {
        let of_cloud = imports.iter().filter(|other| other.cloud == import.cloud);
        of_cloud.count() == 1 && image(import) == image(&imports[0])
    };
    if imports.iter().all(is_single) {
        writer.image(image(&imports[0]).as_deref());
        for import in imports {
            let table = import.cloud.name();
            writer.head(&format!("[{table}]"), name, &import);
            writer.import(table, import);
        }
    } else {
        for import in imports {
            writer.head("[[job]]", name, &import);
            if let Some(name) = &import.name {
                writer.line(&format!("name = {}", Value::from(name.as_str())));
            }
            writer.image(image(&import).as_deref());
            let table = format!("job.{}", import.cloud.name());
            writer.line(&format!("\n[{table}]"));
            writer.import(&table, import);
        }
    }
    Translation {
        toml: writer.toml,
        notes: writer.notes,
    }
}

struct Writer {
    toml: String,
    notes: Vec<String>,
}

impl Writer {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.toml, "{line}");
    }

    fn note(&mut self, place: &Place, text: &str) {
        let note = format!("{place}: {}", one_line(text));
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn head(&mut self, table: &str, name: &str, import: &Import) {
        let place = if *import.place.file == *name {
            format!("line {}", import.place.line)
        } else {
            one_line(&import.place.to_string())
        };
        self.line(&format!(
            "\n{table} # {}, {place}",
            import.cloud.packer_import().post_processor
        ));
        for other in &import.others {
            let when = if other.is_before { "before" } else { "after" };
            let text = format!(
                "{} is not carried over: do what it does {when} imgimport runs",
                other.kind
            );
            self.note(&other.place, &text);
        }
        if let Some(Err((place, reason))) = &import.image {
            let text = format!(
                "the image is not carried over: {reason}: write image = … or name it on the command line"
            );
            self.note(place, &text);
        }
    }

    /// Writes the file, if the template is unambiguous.
    fn image(&mut self, image: Option<&str>) {
        match image {
            Some(image) => self.line(&format!("image = {}", Value::from(image))),
            None => self.line("# image: the file that the build makes"),
        }
    }

    fn import(&mut self, table: &str, import: Import) {
        let cloud = import.cloud;
        let mut entries: Vec<Entry> = Vec::new();
        for entry in import.entries {
            // Of two entries the last one counts.
            entries.retain(|earlier| earlier.path != entry.path);
            entries.push(entry);
        }
        // The lines of the table and of those within it, each by its path.
        let mut tables: Vec<(Vec<String>, Vec<String>)> = vec![(Vec::new(), Vec::new())];
        for entry in entries {
            let Some(line) = self.entry(cloud, &entry) else {
                continue;
            };
            // A comment needs no table of its own.
            let path = if line.starts_with('#') {
                &[]
            } else {
                &entry.path[..entry.path.len() - 1]
            };
            match tables.iter_mut().find(|(table, _)| table == path) {
                Some((_, lines)) => lines.push(line),
                None => tables.push((path.to_vec(), vec![line])),
            }
        }
        let added = (cloud.packer_import().added_line)(&tables[0].1);
        tables[0].1.extend(added.map(str::to_owned));
        for (path, lines) in tables {
            if !path.is_empty() {
                let path: Vec<_> = path.iter().map(|name| key(name)).collect();
                self.line(&format!("\n[{table}.{}]", path.join(".")));
            }
            for line in lines {
                self.line(&line);
            }
        }
    }

    /// Returns the line for a key; `None` for one that is unset here and in Packer.
    fn entry(&mut self, cloud: CloudId, entry: &Entry) -> Option<String> {
        let (name, top) = (one_line(&entry.path.join(".")), entry.path[0].as_str());
        let known = match &entry.value {
            EntryValue::Known(known) => known,
            EntryValue::Secret => {
                return Some(match cloud.secret_variable(top) {
                    Some(variable) => format!("# {name}: set {variable}"),
                    None => self.left_out(&entry.place, &name, UNKNOWN),
                });
            }
            EntryValue::Unknown(reason) => {
                let variable = cloud.variable(top).filter(|_| entry.path.len() == 1);
                let instead = match variable {
                    Some(variable) => format!("{reason}: write its value, or set {variable}"),
                    None => format!("{reason}: write its value"),
                };
                return Some(self.left_out(&entry.place, &name, &instead));
            }
        };
        // A tag may be empty.
        if is_empty(&known.value) && top != "tags" {
            let variable = known.defaults.first()?;
            return Some(format!(
                "# {name}: the variable {} is empty by default",
                one_line(variable)
            ));
        }
        if let Err(reason) = cloud.check(&entry.path, &known.value) {
            return Some(self.left_out(&entry.place, &name, &reason));
        }
        let environment = known.environment.iter();
        for variable in environment.filter(|name| name.starts_with("PKR_VAR_")) {
            let text = format!("{name} needs {variable} in the environment");
            self.note(&entry.place, &text);
        }
        let last = entry.path.last().map_or_else(String::new, |name| key(name));
        Some(format!("{last} = {}{}", known.value, comment(known)))
    }

    fn left_out(&mut self, place: &Place, name: &str, reason: &str) -> String {
        let reason = one_line(reason);
        self.note(place, &format!("{name} is not carried over: {reason}"));
        format!("# {name}: {reason}")
    }
}

/// Returns a comment for the readers of the settings about a value.
fn comment(known: &Known) -> String {
    let defaults = known.defaults.iter();
    let defaults = defaults.map(|name| format!("the variable {}'s default", one_line(name)));
    let environment = known.environment.iter();
    let environment = environment.map(|name| format!("needs {name}"));
    let comments: Vec<_> = defaults.chain(environment).collect();
    match comments.as_slice() {
        [] => String::new(),
        comments => format!(" # {}", comments.join(", ")),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Returns a key, in quotes where TOML requires them.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) {
        return name.to_owned();
    }
    // A basic string is a valid key; a multi-line one, which toml may write, is not.
    let quoted = serde_json::to_string(name).unwrap_or_default();
    quoted.replace('\u{7f}', "\\u007f")
}

/// Returns the text on one line, whatever the template contains.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}
