//! What EC2 says of snapshots and their encryption.

use aws_sdk_ec2::types::{Snapshot, SnapshotState};

use super::client::Clients;
use super::consistency::is_unknown;
use super::error::Fault;
use crate::error::{Error, Result};
use crate::import::poll::{Poll, Trouble};

const PERMISSION: &str = "ec2:DescribeSnapshots";

/// How far a snapshot is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It takes blocks, or is being made of them.
    Pending { encrypted: bool },
    /// It is there.
    Completed { encrypted: bool },
    /// It has failed, or is not known any more.
    Gone,
}

async fn describe(clients: &Clients, snapshot: &str) -> Result<Option<Snapshot>, Fault> {
    let call = clients.ec2.describe_snapshots().snapshot_ids(snapshot);
    match call.send().await.map_err(Fault::from) {
        Ok(answer) => Ok(answer.snapshots.and_then(|found| found.into_iter().next())),
        Err(fault) if is_unknown(&fault) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// How far the snapshot is.
pub async fn state(clients: &Clients, snapshot: &str) -> Result<State> {
    let what = || format!("the state of {snapshot} could not be asked");
    let found = describe(clients, snapshot).await;
    let found = found.map_err(|fault| fault.fails(what(), PERMISSION))?;
    let Some(found) = found else {
        return Ok(State::Gone);
    };
    let encrypted = found.encrypted.unwrap_or(true);
    Ok(match found.state.as_ref().map(SnapshotState::as_str) {
        Some("completed") => State::Completed { encrypted },
        None | Some("pending") => State::Pending { encrypted },
        Some(_) => State::Gone,
    })
}

/// One question to a snapshot that is being completed. That it has failed is an answer, too.
pub async fn poll(clients: &Clients, snapshot: &str) -> Result<Poll<Result<()>>, Trouble> {
    let failed = || format!("the state of {snapshot} could not be asked");
    let found = match describe(clients, snapshot).await {
        Ok(found) => found,
        Err(fault) if fault.is_passing() => {
            return Err(Trouble::Passing(fault.fails(failed(), PERMISSION)));
        }
        Err(fault) => return Err(Trouble::Final(fault.fails(failed(), PERMISSION))),
    };
    let Some(found) = found else {
        let gone = Error::failed(format!("{snapshot} is gone"));
        let gone = gone.because_of("EC2 knows no such snapshot");
        return Ok(Poll::Done(Err(gone)));
    };
    Ok(match found.state.as_ref().map(SnapshotState::as_str) {
        Some("completed") => Poll::Done(Ok(())),
        None | Some("pending") => Poll::NotYet {
            percent: found
                .progress
                .and_then(|text| text.trim_end_matches('%').parse().ok()),
            message: "pending".to_owned(),
        },
        Some(_) => {
            let reason = found.state_message.filter(|text| !text.is_empty());
            let reason = reason.unwrap_or_else(|| "AWS gave no reason".to_owned());
            let failed = Error::failed(format!("{snapshot} could not be completed"));
            Poll::Done(Err(failed.because_of(reason)))
        }
    })
}

/// Whether the account encrypts all that is new; none where nobody says it.
pub async fn encrypted_by_default(clients: &Clients) -> Result<Option<bool>> {
    let answer = clients.ec2.get_ebs_encryption_by_default().send().await;
    match answer.map_err(Fault::from) {
        Ok(answer) => Ok(Some(answer.ebs_encryption_by_default.unwrap_or(true))),
        Err(fault) if fault.leaves_open() => Ok(None),
        Err(fault) => Err(fault.fails(
            "the account's default encryption could not be asked",
            "ec2:GetEbsEncryptionByDefault",
        )),
    }
}
