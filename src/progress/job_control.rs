//! The shell's control of its jobs. Ctrl-Z takes the bars away before the program stops,
//! and `fg` brings them back; in the background, where the terminal is somebody else's,
//! none are drawn.

use crate::platform;

use super::{Face, Progress};

impl Progress {
    /// From here on Ctrl-Z does not leave a bar behind.
    pub fn minds_the_shell(&self) {
        let Face::Bars(_) = &self.shared.face else {
            return;
        };
        let progress = self.clone();
        platform::on_ctrl_z(move || {
            if let Face::Bars(screen) = &progress.shared.face {
                screen.rest(platform::stop);
            }
        });
    }
}
