//! Determines the file that a builder creates, where its settings are unambiguous.

use super::document::Node;
use super::evaluate::evaluate;
use super::scope::Scope;
use super::templates::expand;

/// A builder of a template.
pub(super) struct Builder<'n> {
    /// Packer's type of the builder, such as `qemu`.
    pub(super) kind: &'n str,
    pub(super) name: &'n str,
    /// Its settings; the first one with a key counts.
    pub(super) settings: Vec<&'n Node>,
}

impl Builder<'_> {
    /// Returns the file, relative to the folder in which Packer runs.
    ///
    /// Sources: `Prepare` and the last steps of hashicorp/packer's builder/file,
    /// packer-plugin-qemu (`config.go`, `step_create_disk.go`), packer-plugin-virtualbox and
    /// packer-plugin-vmware (`output_config.go`, `step_export.go`).
    pub(super) fn file(&self, scope: &Scope) -> Option<String> {
        let folder = |default: String| {
            let folder = self.setting(scope, "output_directory")?.unwrap_or(default);
            Some(folder.trim_end_matches('/').to_owned())
        };
        let is_missing = |key| self.setting(scope, key) == Some(None);
        let folder = || folder(format!("output-{}", self.name));
        match self.kind {
            "file" => self.setting(scope, "target")?,
            "qemu" => {
                let name = self.setting(scope, "vm_name")?;
                let name = name.unwrap_or_else(|| format!("packer-{}", self.name));
                Some(format!("{}/{name}", folder()?))
            }
            // Of the formats only this one is a single file. The default name of the virtual
            // machine contains the time of the build.
            "virtualbox-iso" | "virtualbox-ovf" | "virtualbox-vm" | "vmware-iso" | "vmware-vmx"
                if self.setting(scope, "format")?? == "ova"
                    && is_missing("skip_export")
                    && is_missing("remote_type") =>
            {
                let name = match self.setting(scope, "output_filename")? {
                    Some(name) if self.kind.starts_with("virtualbox") => name,
                    None => self.setting(scope, "vm_name")??,
                    Some(_) => return None,
                };
                Some(format!("{}/{name}.ova", folder()?))
            }
            _ => None,
        }
    }

    /// Returns the text of a setting, `Some(None)` if it is unset, and `None` if it is unknown.
    #[expect(clippy::option_option, reason = "unknown and missing differ")]
    fn setting(&self, scope: &Scope, key: &str) -> Option<Option<String>> {
        let Some(node) = self.settings.iter().find_map(|settings| settings.get(key)) else {
            return Some(None);
        };
        let text = evaluate(node, scope).ok()?.into_text().ok()?;
        let text = expand(&text, &|name| scope.user(name)).ok()?;
        let text = text.known().ok()?;
        Some(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }
}

/// Returns the only builder that creates the files for the names in `only`.
pub(super) fn single<'b, 'n>(
    builders: &'b [Builder<'n>],
    only: Option<&[&str]>,
    full_names: bool,
) -> Option<&'b Builder<'n>> {
    let name = |builder: &Builder<'_>| {
        if full_names {
            format!("{}.{}", builder.kind, builder.name)
        } else {
            builder.name.to_owned()
        }
    };
    let mut builders = builders
        .iter()
        .filter(|builder| only.is_none_or(|only| only.contains(&name(builder).as_str())));
    match (builders.next(), builders.next()) {
        (builder, None) => builder,
        _ => None,
    }
}
