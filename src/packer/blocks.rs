//! What a template has for an import: the post-processors with their entries, each with
//! its line.

use ::toml::Value;

use super::node::Place;

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
    pub(super) place: Place,
    pub(super) name: Option<String>,
    /// The file to import, or why it is not known although the template names it.
    pub(super) image: Option<Result<String, (Place, String)>>,
    pub(super) entries: Vec<Entry>,
    /// The other post-processors of its sequence.
    pub(super) neighbors: Vec<Neighbor>,
}

/// A post-processor before or after the import.
#[derive(Clone, Debug)]
pub(super) struct Neighbor {
    pub(super) place: Place,
    pub(super) kind: String,
    pub(super) before: bool,
}

/// `key = value`; the path has the tables around the key.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<String>,
    pub(super) place: Place,
    pub(super) value: Said,
}

impl Entry {
    /// The value of a key at the top of the post-processor.
    pub(super) fn value_of(&self, key: &str) -> Option<&Said> {
        (self.path.len() == 1 && self.path[0] == key).then_some(&self.value)
    }
}

/// What the template has for a key.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// A value, and the variables that it comes from.
    Value(Value, Vec<Remark>),
    /// Nothing that is known without Packer, and why.
    Unclear(String),
    /// A secret; its value was not looked at.
    Secret,
}

/// What a reader of the settings should know of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Remark {
    /// A variable's default is used.
    Default(String),
    /// The run reads this variable of the environment.
    Environment(String),
}

/// A post-processor of a sequence, before it is known what it is.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) place: Place,
    pub(super) entries: Vec<Entry>,
}

impl Link {
    fn value_of(&self, key: &str) -> Option<&Said> {
        self.entries
            .iter()
            .rev()
            .find_map(|entry| entry.value_of(key))
    }

    /// The builds that it is for, if it is not for all of them.
    fn only(&self) -> Option<Vec<&str>> {
        match self.value_of("only")? {
            Said::Value(Value::Array(names), _) => {
                Some(names.iter().filter_map(Value::as_str).collect())
            }
            _ => Some(Vec::new()),
        }
    }
}

/// The imports of a sequence, each with what is around it. `built` gives the file of the
/// builder, if there is one that is certain, for these builds.
pub(super) fn sequence(
    links: &[Link],
    built: &dyn Fn(Option<&[&str]>) -> Option<String>,
) -> Vec<Block> {
    let import = |(at, link): (usize, &Link)| {
        let cloud = Cloud::of(&link.kind)?;
        let others = links.iter().enumerate().filter(|(other, link)| {
            *other != at && link.kind != "artifice" && Cloud::of(&link.kind).is_none()
        });
        Some(Block {
            cloud,
            place: link.place.clone(),
            name: link.name.clone(),
            image: image(cloud, link, &links[..at], built),
            entries: link.entries.clone(),
            neighbors: others
                .map(|(other, link)| Neighbor {
                    place: link.place.clone(),
                    kind: link.kind.clone(),
                    before: other < at,
                })
                .collect(),
        })
    };
    links.iter().enumerate().filter_map(import).collect()
}

/// The file of the nearest `artifice` or, if nothing before the import makes another
/// one, of the builder.
fn image(
    cloud: Cloud,
    import: &Link,
    before: &[Link],
    built: &dyn Fn(Option<&[&str]>) -> Option<String>,
) -> Option<Result<String, (Place, String)>> {
    // These hand on the files that they get.
    const SAME: [&str; 3] = ["shell-local", "manifest", "checksum"];
    for link in before.iter().rev() {
        if link.kind == "artifice" {
            let files = link.value_of("files");
            let chosen = match files {
                Some(Said::Value(files, _)) => chosen(cloud, import, files),
                Some(Said::Unclear(why)) => Err(why.clone()),
                Some(Said::Secret) | None => Err("it names no files".to_owned()),
            };
            return Some(chosen.map_err(|why| (link.place.clone(), why)));
        }
        if !SAME.contains(&link.kind.as_str()) && Cloud::of(&link.kind).is_none() {
            return None;
        }
    }
    built(import.only().as_deref()).map(Ok)
}

/// The file that the post-processor imports of several.
fn chosen(cloud: Cloud, import: &Link, files: &Value) -> Result<String, String> {
    let files: Vec<_> = match files {
        Value::Array(files) => files.iter().filter_map(Value::as_str).collect(),
        file => file.as_str().into_iter().collect(),
    };
    if files
        .iter()
        .any(|file| file.contains(['*', '?', '[']) || file.contains("{{"))
    {
        return Err("its files are known only after the build".to_owned());
    }
    if let [file] = files.as_slice() {
        return Ok((*file).to_owned());
    }
    let endings: Vec<String> = match cloud {
        Cloud::Aws => match import.value_of("format") {
            None => vec![".ova".to_owned()],
            Some(Said::Value(format, _)) => vec![format!(".{}", format.as_str().unwrap_or("ova"))],
            Some(_) => {
                return Err("the format, which chooses one of its files, is not known".to_owned());
            }
        },
        Cloud::Alicloud => ["vhd", "raw"].map(str::to_owned).to_vec(),
        Cloud::Digitalocean => [
            "raw", "img", "qcow2", "vhdx", "vdi", "vmdk", "tar.bz2", "tar.xz", "tar.gz",
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    let fits = |file: &&&str| endings.iter().any(|ending| file.ends_with(ending));
    let file = files.iter().find(fits);
    file.map(|file| (*file).to_owned())
        .ok_or_else(|| format!("none of its files ends in {}", endings.join(" or ")))
}
