//! Tries imgimport without an account: starts the clouds on this machine and runs the
//! real program against them. Without a command it serves until Ctrl-C and prints the
//! environment to export.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use imgimport_sandbox::{
    CustomImageScript, Fault, REGION, SPACES_REGION, Sandbox, alibaba, sample,
};
use tokio::process::Command;

/// Set for the second process, which is imgimport itself: built from the same
/// dependencies, so that nobody compiles them twice.
const CLIENT: &str = "IMGIMPORT_SANDBOX_CLIENT";
/// The bucket of a sandbox that only serves.
const BUCKET: &str = "importbucket";
/// A phase of an import lasts long enough to be seen.
const IMPORT_PACE: Duration = Duration::from_millis(700);
/// Bytes of a sample image: enough for a bar to move.
const SAMPLE: usize = 64 << 20;
const HELP: &str = "\
Tries imgimport without an account: starts the clouds on this machine and runs it against them

Usage: imgimport-sandbox [OPTIONS] [COMMAND OF imgimport...]

Without a command it serves until Ctrl-C and prints the environment to export.

Options:
      --bad-network    Connections that break, answers that get lost, services that ask to
                       slow down
      --fault FAULT    One fault of your own; can be repeated
  -h, --help           This page; `imgimport-sandbox help` shows imgimport's

A FAULT is OPERATION=WHAT[@WHICH], for example s3:UploadPart=throttle@3-6:
  OPERATION  s3:UploadPart, oss:UploadPart, spaces:UploadPart, ec2:ImportImage,
             ecs:ImportImage, do:CreateImage, ...; the clouds' own names, s3:* means any
  WHAT       cut       the connection breaks while the request comes in
             lost      the work is done, and the answer gets lost
             stall     no answer ever comes
             throttle  the service wants fewer requests
             error     the service has an internal error
             denied    the permission is missing
  WHICH      3, 3-6 or 3- (the third and all after it); without it the first
";

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
    let Some((faults, arguments)) = parse_arguments(arguments)? else {
        write!(std::io::stdout(), "{HELP}")?;
        return Ok(ExitCode::SUCCESS);
    };
    let cloud = Sandbox::start().await?;
    for fault in faults {
        cloud.fault(fault);
    }
    let names = ["--bucket", "--s3-bucket-name", "--space", "--space-name"];
    let bucket = value(&arguments, &names).unwrap_or(BUCKET.into());
    cloud.s3().create_bucket(&bucket, REGION);
    cloud.iam().put_import_role("vmimport", &bucket);
    cloud
        .spaces()
        .create_bucket_with_acls(&bucket, SPACES_REGION);
    cloud.ec2().set_import_pace(IMPORT_PACE);
    cloud
        .ecs()
        .import_script(alibaba::ImportScript::default().pace(IMPORT_PACE));
    cloud
        .digitalocean()
        .import_script(CustomImageScript::default().pace(IMPORT_PACE));
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
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        () = terminated()? => {}
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(unix)]
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut signals = signal(SignalKind::terminate())?;
    Ok(async move { signals.recv().await.unwrap_or_default() })
}

/// Nobody says so there.
#[cfg(windows)]
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    Ok(std::future::pending())
}

/// The faults that are wanted, and imgimport's own command line; nothing when help is.
fn parse_arguments(
    arguments: Vec<OsString>,
) -> anyhow::Result<Option<(Vec<Fault>, Vec<OsString>)>> {
    let (mut faults, mut rest) = (Vec::new(), arguments.into_iter().peekable());
    let own = |word: &OsString| {
        let word = word.to_string_lossy();
        let option = word.split('=').next().unwrap_or_default();
        ["-h", "--help", "--bad-network", "--fault"].contains(&option)
    };
    while let Some(option) = rest.next_if(own) {
        match &*option.to_string_lossy() {
            "-h" | "--help" => return Ok(None),
            "--bad-network" => faults.extend(Fault::bad_network()),
            option => {
                let fault = option.strip_prefix("--fault=").map(OsString::from);
                let fault = fault.or_else(|| rest.next()).context("--fault needs one")?;
                faults.push(fault.to_string_lossy().parse()?);
            }
        }
    }
    Ok(Some((faults, rest.collect())))
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
fn is_real_credential(name: &str) -> bool {
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
    for (name, _) in env::vars_os().filter(|(name, _)| is_real_credential(&name.to_string_lossy()))
    {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandbox_options_come_before_the_command() {
        let read = |line: &str| {
            let words = line.split_whitespace().map(OsString::from).collect();
            parse_arguments(words).map(|read| read.map(|(faults, rest)| (faults.len(), rest.len())))
        };
        for (line, faults, rest) in [
            ("", 0, 0),
            ("aws --bucket b --help", 0, 4),
            ("--fault s3:*=cut --fault=ec2:*=lost@2- aws disk.raw", 2, 2),
            ("-v aws disk.raw", 0, 3),
        ] {
            assert_eq!(read(line).ok(), Some(Some((faults, rest))), "{line}");
        }
        assert!(matches!(read("--bad-network"), Ok(Some((1.., 0)))));
        assert!(matches!(read("--help"), Ok(None)));
        assert!(read("--fault").is_err());
    }
}
