//! What a newcomer asks for first: `imgimport`, `imgimport help aws`, `-h` and `--help` of
//! everything.

use clap::Command;

use crate::support::TestEnv;

/// Lines of the short page: a screen or two.
const SHORT: usize = 64;

/// The program and each sub-command, with both of its pages.
fn pages() -> Vec<(String, String, String)> {
    let mut program = imgimport::command();
    program.build();
    let commands = program.get_subcommands().cloned().collect::<Vec<_>>();
    [program].into_iter().chain(commands).map(both).collect()
}

fn both(mut command: Command) -> (String, String, String) {
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let short = command.render_help().to_string();
    (name, short, command.render_long_help().to_string())
}

#[test]
fn every_page_fits_a_terminal_of_eighty_columns() {
    for (name, short, long) in pages() {
        let lines = short.lines().chain(long.lines());
        let wide: Vec<_> = lines.filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{name}: {wide:#?}");
    }
}

/// Help indents them by six columns; a terminal that breaks a line would break the command.
#[test]
fn no_example_is_broken_by_a_terminal() {
    for page in imgimport::help_text::PAGES {
        let lines = page
            .examples
            .iter()
            .flat_map(|(_, command)| command.lines());
        let wide: Vec<_> = lines.filter(|line| line.chars().count() > 74).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }
}

#[test]
fn the_short_page_is_short_and_says_where_the_rest_is() {
    for (name, short, long) in pages() {
        if name == "imgimport help" {
            continue;
        }
        let lines = short.lines().count();
        assert!(lines <= SHORT, "{name} -h has {lines} lines:\n{short}");
        assert!(short.trim_end().ends_with(" --help"), "{short}");
        assert!(short.contains("\nExample:\n"), "{short}");
        assert!(long.contains("\nExamples:\n"), "{long}");
        assert!(long.contains("\nExit codes:\n"), "{long}");
    }
}

#[test]
fn the_long_page_names_all_three_layers() {
    let pages = pages();
    let (.., aws) = pages
        .iter()
        .find(|(name, ..)| name == "imgimport aws")
        .unwrap();
    for words in [
        "[env: IMGIMPORT_AWS_REGION, AWS_REGION, AWS_DEFAULT_REGION]",
        "[env: IMGIMPORT_AWS_BUCKET] [key: [aws] s3_bucket_name]",
        "[env: IMGIMPORT_TIMEOUT] [key: [wait] timeout]",
        "[env: IMGIMPORT_OUTPUT] [key: [output] format]",
        "[env: IMGIMPORT_DRY_RUN]\n",
        "AWS_SECRET_ACCESS_KEY",
    ] {
        assert!(aws.contains(words), "{words}: {aws}");
    }
}

#[tokio::test]
async fn help_is_there_under_each_of_its_names() {
    let env = TestEnv::new().await;
    let asked = env.imgimport("aws --help").output().await;
    asked.code(0).stderr("");
    let named = env.imgimport("help aws").output().await;
    assert_eq!(named.code(0).stderr("").stdout, asked.stdout);
    let short = env.imgimport("-h").output().await;
    short.code(0).stderr("");
    let alone = env.imgimport("").output().await;
    alone.code(2).stdout("").stderr(&short.stdout);
    let long = env.imgimport("help").output().await;
    let asked = env.imgimport("--help").output().await;
    assert_eq!(long.code(0).stderr("").stdout, asked.stdout);
    env.imgimport("jobs --version")
        .output()
        .await
        .code(0)
        .stdout(concat!("imgimport-jobs ", env!("CARGO_PKG_VERSION")));
}
