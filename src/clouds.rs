//! The list of clouds. No other file lists them: the others use [`CloudId::ALL`] with
//! `with_cloud!`, or `with_args!`.

use crate::config::{CloudOptions, ImportArgs};
use crate::import::cloud::Cloud;
use crate::{alicloud, aws, digitalocean};

/// A cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CloudId {
    /// Amazon Web Services
    Aws,
    /// Alibaba Cloud
    Alicloud,
    /// DigitalOcean
    Digitalocean,
}

/// The sub-commands that import.
#[derive(Debug, clap::Subcommand)]
pub enum CloudArgs {
    /// Import into Amazon Web Services: S3, EC2 import, AMI
    Aws(Box<ImportArgs<aws::Options>>),

    /// Import into Alibaba Cloud: OSS, ECS import, ECS image
    Alicloud(Box<ImportArgs<alicloud::Options>>),

    /// Import into DigitalOcean: Spaces, custom image
    Digitalocean(Box<ImportArgs<digitalocean::Options>>),
}

/// Evaluates an expression with the type `$Cloud` of the cloud `$id`.
macro_rules! with_cloud {
    ($id:expr, $Cloud:ident => $value:expr) => {
        match $id {
            $crate::clouds::CloudId::Aws => {
                type $Cloud = $crate::aws::Options;
                $value
            }
            $crate::clouds::CloudId::Alicloud => {
                type $Cloud = $crate::alicloud::Options;
                $value
            }
            $crate::clouds::CloudId::Digitalocean => {
                type $Cloud = $crate::digitalocean::Options;
                $value
            }
        }
    };
}
pub(crate) use with_cloud;

/// Evaluates an expression with the arguments of the cloud that they are for.
macro_rules! with_args {
    ($cloud_args:expr, $args:ident => $value:expr) => {
        match $cloud_args {
            $crate::clouds::CloudArgs::Aws($args) => $value,
            $crate::clouds::CloudArgs::Alicloud($args) => $value,
            $crate::clouds::CloudArgs::Digitalocean($args) => $value,
        }
    };
}
pub(crate) use with_args;

impl CloudId {
    /// All clouds, in the order of every list.
    pub const ALL: [Self; 3] = [Self::Aws, Self::Alicloud, Self::Digitalocean];

    /// The names of all clouds, which are keys of the settings file.
    pub const NAMES: [&'static str; 3] = [
        aws::Options::NAME,
        alicloud::Options::NAME,
        digitalocean::Options::NAME,
    ];

    /// Returns the cloud with this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.name() == name)
    }

    /// Returns the name of the sub-command and of the table in the settings file.
    pub fn name(self) -> &'static str {
        with_cloud!(self, C => C::NAME)
    }

    /// Returns the name in messages.
    pub fn title(self) -> &'static str {
        with_cloud!(self, C => C::TITLE)
    }
}

macro_rules! from_args {
    ($($Id:ident: $options:ty),*) => {
        $(impl From<ImportArgs<$options>> for CloudArgs {
            fn from(args: ImportArgs<$options>) -> Self {
                Self::$Id(Box::new(args))
            }
        })*
    };
}
from_args!(Aws: aws::Options, Alicloud: alicloud::Options, Digitalocean: digitalocean::Options);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_clouds_find_them() {
        assert_eq!(CloudId::ALL.map(CloudId::name), CloudId::NAMES);
        assert_eq!(CloudId::NAMES.map(CloudId::find), CloudId::ALL.map(Some),);
        assert_eq!(CloudId::find("gcp"), None);
    }
}
