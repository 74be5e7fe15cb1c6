//! The last thing said when a run fails: the error, whatever the face and however quiet.

use super::{Face, Progress};
use crate::error::Error;

impl Progress {
    /// The error with its cause, what stays behind and the hint.
    pub fn error(&self, error: &Error) {
        let text = match &*self.0.face {
            Face::Json => {
                let mut event = error.to_json()["error"].take();
                event["event"] = "error".into();
                event.to_string()
            }
            Face::Bars(bars) if bars.colours() => {
                error
                    .to_string()
                    .replacen("error:", "\x1b[1;31merror:\x1b[0m", 1)
            }
            Face::Bars(_) | Face::Plain => error.to_string(),
        };
        self.0.write(&self.0.signed(text));
    }
}
