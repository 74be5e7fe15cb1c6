//! Stories of imports, told through the real program and the sandbox's clouds. Every
//! story waits on gates, never on the clock.

#![allow(clippy::unwrap_used)] // a story may fail where it stands

mod alicloud;
mod aws;
mod cancel;
mod digitalocean;
mod docs;
mod errors;
mod images;
mod settings;
mod support;
mod terminal;
mod upload;
