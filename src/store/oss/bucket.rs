//! The bucket of the object: reads, creates and removes it. The recipe decides which owner and
//! region are valid.

use serde::Deserialize;

use super::parse::parse_body;
use super::{Error, ErrorClass, Operation, Oss, Result};
use crate::net::http::Method;

/// What OSS tells of a bucket.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bucket {
    /// Its region, such as `cn-hangzhou`; empty where OSS does not say it.
    pub region: String,
    /// The encryption of new objects, such as `AES256`, where there is one.
    pub encryption: Option<String>,
}

/// An answer without `Bucket` is not OSS's.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BucketInfo {
    bucket: BucketDescription,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct BucketDescription {
    location: String,
    server_side_encryption_rule: Option<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "SSEAlgorithm")]
    algorithm: Option<String>,
}

/// A struct with a field: a line break before the element would be the text otherwise.
#[derive(Deserialize)]
struct Location {
    #[serde(rename = "$text", default)]
    name: String,
}

impl Location {
    /// A page of somebody in between has text, too.
    fn validated(self) -> Result<Self> {
        let fits = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-';
        if self.name.chars().all(fits) {
            return Ok(self);
        }
        Err(Error::other("the answer names no region").with_class(ErrorClass::Transient))
    }
}

/// `oss-cn-hangzhou` as the other services write it.
fn region_from_location(location: &str) -> String {
    location.strip_prefix("oss-").unwrap_or(location).to_owned()
}

impl Oss {
    /// GetBucketInfo; where only that is refused or unknown, GetBucketLocation. `None`: there is
    /// no such bucket.
    pub async fn bucket(&self) -> Result<Option<Bucket>> {
        let request = Operation::new(Method::GET, "", &[("bucketInfo", "")]);
        let info = self.call_and_parse(request, |answer| parse_body::<BucketInfo>(&answer));
        let error = match info.await {
            Ok(info) => return Ok(Some(to_bucket(info))),
            Err(error) => error,
        };
        let is_open = error.is_inconclusive();
        match error.code() {
            Some("NoSuchBucket") => Ok(None),
            code if is_open || code == Some("AccessDenied") => match self.location().await {
                Ok(region) => Ok(Some(Bucket {
                    region,
                    encryption: None,
                })),
                Err(answer) if answer.code() == Some("NoSuchBucket") => Ok(None),
                // Nobody knows either question: the upload will say.
                Err(_) if is_open => Ok(Some(Bucket::default())),
                Err(_) => Err(error),
            },
            _ => Err(error),
        }
    }

    async fn location(&self) -> Result<String> {
        let request = Operation::new(Method::GET, "", &[("location", "")]);
        let location = self.call_and_parse(request, |answer| {
            parse_body(&answer).and_then(Location::validated)
        });
        let location = location.await?;
        Ok(region_from_location(&location.name))
    }

    /// A private bucket in the endpoint's region.
    pub async fn create_bucket(&self) -> Result<()> {
        let request = Operation {
            headers: &[
                ("content-type", "application/xml"),
                ("x-oss-acl", "private"),
            ],
            body: "<CreateBucketConfiguration><StorageClass>Standard</StorageClass></CreateBucketConfiguration>",
            ..Operation::new(Method::PUT, "", &[])
        };
        self.call(request).await.map(drop)
    }

    /// Removes the empty bucket; one that is gone already is a success.
    pub async fn remove_bucket(&self) -> Result<()> {
        match self.call(Operation::new(Method::DELETE, "", &[])).await {
            Err(error) if error.code() != Some("NoSuchBucket") => Err(error),
            _ => Ok(()),
        }
    }
}

fn to_bucket(info: BucketInfo) -> Bucket {
    let rule = info.bucket.server_side_encryption_rule;
    let encryption = rule.and_then(|rule| rule.algorithm);
    Bucket {
        region: region_from_location(&info.bucket.location),
        encryption: encryption.filter(|name| !name.is_empty() && name != "None"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_location_is_read_from_the_element_text() {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"http://doc.oss-cn-hangzhou.aliyuncs.com\">oss-cn-hangzhou</LocationConstraint >";
        let location: Location = quick_xml::de::from_str(body).unwrap();
        assert_eq!(region_from_location(&location.name), "cn-hangzhou");
    }
}
