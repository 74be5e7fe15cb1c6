//! AWS: imports and the calls around them.

mod calls;
mod denied;
mod imports;

use crate::support::Stage;

/// A bucket, a role, imports that go through in two polls, a disk of 2 MiB.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    stage.disk(2);
    stage
}
