//! The look before an import: stops what the cloud refuses, shows what may not work, and
//! fills in what the image says and the user did not.

use super::finding::{Finding, Level};
use super::{Cloud, page};
use crate::error::{Error, Result};
use crate::guest::Guest;
use crate::image::Image;
use crate::layers::{Invocation, Provider};
use crate::session::Session;

/// Looks into the image that was named. What can't be opened is the recipe's to complain
/// of, after the settings; standard input can't be looked into.
pub async fn before<P: Provider>(said: &mut Invocation<P>, session: &Session) -> Result<()> {
    let cloud = Cloud::ALL.into_iter().find(|cloud| cloud.name() == P::NAME);
    let (Some(cloud), Some(path), None) = (cloud, said.image.clone(), &said.head) else {
        return Ok(());
    };
    let looking = tokio::task::spawn_blocking(move || {
        let image = Image::open(&path, None).ok()?;
        let (whole, guest) = (image.verify(), Guest::look(&image));
        Some((image, guest, whole))
    });
    let looked = session.cancel.stop.run_until_cancelled(looking).await;
    let looked = looked.ok_or_else(|| session.stopped())?;
    let Some((image, guest, whole)) = looked.ok().flatten() else {
        return Ok(());
    };
    match whole {
        Err(error) if said.skip_checks == Some(true) => session.progress.warn(&format!(
            "it is sent all the same (--skip-checks): {}",
            error.brief()
        )),
        whole => whole?,
    }
    judge(said, cloud, (&image, &guest), session)?;
    let taken = if guest.family.is_some() {
        said.provider.adopt(&guest)
    } else {
        vec![]
    };
    if !taken.is_empty() {
        let name = page::plain(&guest.name().unwrap_or_default());
        let taken = taken.join(", ");
        session
            .progress
            .fact(&format!("Taken from the image ({name}): {taken}"));
    }
    Ok(())
}

/// Refusals of the file are the recipe's own, and come after its other questions; where
/// they don't count, it is said here.
fn judge<P: Provider>(
    said: &Invocation<P>,
    cloud: Cloud,
    (image, guest): (&Image, &Guest),
    session: &Session,
) -> Result<()> {
    let (skip, examined) = (said.skip_checks == Some(true), said.provider.is_examined());
    let title = cloud.title();
    let loudly = |why: &str| {
        session.progress.warn(&format!(
            "{title} refuses this image, and it goes there all the same (--skip-checks): {}",
            page::plain(why)
        ));
    };
    if let (true, true, Some(why)) = (skip, examined, cloud.refuses(image)) {
        loudly(&why);
    }
    for finding in cloud.inside(guest, examined) {
        match finding.level {
            Level::Refused if skip => loudly(&finding.text),
            Level::Refused => return Err(refusal(title, image, finding)),
            Level::Warning => session.progress.warn(&page::plain(&match finding.remedy {
                Some(remedy) => format!("{}; {remedy}", finding.text),
                None => finding.text,
            })),
            Level::Ok | Level::Unseen => {}
        }
    }
    Ok(())
}

fn refusal(title: &str, image: &Image, finding: Finding) -> Error {
    let error = Error::refused(format!("{title} can't import {}", image.label()))
        .because_of(page::plain(&finding.text));
    match finding.remedy {
        Some(remedy) => error.hint(page::plain(&remedy)),
        None => error,
    }
}
