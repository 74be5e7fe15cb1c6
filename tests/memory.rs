//! A program whose memory is limited.

use crate::support::TestEnv;

/// Debug builds take about 80 MiB for themselves.
#[tokio::test]
async fn a_limit_of_memory_is_an_error_or_makes_fewer_parts() {
    let stage = TestEnv::new().await;
    stage.disk(30);
    let mut ended = Vec::new();
    for mebibytes in [90, 100, 110, 120, 130, 150, 200, 300, 1000] {
        let limit = mebibytes << 10;
        let import = "imgimport aws --bucket importbucket -q disk.raw";
        let run = stage.shell(&format!("ulimit -v {limit}; ulimit -c 0; {import}"));
        let run = run.output().await;
        let said = ["too little memory", "no memory for a part of 8.0 MiB"];
        let said = said.iter().any(|text| run.stderr.contains(text));
        assert!(
            run.code == Some(0) || (run.code == Some(1) && said),
            "{mebibytes} MiB: {run:?}"
        );
        ended.push(run.code);
    }
    assert_eq!((ended[0], ended[8]), (Some(1), Some(0)));
}
