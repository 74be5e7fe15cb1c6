//! EnableImageDeprecation.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::images::{invalid_value, no_image};
use super::{Call, document};
use crate::query::Answer;

/// "The upper limit for DeprecateAt is 10 years from now, except for public AMIs, where
/// the upper limit is 2 years from the creation date."
const YEARS: i64 = 10;
const YEARS_PUBLIC: i64 = 2;

impl Call<'_> {
    pub(super) fn enable_image_deprecation(&self) -> Answer {
        let id = self.query.required("ImageId")?;
        let said = self.query.required("DeprecateAt")?;
        let at = OffsetDateTime::parse(said, &Rfc3339)
            .map_err(|_| invalid_value(format!("Invalid value '{said}' for DeprecateAt")))?;
        let now = OffsetDateTime::now_utc();
        if at <= now {
            return Err(invalid_value("The deprecation date must be in the future."));
        }
        self.region(|region| {
            let image = region.images.get_mut(id).ok_or_else(|| no_image(id))?;
            let years = if image.is_public() {
                YEARS_PUBLIC
            } else {
                YEARS
            };
            if at > now + Duration::days(years * 366) {
                let text = format!("The deprecation date is more than {years} years away.");
                return Err(invalid_value(text));
            }
            // AWS keeps minutes.
            let minute = at.replace_second(0).unwrap_or(at);
            image.deprecated = minute.format(&Rfc3339).ok();
            Ok(document("EnableImageDeprecation", |xml| {
                xml.text("return", true);
            }))
        })
    }
}
