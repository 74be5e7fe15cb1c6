//! Alibaba Cloud's options as a `Provider`: their variables and secrets, which layer overrides
//! which, what the guest fills in.

use super::options::Options;
use super::{detect, trust};
use crate::config::trust::TrustTable;
use crate::config::{Cloud, Environment};
use crate::guest::Guest;
use crate::image::Format;

impl Cloud for Options {
    const NAME: &'static str = "alicloud";

    const VARIABLES: &'static [(&'static str, &'static [&'static str])] = &[
        (
            "region",
            &[
                "ALICLOUD_REGION",
                "ALIBABA_CLOUD_REGION_ID",
                "ALIBABA_CLOUD_REGION",
            ],
        ),
        ("profile", &["ALICLOUD_PROFILE", "ALIBABA_CLOUD_PROFILE"]),
        (
            "shared_credentials_file",
            &[
                "ALICLOUD_SHARED_CREDENTIALS_FILE",
                "ALIBABA_CLOUD_CONFIG_FILE",
            ],
        ),
        ("ram_role_name", &["ALICLOUD_ECS_ROLE_NAME"]),
        ("ram_role_arn", &["ALICLOUD_ASSUME_ROLE_ARN"]),
        ("ecs_endpoint", &["ALICLOUD_ECS_ENDPOINT"]),
        ("oss_endpoint", &["ALICLOUD_OSS_ENDPOINT"]),
        ("ram_endpoint", &["ALICLOUD_RAM_ENDPOINT"]),
        ("sts_endpoint", &["ALICLOUD_STS_ENDPOINT"]),
    ];

    const SECRETS: &'static [(&'static str, &'static [&'static str])] = trust::SECRETS;
    const TRUST: &'static TrustTable = trust::TRUST;
    const DOMAINS: &'static [&'static str] = trust::DOMAINS;

    fn addresses(&self) -> Vec<(&'static str, String)> {
        trust::addresses(self)
    }

    fn has_secret_for(&self, _: &str) -> bool {
        self.access_key.is_some() && self.secret_key.is_some()
    }

    fn format(&self) -> Option<Format> {
        self.format
    }

    fn from_environment_only(environment: &Environment) -> Self {
        Self {
            access_key: environment.secret(Self::SECRETS, "access_key"),
            secret_key: environment.secret(Self::SECRETS, "secret_key"),
            security_token: environment.secret(Self::SECRETS, "security_token"),
            ..Self::default()
        }
    }

    /// A layer that says who asks says all of it: keys of the file never mix with a
    /// profile of the command line.
    fn clear_conflicts_with(&mut self, above: &Self) {
        let has_credentials = above.profile.is_some()
            || above.access_key.is_some()
            || above.secret_key.is_some()
            || above.ram_role_name.is_some();
        if has_credentials {
            (self.profile, self.ram_role_name) = (None, None);
            (self.access_key, self.secret_key, self.security_token) = (None, None, None);
        }
    }

    fn fill_from_image(&mut self, guest: &Guest) -> Vec<String> {
        detect::fill_from_image(self, guest)
    }

    fn contradictions(&self, guest: &Guest) -> Vec<String> {
        detect::contradictions(self, guest)
    }
}
