//! What both of Packer's languages say, in one form: the import blocks with their
//! entries, each with its line.

use ::toml::Value;

/// Where a template is not what it should be.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) line: Option<usize>,
    pub(super) why: String,
}

/// The clouds whose post-processors are understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cloud {
    Aws,
    Alicloud,
    Digitalocean,
}

impl Cloud {
    pub(super) const ALL: [Self; 3] = [Self::Aws, Self::Alicloud, Self::Digitalocean];

    /// Packer's name of the post-processor.
    pub(super) fn post_processor(self) -> &'static str {
        match self {
            Self::Aws => "amazon-import",
            Self::Alicloud => "alicloud-import",
            Self::Digitalocean => "digitalocean-import",
        }
    }

    pub(super) fn of(post_processor: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|cloud| cloud.post_processor() == post_processor)
    }
}

/// One import post-processor.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) cloud: Cloud,
    pub(super) line: usize,
    pub(super) name: Option<String>,
    /// The file that an `artifice` before it names.
    pub(super) image: Option<String>,
    pub(super) entries: Vec<Entry>,
    /// The other post-processors of its sequence.
    pub(super) neighbours: Vec<Neighbour>,
}

/// A post-processor before or after the import.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    pub(super) line: usize,
    pub(super) kind: String,
    pub(super) before: bool,
}

/// `key = value`; the path has the tables around the key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
    pub(super) value: Said,
}

/// What the template says of a key.
#[derive(Debug)]
pub(super) enum Said {
    /// A value, and the variables that must be set for it or whose defaults are in it.
    Value(Value, Vec<Remark>),
    /// Nothing that could be found out without Packer; why, and what to do.
    Unclear(String),
    /// A secret; its value was not looked at.
    Secret,
}

/// What a reader of the settings should know of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Remark {
    /// A variable's default is used.
    Default(String),
    /// A variable has no default, or a secret one: it is read from the environment.
    Environment(String),
}

/// A post-processor of a sequence, before it is known what it is.
pub(super) struct Link {
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) line: usize,
    pub(super) entries: Vec<Entry>,
    /// The files that an `artifice` names.
    pub(super) files: Vec<String>,
}

/// The imports of a sequence, each with what is around it.
pub(super) fn sequence(links: Vec<Link>) -> Vec<Block> {
    let around: Vec<_> = links
        .iter()
        .map(|link| (link.line, link.kind.clone(), link.files.clone()))
        .collect();
    let import = |(at, link): (usize, Link)| {
        let cloud = Cloud::of(&link.kind)?;
        let files = around[..at]
            .iter()
            .rev()
            .find(|(.., files)| !files.is_empty());
        let others = around.iter().enumerate().filter(|(other, (_, kind, _))| {
            *other != at && kind != "artifice" && Cloud::of(kind).is_none()
        });
        Some(Block {
            cloud,
            line: link.line,
            name: link.name,
            image: files.map(|(.., files)| likeliest(files)),
            entries: link.entries,
            neighbours: others
                .map(|(other, (line, kind, _))| Neighbour {
                    line: *line,
                    kind: kind.clone(),
                    before: other < at,
                })
                .collect(),
        })
    };
    links.into_iter().enumerate().filter_map(import).collect()
}

/// Of several files the first that looks like an image.
fn likeliest(files: &[String]) -> String {
    const ENDINGS: [&str; 10] = [
        ".ova", ".raw", ".img", ".vhd", ".vhdx", ".vmdk", ".qcow2", ".vdi", ".gz", ".bz2",
    ];
    let looks = |file: &&String| ENDINGS.iter().any(|ending| file.ends_with(ending));
    files.iter().find(looks).unwrap_or(&files[0]).clone()
}

/// The number of the line that this byte is on.
pub(super) fn line(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}
