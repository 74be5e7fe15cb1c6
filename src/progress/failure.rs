//! The last thing said when a run fails: the error, whatever the face and however quiet.

use super::columns::clean;
use super::{Progress, Renderer};
use crate::error::Error;

impl Progress {
    /// The error with its cause, what stays behind and the hint. Bars go before it.
    pub fn error(&self, error: &Error) {
        let text = match &self.shared.renderer {
            Renderer::Json => {
                let mut event = error.to_json()["error"].take();
                event["event"] = "error".into();
                if !self.scope.name.is_empty() {
                    event["job"] = self.scope.name.as_str().into();
                }
                event.to_string()
            }
            Renderer::Bars(_) | Renderer::Plain => {
                let style = self.shared.style;
                clean(&error.to_string()).replacen("error:", &style.red("error:"), 1)
            }
        };
        if let Renderer::Bars(screen) = &self.shared.renderer {
            screen.fail_stage(self.scope.id);
        }
        self.write(&text);
    }
}
