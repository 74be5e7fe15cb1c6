//! Decides which settings files may set a key. A settings file in the current directory came
//! with whatever was unpacked or cloned there, so it may not decide where secrets are sent,
//! which credentials are used, what is deleted and what everybody may read. A file that the
//! user named may.

/// The settings files that may set a key.
#[derive(Clone, Copy, Debug)]
pub enum Trust {
    /// Any file.
    Any,
    /// Only a file that the user named; the reason completes "KEY says".
    Named(&'static str),
    /// An address that receives secrets: any file if it is a loopback address and the file
    /// contains the secrets, too; otherwise only a file that the user named.
    Address,
    /// Any file, except for values for which the function returns true.
    Except(fn(&str) -> bool, &'static str),
}

/// The decision for each key of a table, aliases included.
pub type TrustTable = [(Trust, &'static [&'static str])];

/// The reason for keys that select a credentials file, a profile or a role.
pub const SELECTS_CREDENTIALS: Trust = Trust::Named("whose credentials are used");

/// The decision on `keep_input_artifact`.
pub const DELETES_SOURCE: Trust = Trust::Except(is_off, "that the local image is deleted");

/// Returns the decision on a key; an undecided one requires a file that the user named.
pub fn decision(table: &TrustTable, key: &str) -> Trust {
    let row = table.iter().find(|(_, keys)| keys.contains(&key));
    row.map_or(Trust::Named("something new"), |(trust, _)| *trust)
}

/// Reports whether a switch is off, in any spelling. An invalid switch is an error elsewhere.
fn is_off(text: &str) -> bool {
    super::switch(text) == Ok(false)
}

/// Reports whether a switch is on.
pub fn is_on(text: &str) -> bool {
    super::switch(text) == Ok(true)
}
