//! The bucket that holds the object: looked up, made, removed. Whose it must be and
//! where it must lie is for the recipe to judge.

use serde::Deserialize;

use super::parse::read;
use super::{Ask, Class, Error, Oss, Result};
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
struct Info {
    bucket: Described,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Described {
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
    fn checked(self) -> Result<Self> {
        let fits = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-';
        if self.name.chars().all(fits) {
            return Ok(self);
        }
        Err(Error::other("the answer names no region").class_is(Class::Transient))
    }
}

/// `oss-cn-hangzhou` as the other services write it.
fn region(location: &str) -> String {
    location.strip_prefix("oss-").unwrap_or(location).to_owned()
}

impl Oss {
    /// GetBucketInfo; where only that is refused or unknown, GetBucketLocation. `None`: there is
    /// no such bucket.
    pub async fn bucket(&self) -> Result<Option<Bucket>> {
        let ask = Ask::about(Method::GET, "", &[("bucketInfo", "")]);
        let info = self.ask_for(ask, |answer| read::<Info>(&answer));
        let error = match info.await {
            Ok(info) => return Ok(Some(described(info))),
            Err(error) => error,
        };
        let is_open = error.leaves_open();
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
        let ask = Ask::about(Method::GET, "", &[("location", "")]);
        let location = self.ask_for(ask, |answer| read(&answer).and_then(Location::checked));
        let location = location.await?;
        Ok(region(&location.name))
    }

    /// A private bucket in the endpoint's region.
    pub async fn create_bucket(&self) -> Result<()> {
        let ask = Ask {
            headers: &[
                ("content-type", "application/xml"),
                ("x-oss-acl", "private"),
            ],
            body: "<CreateBucketConfiguration><StorageClass>Standard</StorageClass></CreateBucketConfiguration>",
            ..Ask::about(Method::PUT, "", &[])
        };
        self.ask(ask).await.map(drop)
    }

    /// Removes the empty bucket; one that is gone already is a success.
    pub async fn remove_bucket(&self) -> Result<()> {
        match self.ask(Ask::about(Method::DELETE, "", &[])).await {
            Err(error) if error.code() != Some("NoSuchBucket") => Err(error),
            _ => Ok(()),
        }
    }
}

fn described(info: Info) -> Bucket {
    let rule = info.bucket.server_side_encryption_rule;
    let encryption = rule.and_then(|rule| rule.algorithm);
    Bucket {
        region: region(&info.bucket.location),
        encryption: encryption.filter(|name| !name.is_empty() && name != "None"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_location_is_the_elements_text_whatever_stands_before_it() {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"http://doc.oss-cn-hangzhou.aliyuncs.com\">oss-cn-hangzhou</LocationConstraint >";
        let location: Location = quick_xml::de::from_str(body).unwrap();
        assert_eq!(region(&location.name), "cn-hangzhou");
    }
}
