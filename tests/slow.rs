//! Uploads over lines that are slow, long or broken, to all clouds. A relay plays the line;
//! what is compared is how often each part travelled, what arrived and what was displayed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use imgimport_sandbox::alibaba::{ImportScript, REGION};
use imgimport_sandbox::{CustomImageScript, Gate, SPACES_REGION};

use crate::support::{BUCKET, Cmd, Output, SlowLine, TestEnv};

/// Where an upload goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    S3,
    Ebs,
    Oss,
    Spaces,
}

const ALL: [Target; 4] = [Target::S3, Target::Ebs, Target::Oss, Target::Spaces];

impl Target {
    /// A cloud with everything that an import needs.
    async fn stage(self) -> TestEnv {
        let env = TestEnv::new().await;
        let cloud = &env.cloud;
        match self {
            Self::S3 | Self::Ebs => {}
            Self::Oss => {
                cloud.oss().create_bucket(BUCKET, REGION);
                cloud.ram().put_import_role();
                cloud.ram().set_delay(0);
                cloud.ecs().import_script(ImportScript::quick());
            }
            Self::Spaces => {
                let spaces = cloud.spaces();
                spaces.create_bucket_with_acls(BUCKET, SPACES_REGION);
                let quick = CustomImageScript::quick();
                cloud.digitalocean().import_script(quick);
            }
        }
        env
    }

    /// The import over this line.
    fn import<'a>(self, env: &'a TestEnv, line: SlowLine, options: &str) -> Cmd<'a> {
        let command = match self {
            Self::S3 => format!("aws --bucket {BUCKET}"),
            Self::Ebs => "aws --method ebs-direct".to_owned(),
            Self::Oss => format!("alicloud --bucket {BUCKET} --image-name web"),
            Self::Spaces => format!(
                "digitalocean --space {BUCKET} --spaces-region {SPACES_REGION} --image-name web --image-region {SPACES_REGION}"
            ),
        };
        let run = env.imgimport(&format!("{command} {options} disk.raw"));
        let cloud = &env.cloud;
        let run = match self {
            Self::S3 | Self::Ebs => run,
            Self::Oss => run.on_alibaba(),
            Self::Spaces => {
                let variables = cloud.digitalocean_environment();
                let set = |run: Cmd<'a>, (name, value): &(String, String)| run.env(name, value);
                variables.iter().fold(run, set)
            }
        };
        let (variable, endpoint) = match self {
            Self::S3 => ("AWS_ENDPOINT_URL_S3", cloud.s3_endpoint()),
            Self::Ebs => ("AWS_ENDPOINT_URL_EBS", cloud.ebs_endpoint()),
            Self::Oss => ("ALICLOUD_OSS_ENDPOINT", cloud.oss_endpoint()),
            Self::Spaces => ("SPACES_ENDPOINT_URL", cloud.spaces_endpoint()),
        };
        run.env(variable, &line.to(endpoint))
    }

    /// The image is there, with all bytes of the disk.
    #[track_caller]
    fn assert_imported(self, env: &TestEnv, run: &Output, disk: &[u8]) {
        run.code(0);
        let cloud = &env.cloud;
        let arrived = match self {
            Self::S3 => cloud.ec2().imported_bytes(&run.stdout_raw),
            Self::Ebs => {
                let snapshot = &cloud.ec2().snapshots()[0].id;
                cloud.ec2().snapshot_bytes(snapshot, disk.len())
            }
            Self::Oss => cloud.ecs().imported_bytes(&run.stdout_raw),
            Self::Spaces => {
                let content = cloud
                    .digitalocean()
                    .arrived(run.stdout_raw.parse().unwrap());
                content.unwrap().bytes().ok()
            }
        };
        assert!(arrived.as_deref() == Some(disk), "{self:?}: other bytes");
    }

    /// How often each part came, or each block.
    fn attempts_by_part(self, env: &TestEnv) -> BTreeMap<u32, usize> {
        let (operation, number) = match self {
            Self::S3 => ("s3:UploadPart", "partNumber"),
            Self::Ebs => ("ebs:PutSnapshotBlock", "blockIndex"),
            Self::Oss => ("oss:UploadPart", "partNumber"),
            Self::Spaces => ("spaces:UploadPart", "partNumber"),
        };
        let mut tries = BTreeMap::new();
        for request in env.cloud.requests(operation) {
            *tries
                .entry(request.get(number).parse().unwrap())
                .or_default() += 1;
        }
        tries
    }

    #[track_caller]
    fn assert_each_part_sent_once(self, env: &TestEnv) {
        let tries = self.attempts_by_part(env);
        assert!(
            tries.values().all(|times| *times == 1),
            "{self:?}: {tries:?}"
        );
    }
}

/// Uploads a disk of so many megabytes to all clouds at the same time, over a line each:
/// every part travels once, and nothing is said that is not always said.
async fn travels_once(line: SlowLine, megabytes: usize, options: &str) {
    let uploads = ALL.map(async |target| {
        let env = target.stage().await;
        let disk = env.disk(megabytes);
        let run = target.import(&env, line.clone(), options).output().await;
        target.assert_imported(&env, &run, &disk);
        target.assert_each_part_sent_once(&env);
        for warned in ["nothing acknowledged", "again in", "slow down"] {
            assert!(!run.stderr.contains(warned), "{target:?}: {}", run.stderr);
        }
    });
    join_all(uploads).await;
}

#[tokio::test]
async fn at_2_mbit_every_part_is_sent_once() {
    travels_once(SlowLine::mbit(2), 2, "--stall-timeout 1s").await;
}

#[tokio::test]
async fn at_8_mbit_every_part_is_sent_once() {
    travels_once(SlowLine::mbit(8), 6, "--stall-timeout 1s").await;
}

#[tokio::test]
async fn at_20_mbit_every_part_is_sent_once() {
    travels_once(SlowLine::mbit(20), 12, "--stall-timeout 1s").await;
}

#[tokio::test]
async fn many_concurrent_parts_on_a_slow_line_are_sent_once() {
    let options = "--concurrency 16 --stall-timeout 1s";
    travels_once(SlowLine::mbit(4), 4, options).await;
}

#[tokio::test]
async fn with_high_latency_every_part_is_sent_once() {
    let line = SlowLine {
        round_trip: Duration::from_millis(300),
        ..SlowLine::mbit(20)
    };
    travels_once(line, 6, "--stall-timeout 1s").await;
}

#[tokio::test]
async fn any_limit_rate_is_accepted() {
    travels_once(
        SlowLine::default(),
        1,
        "--limit-rate 200KiB/s --stall-timeout 1s",
    )
    .await;
}

#[tokio::test]
async fn a_rate_of_a_kilobyte_a_second_makes_progress() {
    // The blocks of a snapshot are too large for it, and DigitalOcean refuses so small a disk.
    let uploads = [Target::S3, Target::Oss].map(async |target| {
        let env = target.stage().await;
        let disk = env.disk(2)[4096..][..3072].to_vec();
        env.file("disk.raw", &disk);
        let options = "--format raw --limit-rate 1KiB/s --stall-timeout 1s";
        let run = target
            .import(&env, SlowLine::default(), options)
            .output()
            .await;
        target.assert_imported(&env, &run, &disk);
        target.assert_each_part_sent_once(&env);
    });
    join_all(uploads).await;
}

#[tokio::test]
async fn a_line_that_stops_for_a_while_ends_no_upload() {
    let uploads = ALL.map(async |target| {
        let (env, gate) = (target.stage().await, Gate::new());
        let disk = env.disk(6);
        let line = SlowLine {
            stops: Some((1 << 20, gate.clone())),
            ..SlowLine::default()
        };
        let import = target.import(&env, line, "--stall-timeout 500ms");
        let mut running = import.start();
        running
            .wait_for_stderr("no byte moved for 0.5 s; again in")
            .await;
        gate.release();
        let run = running.output().await;
        target.assert_imported(&env, &run, &disk);
        assert!(!run.stderr.contains("slow down"), "{}", run.stderr);
    });
    join_all(uploads).await;
}

#[tokio::test]
async fn dropped_connections_resend_only_their_own_parts() {
    let uploads = ALL.map(async |target| {
        let env = target.stage().await;
        let disk = env.disk(12);
        let line = SlowLine {
            drops: Some((2, 1300 << 10)),
            ..SlowLine::mbit(50)
        };
        let run = target.import(&env, line, "").output().await;
        target.assert_imported(&env, &run, &disk);
        let again = run.stderr.matches("; again in ").count();
        assert_eq!(again, 2, "{target:?}: {}", run.stderr);
        let tries = target.attempts_by_part(&env);
        let more: usize = tries.values().map(|times| times - 1).sum();
        assert!(more <= 2, "{target:?}: {tries:?}");
    });
    join_all(uploads).await;
}

#[tokio::test]
async fn speed_and_remaining_time_are_shown_before_the_first_acknowledgement() {
    let uploads = ALL.map(async |target| {
        let stage = target.stage().await;
        let disk = stage.disk(4);
        let run = target.import(&stage, SlowLine::mbit(8), "");
        let (running, mut terminal) = run.on_terminal(100);
        let run = running.output().await;
        target.assert_imported(&stage, &run, &disk);
        let raw = terminal.raw();
        let early = raw.split('\r').any(|frame| {
            frame.contains("  0 B of ") && frame.contains("KiB/s") && frame.contains(" s left")
        });
        assert!(early || target == Target::Ebs, "{target:?}: {raw}");
        assert!(raw.contains("KiB/s"), "{target:?}: {raw}");
        assert!(!raw.contains("nothing acknowledged"), "{target:?}: {raw}");
    });
    join_all(uploads).await;
}
