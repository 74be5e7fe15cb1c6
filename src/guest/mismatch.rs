//! Finds contradictions between the user's settings and the facts of the disk. A fact that
//! could not be determined is never a contradiction.

use super::{Architecture, Guest};

impl Guest {
    /// Returns a description if the system is for another processor than that of
    /// `--architecture`.
    pub fn architecture_mismatch(&self, setting: &str) -> Option<String> {
        let detected = self.architecture?;
        let differs = detected != Architecture::Other && detected.name() != setting;
        differs.then(|| {
            let known = detected.name();
            format!("--architecture is {setting}, but the system in the image is built for {known}")
        })
    }

    /// Returns a description if the boot loader for `--boot-mode` is missing; `can_boot` is the
    /// detected fact.
    pub fn boot_mode_mismatch(setting: &str, can_boot: Option<bool>) -> Option<String> {
        (can_boot == Some(false))
            .then(|| format!("--boot-mode is {setting}, but the image does not start that way"))
    }
}
