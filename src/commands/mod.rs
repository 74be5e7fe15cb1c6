//! commands

pub mod jobs;
pub mod panics;
pub mod run;
pub mod stdout;
