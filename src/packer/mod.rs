//! `imgimport from-packer`: a Packer template's import post-processors as settings of
//! ours. `hcl` and `json` read Packer's two languages into the same blocks; `cloud` asks
//! each cloud's own options whether they have a key; `toml` writes what is left. What is
//! not known for certain is left out and named, and no secret is repeated.

mod blocks;
mod builder;
mod cloud;
mod evaluate;
mod files;
mod functions;
mod hcl;
mod holes;
mod json;
mod links;
mod node;
mod scope;
mod secrets;
#[cfg(test)]
mod tests;
mod toml;
mod variables;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

use blocks::Cloud;
use files::Files;
use node::{Broken, Content, Node, Texts};

pub use variables::Given;

/// What a template becomes.
#[derive(Debug)]
pub struct Translation {
    /// A settings file.
    pub toml: String,
    /// What could not be carried over, each with its place and what to do instead.
    pub notes: Vec<String>,
}

/// Reads and translates the template: a file, all templates of a folder, or standard
/// input for `-`. The files of variables are those of `--var-file`, in their order.
pub fn read(path: &Path, variables: &[PathBuf], given: &Given) -> Result<Translation> {
    translate(&Files::read(path, variables)?, given)
}

/// Translates what was read.
fn translate(files: &Files, given: &Given) -> Result<Translation> {
    let mut members = Vec::new();
    let mut older = None;
    for (name, text) in &files.templates {
        match parse(name, text)? {
            Parsed::Hcl(Content::Object(own)) => members.extend(own),
            Parsed::Hcl(_) => {}
            Parsed::Older(node) => older = Some(node),
        }
    }
    let mut variables = Vec::new();
    for (name, text) in &files.variables {
        variables.push(if is_json(name, text) {
            json_of(name, text, Texts::Templates)?
        } else {
            Node::native(name, text).map_err(unreadable)?
        });
    }
    let blocks = match older {
        Some(root) => json::read(&root, &variables, given).map_err(unreadable)?,
        None => {
            let root = Node {
                place: node::Place {
                    file: files.name.as_str().into(),
                    line: 1,
                },
                content: Content::Object(members),
            };
            hcl::read(&root, files.folder.as_deref(), &variables, given)?
        }
    };
    if blocks.is_empty() {
        return Err(
            Error::usage(format!("{} has nothing to carry over", files.name)).because_of(format!(
                "it has no post-processor {}",
                Cloud::ALL
                    .map(Cloud::post_processor)
                    .join(", ")
                    .replace(", d", " or d")
            )),
        );
    }
    Ok(toml::write(&files.name, blocks))
}

/// A file in one of Packer's languages.
enum Parsed {
    Hcl(Content),
    Older(Node),
}

fn parse(name: &str, text: &str) -> Result<Parsed> {
    if !is_json(name, text) {
        let node = Node::native(name, text).map_err(unreadable)?;
        return Ok(Parsed::Hcl(node.content));
    }
    // In the older language `${…}` means nothing.
    let node = json_of(name, text, Texts::Plain)?;
    if is_hcl(name, &node) {
        return Ok(Parsed::Hcl(json_of(name, text, Texts::Templates)?.content));
    }
    Ok(Parsed::Older(node))
}

fn json_of(name: &str, text: &str, texts: Texts) -> Result<Node> {
    // As the documentation shows it: `"post-processors": […]` with nothing around it.
    let wrapped = text
        .trim_start()
        .starts_with('"')
        .then(|| format!("{{{text}}}"));
    Node::json(name, wrapped.as_deref().unwrap_or(text), texts).map_err(unreadable)
}

fn unreadable(broken: Broken) -> Error {
    Error::usage(format!(
        "the Packer template {} can't be read",
        broken.place
    ))
    .because_of(broken.why)
}

/// The ending tells it; without one, the first character does.
fn is_json(name: &str, text: &str) -> bool {
    let ends = |ending: &str| name.to_ascii_lowercase().ends_with(ending);
    ends(".json") || (!ends(".hcl") && text.trim_start().starts_with(['{', '[', '"']))
}

/// Whether JSON is HCL: by its name, or by what the older templates don't have.
fn is_hcl(name: &str, node: &Node) -> bool {
    const OWN: [&str; 6] = ["build", "source", "variable", "locals", "local", "packer"];
    name.to_ascii_lowercase().ends_with(".pkr.json")
        || OWN.into_iter().any(|kind| node.get(kind).is_some())
}
