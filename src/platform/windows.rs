//! Windows 10, or Server 2019, and later. `.ci/windows` builds and runs it.

use std::fs::{File, FileType, create_dir_all};
use std::io;
use std::ops::Range;
use std::os::windows::fs::FileExt;
use std::path::Path;

use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
use winapi_util::console::Console;
use winapi_util::file::information;

use super::{FileId, NotRegularFile, Signal};

/// The home directory's variable.
pub const HOME: &str = "USERPROFILE";

/// Reads as many bytes as one call returns; 0 at the end.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// Returns the first range at or after this byte that is not a hole. Holes are not detected on
/// Windows: their zeros are read.
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub fn next_data_range(_: &File, from: u64) -> io::Result<Option<Range<u64>>> {
    Ok(Some(from..u64::MAX))
}

pub fn file_id(file: &File) -> io::Result<FileId> {
    let about = information(file)?;
    Ok(FileId {
        device: about.volume_serial_number(),
        inode: about.file_index(),
    })
}

/// Returns `None` for a regular file.
pub fn not_regular_file(kind: FileType) -> Option<NotRegularFile> {
    kind.is_dir().then_some(NotRegularFile::Directory)
}

/// Creates the directory, and its parents. Only the user can read the user's profile.
pub fn make_private(directory: &Path) -> io::Result<()> {
    create_dir_all(directory)
}

/// Returns false: only the user can read the user's profile.
pub fn is_readable_by_others(_: &Path) -> bool {
    false
}

/// Accepts every file: on Windows, owners and permissions are available only through unsafe
/// calls.
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub fn check_owner(_: &Path) -> Result<(), String> {
    Ok(())
}

/// Checks that a file or directory of the journal can be trusted: it is not a link.
pub fn check_private(path: &Path) -> Result<(), String> {
    let about = path.symlink_metadata().map_err(|error| error.to_string())?;
    if about.is_symlink() {
        return Err("it is a link".to_owned());
    }
    Ok(())
}

/// Calls `on_signal` for each Ctrl-C, for a closed console and for the end of a session from
/// now on.
pub fn listen(on_signal: impl Fn(Signal) + Clone + Send + 'static) {
    // Where an event cannot be caught it keeps its default action.
    macro_rules! on {
        ($($event:ident means $meaning:ident),*) => {$(
            if let Ok(mut events) = $event() {
                let on_signal = on_signal.clone();
                tokio::spawn(async move {
                    while events.recv().await.is_some() {
                        on_signal(Signal::$meaning);
                    }
                });
            }
        )*};
    }
    on!(
        ctrl_c means Interrupt,
        ctrl_break means Terminate,
        ctrl_close means Terminate,
        ctrl_logoff means Terminate,
        ctrl_shutdown means Terminate
    );
}

/// Enables the sequences that move the cursor, and reports whether the console supports them. A
/// terminal that is not one of Windows's own, such as mintty, does.
pub fn can_move_cursor() -> bool {
    Console::stderr().map_or(true, |mut console| {
        console.set_virtual_terminal_processing(true).is_ok()
    })
}

/// Does nothing: Windows has no Ctrl-Z that stops a program.
pub fn on_ctrl_z(_: impl Fn() + Send + 'static) {}

/// Does nothing: [`on_ctrl_z`] never calls it.
pub fn stop() {}

/// Returns false: Windows has no background jobs in a console.
pub fn is_in_background() -> bool {
    false
}
