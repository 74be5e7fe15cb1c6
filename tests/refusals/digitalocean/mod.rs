//! DigitalOcean: the API, Spaces, and what their keys may do.

mod answers;
mod denied;

use imgimport_sandbox::{CustomImageScript, SPACES_REGION};

use crate::support::{Cmd, TestEnv};

async fn stage() -> TestEnv {
    let env = TestEnv::new().await;
    let cloud = &env.cloud;
    cloud
        .spaces()
        .create_bucket_with_acls("import-bucket", SPACES_REGION);
    cloud
        .digitalocean()
        .import_script(CustomImageScript::quick());
    env.disk(2);
    env
}

fn imgimport<'a>(env: &'a TestEnv, args: &str) -> Cmd<'a> {
    let variables = env.cloud.digitalocean_environment();
    let run = env.imgimport(args);
    variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}
