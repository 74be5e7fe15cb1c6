//! What somebody said of a system, and the disk certainly shows otherwise. What was not
//! seen never counts.

use super::{Architecture, Guest};

impl Guest {
    /// Another processor than that of `--architecture`.
    pub fn doubt_architecture(&self, said: &str) -> Option<String> {
        let known = self.architecture?;
        let differs = known != Architecture::Other && known.name() != said;
        differs.then(|| {
            let known = known.name();
            format!("--architecture is {said}, but the system in the image is built for {known}")
        })
    }

    /// A `--boot-mode` whose boot loader is not there; `starts` is what was seen of it.
    pub fn doubt_boot_mode(said: &str, starts: Option<bool>) -> Option<String> {
        (starts == Some(false))
            .then(|| format!("--boot-mode is {said}, but the image does not start that way"))
    }
}
