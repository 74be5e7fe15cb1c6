//! net

pub mod endpoint;
pub mod environment;
pub mod hints;
pub mod http;
pub mod ids;
pub mod network_error;
pub mod permission;
pub mod retry;
pub mod sdk_http;
