//! The last thing said when a run fails: the error, whatever the face and however quiet.

use super::columns::clean;
use super::{Face, Progress};
use crate::error::Error;

impl Progress {
    /// The error with its cause, what stays behind and the hint. Bars go before it.
    pub fn error(&self, error: &Error) {
        let text = match &self.shared.face {
            Face::Json => {
                let mut event = error.to_json()["error"].take();
                event["event"] = "error".into();
                if !self.scope.name.is_empty() {
                    event["job"] = self.scope.name.as_str().into();
                }
                event.to_string()
            }
            Face::Bars(_) | Face::Plain => {
                let paint = self.shared.paint;
                clean(&error.to_string()).replacen("error:", &paint.red("error:"), 1)
            }
        };
        if let Face::Bars(screen) = &self.shared.face {
            screen.break_off(self.scope.id);
        }
        self.write(&text);
    }
}
