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

/// As many bytes as come at once; 0 at the end.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// The first stretch at or after this byte that is no hole. Holes are not asked for here:
/// their zeros are read.
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

/// None for a file.
pub fn not_regular_file(kind: FileType) -> Option<NotRegularFile> {
    kind.is_dir().then_some(NotRegularFile::Directory)
}

/// Makes the directory, and those above it. The profile of a user is that user's alone.
pub fn make_private(directory: &Path) -> io::Result<()> {
    create_dir_all(directory)
}

/// Not told here: the profile of a user is that user's alone.
pub fn is_readable_by_others(_: &Path) -> bool {
    false
}

/// Not told here: Windows shows owners and permissions only to programs that ask for them
/// otherwise.
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub fn check_owner(_: &Path) -> Result<(), String> {
    Ok(())
}

/// Why a file or directory of the journal can't be relied on: it is a link.
pub fn check_private(path: &Path) -> Result<(), String> {
    let about = path.symlink_metadata().map_err(|error| error.to_string())?;
    if about.is_symlink() {
        return Err("it is a link".to_owned());
    }
    Ok(())
}

/// Calls `on_signal` for each Ctrl-C, for a console that is closed and for the end of a session
/// from here on.
pub fn listen(on_signal: impl Fn(Signal) + Clone + Send + 'static) {
    // Where one can't be caught it keeps its usual meaning.
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

/// Whether the console obeys the sequences that move its cursor; asks it to. A terminal that
/// is none of Windows's own, as mintty, does.
pub fn can_move_cursor() -> bool {
    Console::stderr().map_or(true, |mut console| {
        console.set_virtual_terminal_processing(true).is_ok()
    })
}

/// Windows has no Ctrl-Z that stops a program.
pub fn on_ctrl_z(_: impl Fn() + Send + 'static) {}

/// Never asked for.
pub fn stop() {}

/// Windows has no jobs in the background of a console.
pub fn is_in_background() -> bool {
    false
}
