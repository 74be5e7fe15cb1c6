//! Names of what a request may have made whose answer is not known, the same at Ctrl-C, in
//! `jobs` and in `jobs --clean`.

/// What is said of a public object that stays.
pub const PUBLICLY_READABLE: &str = "which everybody who knows its address can read";

/// CreateMultipartUpload.
pub fn upload(url: &str) -> String {
    format!("an upload of {url} that may have started")
}

/// CompleteMultipartUpload.
pub fn object(url: &str) -> String {
    format!("{url}, which may be complete")
}

/// An import of the object.
pub fn import(url: &str) -> String {
    format!("an import of {url} that may have started")
}

/// An image of this name.
pub fn image(name: &str, region: &str) -> String {
    format!("an image \"{name}\" in {region} that may have been made")
}

/// A snapshot to write blocks to.
pub fn snapshot(region: &str) -> String {
    format!("a snapshot in {region} that may have been started")
}
