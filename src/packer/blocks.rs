//! The import post-processors of a template with their options, each with its line.

use std::collections::BTreeSet;

use super::document::Place;
use super::keys::PackerCloud;
use crate::clouds::CloudId;

/// One import post-processor.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) cloud: CloudId,
    pub(super) place: Place,
    pub(super) name: Option<String>,
    /// The file to import, or the reason that it is unknown although the template names it.
    pub(super) image: Option<Result<String, (Place, String)>>,
    pub(super) entries: Vec<Entry>,
    /// The other post-processors of its sequence.
    pub(super) others: Vec<OtherPostProcessor>,
}

/// A post-processor before or after the import.
#[derive(Clone, Debug)]
pub(super) struct OtherPostProcessor {
    pub(super) place: Place,
    pub(super) kind: String,
    pub(super) is_before: bool,
}

/// `key = value`; the path has the tables around the key.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<String>,
    pub(super) place: Place,
    pub(super) value: EntryValue,
}

/// The value of a key in the template.
#[derive(Clone, Debug)]
pub(super) enum EntryValue {
    Known(Known),
    /// The reason that the value is unknown.
    Unknown(String),
    /// A secret; its value was not evaluated.
    Secret,
}

/// A value that can be written.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) value: ::toml::Value,
    /// The variables whose defaults are part of it.
    pub(super) defaults: BTreeSet<String>,
    /// The variables of the environment that the import reads.
    pub(super) environment: BTreeSet<String>,
}

/// A post-processor of a sequence.
#[derive(Debug)]
pub(super) struct PostProcessor {
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) place: Place,
    pub(super) entries: Vec<Entry>,
}

impl PostProcessor {
    /// Returns the value of a key that is not in a table.
    fn value(&self, key: &str) -> Option<&EntryValue> {
        let mut entries = self.entries.iter().rev();
        let entry = entries.find(|entry| entry.path.len() == 1 && entry.path[0] == key);
        entry.map(|entry| &entry.value)
    }

    /// Returns the builds that it is for; `None` if it is for all of them.
    fn only(&self) -> Option<Vec<&str>> {
        match self.value("only")? {
            EntryValue::Known(known) => Some(texts(&known.value)),
            _ => Some(Vec::new()),
        }
    }
}

/// Returns the texts of a list, or the one text.
fn texts(value: &::toml::Value) -> Vec<&str> {
    match value {
        ::toml::Value::Array(items) => items.iter().filter_map(::toml::Value::as_str).collect(),
        text => text.as_str().into_iter().collect(),
    }
}

/// Returns the imports of a sequence. `built` returns the file of the builder for these builds,
/// if there is exactly one.
pub(super) fn imports(
    sequence: &[PostProcessor],
    built: &dyn Fn(Option<&[&str]>) -> Option<String>,
) -> Vec<Import> {
    let import = |(at, import): (usize, &PostProcessor)| {
        let cloud = CloudId::of_post_processor(&import.kind)?;
        let others = sequence.iter().enumerate().filter(|(_, other)| {
            other.kind != "artifice" && CloudId::of_post_processor(&other.kind).is_none()
        });
        Some(Import {
            cloud,
            place: import.place.clone(),
            name: import.name.clone(),
            image: image(cloud, import, &sequence[..at], built),
            entries: import.entries.clone(),
            others: others
                .map(|(other, post_processor)| OtherPostProcessor {
                    place: post_processor.place.clone(),
                    kind: post_processor.kind.clone(),
                    is_before: other < at,
                })
                .collect(),
        })
    };
    sequence.iter().enumerate().filter_map(import).collect()
}

/// Returns the file of the nearest `artifice` or, if no post-processor before the import
/// creates another one, of the builder.
fn image(
    cloud: CloudId,
    import: &PostProcessor,
    before: &[PostProcessor],
    built: &dyn Fn(Option<&[&str]>) -> Option<String>,
) -> Option<Result<String, (Place, String)>> {
    // These pass on the files that they receive.
    const SAME: [&str; 3] = ["shell-local", "manifest", "checksum"];
    for other in before.iter().rev() {
        if other.kind == "artifice" {
            let image = match other.value("files") {
                Some(EntryValue::Known(files)) => choose(cloud, import, &texts(&files.value)),
                Some(EntryValue::Unknown(reason)) => Err(reason.clone()),
                _ => Err("it names no files".to_owned()),
            };
            return Some(image.map_err(|reason| (other.place.clone(), reason)));
        }
        if !SAME.contains(&other.kind.as_str()) && CloudId::of_post_processor(&other.kind).is_none()
        {
            return None;
        }
    }
    built(import.only().as_deref()).map(Ok)
}

/// Returns the file that the post-processor imports if there are several.
fn choose(cloud: CloudId, import: &PostProcessor, files: &[&str]) -> Result<String, String> {
    if files.iter().any(|file| file.contains(['*', '?', '['])) {
        return Err("its files are known only after the build".to_owned());
    }
    if let [file] = files {
        return Ok((*file).to_owned());
    }
    let format;
    let endings: &[&str] = match cloud.packer_import().extensions {
        Some(extensions) => extensions,
        None => match import.value("format") {
            None => &[".ova"],
            Some(EntryValue::Known(known)) => {
                format = format!(".{}", known.value.as_str().unwrap_or("ova"));
                &[format.as_str()]
            }
            Some(_) => {
                return Err("the format, which chooses one of its files, is not known".to_owned());
            }
        },
    };
    let mut files = files.iter();
    let file = files.find(|file| endings.iter().any(|ending| file.ends_with(ending)));
    file.map(|file| (*file).to_owned())
        .ok_or_else(|| format!("none of its files ends in {}", endings.join(" or ")))
}
