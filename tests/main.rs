//! Stories of imports, told through the real program and the sandbox's clouds. Every
//! story waits on gates, never on the clock.

#![allow(clippy::unwrap_used)] // a story may fail where it stands

mod alicloud;
mod alicloud_account;
mod alicloud_unanswered;
mod aws;
mod cancel;
mod check;
mod commands;
mod copies;
mod credentials;
mod digitalocean;
mod docs;
mod ebs;
mod errors;
mod found;
mod gateways;
mod ids;
mod images;
mod jobs;
mod kills;
mod memory;
mod network;
mod owner;
mod packer;
mod plan;
mod recipes;
mod refusals;
mod register;
mod role;
mod run;
mod settings;
mod slow;
mod stdout;
mod support;
mod terminal;
mod upload;
mod values;
