//! The program on a terminal: what is left on the screen, however it ends.

use imgimport_sandbox::{Fault, Gate, ImportScript};

use crate::support::{TestEnv, container_command};

/// What an import leaves there.
const SCREEN: &str = "disk.raw: raw disk, 2.0 MiB disk
Checking the account, bucket importbucket and role vmimport in eu-central-1
Uploading to s3://importbucket/imgimport-1767225600.raw … 2.0 MiB in TIME
Imported as ami-ID
";

#[tokio::test]
async fn each_stage_leaves_one_line_on_the_screen() {
    let env = TestEnv::new().await;
    env.disk(2);
    let run = env.imgimport("aws --bucket importbucket disk.raw");
    let (running, mut terminal) = run.on_terminal(100);
    running.output().await.code(0).stdout("ami-ID");
    assert_eq!(env.normalize(&terminal.screen()), SCREEN);
    assert!(
        terminal.raw().contains("\x1b[1mUploading"),
        "the stage under way is bold"
    );
}

#[tokio::test]
async fn a_container_whose_session_began_outside_it_has_a_terminal_like_any_other() {
    let Some(container) = container_command() else {
        return;
    };
    let env = TestEnv::new().await;
    env.disk(2);
    let gate = Gate::new();
    env.cloud.import_script(ImportScript::quick().hold(&gate));
    let run = env.shell(&format!(
        "{container} imgimport aws --bucket importbucket disk.raw"
    ));
    let (running, mut terminal) = run.on_terminal(100);
    terminal.wait_for_text("━").await;
    gate.release();
    running.output().await.code(0).stdout("ami-ID");
    assert_eq!(env.normalize(&terminal.screen()), SCREEN);
}

#[tokio::test]
async fn however_it_ends_the_bars_go_and_the_cursor_stays() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let env = TestEnv::new().await;
        env.disk(30);
        let held = Fault::on("s3:UploadPart").with("partNumber", "3").always();
        let gate = env.cloud.hold(held);
        let run = env.imgimport("aws --bucket importbucket --part-size 5MiB disk.raw");
        let (running, mut terminal) = run.on_terminal(80);
        gate.reached().await;
        terminal.wait_for_text("━").await;
        running.signal(signal);
        running.output().await.code(code).stdout("");
        let screen = env.normalize(&terminal.screen());
        let (heading, error) = screen.split_once("\nerror: stopped\n").expect(&screen);
        assert!(
            heading.contains("\nUploading to s3://importbucket/"),
            "{screen}"
        );
        assert!(!screen.contains(['━', '─']), "no bar stays: {screen}");
        assert!(error.starts_with("  left behind: "), "{screen}");
        assert!(
            screen.ends_with('\n'),
            "the shell's prompt has a line of its own"
        );
        assert!(
            !terminal.raw().contains("\x1b[?25"),
            "the cursor is never hidden"
        );
    }
}

#[tokio::test]
async fn ctrl_z_removes_the_bars_and_fg_redraws_them() {
    let env = TestEnv::new().await;
    env.disk(30);
    let held = Fault::on("s3:UploadPart").with("partNumber", "3");
    let gate = env.cloud.hold(held);
    let run = env.imgimport("aws --bucket importbucket --part-size 5MiB disk.raw");
    let (running, mut terminal) = run.on_terminal(80);
    gate.reached().await;
    terminal.wait_for_text("━").await;
    running.signal("TSTP");
    running.wait_until_suspended().await;
    terminal
        .wait_for_screen(|screen| !screen.contains(['━', '─', 'U']))
        .await;
    running.signal("CONT");
    terminal
        .wait_for_screen(|screen| screen.contains('━'))
        .await;
    gate.release();
    running.output().await.code(0).stdout("ami-ID");
    assert!(
        terminal.screen().contains("\nImported as ami-"),
        "{}",
        terminal.screen()
    );
}

#[tokio::test]
async fn a_dumb_terminal_gets_lines() {
    let env = TestEnv::new().await;
    env.disk(2);
    for (variable, value) in [
        ("TERM", "dumb"),
        ("TERM", ""),
        ("IMGIMPORT_PROGRESS", "plain"),
    ] {
        let run = env.imgimport("aws --bucket importbucket disk.raw");
        let (running, mut terminal) = run.env(variable, value).on_terminal(40);
        running.output().await.code(0);
        let screen = env.normalize(&terminal.raw().replace("\r\n", "\n"));
        let screen = screen.replace("\x1b[1m", "").replace("\x1b[0m", "");
        assert_eq!(
            screen,
            "disk.raw: raw disk, 2.0 MiB disk
Checking the account, bucket importbucket and role vmimport in eu-central-1
Uploading to s3://importbucket/imgimport-1767225600.raw
 100 % (2.0 MiB of 2.0 MiB)
Uploaded 2.0 MiB in TIME
Importing as import-ami-TASK
   2 % pending
Imported as ami-ID
"
        );
    }
}

#[tokio::test]
async fn no_color_disables_colors() {
    let coloured = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    for (variable, value) in [("NO_COLOR", "1"), ("CLICOLOR", "0")] {
        let env = TestEnv::new().await;
        env.disk(2);
        let gate = Gate::new();
        env.cloud.import_script(ImportScript::quick().hold(&gate));
        let run = env.imgimport("aws --bucket importbucket disk.raw");
        let (running, mut terminal) = run.env(variable, value).on_terminal(80);
        terminal.wait_for_text("pending").await;
        gate.release();
        running.output().await.code(0);
        let raw = terminal.raw();
        assert!(raw.contains("━"), "there was a bar");
        assert!(!coloured.is_match(&raw), "{raw:?}");
    }
}
