//! Custom images: asked for, walking from `NEW` to their end a step a poll, transferred,
//! removed.

use std::time::Instant;

use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::model::{AccountState, Action, Image, Status};
use super::{
    Answer, DigitalOceanService, fetch, not_found, paging, query, tags, unprocessable, verdict,
    wire,
};
use crate::clock;
use crate::fault::ApiError;

/// Any other is accepted, and becomes the last.
const DISTRIBUTIONS: [&str; 13] = [
    "Arch Linux",
    "CentOS",
    "CoreOS",
    "Debian",
    "Fedora",
    "Fedora Atomic",
    "FreeBSD",
    "Gentoo",
    "openSUSE",
    "RancherOS",
    "Rocky Linux",
    "Ubuntu",
    "Unknown",
];

const NOT_FOUND_MESSAGE: &str =
    "We could not read your image from the URL. Please make sure that it is reachable.";

impl DigitalOceanService {
    pub(super) fn list_images(&self, head: &Parts) -> Answer {
        let world = self.account.world();
        let tag = query(head, "tag_name");
        let meant = |image: &&Image| {
            image.status != Status::Deleted
                && tag.is_none_or(|tag| image.tags.iter().any(|own| own == tag))
        };
        // Only the account's own images are here; without `private` the service shows its own first.
        let images: Vec<_> = world
            .images
            .values()
            .filter(meant)
            .map(wire::image)
            .collect();
        Ok((
            200,
            wire::page("images", &images, paging(head)?, "/v2/images"),
        ))
    }

    pub(super) async fn create_image(&self, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (name, url, region) = (text("name"), text("url"), text("region"));
        for (field, value) in [("Name", &name), ("URL", &url), ("Region", &region)] {
            if value.is_empty() {
                return Err(unprocessable(format!("{field} can't be blank")));
            }
        }
        let takes_signed = {
            let world = self.account.world();
            if !world.has_region(&region) {
                return Err(unprocessable(
                    "You specified an invalid region for image creation.",
                ));
            }
            world.accepts_signed_urls
        };
        let trusted = takes_signed && url.contains("X-Amz-Signature=");
        if !trusted && !fetch::is_reachable(&url).await {
            return Err(ApiError::new(
                400,
                "bad_request",
                "Your source URL is unreachable.",
            ));
        }
        let tags = tags::names(body)?;
        let mut world = self.account.world();
        let said = text("distribution");
        let distribution = DISTRIBUTIONS.into_iter().find(|known| *known == said);
        let image = Image {
            id: world.id(),
            name,
            description: text("description"),
            distribution: distribution.unwrap_or("Unknown").to_owned(),
            tags,
            region,
            regions: Vec::new(),
            url,
            created: clock::now(),
            status: Status::New,
            error: String::new(),
            disk: 0,
            content: None,
            script: world.script.clone(),
            since: Instant::now(),
        };
        let answer = json!({"image": wire::image(&image)});
        world.tags.extend(image.tags.iter().cloned());
        world.images.insert(image.id, image);
        Ok((202, answer))
    }

    /// The state as it is now; the next poll may find another.
    pub(super) async fn get_image(&self, id: &str) -> Answer {
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let (shown, read) = {
            let mut world = self.account.world();
            let image = world.images.get_mut(&id).ok_or_else(not_found)?;
            let shown = wire::image(image);
            (shown, advance(image).then(|| image.clone()))
        };
        if let Some(image) = read {
            self.read(&image).await;
        }
        Ok((200, json!({"image": shown})))
    }

    /// The end of an import: the object is read and looked into.
    async fn read(&self, image: &Image) {
        let verdict = match &image.script.failure {
            Some(reason) => Err(reason.clone()),
            None => self.fetch(image).await,
        };
        let mut world = self.account.world();
        // A request may have removed it meanwhile.
        let Some(image) = world.images.get_mut(&image.id) else {
            return;
        };
        match verdict {
            Ok(arrival) => {
                image.status = Status::Available;
                image.regions = vec![image.region.clone()];
                image.disk = arrival.disk;
                image.content = Some(arrival.content);
            }
            Err(reason) => {
                image.status = Status::Deleted;
                image.error = reason;
            }
        }
    }

    async fn fetch(&self, image: &Image) -> Result<verdict::CheckedImage, String> {
        let fetched = fetch::get(&image.url, &self.dir).await;
        let fetched = fetched.map_err(|_| NOT_FOUND_MESSAGE.to_owned())?;
        let path = image.url.split('?').next().unwrap_or_default().to_owned();
        let name = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        let dir = self.dir.clone();
        let judged =
            tokio::task::spawn_blocking(move || verdict::check_image(fetched, &name, &dir)).await;
        judged.unwrap_or_else(|_| Err(NOT_FOUND_MESSAGE.to_owned()))
    }

    pub(super) fn delete_image(&self, id: &str) -> Answer {
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let removed = self.account.world().images.remove(&id);
        removed.map(|_| (204, Value::Null)).ok_or_else(not_found)
    }

    pub(super) fn create_action(&self, id: &str, body: &Value) -> Answer {
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let mut world = self.account.world();
        let regions = world.images.get(&id).ok_or_else(not_found)?.regions.clone();
        if body["type"] != "transfer" {
            return Err(unprocessable("Only transfers are known in the sandbox."));
        }
        let region = body["region"].as_str().unwrap_or_default().to_owned();
        may_transfer(&world, id, &regions, &region)?;
        let action = Action {
            id: world.id(),
            image: id,
            region,
            status: "in-progress",
            started: clock::now(),
            completed: None,
            polls: world.transfers.polls,
            script: world.transfers.clone(),
        };
        let place = world
            .regions
            .iter()
            .find(|place| place.slug == action.region);
        let answer = json!({"action": wire::action(&action, place)});
        world.actions.insert(action.id, action);
        Ok((201, answer))
    }

    /// Every action on the image, as it is now; only a poll of one lets it go on.
    pub(super) fn list_actions(&self, id: &str, head: &Parts) -> Answer {
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let world = self.account.world();
        if !world.images.contains_key(&id) {
            return Err(not_found());
        }
        let place = |slug: &str| world.regions.iter().find(|place| place.slug == slug);
        let of_image = world.actions.values().filter(|action| action.image == id);
        let actions: Vec<_> = of_image
            .map(|action| wire::action(action, place(&action.region)))
            .collect();
        let path = format!("/v2/images/{id}/actions");
        Ok((200, wire::page("actions", &actions, paging(head)?, &path)))
    }

    pub(super) fn get_action(&self, id: &str) -> Answer {
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let mut world = self.account.world();
        let action = world.actions.get_mut(&id).ok_or_else(not_found)?;
        let shown = action.clone();
        advance_action(action);
        if let (image, "completed", region) = (action.image, action.status, action.region.clone())
            && let Some(image) = world.images.get_mut(&image)
            && !image.regions.contains(&region)
        {
            image.regions.push(region);
        }
        let place = world
            .regions
            .iter()
            .find(|place| place.slug == shown.region);
        Ok((200, json!({"action": wire::action(&shown, place)})))
    }
}

/// One poll; true when the object is to be read now.
fn advance(image: &mut Image) -> bool {
    let slow = image
        .script
        .pace
        .is_some_and(|pace| image.since.elapsed() < pace);
    if slow || matches!(image.status, Status::Available | Status::Deleted) {
        return false;
    }
    image.since = Instant::now();
    image.status = Status::Pending;
    if image
        .script
        .gate
        .as_ref()
        .is_some_and(|gate| !gate.arrive())
    {
        return false;
    }
    if image.script.pending > 0 {
        image.script.pending -= 1;
        return false;
    }
    true
}

fn advance_action(action: &mut Action) {
    let held = action
        .script
        .gate
        .as_ref()
        .is_some_and(|gate| !gate.arrive());
    if held || action.status != "in-progress" {
        return;
    }
    action.polls = action.polls.saturating_sub(1);
    if action.polls == 0 {
        let fails = action.script.failing.contains(&action.region);
        action.status = if fails { "errored" } else { "completed" };
        action.completed = Some(clock::now());
    }
}

fn may_transfer(
    world: &AccountState,
    image: u64,
    regions: &[String],
    region: &str,
) -> Result<(), ApiError> {
    let running = |action: &&Action| action.image == image && action.status == "in-progress";
    let same = |action: &Action| action.region == region;
    let mut running = world.actions.values().filter(running);
    let busy = if world.transfers.side_by_side {
        running.any(same)
    } else {
        running.next().is_some()
    };
    let known = world.regions.iter().find(|known| known.slug == region);
    match known {
        _ if busy => Err(unprocessable("Image already has an event in progress.")),
        None => Err(unprocessable(
            "You specified an invalid region for the transfer.",
        )),
        Some(known) if !known.transfer => {
            Err(unprocessable("Images can't be transferred to this region."))
        }
        Some(_) if regions.is_empty() => Err(unprocessable("Image is not available yet.")),
        Some(_) if regions.iter().any(|there| there == region) => {
            Err(unprocessable("Image is already available in this region."))
        }
        Some(_) => Ok(()),
    }
}
