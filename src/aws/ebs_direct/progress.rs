//! What the blocks' room tells, shown; and a refusal, with the policy that would have helped.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::snapshot_writer;
use super::super::snapshot_writer::EbsError;
use super::super::{AwsImport, partition};
use crate::error::Error;
use crate::progress::UploadProgress;
use crate::transfer::LineProgress;
use crate::units;

/// "Permissions to use the EBS direct APIs with encryption" of the EBS user guide.
const KEY_PERMISSIONS: &str = "; an encrypted one needs its KMS key, too: kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, kms:ReEncrypt*";

impl AwsImport<'_> {
    /// A refusal, with the smallest policy that would have helped.
    pub(super) fn rejected_error(&self, what: &str, error: EbsError, action: &str) -> Error {
        if error.error.is_denied() {
            let policy = write_policy(&self.job.region);
            let key = self.job.encryption.as_ref().map_or("", |_| KEY_PERMISSIONS);
            return Error::failed(what).with_source(error.error).hint(format!(
                "allow the caller {action}; the policy for the blocks of a snapshot is: {policy}{key}"
            ));
        }
        error.error.into_error(what, action)
    }
}

/// Permission to write snapshots and nothing else.
fn write_policy(region: &str) -> String {
    let partition = partition::for_region(region);
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"],
            "Resource": format!("arn:{partition}:ec2:{region}::snapshot/*"),
        }],
    })
    .to_string()
}

/// What the room tells, shown.
pub(super) struct ProgressObserver(Mutex<Option<UploadProgress>>);

impl ProgressObserver {
    pub(super) fn new(transfer: UploadProgress) -> Self {
        Self(Mutex::new(Some(transfer)))
    }

    fn update(&self, show: impl FnOnce(&UploadProgress)) {
        let progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        progress.as_ref().map(show);
    }

    /// All blocks are there.
    pub(super) fn finish(&self) {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        progress.take().into_iter().for_each(UploadProgress::finish);
    }
}

impl snapshot_writer::Observer for ProgressObserver {
    fn acknowledged(&self, bytes: u64) {
        self.update(|transfer| transfer.acknowledged(bytes));
    }

    fn moved(&self, moved: LineProgress) {
        self.update(|transfer| transfer.line_progress(moved.bytes, moved.unacknowledged));
    }

    fn resumed(&self, bytes: u64) {
        self.update(|transfer| transfer.resumed(bytes));
    }

    fn skipped(&self, bytes: u64) {
        self.update(|transfer| transfer.skipped(bytes));
    }

    fn retrying(&self, index: u32, attempt: u32, pause: Duration, why: &str) {
        let pause = units::format_delay(pause);
        let text = format!("block {index}, try {attempt}: {why}; again in {pause}");
        self.update(|transfer| transfer.note(&text));
    }

    fn narrowed(&self, blocks: usize) {
        let text = format!("the service asks to slow down: {blocks} blocks at once for now");
        self.update(|transfer| transfer.note(&text));
    }
}
