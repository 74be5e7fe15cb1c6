//! What a command's help and its manual page say beside the options: one source for both.
//! The tests run every example.

mod imports;
mod others;

/// Names with what each of them means.
pub type Rows = &'static [(&'static str, &'static str)];

/// What one command has to say.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The sub-command; empty for the program itself.
    pub command: &'static str,
    /// What it does, in paragraphs.
    pub description: &'static str,
    /// What standard output has.
    pub output: &'static str,
    /// Codes with their meaning, the first that applies.
    pub exit_status: Rows,
    /// Variables that no option names.
    pub environment: Rows,
    /// What it reads and writes beside the image.
    pub files: Rows,
    /// What for, and the command lines; the first is the shortest.
    pub examples: Rows,
}

/// The program's page and those of its sub-commands.
pub const PAGES: [&Page; 8] = [
    &others::PROGRAM,
    &others::CHECK,
    &imports::AWS,
    &imports::ALICLOUD,
    &imports::DIGITALOCEAN,
    &others::RUN,
    &others::JOBS,
    &others::FROM_PACKER,
];

impl Page {
    /// The page of a sub-command, or of the program.
    pub fn find(command: &str) -> Option<&'static Self> {
        PAGES.into_iter().find(|page| page.command == command)
    }
}

/// How an import ends.
const IMPORT_STATUS: Rows = &[
    ("0", "the image is available"),
    ("1", "a step failed"),
    ("2", "wrong usage or settings"),
    ("3", "the image was refused before upload"),
    ("4", "the deadline passed while the cloud is still working"),
    ("130", "stopped by Ctrl-C"),
    ("143", "stopped by SIGTERM"),
];

/// The settings and the journal, which imports read and write.
const SETTINGS: (&str, &str) = (
    "imgimport.toml",
    "settings, read from the current directory unless --config or IMGIMPORT_CONFIG names another file; \
     a file that was not named must belong to the user and can't set addresses, credentials, roles, deletion \
     of the image or public access",
);
const JOURNAL: (&str, &str) = (
    "~/.local/state/imgimport",
    "the journal of unfinished runs, without secrets; $XDG_STATE_HOME/imgimport where that is set",
);
