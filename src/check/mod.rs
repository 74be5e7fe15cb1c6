//! `imgimport check`, and the same look before every import: what the image holds, and
//! what each cloud would make of it. Nobody is asked, nothing is changed.

mod alicloud;
mod aws;
mod common;
mod digitalocean;
mod finding;
mod marketplace;
mod options;
mod pre_import;
mod report;

use std::io::{self, IsTerminal};
use std::path::Path;

use serde_json::{Value, json};

use crate::config::OutputFormat;
use crate::error::{Error, Kind, Result};
use crate::guest::Guest;
use crate::image::{Content, Image, ImageSource, Warning};

pub use options::{Options, variables};
pub use pre_import::PreImportCheck;

use finding::{Finding, Level, Rule, Verdict};

/// Who may take the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CloudId {
    /// Amazon Web Services
    Aws,
    /// Alibaba Cloud
    Alicloud,
    /// DigitalOcean
    Digitalocean,
}

impl CloudId {
    const ALL: [Self; 3] = [Self::Aws, Self::Alicloud, Self::Digitalocean];

    /// The sub-command's word.
    fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Alicloud => "alicloud",
            Self::Digitalocean => "digitalocean",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Alicloud => "Alibaba Cloud",
            Self::Digitalocean => "DigitalOcean",
        }
    }

    /// What it makes of the file.
    fn check_format(self, image: &Image) -> Vec<Finding> {
        match self {
            Self::Aws => aws::check_format(image),
            Self::Alicloud => alicloud::check_format(image),
            Self::Digitalocean => digitalocean::check_format(image),
        }
    }

    /// Whether its import takes the file; the reason and the remedy when it does not.
    fn accepts(self, image: &Image) -> Result<(), (String, String)> {
        match self {
            Self::Aws => crate::aws::accepts(image),
            Self::Alicloud => crate::alicloud::accepts(image).map(drop),
            Self::Digitalocean => crate::digitalocean::accepts(image),
        }
    }

    /// What it makes of the system in it; `examined` where the import looks inside, too.
    fn check_guest(self, guest: &Guest, examined: bool) -> Vec<Finding> {
        match self {
            Self::Aws => aws::check_guest(guest, examined),
            Self::Alicloud => alicloud::check_guest(guest),
            Self::Digitalocean => digitalocean::check_guest(guest),
        }
    }
}

/// Everything that `imgimport check` has to say.
pub struct Report {
    image: Image,
    guest: Guest,
    /// Bytes that may be other than zero.
    allocated: Option<u64>,
    clouds: Vec<Verdict>,
    marketplace: Option<Verdict>,
}

impl Report {
    /// Looks; of standard input at its head.
    pub fn new(options: &Options) -> Result<Self> {
        let mut image = match &options.image {
            Some(path) if path == Path::new("-") && io::stdin().is_terminal() => {
                return Err(Error::usage("standard input is a terminal, not an image"));
            }
            Some(path) => Image::open(path, options.format)?,
            None => {
                return Err(Error::usage(
                    "no image: give its path, IMGIMPORT_IMAGE or image in the settings file",
                ));
            }
        };
        image.verify()?;
        let guest = Guest::inspect(&image);
        let all = || CloudId::ALL.to_vec();
        let requested = options
            .clouds
            .clone()
            .filter(|clouds| !clouds.is_empty())
            .unwrap_or_else(all);
        let verdict = |cloud: CloudId| {
            Verdict::new(
                cloud.name(),
                cloud.title(),
                [
                    cloud.check_format(&image),
                    warnings(&image),
                    cloud.check_guest(&guest, true),
                ]
                .concat(),
            )
        };
        let requested = CloudId::ALL
            .into_iter()
            .filter(|cloud| requested.contains(cloud));
        let clouds = requested.map(verdict).collect();
        let marketplace = options.marketplace.unwrap_or(false).then(|| {
            let findings = guest
                .system
                .as_ref()
                .map_or_else(marketplace::unreadable, marketplace::check_guest);
            Verdict::new("marketplace", "DigitalOcean Marketplace", findings)
        });
        Ok(Self {
            allocated: Guest::allocated(&image),
            image,
            guest,
            clouds,
            marketplace,
        })
    }

    /// 0, or 3 when no cloud that was asked for takes it, or the Marketplace does not.
    pub fn exit_code(&self) -> u8 {
        let refuses = |verdict: &Verdict| verdict.verdict == Level::Refused;
        let all = self.clouds.iter().all(refuses);
        if all || self.marketplace.as_ref().is_some_and(refuses) {
            Kind::Refused.exit_code()
        } else {
            0
        }
    }

    /// What goes to standard output.
    pub fn render(&self, format: OutputFormat) -> String {
        match format {
            OutputFormat::Text => report::render(self),
            OutputFormat::Json => self.to_json().to_string(),
        }
    }

    fn path(&self) -> &Path {
        match &self.image.source {
            ImageSource::File(path) => path,
            ImageSource::Stdin => Path::new("-"),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "schema": 1,
            "image": {
                "path": self.path().to_string_lossy(),
                "format": self.image.format.map(|format| format.to_string()),
                "content": self.image.content.name(),
                "size": self.image.size,
                "virtual_size": self.image.virtual_size,
                "allocated": self.allocated,
            },
            "system": self.guest.to_json(),
            "clouds": self.clouds,
            "marketplace": self.marketplace.as_ref().map(|verdict| json!({
                "version": marketplace::VERSION,
                "verdict": verdict.verdict,
                "findings": verdict.findings,
            })),
        })
    }
}

/// Returns what is unusual about the file, independent of the cloud.
fn warnings(image: &Image) -> Vec<Finding> {
    let warning = |warning: &Warning| {
        let remedy = warning.fix.clone().unwrap_or_default();
        Rule("image", "").warning(&warning.text, remedy)
    };
    let blank = Rule("image", "").unknown("its disk is blank, no system is on it");
    let blank = image.is_blank.then_some(blank);
    let is_passing =
        image.source == ImageSource::Stdin && image.content == Content::Ova { manifest: true };
    let uncompared = is_passing.then(|| {
        Rule("image", "").warning(
            "the files of the OVA are not compared with its manifest: of standard input, only the first bytes are read",
            "give the file itself",
        )
    });
    let all = image.warnings.iter().map(warning);
    all.chain(uncompared).chain(blank).collect()
}
