//! `imgimport check`: what the image holds, and whether each cloud's import would accept it.
//! Makes no request and changes nothing.

mod marketplace;
mod options;
mod report;

use std::io::{self, IsTerminal};
use std::path::Path;

use serde_json::{Value, json};

use crate::clouds::{CloudId, with_cloud};
use crate::config::OutputFormat;
use crate::error::{Error, Kind, Result};
use crate::guest::Guest;
use crate::image::{Content, Image, ImageSource, Warning};
use crate::import::cloud::Cloud;
use crate::import::finding::{Finding, Level, Rule, Verdict};

pub use options::{Options, variables};

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
            let findings = with_cloud!(cloud, C => [
                C::check_format(&image),
                warnings(&image),
                C::check_guest(&guest, true),
            ]);
            Verdict::new(cloud.name(), cloud.title(), findings.concat())
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
