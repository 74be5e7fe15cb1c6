//! The file that a builder makes, where its settings leave no doubt.

use super::node::Node;
use super::scope::Scope;

/// A builder of a template.
pub(super) struct Builder<'n> {
    /// Packer's type of the builder, such as `qemu`.
    pub(super) kind: &'n str,
    pub(super) name: &'n str,
    /// Its settings; the first that has a key counts.
    pub(super) settings: Vec<&'n Node>,
}

impl Builder<'_> {
    /// The file, relative to the folder in which Packer runs.
    ///
    /// Sources: `Prepare` and the last steps of hashicorp/packer's builder/file,
    /// packer-plugin-qemu (`config.go`, `step_create_disk.go`), packer-plugin-virtualbox and
    /// packer-plugin-vmware (`output_config.go`, `step_export.go`).
    pub(super) fn file(&self, scope: &Scope) -> Option<String> {
        let text = |key| match self.setting(scope, key) {
            Setting::Text(text) => Some(text),
            Setting::Missing | Setting::Unclear => None,
        };
        let or = |key, default: String| match self.setting(scope, key) {
            Setting::Text(text) => Some(text),
            Setting::Missing => Some(default),
            Setting::Unclear => None,
        };
        let missing = |key| matches!(self.setting(scope, key), Setting::Missing);
        let folder = || or("output_directory", format!("output-{}", self.name));
        match self.kind {
            "file" => text("target"),
            "qemu" => Some(within(
                &folder()?,
                &or("vm_name", format!("packer-{}", self.name))?,
            )),
            // Of the formats only this one is a single file. The virtual machine's default
            // name has the time of the build.
            "virtualbox-iso" | "virtualbox-ovf" | "virtualbox-vm" | "vmware-iso" | "vmware-vmx"
                if text("format")? == "ova" && missing("skip_export") && missing("remote_type") =>
            {
                let name = match text("output_filename") {
                    Some(name) if self.kind.starts_with("virtualbox") => name,
                    None if missing("output_filename") => text("vm_name")?,
                    _ => return None,
                };
                Some(within(&folder()?, &format!("{name}.ova")))
            }
            _ => None,
        }
    }

    fn setting(&self, scope: &Scope, key: &str) -> Setting {
        let Some(node) = self.settings.iter().find_map(|settings| settings.get(key)) else {
            return Setting::Missing;
        };
        let user = |name: &str, remarks: &mut Vec<_>| scope.user(name, remarks);
        let text = scope.evaluate(node).ok().and_then(|value| {
            super::holes::translate(value.as_str()?, &user, &mut Vec::new()).ok()
        });
        match text {
            Some(text) if text.is_empty() => Setting::Missing,
            Some(text) if !text.contains("{{") => Setting::Text(text),
            _ => Setting::Unclear,
        }
    }
}

enum Setting {
    Missing,
    Text(String),
    Unclear,
}

fn within(folder: &str, name: &str) -> String {
    let folder = folder.trim_end_matches('/');
    format!("{folder}/{name}")
}

/// The one builder that is meant, with the names that `only` has.
pub(super) fn one<'b, 'n>(
    builders: &'b [Builder<'n>],
    only: Option<&[&str]>,
    full_names: bool,
) -> Option<&'b Builder<'n>> {
    let meant = |builder: &&Builder<'_>| {
        only.is_none_or(|only| {
            only.iter().any(|name| {
                let full = format!("{}.{}", builder.kind, builder.name);
                *name
                    == if full_names {
                        full
                    } else {
                        builder.name.to_owned()
                    }
            })
        })
    };
    let mut meant = builders.iter().filter(meant);
    match (meant.next(), meant.next()) {
        (builder, None) => builder,
        _ => None,
    }
}
