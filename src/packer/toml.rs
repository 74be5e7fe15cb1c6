//! Writes blocks as a settings file: keys that are taken, comments for the others, and a
//! note for everything that somebody has to look at.

use std::fmt::Write;

use ::toml::Value;

use super::Translation;
use super::blocks::{Block, Cloud, Entry, Remark, Said};
use super::cloud::{UNKNOWN, renders};
use super::node::Place;

/// The settings file with the notes. One block of a cloud is that cloud's table; several
/// need a job each.
pub(super) fn write(name: &str, blocks: Vec<Block>) -> Translation {
    let mut writer = Writer {
        toml: format!("# {} as settings of imgimport\n", plain(name)),
        notes: Vec::new(),
    };
    let image = |block: &Block| block.image.clone().and_then(Result::ok);
    let one = |block: &Block| {
        let of_cloud = blocks.iter().filter(|other| other.cloud == block.cloud);
        of_cloud.count() == 1 && image(block) == image(&blocks[0])
    };
    if blocks.iter().all(one) {
        writer.image(image(&blocks[0]).as_deref());
        for block in blocks {
            let table = vec![block.cloud.table().to_owned()];
            writer.head(&format!("[{}]", table[0]), name, &block);
            writer.block(&table, block);
        }
    } else {
        for block in blocks {
            writer.head("[[job]]", name, &block);
            if let Some(name) = &block.name {
                writer.line(&format!("name = {}", text(name)));
            }
            writer.image(image(&block).as_deref());
            let table = vec!["job".to_owned(), block.cloud.table().to_owned()];
            writer.line(&format!("\n[job.{}]", table[1]));
            writer.block(&table, block);
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
        let note = format!("{place}: {text}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn head(&mut self, table: &str, name: &str, block: &Block) {
        let post_processor = block.cloud.post_processor();
        let place = if *block.place.file == *name {
            format!("line {}", block.place.line)
        } else {
            plain(&block.place.to_string())
        };
        self.line(&format!("\n{table} # {post_processor}, {place}"));
        for neighbor in &block.neighbors {
            let (when, kind) = (
                if neighbor.before { "before" } else { "after" },
                &neighbor.kind,
            );
            let text = format!("{kind} is not carried over: do what it does {when} imgimport runs");
            self.note(&neighbor.place, &plain(&text));
        }
        if let Some(Err((place, why))) = &block.image {
            let text = format!(
                "the image is not carried over: {why}: write image = … or name it on the command line"
            );
            self.note(place, &plain(&text));
        }
    }

    /// The file, if the template leaves no doubt.
    fn image(&mut self, image: Option<&str>) {
        match image {
            Some(image) => self.line(&format!("image = {}", text(image))),
            None => self.line("# image: the file that the build makes"),
        }
    }

    fn block(&mut self, table: &[String], block: Block) {
        let cloud = block.cloud;
        let mut entries: Vec<Entry> = Vec::new();
        for entry in block.entries {
            // The last of two counts.
            entries.retain(|earlier| earlier.path != entry.path);
            entries.push(entry);
        }
        let mut tables: Vec<(Vec<String>, Vec<String>)> = vec![(Vec::new(), Vec::new())];
        for entry in entries {
            let parent = entry.path[..entry.path.len() - 1].to_vec();
            let (pair, comment) = match self.entry(cloud, entry) {
                Written::Pair(pair) => (Some(pair), None),
                Written::Comment(comment) => (None, Some(comment)),
                Written::Nothing => continue,
            };
            // A comment needs no table of its own.
            let place = if comment.is_some() {
                Vec::new()
            } else {
                parent
            };
            let at = tables.iter().position(|(path, _)| *path == place);
            let at = at.unwrap_or_else(|| {
                tables.push((place, Vec::new()));
                tables.len() - 1
            });
            tables[at].1.extend(pair.or(comment));
        }
        if let (Cloud::Aws, Some(method)) = (cloud, method(&tables[0].1)) {
            tables[0].1.push(method.to_owned());
        }
        for (path, lines) in tables {
            if !path.is_empty() {
                let path: Vec<_> = table.iter().chain(&path).map(|name| key(name)).collect();
                self.line(&format!("\n[{}]", path.join(".")));
            }
            for line in lines {
                self.line(&line);
            }
        }
    }

    fn entry(&mut self, cloud: Cloud, entry: Entry) -> Written {
        let (name, top) = (plain(&entry.path.join(".")), entry.path[0].clone());
        // The variable of keep_input_artifact means the opposite.
        let has_variable = entry.path.len() == 1 && top != "keep_input_artifact";
        let variable = cloud.variable(&top).filter(|_| has_variable);
        let (value, remarks) = match entry.value {
            Said::Secret => {
                return match cloud.secret_variable(&top) {
                    Some(variable) => Written::Comment(format!("# {name}: set {variable}")),
                    None => self.dropped(&entry.place, &name, UNKNOWN),
                };
            }
            Said::Unclear(why) => {
                let instead = match variable {
                    Some(variable) => format!("{why}: write it, or set {variable}"),
                    None => format!("{why}: write it"),
                };
                return self.dropped(&entry.place, &name, &instead);
            }
            Said::Value(value, remarks) => (value, remarks),
        };
        let default = remarks.iter().find_map(|remark| match remark {
            Remark::Default(variable) => Some(variable),
            Remark::Environment(_) => None,
        });
        // Unset here and in Packer; a tag may well be empty.
        if is_empty(&value) && top != "tags" {
            return match default {
                Some(variable) => Written::Comment(format!(
                    "# {name}: the variable {} is empty by default",
                    plain(variable)
                )),
                None => Written::Nothing,
            };
        }
        if has_hole(&value) && !renders(&top) {
            let mut instead =
                variable.map_or_else(|| "write it".to_owned(), |name| format!("set {name}"));
            for remark in &remarks {
                if let Remark::Environment(name) = remark
                    && let Some(name) = name.strip_prefix("PKR_VAR_")
                {
                    let _ = write!(instead, ", or give --var {name}=VALUE");
                }
            }
            let text = format!("its value is not known before the run: {instead}");
            return self.dropped(&entry.place, &name, &text);
        }
        if let Err(why) = cloud.takes(&entry.path, &value) {
            return self.dropped(&entry.place, &name, &why);
        }
        let mut comments: Vec<String> = Vec::new();
        for remark in &remarks {
            let comment = match remark {
                Remark::Default(variable) => format!("the variable {}'s default", plain(variable)),
                Remark::Environment(variable) => {
                    if variable.starts_with("PKR_VAR_") {
                        let text = format!("{name} needs {variable} in the environment");
                        self.note(&entry.place, &plain(&text));
                    }
                    format!("needs {}", plain(variable))
                }
            };
            if !comments.contains(&comment) {
                comments.push(comment);
            }
        }
        let comment = if comments.is_empty() {
            String::new()
        } else {
            format!(" # {}", comments.join(", "))
        };
        let last = entry.path.last().map_or_else(String::new, |name| key(name));
        Written::Pair(format!("{last} = {value}{comment}"))
    }

    fn dropped(&mut self, place: &Place, name: &str, why: &str) -> Written {
        let why = plain(why);
        self.note(place, &format!("{name} is not carried over: {why}"));
        Written::Comment(format!("# {name}: {why}"))
    }
}

enum Written {
    Pair(String),
    Comment(String),
    Nothing,
}

/// The method that Packer's import has, where no bucket is left to choose it: without one
/// the import would take the EBS direct APIs.
fn method(lines: &[String]) -> Option<&'static str> {
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    if has("s3_bucket_name = ") || has("method = ") {
        return None;
    }
    let registered = ["architecture = \"arm64\"", "boot_mode = \"uefi-preferred\""];
    Some(if registered.into_iter().any(has) {
        "method = \"import-snapshot\" # needs s3_bucket_name"
    } else {
        "method = \"import-image\" # needs s3_bucket_name"
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn has_hole(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(list) => list.iter().any(has_hole),
        _ => false,
    }
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// A key, in quotes where TOML wants them.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        return name.to_owned();
    }
    // Basic strings are keys, too; multi-line ones are not.
    serde_json::to_string(name)
        .unwrap_or_default()
        .replace('\u{7f}', "\\u007f")
}

/// One line, whatever the template says.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
