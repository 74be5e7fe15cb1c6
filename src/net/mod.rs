//! Requests over the network: HTTP clients, endpoints that the user names, retries, and why a
//! request got no response. Hints and permissions are worded here for all clouds.

pub mod endpoint;
pub mod environment;
pub mod hints;
pub mod http;
pub mod ids;
pub mod network_error;
pub mod permission;
pub mod retry;
pub mod sdk_http;
pub mod service_error;
