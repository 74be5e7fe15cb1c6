//! Tags: made by name or with the image that carries them, removed from everything at once.

use http::request::Parts;
use serde_json::{Value, json};

use super::model::AccountState;
use super::{Answer, DigitalOceanService, not_found, paging, unprocessable, wire};

impl DigitalOceanService {
    pub(super) fn list_tags(&self, head: &Parts) -> Answer {
        let world = self.account.world();
        let tags: Vec<_> = world.tags.iter().map(|name| tag(&world, name)).collect();
        Ok((200, wire::page("tags", &tags, paging(head)?, "/v2/tags")))
    }

    /// A tag that exists is answered like a new one.
    pub(super) fn create_tag(&self, body: &Value) -> Answer {
        let name = body["name"].as_str().unwrap_or_default().to_owned();
        if !is_tag(&name) {
            return Err(unprocessable(RULE));
        }
        let mut world = self.account.world();
        world.tags.insert(name.clone());
        Ok((201, json!({"tag": tag(&world, &name)})))
    }

    pub(super) fn get_tag(&self, name: &str) -> Answer {
        let world = self.account.world();
        let name = world.tags.get(name).ok_or_else(not_found)?;
        Ok((200, json!({"tag": tag(&world, name)})))
    }

    /// "Deleting a tag also untags all the resources" (API reference).
    pub(super) fn delete_tag(&self, name: &str) -> Answer {
        let mut world = self.account.world();
        if !world.tags.remove(name) {
            return Err(not_found());
        }
        for image in world.images.values_mut() {
            image.tags.retain(|tag| tag != name);
        }
        Ok((204, Value::Null))
    }
}

const RULE: &str = "Tags may contain letters, numbers, colons, dashes, and underscores.";

/// The names in a request, if all can be tags.
pub(super) fn names(body: &Value) -> Result<Vec<String>, crate::fault::ApiError> {
    let Some(tags) = body["tags"].as_array() else {
        return Ok(Vec::new());
    };
    let tags: Option<Vec<_>> = tags.iter().map(Value::as_str).collect();
    match tags {
        Some(tags) if tags.iter().all(|tag| is_tag(tag)) => {
            Ok(tags.into_iter().map(str::to_owned).collect())
        }
        _ => Err(unprocessable(RULE)),
    }
}

fn is_tag(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_".contains(c);
    (1..=255).contains(&name.len()) && name.chars().all(fits)
}

fn tag(world: &AccountState, name: &str) -> Value {
    let tagged = world.images.values();
    let count = tagged
        .filter(|image| image.tags.iter().any(|tag| tag == name))
        .count();
    json!({"name": name, "resources": {"count": count, "images": {"count": count}}})
}
