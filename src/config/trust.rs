//! Who may set a key: a settings file that lies in the current directory came with whatever
//! was unpacked or cloned there, so that it may not decide where secrets go, whose credentials
//! are used, what is deleted and what everybody may read. A file that the user named may.

/// Which settings files may set a key.
#[derive(Clone, Copy, Debug)]
pub enum Trust {
    /// Any file.
    Any,
    /// Only a file that the user named; the reason completes "KEY says".
    Named(&'static str),
    /// An address that gets secrets: any file where it is a loopback address and the file holds
    /// the secrets, too; otherwise only a file that the user named.
    Address,
    /// Any file, except for values of which the function is true.
    Except(fn(&str) -> bool, &'static str),
}

/// The decision for each key of a table, aliases included.
pub type TrustTable = [(Trust, &'static [&'static str])];

/// The reason where a credentials file, a profile or a role is named.
pub const SELECTS_CREDENTIALS: Trust = Trust::Named("whose credentials are used");

/// The decision on `keep_input_artifact`.
pub const DELETES_SOURCE: Trust = Trust::Except(is_off, "that the local image is deleted");

/// The decision on a key; one that nobody has decided on needs a file that was named.
pub fn decision(table: &TrustTable, key: &str) -> Trust {
    let row = table.iter().find(|(_, keys)| keys.contains(&key));
    row.map_or(Trust::Named("something new"), |(trust, _)| *trust)
}

/// Whether a switch is off, in any way to write it. What is no switch is an error elsewhere.
fn is_off(text: &str) -> bool {
    super::switch(text) == Ok(false)
}

/// Whether a switch is on.
pub fn is_on(text: &str) -> bool {
    super::switch(text) == Ok(true)
}
