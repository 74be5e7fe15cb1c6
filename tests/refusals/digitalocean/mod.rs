//! DigitalOcean: the API, Spaces, and what their keys may do.

mod answers;
mod denied;

use imgimport_sandbox::{CustomImageScript, SPACES_REGION};

use crate::support::{Run, Stage};

async fn stage() -> Stage {
    let stage = Stage::new().await;
    let cloud = &stage.cloud;
    cloud
        .spaces()
        .create_bucket_with_acls("import-bucket", SPACES_REGION);
    cloud
        .digitalocean()
        .import_script(CustomImageScript::quick());
    stage.disk(2);
    stage
}

fn imgimport<'a>(stage: &'a Stage, args: &str) -> Run<'a> {
    let variables = stage.cloud.digitalocean_environment();
    let run = stage.imgimport(args);
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}
