//! The inspection before an import: sets options that the image shows and the user left out,
//! and once the settings are right reports what the cloud refuses and what may not work.

use std::marker::PhantomData;

use crate::config::ImportArgs;
use crate::error::{Error, Result};
use crate::guest::Guest;
use crate::image::{Content, Image, OpenOptions};
use crate::import::cloud::Cloud;
use crate::import::finding::{Finding, Level, printable};
use crate::import::job::OpenedImage;
use crate::import::session::Session;

/// An OVA of this size takes moments to be compared with its manifest.
const LARGE_OVA: u64 = 1 << 30;

/// The findings about an image; none where it could not be opened, which the settings report.
pub struct PreImportCheck<C>(Option<Inspection<C>>);

struct Inspection<C> {
    cloud: PhantomData<C>,
    image: Image,
    guest: Guest,
    /// Refusals of the image are warnings.
    skip_checks: bool,
    /// Whether the cloud inspects the system, too.
    checks_guest: bool,
    /// The options that were set from the image.
    detected: Vec<String>,
    /// The options that the image contradicts.
    contradictions: Vec<String>,
}

impl<C: Cloud> PreImportCheck<C> {
    /// Opens and inspects the image that the arguments name, and sets options from it. Prints
    /// nothing: errors of the settings come first. Of standard input only the first bytes are
    /// inspected.
    pub async fn new(args: &mut ImportArgs<C>, session: &Session) -> Result<(OpenedImage, Self)> {
        let options = OpenOptions {
            format: args.provider.format(),
            skip_checks: args.skip_checks == Some(true),
        };
        let (path, head) = (args.image.clone(), args.head.clone());
        let inspecting = tokio::task::spawn_blocking(move || {
            let opened = OpenedImage::open(path.as_deref(), head.as_deref(), options);
            let inspected = opened
                .image()
                .map(|image| (image.clone(), Guest::inspect(image)));
            (opened, inspected)
        });
        let inspected = session.cancel.stop.run_until_cancelled(inspecting).await;
        let inspected = inspected.ok_or_else(|| session.stop_error())?;
        let (opened, inspected) = inspected.map_err(|error| {
            Error::failed("the image could not be inspected").with_source(error)
        })?;
        let Some((image, guest)) = inspected else {
            return Ok((opened, Self(None)));
        };
        let (skip_checks, checks_guest) =
            (args.skip_checks == Some(true), args.provider.checks_guest());
        // A disk without a system shows nothing about one.
        let (contradictions, detected) = if guest.family.is_some() {
            (
                args.provider.contradictions(&guest),
                args.provider.fill_from_image(&guest),
            )
        } else {
            (vec![], vec![])
        };
        let inspection = Inspection {
            cloud: PhantomData,
            image,
            guest,
            skip_checks,
            checks_guest,
            detected,
            contradictions,
        };
        Ok((opened, Self(Some(inspection))))
    }

    /// Prints the findings. Returns an error if the cloud refuses the image.
    pub async fn report(self, session: &Session) -> Result<()> {
        let Some(inspection) = self.0 else {
            return Ok(());
        };
        for warning in &inspection.image.warnings {
            session.progress.warn(&printable(&warning.to_string()));
        }
        let inspection = inspection.verify(session).await?;
        inspection.report_findings(session)?;
        for doubt in &inspection.contradictions {
            session.progress.warn(&printable(doubt));
        }
        if !inspection.detected.is_empty() {
            let name = printable(&inspection.guest.name().unwrap_or_default());
            let detected = inspection.detected.join(", ");
            session
                .progress
                .info(&format!("Taken from the image ({name}): {detected}"));
        }
        Ok(())
    }
}

impl<C: Cloud> Inspection<C> {
    /// Whether the members of an OVA are what its manifest says.
    async fn verify(self, session: &Session) -> Result<Self> {
        if self.image.needs_full_read() && self.image.size.is_some_and(|size| size > LARGE_OVA) {
            let label = self.image.label();
            session.progress.stage(&match self.image.content {
                Content::Ova { .. } => format!("Comparing {label} with its manifest"),
                _ => format!("Reading {label} to its end"),
            });
        }
        let mut image = self.image;
        let comparing = tokio::task::spawn_blocking(move || (image.verify(), image));
        let compared = session.cancel.stop.run_until_cancelled(comparing).await;
        let compared = compared.ok_or_else(|| session.stop_error())?;
        let (verified, image) = compared.map_err(|error| {
            Error::failed("the image can't be compared with its manifest").with_source(error)
        })?;
        match verified {
            Err(error) if self.skip_checks => session.progress.warn(&format!(
                "it is sent all the same (--skip-checks): {}",
                error.one_line()
            )),
            verified => verified?,
        }
        Ok(Self { image, ..self })
    }

    /// Refusals of the file are the recipe's own, and come with its other questions; where
    /// they don't count, it is said here.
    fn report_findings(&self, session: &Session) -> Result<()> {
        let title = C::TITLE;
        let warn = |why: &str| {
            session.progress.warn(&format!(
                "{title} refuses this image, and it goes there all the same (--skip-checks): {}",
                printable(why)
            ));
        };
        if let (true, Err((reason, remedy))) = (self.checks_guest, C::accepts(&self.image)) {
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
        for finding in C::check_guest(&self.guest, self.checks_guest) {
            match finding.level {
                Level::Refused if self.skip_checks => warn(&finding.text),
                Level::Refused => return Err(rejection(title, &self.image, finding)),
                Level::Warning => session.progress.warn(&printable(&match finding.remedy {
                    Some(remedy) => format!("{}; {remedy}", finding.text),
                    None => finding.text,
                })),
                Level::Ok | Level::Unseen => {}
            }
        }
        Ok(())
    }
}

fn rejection(title: &str, image: &Image, finding: Finding) -> Error {
    let error = Error::refused(format!("{title} can't import {}", image.label()))
        .with_cause(printable(&finding.text));
    match finding.remedy {
        Some(remedy) => error.hint(printable(&remedy)),
        None => error,
    }
}
