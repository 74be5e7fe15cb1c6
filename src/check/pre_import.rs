//! The look before an import: fills in what the image says and the user did not, and once
//! the settings are sound stops what the cloud refuses and shows what may not work.

use super::finding::{Finding, Level};
use super::{CloudId, report};
use crate::config::{Cloud, ImportArgs};
use crate::error::{Error, Result};
use crate::guest::Guest;
use crate::image::{Content, Image, OpenOptions};
use crate::import::session::Session;

/// An OVA of this size takes moments to be compared with its manifest.
const LARGE_OVA: u64 = 1 << 30;

/// What was seen. What can't be opened is the recipe's to complain of, with the settings; of
/// standard input only the first bytes are seen.
pub struct PreImportCheck(Option<Inspection>);

struct Inspection {
    cloud: CloudId,
    image: Image,
    guest: Guest,
    /// Refusals of the image are loud, and stop nothing.
    skip_checks: bool,
    /// Whether the cloud looks into the system, too.
    checks_guest: bool,
    /// What the image said and the user did not.
    detected: Vec<String>,
    /// What the user said and the image does not.
    contradictions: Vec<String>,
}

impl PreImportCheck {
    /// Looks into the image that was named and takes from it what nobody said. Says nothing
    /// yet: wrong settings are told first.
    pub async fn new<P: Cloud>(args: &mut ImportArgs<P>, session: &Session) -> Result<Self> {
        let cloud = CloudId::ALL
            .into_iter()
            .find(|cloud| cloud.name() == P::NAME);
        let (Some(cloud), Some(path)) = (cloud, args.image.clone()) else {
            return Ok(Self(None));
        };
        let of_image = OpenOptions {
            format: args.provider.format(),
            skip_checks: args.skip_checks == Some(true),
        };
        let head = args.head.clone();
        let inspecting = tokio::task::spawn_blocking(move || {
            let image = match head {
                Some(head) => Image::from_head(&head, of_image),
                None => Image::open(&path, of_image),
            };
            let image = image.ok()?;
            let guest = Guest::inspect(&image);
            Some((image, guest))
        });
        let looked = session.cancel.stop.run_until_cancelled(inspecting).await;
        let looked = looked.ok_or_else(|| session.stop_error())?;
        let Some((image, guest)) = looked.ok().flatten() else {
            return Ok(Self(None));
        };
        let (skip_checks, checks_guest) =
            (args.skip_checks == Some(true), args.provider.checks_guest());
        // A disk without a system says nothing of one.
        let (contradictions, detected) = if guest.family.is_some() {
            (
                args.provider.contradictions(&guest),
                args.provider.fill_from_image(&guest),
            )
        } else {
            (vec![], vec![])
        };
        Ok(Self(Some(Inspection {
            cloud,
            image,
            guest,
            skip_checks,
            checks_guest,
            detected,
            contradictions,
        })))
    }

    /// Says what was seen; an error if the cloud refuses it.
    pub async fn report(self, session: &Session) -> Result<()> {
        let Some(inspection) = self.0 else {
            return Ok(());
        };
        for warning in &inspection.image.warnings {
            session
                .progress
                .warn(&report::printable(&warning.to_string()));
        }
        let inspection = inspection.verify(session).await?;
        inspection.report_findings(session)?;
        for doubt in &inspection.contradictions {
            session.progress.warn(&report::printable(doubt));
        }
        if !inspection.detected.is_empty() {
            let name = report::printable(&inspection.guest.name().unwrap_or_default());
            let detected = inspection.detected.join(", ");
            session
                .progress
                .info(&format!("Taken from the image ({name}): {detected}"));
        }
        Ok(())
    }
}

impl Inspection {
    /// Whether the members of an OVA are what its manifest says.
    async fn verify(self, session: &Session) -> Result<Self> {
        if self.image.needs_full_read() && self.image.size.is_some_and(|size| size > LARGE_OVA) {
            let label = self.image.label();
            session.progress.stage(&match self.image.content {
                Content::Ova { .. } => format!("Comparing {label} with its manifest"),
                _ => format!("Reading {label} to its end"),
            });
        }
        let comparing = tokio::task::spawn_blocking(move || {
            let mut inspection = self;
            (inspection.image.verify(), inspection)
        });
        let compared = session.cancel.stop.run_until_cancelled(comparing).await;
        let compared = compared.ok_or_else(|| session.stop_error())?;
        let (verified, inspection) = compared.map_err(|error| {
            Error::failed("the image can't be compared with its manifest").with_source(error)
        })?;
        match verified {
            Err(error) if inspection.skip_checks => session.progress.warn(&format!(
                "it is sent all the same (--skip-checks): {}",
                error.one_line()
            )),
            verified => verified?,
        }
        Ok(inspection)
    }

    /// Refusals of the file are the recipe's own, and come with its other questions; where
    /// they don't count, it is said here.
    fn report_findings(&self, session: &Session) -> Result<()> {
        let title = self.cloud.title();
        let warn = |why: &str| {
            session.progress.warn(&format!(
                "{title} refuses this image, and it goes there all the same (--skip-checks): {}",
                report::printable(why)
            ));
        };
        if let (true, Err((reason, remedy))) = (self.checks_guest, self.cloud.accepts(&self.image))
        {
            // What lies in a compressed file is known now, when all of it was read.
            if !self.skip_checks && self.image.content.is_compressed_file() {
                let label = self.image.label();
                let error = Error::refused(format!("{title} can't import {label}"));
                return Err(error.with_cause(reason).hint(remedy));
            }
            if self.skip_checks {
                warn(&reason);
            }
        }
        for finding in self.cloud.check_guest(&self.guest, self.checks_guest) {
            match finding.level {
                Level::Refused if self.skip_checks => warn(&finding.text),
                Level::Refused => return Err(rejection(title, &self.image, finding)),
                Level::Warning => {
                    session
                        .progress
                        .warn(&report::printable(&match finding.remedy {
                            Some(remedy) => format!("{}; {remedy}", finding.text),
                            None => finding.text,
                        }))
                }
                Level::Ok | Level::Unseen => {}
            }
        }
        Ok(())
    }
}

fn rejection(title: &str, image: &Image, finding: Finding) -> Error {
    let error = Error::refused(format!("{title} can't import {}", image.label()))
        .with_cause(report::printable(&finding.text));
    match finding.remedy {
        Some(remedy) => error.hint(report::printable(&remedy)),
        None => error,
    }
}
