//! Checks the IDs of ECS when a response is read.

use serde::de::{Deserialize, Deserializer, Error};

use crate::import::journal::Prefixes;
use crate::net::ids::is_id;

/// The forms of the ids.
pub const PREFIXES: Prefixes = Prefixes {
    task: &["t"],
    image: &["m"],
    snapshot: &["s"],
};

fn checked_id<'de, D: Deserializer<'de>>(prefix: &str, source: D) -> Result<String, D::Error> {
    let text = String::deserialize(source)?;
    if is_id(prefix, &text) {
        return Ok(text);
    }
    Err(D::Error::custom(format!("an id is not {prefix}-…")))
}

/// The id of an image.
pub fn image_id<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    checked_id("m", source)
}

/// The id of a task.
pub fn task_id<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    checked_id("t", source)
}

/// The id of a snapshot; empty while there is none.
pub fn snapshot_id<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    let text = String::deserialize(source)?;
    if text.is_empty() || is_id("s", &text) {
        return Ok(text);
    }
    Err(D::Error::custom("an id is not s-…"))
}
