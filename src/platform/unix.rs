//! Linux and other Unix systems.

use std::fs::{DirBuilder, File, FileType};
use std::io::{self, stderr};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

// Not rustix: its process numbers cannot be 0, and the kernel returns 0 in a container whose
// session or process group began outside it.
use nix::sys::signal::{Signal as Name, raise};
use nix::unistd::{geteuid, getpgrp, getsid, tcgetpgrp};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use tokio::signal::unix::{SignalKind, signal};

use super::{FileId, NotRegularFile, Signal};

/// The home directory's variable.
pub const HOME: &str = "HOME";

/// Reads as many bytes as one call returns; 0 at the end.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// Returns the first range at or after this byte that is not a hole; `None` if only a hole
/// follows.
pub fn next_data_range(file: &File, from: u64) -> io::Result<Option<Range<u64>>> {
    match seek(file, SeekFrom::Data(from)) {
        Ok(start) => Ok(Some(start..seek(file, SeekFrom::Hole(start))?)),
        Err(Errno::NXIO) => Ok(None),
        // The file system does not report holes.
        Err(_) => Ok(Some(from..u64::MAX)),
    }
}

pub fn file_id(file: &File) -> io::Result<FileId> {
    let about = file.metadata()?;
    Ok(FileId {
        device: about.dev(),
        inode: about.ino(),
    })
}

/// Returns `None` for a regular file.
pub fn not_regular_file(kind: FileType) -> Option<NotRegularFile> {
    match kind {
        _ if kind.is_file() => None,
        _ if kind.is_dir() => Some(NotRegularFile::Directory),
        _ if kind.is_fifo() || kind.is_char_device() => Some(NotRegularFile::Pipe),
        _ if kind.is_block_device() => Some(NotRegularFile::BlockDevice),
        _ => Some(NotRegularFile::Socket),
    }
}

/// Creates the directory, and its parents, only for this user.
pub fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Reports whether group or others may read the file.
pub fn is_readable_by_others(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// Checks that a file, or the link to one, belongs to the user; otherwise somebody else owns
/// it, or others can write it. The group with the user's own name may write it.
pub fn check_owner(path: &Path) -> Result<(), String> {
    let link = path.symlink_metadata().map_err(|error| error.to_string())?;
    let file = path.metadata().map_err(|error| error.to_string())?;
    if let Some(owner) = [link.uid(), file.uid()]
        .into_iter()
        .find(|owner| !is_current_user(*owner))
    {
        return Err(format!("it belongs to another user (id {owner})"));
    }
    let mode = file.permissions().mode();
    let private_group = file.uid() != 0 && file.gid() == file.uid();
    if mode & 0o002 != 0 || (mode & 0o020 != 0 && !private_group) {
        return Err("others can write it".to_owned());
    }
    Ok(())
}

/// Reports whether it is this user; under sudo also the one who called it, as in git.
fn is_current_user(owner: u32) -> bool {
    let me = geteuid();
    let caller = || std::env::var("SUDO_UID").ok()?.parse().ok();
    owner == me.as_raw() || (me.is_root() && caller() == Some(owner))
}

/// Checks that a file or directory of the journal can be trusted: it is not a link, belongs to
/// this user, and not everybody can write it.
pub fn check_private(path: &Path) -> Result<(), String> {
    let about = path.symlink_metadata().map_err(|error| error.to_string())?;
    if about.is_symlink() {
        return Err("it is a link".to_owned());
    }
    if !is_current_user(about.uid()) {
        return Err(format!("it belongs to another user (id {})", about.uid()));
    }
    if about.permissions().mode() & 0o002 != 0 {
        return Err("everybody can write it".to_owned());
    }
    Ok(())
}

/// Calls `on_signal` for each Ctrl-C, SIGTERM and SIGHUP from now on.
pub fn listen(on_signal: impl Fn(Signal) + Clone + Send + 'static) {
    let hangup = SignalKind::hangup();
    let wanted = [
        Some((SignalKind::interrupt(), Signal::Interrupt)),
        Some((SignalKind::terminate(), Signal::Terminate)),
        is_not_ignored(hangup).then_some((hangup, Signal::Terminate)),
    ];
    for (kind, meaning) in wanted.into_iter().flatten() {
        let on_signal = on_signal.clone();
        // Where signals cannot be caught they keep their default action.
        let Ok(mut signals) = signal(kind) else {
            continue;
        };
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                on_signal(meaning);
            }
        });
    }
}

/// Reports whether the signal is not ignored: under `nohup` it is ignored, and must stay so.
///
/// Where that cannot be determined, closing the terminal ends the program like any other, and
/// the journal contains what is left.
fn is_not_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 0)
}

/// Reports whether the terminal supports the sequences that move its cursor.
pub fn can_move_cursor() -> bool {
    true
}

/// Calls `on_stop` for each Ctrl-Z from now on; it stops the program with [`stop`].
pub fn on_ctrl_z(on_stop: impl Fn() + Send + 'static) {
    if !can_be_continued() {
        return;
    }
    // Where the signal cannot be caught it keeps its default action.
    let Ok(mut signals) = signal(SignalKind::from_raw(Name::SIGTSTP as i32)) else {
        return;
    };
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            on_stop();
        }
    });
}

/// The time until all threads of a stopped program stand still.
const STOP_WAIT: Duration = Duration::from_millis(100);

/// Stops until `fg` or `bg`, like an uncaught Ctrl-Z.
pub fn stop() {
    if raise(Name::SIGSTOP).is_ok() {
        // `raise` returns before all threads have stopped.
        thread::sleep(STOP_WAIT);
    }
}

/// Reports whether a shell can continue the program: a shell with `fg` gives each job its own
/// process group.
///
/// Without one, the signal is ignored, because a stopped program would never continue.
fn can_be_continued() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}

/// Reports whether another job has the terminal.
pub fn is_in_background() -> bool {
    tcgetpgrp(stderr()).is_ok_and(|front| front != getpgrp())
}
