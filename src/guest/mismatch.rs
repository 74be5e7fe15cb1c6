//! What somebody said of a system, and the disk certainly shows otherwise. What was not
//! seen never counts.

use super::{Architecture, Guest};

impl Guest {
    /// Another processor than that of `--architecture`.
    pub fn architecture_mismatch(&self, setting: &str) -> Option<String> {
        let detected = self.architecture?;
        let differs = detected != Architecture::Other && detected.name() != setting;
        differs.then(|| {
            let known = detected.name();
            format!("--architecture is {setting}, but the system in the image is built for {known}")
        })
    }

    /// A `--boot-mode` whose boot loader is not there; `starts` is what was seen of it.
    pub fn boot_mode_mismatch(setting: &str, can_boot: Option<bool>) -> Option<String> {
        (can_boot == Some(false))
            .then(|| format!("--boot-mode is {setting}, but the image does not start that way"))
    }
}
