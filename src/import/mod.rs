//! What every import shares, whatever the cloud: the session and its signals, the job, the
//! journal, the upload of the image, polling, the undo list and the result.

pub mod cancel;
pub mod cloud;
pub mod dry_run;
pub mod finding;
pub mod guest_rules;
pub mod job;
pub mod journal;
pub mod lifecycle;
pub mod outcome;
pub mod poll;
pub mod pre_import_check;
pub mod session;
pub mod undo;
pub mod upload;
