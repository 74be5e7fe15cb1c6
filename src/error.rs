//! The one error that reaches the user: what could not be done, why, what stays
//! behind, and what helps. The exit code follows from its kind.

use std::fmt;

use serde_json::{Value, json};

/// The result of everything that can fail in front of the user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of end this is; decides the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A step failed.
    Failed,
    /// Wrong usage or settings.
    Usage,
    /// The image was refused before a byte was sent.
    Refused,
    /// The deadline passed while the cloud is still working.
    Deadline,
    /// Stopped by Ctrl-C.
    Interrupted,
    /// Stopped by SIGTERM.
    Terminated,
}

impl Kind {
    /// The exit code that scripts depend on.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Deadline => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Refused => "refused",
            Self::Deadline => "deadline",
            Self::Interrupted | Self::Terminated => "stopped",
        }
    }
}

/// An end that is not success, in the user's words.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    cause: Option<anyhow::Error>,
    left_behind: Vec<String>,
    hint: Option<String>,
    images: Vec<(String, String)>,
}

impl Error {
    /// An error of this kind; `what` completes "error: " and says what could not be done.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            message: what.into(),
            cause: None,
            left_behind: Vec::new(),
            hint: None,
            images: Vec::new(),
        }
    }

    /// A step failed (exit 1).
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    /// Wrong usage or settings (exit 2).
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// The image was refused before upload (exit 3).
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Kind::Refused, what)
    }

    /// Adds the cause, in the service's words.
    #[must_use]
    pub fn with_source(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds the cause as a plain sentence.
    #[must_use]
    pub fn with_cause(self, cause: impl Into<String>) -> Self {
        self.with_source(anyhow::Error::msg(cause.into()))
    }

    /// Adds the one hint that helps; an earlier hint stays, it knows more.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Names things that stay in the cloud or on the disk, each with the way to remove it.
    #[must_use]
    pub fn with_left_behind(mut self, items: impl IntoIterator<Item = String>) -> Self {
        self.left_behind.extend(items);
        self
    }

    /// Images that are complete all the same, each with its region.
    #[must_use]
    pub fn with_images(mut self, images: Vec<(String, String)>) -> Self {
        self.images = images;
        self
    }

    /// The cause, if it is of this kind.
    pub fn cause<T: std::error::Error + Send + Sync + 'static>(&self) -> Option<&T> {
        self.cause.as_ref()?.downcast_ref()
    }

    /// The hint, if there is one.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// One line: what could not be done, and why.
    pub fn one_line(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}: {cause:#}", self.message),
            None => self.message.clone(),
        }
    }

    /// What sort of end this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The object that `--output json` prints on standard output.
    pub fn to_json(&self) -> Value {
        let mut value = json!({
            "schema": 1,
            "error": {
                "kind": self.kind.name(),
                "message": self.message,
                "cause": self.cause.as_ref().map(|cause| format!("{cause:#}")),
                "left_behind": self.left_behind,
                "hint": self.hint,
            }
        });
        if !self.images.is_empty() {
            let image =
                |(region, image): &(String, String)| json!({"region": region, "image_id": image});
            value["images"] = self.images.iter().map(image).collect();
        }
        value
    }
}

/// What a person reads on standard error.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(cause) = &self.cause {
            write_paragraph(f, "cause", &format!("{cause:#}"))?;
        }
        for thing in &self.left_behind {
            write_paragraph(f, "left behind", thing)?;
        }
        if let Some(hint) = &self.hint {
            write_paragraph(f, "hint", hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// One indented paragraph; further lines stand under the first.
fn write_paragraph(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    write!(
        f,
        "\n  {label}: {}",
        text.trim_end().replace('\n', "\n    ")
    )
}
