//! `imgimport from-packer`: a Packer template's import post-processors as settings of
//! ours. What a template says is read by `json` and `hcl` into the same blocks; `cloud`
//! asks each cloud's own options whether they take a key; `toml` writes what is left.
//! Nothing secret of the template is ever repeated.

mod blocks;
mod cloud;
mod functions;
mod hcl;
mod holes;
mod json;
mod moving;
mod scope;
#[cfg(test)]
mod tests;
mod toml;

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

use blocks::Cloud;

/// What a template becomes.
#[derive(Debug)]
pub struct Translation {
    /// A settings file.
    pub toml: String,
    /// What could not be carried over, each with its place and what to do instead.
    pub notes: Vec<String>,
}

/// Reads and translates the template; `-` is standard input.
pub fn read(path: &Path) -> Result<Translation> {
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().read_to_end(&mut bytes);
        ("standard input".to_owned(), read.map(|_| bytes))
    } else {
        (path.display().to_string(), std::fs::read(path))
    };
    let failed = || Error::usage(format!("the Packer template {name} can't be read"));
    let bytes = bytes.map_err(|error| failed().because(error))?;
    let text = String::from_utf8(bytes).map_err(|_| failed().because_of("it is not a text"))?;
    translate(&name, &text)
}

/// Translates the template of this name.
fn translate(name: &str, text: &str) -> Result<Translation> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = if is_json(name, text) {
        json::read(text)
    } else {
        hcl::read(text)
    };
    let blocks = read.map_err(|broken| {
        let place = match broken.line {
            Some(line) => format!("{name}:{line}"),
            None => name.to_owned(),
        };
        Error::usage(format!("the Packer template {place} can't be read")).because_of(broken.why)
    })?;
    if blocks.is_empty() {
        return Err(
            Error::usage(format!("{name} has nothing to carry over")).because_of(format!(
                "it has no post-processor {}",
                Cloud::ALL
                    .map(Cloud::post_processor)
                    .join(", ")
                    .replace(", d", " or d")
            )),
        );
    }
    Ok(toml::write(name, blocks))
}

/// The ending says it; without one, the first sign does.
fn is_json(name: &str, text: &str) -> bool {
    let ends = |ending: &str| name.to_ascii_lowercase().ends_with(ending);
    ends(".json") || (!ends(".hcl") && text.trim_start().starts_with(['{', '[', '"']))
}
