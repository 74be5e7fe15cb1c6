//! Serves a sandbox until Ctrl-C and prints the environment to export in another shell, so
//! that anyone can try a client without an account.

use std::io::Write;
use std::time::Duration;

use imgimport_sandbox::{CustomImageScript, ImportScript, REGION, SPACES_REGION, Sandbox};
use tokio::signal::unix::{SignalKind, signal};

const BUCKET: &str = "importbucket";
const SPACE: &str = "import-bucket";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cloud = Sandbox::start().await?;
    cloud.s3().create_bucket(BUCKET, REGION);
    cloud.iam().put_import_role("vmimport", BUCKET);
    cloud.import_script(ImportScript::default().pace(Duration::from_millis(700)));
    cloud.spaces().create_bucket_with_acls(SPACE, SPACES_REGION);
    let script = CustomImageScript::default().pace(Duration::from_millis(700));
    cloud.digitalocean().import_script(script);
    let mut out = std::io::stdout();
    let digitalocean = cloud.digitalocean_environment();
    for (name, value) in cloud.environment().into_iter().chain(digitalocean) {
        writeln!(out, "export {name}={value}")?;
    }
    writeln!(
        out,
        "# bucket {BUCKET} in {REGION}, Space {SPACE} in {SPACES_REGION}; Ctrl-C ends the sandbox"
    )?;
    out.flush()?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Ok(())
}
