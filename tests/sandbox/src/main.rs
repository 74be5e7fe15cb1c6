//! Tries imgimport without an account: starts the clouds on this machine and runs the
//! real program against them. Without arguments it serves until Ctrl-C and prints the
//! environment to export.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use imgimport_sandbox::{CustomImageScript, REGION, SPACES_REGION, Sandbox, alibaba, sample};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// Set for the second process, which is imgimport itself: built from the same
/// dependencies, so that nobody compiles them twice.
const CLIENT: &str = "IMGIMPORT_SANDBOX_CLIENT";
/// The bucket of a sandbox that only serves.
const BUCKET: &str = "importbucket";
/// A phase of an import lasts long enough to be seen.
const PACE: Duration = Duration::from_millis(700);
/// Bytes of a sample image: enough for a bar to move.
const SAMPLE: usize = 64 << 20;

fn main() -> ExitCode {
    if env::var_os(CLIENT).is_some() {
        return imgimport::main();
    }
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(arguments)))
    {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: the sandbox failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let cloud = Sandbox::start().await?;
    let names = ["--bucket", "--s3-bucket-name", "--space", "--space-name"];
    let bucket = value(&arguments, &names).unwrap_or(BUCKET.into());
    cloud.s3().create_bucket(&bucket, REGION);
    cloud.iam().put_import_role("vmimport", &bucket);
    cloud
        .spaces()
        .create_bucket_with_acls(&bucket, SPACES_REGION);
    cloud.ec2().set_import_pace(PACE);
    cloud
        .ecs()
        .import_script(alibaba::ImportScript::default().pace(PACE));
    cloud
        .digitalocean()
        .import_script(CustomImageScript::default().pace(PACE));
    if arguments.is_empty() {
        serve(&cloud).await
    } else {
        import(&cloud, &arguments).await
    }
}

async fn serve(cloud: &Sandbox) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    for (name, value) in environment(cloud) {
        writeln!(out, "export {name}={value}")?;
    }
    writeln!(
        out,
        "# bucket {BUCKET} in {REGION}, Space {BUCKET} in {SPACES_REGION}; Ctrl-C ends the sandbox"
    )?;
    out.flush()?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminated.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// What a client needs to find all the clouds.
fn environment(cloud: &Sandbox) -> Vec<(String, String)> {
    [
        cloud.environment(),
        cloud.alibaba_environment(),
        cloud.digitalocean_environment(),
    ]
    .concat()
}

/// Whether a variable of the user's could lead imgimport to a real cloud.
fn leads_away(name: &str) -> bool {
    const FAMILIES: [&str; 6] = [
        "AWS_",
        "ALICLOUD_",
        "ALIBABA",
        "DIGITALOCEAN_",
        "SPACES_",
        "SECURITY_TOKEN",
    ];
    FAMILIES.iter().any(|family| name.starts_with(family))
}

async fn import(cloud: &Sandbox, arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    make_sample(arguments)?;
    let state = tempfile::tempdir()?;
    let mut client = Command::new(env::current_exe()?);
    for (name, _) in env::vars_os().filter(|(name, _)| leads_away(&name.to_string_lossy())) {
        client.env_remove(name);
    }
    if env::var_os("IMGIMPORT_POLL_INTERVAL").is_none() {
        client.env("IMGIMPORT_POLL_INTERVAL", "500ms");
    }
    client
        .args(arguments)
        .env(CLIENT, "1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("XDG_STATE_HOME", state.path())
        .envs(environment(cloud));
    let mut running = client.spawn().context("starting imgimport")?;
    let ended = loop {
        tokio::select! {
            ended = running.wait() => break ended?,
            // Ctrl-C reaches both processes; it is imgimport's to act on.
            pressed = tokio::signal::ctrl_c() => pressed?,
        }
    };
    let code = ended.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The value of the first of these flags.
fn value(arguments: &[OsString], flags: &[&str]) -> Option<String> {
    let mut rest = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(argument) = rest.next() {
        match argument.split_once('=') {
            Some((flag, value)) if flags.contains(&flag) => return Some(value.to_owned()),
            None if flags.contains(&argument.as_ref()) => return rest.next().map(Into::into),
            _ => {}
        }
    }
    None
}

/// An image that is named and not there is made: the last argument with the ending of one.
fn make_sample(arguments: &[OsString]) -> anyhow::Result<()> {
    let Some(path) = arguments.last().map(Path::new) else {
        return Ok(());
    };
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    if path.exists() || !["raw", "img", "ova", "vmdk", "vhd"].contains(&ending) {
        return Ok(());
    }
    writeln!(
        std::io::stderr(),
        "{} does not exist: making a sample",
        path.display()
    )?;
    sample::write(path, SAMPLE).with_context(|| format!("writing {}", path.display()))
}
