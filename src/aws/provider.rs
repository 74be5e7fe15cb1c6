//! AWS's options as a `Provider`: their variables and secrets, which layer overrides
//! which, what the guest fills in.

use super::method;
use super::method::ImportMethod;
use super::options::Options;
use super::{detect, trust};
use crate::config::problems::Problems;
use crate::config::trust::TrustTable;
use crate::config::{Cloud, Environment};
use crate::guest::Guest;
use crate::image::Format;

impl Cloud for Options {
    const NAME: &'static str = "aws";

    const VARIABLES: &'static [(&'static str, &'static [&'static str])] = &[
        ("region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
        ("profile", &["AWS_PROFILE"]),
        ("shared_credentials_file", &["AWS_SHARED_CREDENTIALS_FILE"]),
        ("endpoint_url", &["AWS_ENDPOINT_URL"]),
        ("endpoint_url_s3", &["AWS_ENDPOINT_URL_S3"]),
        ("endpoint_url_ec2", &["AWS_ENDPOINT_URL_EC2"]),
        ("endpoint_url_ebs", &["AWS_ENDPOINT_URL_EBS"]),
        ("endpoint_url_ssm", &["AWS_ENDPOINT_URL_SSM"]),
        (
            "endpoint_url_service_quotas",
            &["AWS_ENDPOINT_URL_SERVICE_QUOTAS"],
        ),
        ("endpoint_url_sts", &["AWS_ENDPOINT_URL_STS"]),
        ("endpoint_url_iam", &["AWS_ENDPOINT_URL_IAM"]),
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
            token: environment.secret(Self::SECRETS, "token"),
            endpoint_url_s3: environment.get("AWS_ENDPOINT_URL_S3"),
            endpoint_url_ec2: environment.get("AWS_ENDPOINT_URL_EC2"),
            endpoint_url_ebs: environment.get("AWS_ENDPOINT_URL_EBS"),
            endpoint_url_ssm: environment.get("AWS_ENDPOINT_URL_SSM"),
            endpoint_url_service_quotas: environment.get("AWS_ENDPOINT_URL_SERVICE_QUOTAS"),
            endpoint_url_sts: environment.get("AWS_ENDPOINT_URL_STS"),
            endpoint_url_iam: environment.get("AWS_ENDPOINT_URL_IAM"),
            ..Self::default()
        }
    }

    /// A layer that says who asks says all of it: keys of the file never mix with a
    /// profile of the command line. The same goes for endpoints.
    fn clear_conflicts_with(&mut self, above: &Self) {
        if above.endpoint_url.is_some() {
            (self.endpoint_url_s3, self.endpoint_url_ec2) = (None, None);
            (self.endpoint_url_ssm, self.endpoint_url_service_quotas) = (None, None);
            (
                self.endpoint_url_ebs,
                self.endpoint_url_sts,
                self.endpoint_url_iam,
                self.custom_endpoint_ec2,
            ) = (None, None, None, None);
        }
        if above.profile.is_some() || above.access_key.is_some() || above.secret_key.is_some() {
            (self.profile, self.access_key, self.secret_key, self.token) = (None, None, None, None);
        }
    }

    fn fill_from_image(&mut self, guest: &Guest) -> Vec<String> {
        detect::fill_from_image(self, guest)
    }

    fn contradictions(&self, guest: &Guest) -> Vec<String> {
        detect::contradictions(self, guest)
    }

    fn checks_guest(&self) -> bool {
        let mut problems = Problems::<Self>::default();
        method::choose_method(self, &mut problems).method == ImportMethod::ImportImage
    }
}
