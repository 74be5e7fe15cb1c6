//! The regions of the account, and what the account has settled in each: which are
//! enabled, whether AMIs may be public, whether snapshots are encrypted unasked.

use super::{Call, document};
use crate::fault::ApiError;
use crate::query::Answer;

/// A region and its `optInStatus`; the first answer for all accounts, the others by wish.
const REGIONS: [(&str, &str); 8] = [
    ("ap-east-1", "not-opted-in"),
    ("ap-southeast-1", "opt-in-not-required"),
    ("eu-central-1", "opt-in-not-required"),
    ("eu-south-1", "opted-in"),
    ("eu-west-1", "opt-in-not-required"),
    ("us-east-1", "opt-in-not-required"),
    ("us-east-2", "opt-in-not-required"),
    ("us-west-2", "opt-in-not-required"),
];

/// Credentials mean nothing where the account is not at home.
pub(super) fn check_enabled(region: &str) -> Result<(), ApiError> {
    let known = REGIONS.iter().find(|(name, _)| *name == region);
    if known.is_some_and(|(_, status)| *status == "not-opted-in") {
        let text = "AWS was not able to validate the provided access credentials";
        return Err(ApiError::new(401, "AuthFailure", text));
    }
    Ok(())
}

impl Call<'_> {
    pub(super) fn describe_regions(&self) -> Answer {
        let requested = self.query.list("RegionName");
        let is_known = |name: &&String| REGIONS.iter().any(|(known, _)| known == name);
        if let Some(unknown) = requested.iter().find(|name| !is_known(name)) {
            let text = format!("Invalid region name(s): [{unknown}]");
            return Err(ApiError::new(400, "InvalidParameterValue", text));
        }
        let all = self.query.flag("AllRegions") || !requested.is_empty();
        let meant = REGIONS.iter().filter(|(name, status)| {
            (all || *status != "not-opted-in")
                && (requested.is_empty() || requested.iter().any(|one| one == name))
        });
        Ok(document("DescribeRegions", |xml| {
            xml.items("regionInfo", meant, |xml, (name, status)| {
                xml.text("regionName", name);
                xml.text("regionEndpoint", format!("ec2.{name}.amazonaws.com"));
                xml.text("optInStatus", status);
            });
        }))
    }

    pub(super) fn encryption_by_default(&self) -> String {
        let on = self.world.ec2.state().encryption_by_default;
        document("GetEbsEncryptionByDefault", |xml| {
            xml.text("ebsEncryptionByDefault", on);
        })
    }

    pub(super) fn block_public_access_state(&self) -> String {
        let on = self.world.ec2.state().blocked.contains(self.region);
        let state = if on { "block-new-sharing" } else { "unblocked" };
        document("GetImageBlockPublicAccessState", |xml| {
            xml.text("imageBlockPublicAccessState", state)
                .text("managedBy", "account");
        })
    }
}
