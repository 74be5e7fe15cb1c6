//! The shell's control of its jobs. Ctrl-Z takes the bars away before the program stops,
//! and `fg` brings them back; in the background, where the terminal is somebody else's,
//! none are drawn.

use crate::platform;

use super::{Progress, Renderer};

impl Progress {
    /// From here on Ctrl-Z does not leave a bar behind.
    pub fn handle_ctrl_z(&self) {
        let Renderer::Bars(_) = &self.shared.renderer else {
            return;
        };
        let progress = self.clone();
        platform::on_ctrl_z(move || {
            if let Renderer::Bars(screen) = &progress.shared.renderer {
                screen.suspend_for_stop(platform::stop);
            }
        });
    }
}
