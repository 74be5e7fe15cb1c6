//! cloud-init: whether it is installed, its version, and its data sources.

use yaml_rust2::{Yaml, YamlLoader};

use super::root_fs::{Observed, RootFs};

/// The longest list of data sources in bytes; the YAML loader follows its brackets by
/// recursion.
const LIST: usize = 4096;

/// cloud-init, or one of the programs that DigitalOcean accepts in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudInit {
    /// The version from the package manager or its own files.
    pub version: Option<String>,
    /// `datasource_list`, where one is set.
    pub data_sources: Option<Vec<String>>,
    /// It is configured to stay off.
    pub disabled: bool,
}

pub(super) fn find(root_fs: &RootFs) -> Observed<CloudInit> {
    root_fs.program(&["cloud-init"]).map(|_| CloudInit {
        version: version(root_fs),
        data_sources: data_sources(root_fs),
        disabled: root_fs.exists("/etc/cloud/cloud-init.disabled") == Some(true),
    })
}

/// Returns the version: of Debian's packages from dpkg; elsewhere from the program's own
/// `version.py`.
fn version(root_fs: &RootFs) -> Option<String> {
    if let Observed::Present(status) = root_fs.text("/var/lib/dpkg/status")
        && let Some(stanza) = status
            .split("\n\n")
            .find(|stanza| stanza.lines().any(|line| line == "Package: cloud-init"))
    {
        let version = stanza
            .lines()
            .find_map(|line| line.strip_prefix("Version: "))?;
        return Some(
            version
                .split(['-', '~', '+'])
                .next()
                .unwrap_or(version)
                .to_owned(),
        );
    }
    for lib in ["/usr/lib", "/usr/local/lib"] {
        for python in root_fs
            .names(lib)
            .into_iter()
            .filter(|name| name.starts_with("python"))
        {
            for dir in ["site-packages", "dist-packages"] {
                let path = format!("{lib}/{python}/{dir}/cloudinit/version.py");
                if let Observed::Present(text) = root_fs.text(&path) {
                    let line = text.lines().find(|line| line.starts_with("__VERSION__"))?;
                    return line.split('"').nth(1).map(str::to_owned);
                }
            }
        }
    }
    None
}

/// Returns the data sources of cloud.cfg, then cloud.cfg.d in the order of its names; the last
/// one wins.
fn data_sources(root_fs: &RootFs) -> Option<Vec<String>> {
    let parts = root_fs.names("/etc/cloud/cloud.cfg.d");
    let parts = parts
        .into_iter()
        .filter(|name| matches!(name.rsplit_once('.'), Some((_, "cfg"))));
    let parts = parts.map(|name| format!("/etc/cloud/cloud.cfg.d/{name}"));
    let files = std::iter::once("/etc/cloud/cloud.cfg".to_owned()).chain(parts);
    let texts = files.filter_map(|path| root_fs.text(&path).present().cloned());
    texts.filter_map(|text| list(&text)).next_back()
}

/// Returns the value of `datasource_list`. Only this key is parsed: the rest of the file may
/// hold secrets.
fn list(text: &str) -> Option<Vec<String>> {
    let from = text
        .match_indices("datasource_list:")
        .map(|(at, _)| at)
        .find(|&at| at == 0 || text[..at].ends_with('\n'))?;
    let inside = |line: &&str| line.is_empty() || line.starts_with([' ', '\t', '-', ']', '#']);
    let mut lines = text[from..].lines();
    let first = lines.next()?;
    let rest = lines.take_while(inside);
    let value: Vec<_> = std::iter::once(first).chain(rest).collect();
    let value = value.join("\n");
    if value.len() > LIST {
        return None;
    }
    let documents = YamlLoader::load_from_str(&value).ok()?;
    let names = documents.first()?["datasource_list"].as_vec()?;
    Some(
        names
            .iter()
            .filter_map(Yaml::as_str)
            .map(str::to_owned)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::list;

    fn names(text: &str) -> Option<String> {
        list(text).map(|names| names.join(" "))
    }

    #[test]
    fn data_sources_are_read_in_both_ways_of_writing_them() {
        let flow = "users:\n - default\ndatasource_list: [ NoCloud,\n  ConfigDrive, None ]\nx: 1\n";
        assert_eq!(names(flow).as_deref(), Some("NoCloud ConfigDrive None"));
        let block =
            "# to update, dpkg-reconfigure\ndatasource_list:\n- Ec2\n- AliYun # both\nx: 1\n";
        assert_eq!(names(block).as_deref(), Some("Ec2 AliYun"));
        assert_eq!(names("# datasource_list: [ A ]\n"), None);
        assert_eq!(names("datasource_list: [ A\n"), None);
        assert_eq!(
            names(&format!("datasource_list: {}", "[".repeat(100_000))),
            None
        );
        assert_eq!(
            names(&format!("datasource_list: {}", "[".repeat(4000))),
            None
        );
    }
}
