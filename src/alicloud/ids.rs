//! The ids of ECS, checked against their form where they come in: they end up in commands,
//! in the journal and on standard output.

use serde::de::{Deserialize, Deserializer, Error};

/// Characters after the prefix. The ids of ECS have 20; nothing says that they always will.
const LONGEST: usize = 64;

/// Whether it is `prefix-` and then letters and digits, such as `m-bp67acfmxazb4ph0aaaa`.
fn is_id(prefix: &str, text: &str) -> bool {
    let rest = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| {
        (1..=LONGEST).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn checked<'de, D: Deserializer<'de>>(prefix: &str, source: D) -> Result<String, D::Error> {
    let text = String::deserialize(source)?;
    if is_id(prefix, &text) {
        return Ok(text);
    }
    Err(D::Error::custom(format!("an id is not {prefix}-…")))
}

/// The id of an image.
pub fn image<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    checked("m", source)
}

/// The id of a task.
pub fn task<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    checked("t", source)
}

/// The id of a snapshot; empty while there is none.
pub fn snapshot<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    let text = String::deserialize(source)?;
    if text.is_empty() || is_id("s", &text) {
        return Ok(text);
    }
    Err(D::Error::custom("an id is not s-…"))
}

/// The ids of an entry of the journal that are none of ECS's. A journal is a file.
pub fn foreign<'a>(
    tasks: impl IntoIterator<Item = &'a String>,
    images: impl IntoIterator<Item = &'a String>,
    snapshots: impl IntoIterator<Item = &'a String>,
) -> Option<&'a String> {
    let tasks = tasks.into_iter().map(|id| ("t", id));
    let images = images.into_iter().map(|id| ("m", id));
    let snapshots = snapshots.into_iter().map(|id| ("s", id));
    let mut all = tasks.chain(images).chain(snapshots);
    all.find(|(prefix, id)| !is_id(prefix, id))
        .map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_prefix_and_letters_and_digits() {
        assert!(is_id("m", "m-bp67acfmxazb4ph0aaaa"));
        for wrong in [
            "m-",
            "m",
            "",
            "t-bp1",
            "m-a b",
            "m-a;reboot",
            "m-$(id)",
            "m-a\n",
            "m-é",
        ] {
            assert!(!is_id("m", wrong), "{wrong:?}");
        }
        assert!(!is_id("m", &format!("m-{}", "a".repeat(65))));
    }
}
