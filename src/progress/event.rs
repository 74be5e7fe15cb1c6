//! What can be said, and its two wordings: a line for people and a line of JSON. When
//! it is said is `pace`'s business.

use std::time::Duration;

use serde::Serialize;

use super::Style;
use super::columns::{clean, one_line};
use crate::error::Error;
use crate::secret::mask;
use crate::units;

/// What takes less time is not worth a word on it.
pub(super) const MIN_REPORTED_TIME: Duration = Duration::from_secs(1);

/// One thing to say. The JSON names are part of the contract; the README lists them.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event<'a> {
    Stage {
        message: &'a str,
    },
    Note {
        message: &'a str,
    },
    Warning {
        message: &'a str,
    },
    /// A line of the log, under `-v`.
    Log {
        message: &'a str,
    },
    /// `bytes` are all that the service has; `resumed` of them come from an earlier run.
    Upload {
        bytes: u64,
        total: Option<u64>,
        estimated: bool,
        resumed: u64,
        #[serde(skip)]
        silent: Option<Duration>,
    },
    Uploaded {
        bytes: u64,
        resumed: u64,
        #[serde(rename = "seconds", serialize_with = "in_seconds")]
        took: Duration,
    },
    Import {
        percent: Option<u8>,
        message: &'a str,
    },
    Imported {
        message: &'a str,
        #[serde(rename = "seconds", serialize_with = "in_seconds")]
        took: Duration,
    },
}

/// The job that it is about, where there are several.
#[derive(Serialize)]
struct JobEvent<'a> {
    #[serde(flatten)]
    event: &'a Event<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    job: &'a str,
}

impl Event<'_> {
    /// Said even when the user wants quiet; who asks for a log gets it.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self, Self::Warning { .. } | Self::Log { .. })
    }

    /// One JSON object.
    pub(super) fn json(&self, job: &str) -> String {
        serde_json::to_string(&JobEvent { event: self, job }).unwrap_or_default()
    }

    /// A line for people.
    pub(super) fn line(&self, style: Style) -> String {
        match *self {
            Self::Stage { message } => style.bold(&heading(message)),
            Self::Note { message } => format!("  {}", clean(message)),
            Self::Warning { message } => {
                let message = clean(message).replace('\n', "\n  ");
                format!("{} {message}", style.yellow("warning:"))
            }
            Self::Log { message } => message.to_owned(),
            Self::Upload {
                bytes,
                total,
                estimated,
                silent,
                ..
            } => uploading(bytes, total, estimated, silent),
            Self::Uploaded { .. } => format!("Uploaded {}", self.result()),
            Self::Import { percent, message } => importing(percent, message),
            Self::Imported { message, took } if took >= MIN_REPORTED_TIME => {
                format!("{} in {}", clean(message), units::seconds(took))
            }
            Self::Imported { message, .. } => clean(message),
        }
    }

    /// What an upload has come to, to stand after "Uploaded" or after its stage.
    pub(super) fn result(&self) -> String {
        match *self {
            Self::Uploaded {
                bytes,
                resumed,
                took,
            } => uploaded(bytes, resumed, took),
            _ => String::new(),
        }
    }
}

/// The object of an error, with its job if there are several.
pub(super) fn error_json(error: &Error, job: &str) -> String {
    let mut event = error.to_json()["error"].take();
    event["event"] = "error".into();
    if !job.is_empty() {
        event["job"] = job.into();
    }
    event.to_string()
}

/// The lines of an error for people.
pub(super) fn error_line(error: &Error, style: Style) -> String {
    clean(&error.to_string()).replacen("error:", &style.red("error:"), 1)
}

/// A stage is one line, also when a file's name has two.
pub(super) fn heading(text: &str) -> String {
    clean(&mask(text)).replace('\n', " ")
}

fn uploading(bytes: u64, total: Option<u64>, estimated: bool, silent: Option<Duration>) -> String {
    let done = units::bytes(bytes);
    let silent = silent
        .map(|silent| format!(", {}", no_progress(silent)))
        .unwrap_or_default();
    match total {
        Some(total) => format!(
            "{:>4} % ({done} of {}{}){silent}",
            percent(bytes, total),
            approximately(estimated),
            units::bytes(total)
        ),
        None => format!("  {done}{silent}"),
    }
}

/// What stands before a number that is not known for sure.
pub(super) fn approximately(estimated: bool) -> &'static str {
    if estimated { "about " } else { "" }
}

fn uploaded(bytes: u64, resumed: u64, took: Duration) -> String {
    let all = units::bytes(bytes);
    if resumed > 0 && resumed >= bytes {
        return format!("{all}, all of it in an earlier run");
    }
    let speed =
        speed(bytes.saturating_sub(resumed), took).map(|speed| format!(" ({})", per_second(speed)));
    let previously =
        (resumed > 0).then(|| format!(", {} of it in an earlier run", units::bytes(resumed)));
    format!(
        "{all} in {}{}{}",
        units::seconds(took),
        speed.unwrap_or_default(),
        previously.unwrap_or_default()
    )
}

fn importing(percent: Option<u8>, message: &str) -> String {
    let message = one_line(message);
    match percent {
        Some(percent) if message.is_empty() => format!("{percent:>4} %"),
        Some(percent) => format!("{percent:>4} % {message}"),
        None => format!("  {message}"),
    }
}

/// How a transfer without news is described, in lines and under bars alike.
pub(super) fn no_progress(silent: Duration) -> String {
    format!("nothing acknowledged for {}", whole_seconds(silent))
}

/// A length of time without tenths, for what changes while it is read.
pub(super) fn whole_seconds(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => units::seconds(Duration::from_secs(seconds)),
    }
}

pub(super) fn per_second(speed: u64) -> String {
    format!("{}/s", units::bytes(speed))
}

/// Bytes in a second; nothing before a time that can be measured has passed.
pub(super) fn speed(bytes: u64, took: Duration) -> Option<u64> {
    let speed = (u128::from(bytes) * 1000).checked_div(took.as_millis())?;
    Some(u64::try_from(speed).unwrap_or(u64::MAX))
}

/// Rounded down: 100 % means all of it.
pub(super) fn percent(bytes: u64, total: u64) -> u8 {
    let percent = (u128::from(bytes) * 100)
        .checked_div(u128::from(total))
        .unwrap_or(100);
    u8::try_from(percent.min(100)).unwrap_or(100)
}

fn in_seconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(
        Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)).as_secs_f64(),
    )
}
