//! Writes blocks as a settings file: keys that are taken, comments for the others, and a
//! note for everything that somebody has to look at.

use std::fmt::Write;

use ::toml::Value;

use super::Translation;
use super::blocks::{Block, Entry, Remark, Said};
use super::cloud::renders;

/// The settings file with the notes. One block of a cloud is that cloud's table; several
/// need a job each.
pub(super) fn write(name: &str, blocks: Vec<Block>) -> Translation {
    let mut writer = Writer {
        name,
        toml: format!("# {} as settings of imgimport\n", plain(name)),
        notes: Vec::new(),
    };
    let one = |block: &Block| {
        let of_cloud = blocks.iter().filter(|other| other.cloud == block.cloud);
        of_cloud.count() == 1 && block.image == blocks[0].image
    };
    if blocks.iter().all(one) {
        writer.image(blocks[0].image.as_deref());
        for block in blocks {
            let table = vec![block.cloud.table().to_owned()];
            writer.head(&format!("[{}]", table[0]), &block);
            writer.block(&table, block);
        }
    } else {
        for block in blocks {
            writer.head("[[job]]", &block);
            if let Some(name) = &block.name {
                writer.line(&format!("name = {}", text(name)));
            }
            writer.image(block.image.as_deref());
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

struct Writer<'a> {
    name: &'a str,
    toml: String,
    notes: Vec<String>,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.toml, "{line}");
    }

    fn note(&mut self, line: usize, text: &str) {
        let note = format!("{}:{line}: {text}", self.name);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn head(&mut self, table: &str, block: &Block) {
        let (post_processor, line) = (block.cloud.post_processor(), block.line);
        self.line(&format!("\n{table} # {post_processor}, line {line}"));
        for neighbour in &block.neighbours {
            let (when, kind) = (
                if neighbour.before { "before" } else { "after" },
                &neighbour.kind,
            );
            let text = format!("{kind} is not carried over: do what it does {when} imgimport runs");
            self.note(neighbour.line, &plain(&text));
        }
    }

    /// What Packer's builder hands over has no place in the template.
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
            // Said twice, the last word counts.
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

    fn entry(&mut self, cloud: super::Cloud, entry: Entry) -> Written {
        let (name, top) = (plain(&entry.path.join(".")), entry.path[0].clone());
        let (value, remarks) = match entry.value {
            Said::Secret => {
                return match cloud.secret_variable(&top) {
                    Some(variable) => Written::Comment(format!("# {name}: set {variable}")),
                    None => self.dropped(
                        entry.line,
                        &name,
                        "an import has no use for it: leave it out",
                    ),
                };
            }
            Said::Unclear(why) => {
                let instead = match cloud.variable(&top) {
                    Some(variable) if entry.path.len() == 1 => {
                        format!("{why}: write it, or set {variable}")
                    }
                    _ => format!("{why}: write it"),
                };
                return self.dropped(entry.line, &name, &instead);
            }
            Said::Value(value, remarks) => (value, remarks),
        };
        let default = remarks.iter().find_map(|remark| match remark {
            Remark::Default(variable) => Some(variable),
            Remark::Environment(_) => None,
        });
        if entry.path.len() == 1 && value.as_str() == Some("") {
            return match default {
                Some(variable) => Written::Comment(format!(
                    "# {name}: the variable {} is empty by default",
                    plain(variable)
                )),
                None => Written::Nothing,
            };
        }
        if has_hole(&value) && !renders(&top) {
            let variable = cloud.variable(&top);
            let instead =
                variable.map_or_else(|| "write it".to_owned(), |name| format!("set {name}"));
            let text = format!("its value is not known before the run: {instead}");
            return self.dropped(entry.line, &name, &text);
        }
        if let Err(why) = cloud.takes(&entry.path, &value) {
            return self.dropped(entry.line, &name, &why);
        }
        let remarks: Vec<_> = remarks.iter().map(remark).collect();
        for variable in remarks.iter().filter_map(|(_, missing)| missing.as_ref()) {
            self.note(
                entry.line,
                &format!("{name} needs {variable} in the environment"),
            );
        }
        let comment: Vec<_> = remarks.into_iter().map(|(comment, _)| comment).collect();
        let comment = if comment.is_empty() {
            String::new()
        } else {
            format!(" # {}", comment.join(", "))
        };
        let last = entry.path.last().map_or_else(String::new, |name| key(name));
        Written::Pair(format!("{last} = {value}{comment}"))
    }

    fn dropped(&mut self, line: usize, name: &str, why: &str) -> Written {
        let why = plain(why);
        self.note(line, &format!("{name} is not carried over: {why}"));
        Written::Comment(format!("# {name}: {why}"))
    }
}

enum Written {
    Pair(String),
    Comment(String),
    Nothing,
}

/// What stands beside the value, and the variable that must be set for it.
fn remark(remark: &Remark) -> (String, Option<String>) {
    match remark {
        Remark::Default(variable) => (format!("the variable {}'s default", plain(variable)), None),
        Remark::Environment(variable) => {
            let missing = variable.starts_with("PKR_VAR_").then(|| plain(variable));
            (format!("needs {}", plain(variable)), missing)
        }
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
