//! The look before an import: fills in what the image says and the user did not, and once
//! the settings are sound stops what the cloud refuses and shows what may not work.

use super::finding::{Finding, Level};
use super::{Cloud, report};
use crate::config::{Invocation, Provider};
use crate::error::{Error, Result};
use crate::guest::Guest;
use crate::image::{Content, Image, Said};
use crate::import::session::Session;

/// An OVA of this size takes moments to be compared with its manifest.
const LARGE: u64 = 1 << 30;

/// What was seen. What can't be opened is the recipe's to complain of, with the settings; of
/// standard input only the first bytes are seen.
pub struct Look(Option<Seen>);

struct Seen {
    cloud: Cloud,
    image: Image,
    guest: Guest,
    /// Refusals of the image are loud, and stop nothing.
    skip: bool,
    /// Whether the cloud looks into the system, too.
    examined: bool,
    /// What the image said and the user did not.
    taken: Vec<String>,
    /// What the user said and the image does not.
    doubts: Vec<String>,
}

impl Look {
    /// Looks into the image that was named and takes from it what nobody said. Says nothing
    /// yet: wrong settings are told first.
    pub async fn new<P: Provider>(said: &mut Invocation<P>, session: &Session) -> Result<Self> {
        let cloud = Cloud::ALL.into_iter().find(|cloud| cloud.name() == P::NAME);
        let (Some(cloud), Some(path)) = (cloud, said.image.clone()) else {
            return Ok(Self(None));
        };
        let of_image = Said {
            format: said.provider.format(),
            skip_checks: said.skip_checks == Some(true),
        };
        let head = said.head.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let image = match head {
                Some(head) => Image::from_head(&head, of_image),
                None => Image::open(&path, of_image),
            };
            let image = image.ok()?;
            let guest = Guest::look(&image);
            Some((image, guest))
        });
        let looked = session.cancel.stop.run_until_cancelled(looking).await;
        let looked = looked.ok_or_else(|| session.stopped())?;
        let Some((image, guest)) = looked.ok().flatten() else {
            return Ok(Self(None));
        };
        let (skip, examined) = (said.skip_checks == Some(true), said.provider.is_examined());
        // A disk without a system says nothing of one.
        let (doubts, taken) = if guest.family.is_some() {
            (said.provider.doubts(&guest), said.provider.adopt(&guest))
        } else {
            (vec![], vec![])
        };
        Ok(Self(Some(Seen {
            cloud,
            image,
            guest,
            skip,
            examined,
            taken,
            doubts,
        })))
    }

    /// Says what was seen; an error if the cloud refuses it.
    pub async fn judge(self, session: &Session) -> Result<()> {
        let Some(seen) = self.0 else { return Ok(()) };
        for warning in &seen.image.warnings {
            session.progress.warn(&report::plain(&warning.to_string()));
        }
        let seen = seen.verify(session).await?;
        seen.judge(session)?;
        for doubt in &seen.doubts {
            session.progress.warn(&report::plain(doubt));
        }
        if !seen.taken.is_empty() {
            let name = report::plain(&seen.guest.name().unwrap_or_default());
            let taken = seen.taken.join(", ");
            session
                .progress
                .fact(&format!("Taken from the image ({name}): {taken}"));
        }
        Ok(())
    }
}

impl Seen {
    /// Whether the members of an OVA are what its manifest says.
    async fn verify(self, session: &Session) -> Result<Self> {
        if self.image.is_read_whole() && self.image.size.is_some_and(|size| size > LARGE) {
            let label = self.image.label();
            session.progress.stage(&match self.image.content {
                Content::Ova { .. } => format!("Comparing {label} with its manifest"),
                _ => format!("Reading {label} to its end"),
            });
        }
        let comparing = tokio::task::spawn_blocking(move || {
            let mut seen = self;
            (seen.image.verify(), seen)
        });
        let compared = session.cancel.stop.run_until_cancelled(comparing).await;
        let compared = compared.ok_or_else(|| session.stopped())?;
        let (whole, seen) = compared.map_err(|error| {
            Error::failed("the image can't be compared with its manifest").because(error)
        })?;
        match whole {
            Err(error) if seen.skip => session.progress.warn(&format!(
                "it is sent all the same (--skip-checks): {}",
                error.brief()
            )),
            whole => whole?,
        }
        Ok(seen)
    }

    /// Refusals of the file are the recipe's own, and come with its other questions; where
    /// they don't count, it is said here.
    fn judge(&self, session: &Session) -> Result<()> {
        let title = self.cloud.title();
        let loudly = |why: &str| {
            session.progress.warn(&format!(
                "{title} refuses this image, and it goes there all the same (--skip-checks): {}",
                report::plain(why)
            ));
        };
        if let (true, Err((reason, remedy))) = (self.examined, self.cloud.takes(&self.image)) {
            // What lies in a compressed file is known now, when all of it was read.
            if !self.skip && self.image.content.is_compressed_file() {
                let label = self.image.label();
                let error = Error::refused(format!("{title} can't import {label}"));
                return Err(error.because_of(reason).hint(remedy));
            }
            if self.skip {
                loudly(&reason);
            }
        }
        for finding in self.cloud.inside(&self.guest, self.examined) {
            match finding.level {
                Level::Refused if self.skip => loudly(&finding.text),
                Level::Refused => return Err(refusal(title, &self.image, finding)),
                Level::Warning => session.progress.warn(&report::plain(&match finding.remedy {
                    Some(remedy) => format!("{}; {remedy}", finding.text),
                    None => finding.text,
                })),
                Level::Ok | Level::Unseen => {}
            }
        }
        Ok(())
    }
}

fn refusal(title: &str, image: &Image, finding: Finding) -> Error {
    let error = Error::refused(format!("{title} can't import {}", image.label()))
        .because_of(report::plain(&finding.text));
    match finding.remedy {
        Some(remedy) => error.hint(report::plain(&remedy)),
        None => error,
    }
}
