//! AWS: imports and the calls around them.

mod calls;
mod denied;
mod imports;

use crate::support::TestEnv;

/// A bucket, a role, imports that go through in two polls, a disk of 2 MiB.
async fn stage() -> TestEnv {
    let env = TestEnv::new().await;
    env.disk(2);
    env
}
