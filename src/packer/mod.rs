//! `imgimport from-packer`: a Packer template's import post-processors as settings.
//!
//! `parse` reads HCL and JSON into one tree, `hcl` and `json` find the imports in it,
//! `evaluate` and `templates` evaluate their values, `keys` checks each key against the options
//! of its cloud, and `toml` writes the settings. Literals, variables, locals, plain
//! interpolations, conditions on known values and the time are evaluated. Everything else is
//! omitted and listed, and no secret is repeated.

mod blocks;
mod builder;
mod document;
mod evaluate;
mod files;
mod hcl;
mod json;
mod keys;
mod parse;
mod post_processor;
mod references;
mod scope;
mod templates;
#[cfg(test)]
mod tests;
mod time_functions;
mod toml;
mod value;
mod variables;

use std::path::{Path, PathBuf};

use crate::clouds::CloudId;
use crate::error::{Error, Result};

use document::{Content, Node, ParseError, Place};
use files::Files;
use keys::PackerCloud;
use parse::{Texts, parse_hcl, parse_json};

pub use toml::Translation;
pub use variables::VariableSources;

/// Reads and translates the template: a file, all templates of a folder, or standard input
/// for `-`. `variables` are the files of `--var-file`, in their order.
pub fn read(path: &Path, variables: &[PathBuf], sources: &VariableSources) -> Result<Translation> {
    translate(&Files::read(path, variables)?, sources)
}

fn translate(files: &Files, sources: &VariableSources) -> Result<Translation> {
    let mut members = Vec::new();
    let mut older = None;
    for (name, text) in &files.templates {
        match parse(name, text).map_err(|error| unreadable(&error))? {
            Parsed::Hcl(node) => members.extend(node.members().to_vec()),
            Parsed::Older(node) => older = Some(node),
        }
    }
    let mut variables = Vec::new();
    for (name, text) in &files.variables {
        let node = if is_json(name, text) {
            parse_json(name, text, Texts::Templates)
        } else {
            parse_hcl(name, text)
        };
        variables.push(node.map_err(|error| unreadable(&error))?);
    }
    let imports = match older {
        Some(root) => json::read(&root, &variables, sources).map_err(|error| unreadable(&error))?,
        None => {
            let root = Node {
                place: Place {
                    file: files.name.as_str().into(),
                    line: 1,
                },
                content: Content::Object(members),
            };
            hcl::read(&root, files.folder.as_deref(), &variables, sources)?
        }
    };
    if imports.is_empty() {
        return Err(
            Error::usage(format!("{} has nothing to carry over", files.name)).with_cause(format!(
                "it has no post-processor {}",
                CloudId::ALL
                    .map(|cloud| cloud.packer_import().post_processor)
                    .join(", ")
                    .replace(", d", " or d")
            )),
        );
    }
    Ok(toml::write(&files.name, imports))
}

/// A file in one of Packer's languages.
enum Parsed {
    Hcl(Node),
    Older(Node),
}

fn parse(name: &str, text: &str) -> std::result::Result<Parsed, ParseError> {
    if !is_json(name, text) {
        return parse_hcl(name, text).map(Parsed::Hcl);
    }
    // The documentation shows this form: `"post-processors": […]` without braces around it.
    let wrapped = text
        .trim_start()
        .starts_with('"')
        .then(|| format!("{{{text}}}"));
    let text = wrapped.as_deref().unwrap_or(text);
    // In the legacy language `${…}` has no meaning.
    let node = parse_json(name, text, Texts::Plain)?;
    if is_hcl(name, &node) {
        return parse_json(name, text, Texts::Templates).map(Parsed::Hcl);
    }
    Ok(Parsed::Older(node))
}

fn unreadable(error: &ParseError) -> Error {
    Error::usage(format!(
        "could not read the Packer template {}",
        error.place
    ))
    .with_cause(error.reason.clone())
}

/// Reports whether the text is JSON: by the extension or, without one, by the first character.
fn is_json(name: &str, text: &str) -> bool {
    let ends = |ending: &str| name.to_ascii_lowercase().ends_with(ending);
    ends(".json") || (!ends(".hcl") && text.trim_start().starts_with(['{', '[', '"']))
}

/// Reports whether JSON is HCL: by its name, or by members that legacy templates do not have.
fn is_hcl(name: &str, node: &Node) -> bool {
    const OWN: [&str; 6] = ["build", "source", "variable", "locals", "local", "packer"];
    name.to_ascii_lowercase().ends_with(".pkr.json")
        || OWN.into_iter().any(|kind| node.get(kind).is_some())
}
