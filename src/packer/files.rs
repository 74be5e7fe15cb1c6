//! Reads the same files of a template that Packer reads.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The files that were read, each with its name.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The path of the template.
    pub(super) name: String,
    /// Its folder, which is `path.root` in a template.
    pub(super) folder: Option<String>,
    pub(super) templates: Vec<(String, String)>,
    /// Files of variables; a later one overrides the earlier.
    pub(super) variables: Vec<(String, String)>,
}

impl Files {
    /// Reads the template: a file, a folder, or standard input for `-`.
    pub(super) fn read(path: &Path, variables: &[PathBuf]) -> Result<Self> {
        let mut files = Self {
            name: path.display().to_string(),
            ..Self::default()
        };
        if path == Path::new("-") {
            "standard input".clone_into(&mut files.name);
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            files
                .templates
                .push((files.name.clone(), text(&files.name, read.map(|_| bytes))?));
        } else if path.is_dir() {
            let found = names(path)?;
            files.folder = Some(files.name.clone());
            for ending in [".pkr.hcl", ".pkr.json"] {
                files.templates.extend(all(&found, ending)?);
            }
            for ending in [".auto.pkrvars.hcl", ".auto.pkrvars.json"] {
                files.variables.extend(all(&found, ending)?);
            }
            if files.templates.is_empty() {
                return Err(unreadable(&files.name)
                    .with_cause("the folder has no file *.pkr.hcl or *.pkr.json"));
            }
        } else {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            let folder = folder.unwrap_or_else(|| Path::new("."));
            files.folder = Some(folder.display().to_string());
            files.templates.push(file(path)?);
        }
        for path in variables {
            let ending = path.extension().and_then(|ending| ending.to_str());
            if !matches!(ending, Some("hcl" | "json")) {
                return Err(unreadable(&path.display().to_string())
                    .with_cause("the name of a file of variables ends in .hcl or .json"));
            }
            files.variables.push(file(path)?);
        }
        Ok(files)
    }
}

/// Returns the files of a folder, sorted by name.
fn names(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed =
        |error: std::io::Error| unreadable(&folder.display().to_string()).with_source(error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn all(found: &[PathBuf], ending: &str) -> Result<Vec<(String, String)>> {
    let ends = |path: &&PathBuf| path.to_string_lossy().ends_with(ending);
    found.iter().filter(ends).map(|path| file(path)).collect()
}

fn file(path: &Path) -> Result<(String, String)> {
    let name = path.display().to_string();
    let text = text(&name, std::fs::read(path))?;
    Ok((name, text))
}

fn text(name: &str, bytes: std::io::Result<Vec<u8>>) -> Result<String> {
    let bytes = bytes.map_err(|error| unreadable(name).with_source(error))?;
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| unreadable(name).with_cause("it is not UTF-8 text"))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

fn unreadable(name: &str) -> Error {
    Error::usage(format!("could not read the Packer template {name}"))
}
