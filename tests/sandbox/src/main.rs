//! Serves a sandbox until Ctrl-C and prints the environment to export in another shell, so
//! that anyone can try a client without an account.

use std::io::Write;
use std::time::Duration;

use imgimport_sandbox::{ImportScript, REGION, Sandbox, alibaba};
use tokio::signal::unix::{SignalKind, signal};

const BUCKET: &str = "importbucket";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cloud = Sandbox::start().await?;
    cloud.s3().create_bucket(BUCKET, REGION);
    cloud.iam().put_import_role("vmimport", BUCKET);
    cloud.import_script(ImportScript::default().pace(Duration::from_millis(700)));
    cloud
        .ecs()
        .import_script(alibaba::ImportScript::default().pace(Duration::from_millis(700)));
    let mut out = std::io::stdout();
    let variables = [cloud.environment(), cloud.alibaba_environment()].concat();
    for (name, value) in variables {
        writeln!(out, "export {name}={value}")?;
    }
    writeln!(
        out,
        "# bucket {BUCKET} in {REGION}; Ctrl-C ends the sandbox"
    )?;
    out.flush()?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Ok(())
}
