//! import

pub mod cancel;
pub mod dry_run;
pub mod job;
pub mod journal;
pub mod lifecycle;
pub mod outcome;
pub mod poll;
pub mod session;
pub mod undo;
pub mod upload;
