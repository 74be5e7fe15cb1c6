//! What is changed on an image: shares, attributes, tags.

use serde_json::{Value, json};

use super::check::{self, refused};
use super::images::available;
use super::import::dry_run;
use super::model::{Image, Region, Status};
use super::{EcsProduct, merge, no_image, page};
use crate::alibaba::rpc::{Answer, Call};
use crate::fault::ApiError;

/// Accounts beyond the tenth of a request are dropped without a word.
/// <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission>
const MAX_SHARES: usize = 10;

impl EcsProduct {
    pub(super) fn share(&self, call: &Call<'_>, region: &str) -> Answer {
        let mut state = self.ecs.state();
        let image = available(state.region(region), call.require("ImageId")?)?;
        let added = call.query.list("AddAccount").into_iter().take(MAX_SHARES);
        let removed = call
            .query
            .list("RemoveAccount")
            .into_iter()
            .take(MAX_SHARES);
        let (added, removed): (Vec<_>, Vec<_>) = (added.collect(), removed.collect());
        check_accounts(&added)?;
        if image.encrypted && image.field("KMSKeyId").unwrap_or_default().is_empty() {
            let text = "An image encrypted with the service key cannot be shared.";
            return Err(ApiError::new(
                403,
                "InvalidOperation.ImageEncryptedByServiceKey",
                text,
            ));
        }
        dry_run(call, "DryRunOperation")?;
        image.shares.extend(added);
        image.shares.retain(|account| !removed.contains(account));
        image.is_public |= call.query.flag("IsPublic");
        Ok(json!({}))
    }

    pub(super) fn describe_shares(&self, call: &Call<'_>, region: &str) -> Answer {
        let id = call.require("ImageId")?;
        let mut state = self.ecs.state();
        let image = existing(state.region(region), id)?;
        let accounts = image
            .shares
            .iter()
            .map(|account| json!({"AliyunId": account}));
        let (accounts, numbers) = page(call, accounts.collect::<Vec<_>>())?;
        let answer = json!({
            "ImageId": id, "RegionId": region,
            "Accounts": {"Account": accounts}, "ShareGroups": {"ShareGroup": []},
        });
        Ok(merge(answer, numbers))
    }

    pub(super) fn modify(&self, call: &Call<'_>, region: &str) -> Answer {
        check::description(call.get("Description"))?;
        check::name(call.get("ImageName"))?;
        let id = call.require("ImageId")?;
        let mut state = self.ecs.state();
        let place = state.region(region);
        check_rename(place, id, call.get("ImageName"))?;
        let image = existing(place, id)?;
        if image.is_creating() {
            let text = "The current status of the image does not support this operation.";
            return Err(ApiError::new(403, "IncorrectImageStatus", text));
        }
        let boot_modes = ["BIOS", "UEFI", "UEFI-Preferred"];
        if call
            .get("BootMode")
            .is_some_and(|mode| !boot_modes.contains(&mode))
        {
            return Err(refused(
                "InvalidBootMode.Malformed",
                "The specified BootMode is not valid.",
            ));
        }
        let status = status(call.get("Status"))?;
        dry_run(call, "DryRunOperation")?;
        image.status = status.unwrap_or(image.status);
        image.name = call
            .query
            .get_owned("ImageName")
            .unwrap_or_else(|| image.name.clone());
        for name in CHANGEABLE {
            image
                .fields
                .extend(call.query.get_owned(name).map(|value| (*name, value)));
        }
        Ok(json!({}))
    }

    pub(super) fn tag(&self, call: &Call<'_>, region: &str) -> Answer {
        let tags = check::tags(call.query)?;
        let ids = call.query.list("ResourceId");
        if tags.is_empty() || ids.is_empty() || ids.len() > 50 {
            let text = "Tag.N and ResourceId.N are mandatory, with 50 resources at most.";
            return Err(refused("MissingParameter", text));
        }
        let kind = call.require("ResourceType")?;
        let mut state = self.ecs.state();
        let place = state.region(region);
        for id in &ids {
            let found = match kind {
                "image" => place.images.get_mut(id).map(|image| &mut image.tags),
                "snapshot" => place
                    .snapshots
                    .get_mut(id)
                    .map(|snapshot| &mut snapshot.tags),
                _ => {
                    return Err(refused(
                        "InvalidResourceType.NotFound",
                        "The ResourceType is not found.",
                    ));
                }
            };
            let text = format!("The specified ResourceId {id} is not found in our records.");
            let missing = || ApiError::new(404, "InvalidResourceId.NotFound", text);
            found.ok_or_else(missing)?.extend(tags.clone());
        }
        Ok(Value::Object(serde_json::Map::new()))
    }
}

const CHANGEABLE: &[&str] = &[
    "BootMode",
    "Description",
    "Features.ImdsSupport",
    "Features.NvmeSupport",
    "ImageFamily",
    "LicenseType",
];

fn existing<'r>(region: &'r mut Region, id: &str) -> Result<&'r mut Image, ApiError> {
    region.images.get_mut(id).ok_or_else(|| no_image(id))
}

fn check_rename(region: &Region, id: &str, name: Option<&str>) -> Result<(), ApiError> {
    let taken = |image: &&Image| Some(image.name.as_str()) == name && image.id != id;
    if region.images.values().any(|image| taken(&image)) {
        let text = "The specified Image name has already been used.";
        return Err(refused("InvalidImageName.Duplicated", text));
    }
    Ok(())
}

fn check_accounts(accounts: &[String]) -> Result<(), ApiError> {
    let is_account =
        |account: &String| !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    if accounts.iter().all(is_account) {
        return Ok(());
    }
    let text = "The specified Account does not exist.";
    Err(ApiError::new(404, "InvalidAccount.NotFound", text))
}

fn status(name: Option<&str>) -> Result<Option<Status>, ApiError> {
    match name {
        None => Ok(None),
        Some("Available") => Ok(Some(Status::Available)),
        Some("Deprecated") => Ok(Some(Status::Deprecated)),
        Some(_) => Err(refused(
            "InvalidStatus.NotSupport",
            "The specified Status is not valid.",
        )),
    }
}
