//! Alibaba Cloud: imports, the bucket and the object, and the permissions.

mod denied;
mod imports;
mod oss;

use imgimport_sandbox::alibaba::{CopyScript, ImportScript, REGION};

use crate::support::Stage;

/// A bucket, a role, imports that go through in two polls, a disk of 2 MiB.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    stage.cloud.ecs().import_script(ImportScript::quick());
    stage.cloud.ecs().copy_script(CopyScript::creating(1));
    stage.cloud.oss().create_bucket("packer", REGION);
    stage.cloud.ram().put_import_role();
    stage.disk(2);
    stage
}
