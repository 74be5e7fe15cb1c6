//! Uploads over lines that are slow, long or broken, to all clouds. A relay plays the line;
//! what is compared is how often each part travelled, what arrived and what was displayed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use imgimport_sandbox::alibaba::{ImportScript, REGION};
use imgimport_sandbox::{CustomImageScript, Gate, SPACES_REGION};

use crate::support::{BUCKET, Ended, Line, Run, Stage};

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
    async fn stage(self) -> Stage {
        let stage = Stage::new().await;
        let cloud = &stage.cloud;
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
        stage
    }

    /// The import over this line.
    fn import<'a>(self, stage: &'a Stage, line: Line, options: &str) -> Run<'a> {
        let command = match self {
            Self::S3 => format!("aws --bucket {BUCKET}"),
            Self::Ebs => "aws --method ebs-direct".to_owned(),
            Self::Oss => format!("alicloud --bucket {BUCKET} --image-name web"),
            Self::Spaces => format!(
                "digitalocean --space {BUCKET} --spaces-region {SPACES_REGION} --image-name web --image-region {SPACES_REGION}"
            ),
        };
        let run = stage.imgimport(&format!("{command} {options} disk.raw"));
        let cloud = &stage.cloud;
        let run = match self {
            Self::S3 | Self::Ebs => run,
            Self::Oss => run.on_alibaba(),
            Self::Spaces => {
                let variables = cloud.digitalocean_environment();
                let set = |run: Run<'a>, (name, value): &(String, String)| run.env(name, value);
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
    fn arrived_whole(self, stage: &Stage, run: &Ended, disk: &[u8]) {
        run.exits(0);
        let cloud = &stage.cloud;
        let arrived = match self {
            Self::S3 => cloud.ec2().arrived(&run.raw),
            Self::Ebs => {
                let snapshot = &cloud.ec2().snapshots()[0].id;
                cloud.ec2().snapshot_bytes(snapshot, disk.len())
            }
            Self::Oss => cloud.ecs().arrived(&run.raw),
            Self::Spaces => {
                let content = cloud.digitalocean().arrived(run.raw.parse().unwrap());
                content.unwrap().bytes().ok()
            }
        };
        assert!(arrived.as_deref() == Some(disk), "{self:?}: other bytes");
    }

    /// How often each part came, or each block.
    fn tries(self, stage: &Stage) -> BTreeMap<u32, usize> {
        let (operation, number) = match self {
            Self::S3 => ("s3:UploadPart", "partNumber"),
            Self::Ebs => ("ebs:PutSnapshotBlock", "blockIndex"),
            Self::Oss => ("oss:UploadPart", "partNumber"),
            Self::Spaces => ("spaces:UploadPart", "partNumber"),
        };
        let mut tries = BTreeMap::new();
        for request in stage.cloud.requests(operation) {
            *tries
                .entry(request.get(number).parse().unwrap())
                .or_default() += 1;
        }
        tries
    }

    #[track_caller]
    fn sent_each_part_once(self, stage: &Stage) {
        let tries = self.tries(stage);
        assert!(
            tries.values().all(|times| *times == 1),
            "{self:?}: {tries:?}"
        );
    }
}

/// Uploads a disk of so many megabytes to all clouds at the same time, over a line each:
/// every part travels once, and nothing is said that is not always said.
async fn travels_once(line: Line, megabytes: usize, options: &str) {
    let uploads = ALL.map(async |target| {
        let stage = target.stage().await;
        let disk = stage.disk(megabytes);
        let run = target.import(&stage, line.clone(), options).ends().await;
        target.arrived_whole(&stage, &run, &disk);
        target.sent_each_part_once(&stage);
        for warned in ["nothing acknowledged", "again in", "slow down"] {
            assert!(!run.stderr.contains(warned), "{target:?}: {}", run.stderr);
        }
    });
    join_all(uploads).await;
}

#[tokio::test]
async fn over_2_mbit_every_part_travels_once() {
    travels_once(Line::mbit(2), 2, "--stall-timeout 1s").await;
}

#[tokio::test]
async fn over_8_mbit_every_part_travels_once() {
    travels_once(Line::mbit(8), 6, "--stall-timeout 1s").await;
}

#[tokio::test]
async fn over_20_mbit_every_part_travels_once() {
    travels_once(Line::mbit(20), 12, "--stall-timeout 1s").await;
}

#[tokio::test]
async fn many_parts_at_once_on_a_slow_line_travel_once() {
    let options = "--concurrency 16 --stall-timeout 1s";
    travels_once(Line::mbit(4), 4, options).await;
}

#[tokio::test]
async fn over_a_long_way_every_part_travels_once() {
    let line = Line {
        round_trip: Duration::from_millis(300),
        ..Line::mbit(20)
    };
    travels_once(line, 6, "--stall-timeout 1s").await;
}

#[tokio::test]
async fn any_rate_may_be_asked_for() {
    travels_once(
        Line::default(),
        1,
        "--limit-rate 200KiB/s --stall-timeout 1s",
    )
    .await;
}

#[tokio::test]
async fn a_rate_of_a_kilobyte_a_second_makes_progress() {
    // The blocks of a snapshot are too large for it, and DigitalOcean refuses so small a disk.
    let uploads = [Target::S3, Target::Oss].map(async |target| {
        let stage = target.stage().await;
        let disk = stage.disk(2)[4096..][..3072].to_vec();
        stage.file("disk.raw", &disk);
        let options = "--format raw --limit-rate 1KiB/s --stall-timeout 1s";
        let run = target.import(&stage, Line::default(), options).ends().await;
        target.arrived_whole(&stage, &run, &disk);
        target.sent_each_part_once(&stage);
    });
    join_all(uploads).await;
}

#[tokio::test]
async fn a_line_that_stops_for_a_while_ends_no_upload() {
    let uploads = ALL.map(async |target| {
        let (stage, gate) = (target.stage().await, Gate::new());
        let disk = stage.disk(6);
        let line = Line {
            stops: Some((1 << 20, gate.clone())),
            ..Line::default()
        };
        let import = target.import(&stage, line, "--stall-timeout 500ms");
        let mut running = import.start();
        running.says("no byte moved for 0.5 s; again in").await;
        gate.release();
        let run = running.ends().await;
        target.arrived_whole(&stage, &run, &disk);
        assert!(!run.stderr.contains("slow down"), "{}", run.stderr);
    });
    join_all(uploads).await;
}

#[tokio::test]
async fn connections_that_are_dropped_cost_their_own_parts_alone() {
    let uploads = ALL.map(async |target| {
        let stage = target.stage().await;
        let disk = stage.disk(12);
        let line = Line {
            drops: Some((2, 1300 << 10)),
            ..Line::mbit(50)
        };
        let run = target.import(&stage, line, "").ends().await;
        target.arrived_whole(&stage, &run, &disk);
        let again = run.stderr.matches("; again in ").count();
        assert_eq!(again, 2, "{target:?}: {}", run.stderr);
        let tries = target.tries(&stage);
        let more: usize = tries.values().map(|times| times - 1).sum();
        assert!(more <= 2, "{target:?}: {tries:?}");
    });
    join_all(uploads).await;
}

#[tokio::test]
async fn rate_and_time_left_are_shown_before_anything_is_acknowledged() {
    let uploads = ALL.map(async |target| {
        let stage = target.stage().await;
        let disk = stage.disk(4);
        let run = target.import(&stage, Line::mbit(8), "");
        let (running, mut terminal) = run.on_terminal(100);
        let run = running.ends().await;
        target.arrived_whole(&stage, &run, &disk);
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
