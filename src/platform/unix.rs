//! Linux and what is like it.

use std::fs::{DirBuilder, File, FileType};
use std::io::{self, stderr};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

// Not rustix: its numbers of processes can't be 0, and 0 is what the kernel answers in a
// container whose session or group of processes began outside it.
use nix::sys::signal::{Signal as Name, raise};
use nix::unistd::{geteuid, getpgrp, getsid, tcgetpgrp};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use tokio::signal::unix::{SignalKind, signal};

use super::{FileId, NotRegularFile, Signal};

/// The home directory's variable.
pub const HOME: &str = "HOME";

/// As many bytes as come at once; 0 at the end.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// The first stretch at or after this byte that is no hole; None where only a hole follows.
pub fn next_data_range(file: &File, from: u64) -> io::Result<Option<Range<u64>>> {
    match seek(file, SeekFrom::Data(from)) {
        Ok(start) => Ok(Some(start..seek(file, SeekFrom::Hole(start))?)),
        Err(Errno::NXIO) => Ok(None),
        // a file system without holes
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

/// None for a file.
pub fn not_regular_file(kind: FileType) -> Option<NotRegularFile> {
    match kind {
        _ if kind.is_file() => None,
        _ if kind.is_dir() => Some(NotRegularFile::Directory),
        _ if kind.is_fifo() || kind.is_char_device() => Some(NotRegularFile::Pipe),
        _ if kind.is_block_device() => Some(NotRegularFile::BlockDevice),
        _ => Some(NotRegularFile::Socket),
    }
}

/// Makes the directory, and those above it, for this user alone.
pub fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Whether group or others may read the file.
pub fn is_readable_by_others(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// Why a file, or the link to one, is not the user's own: somebody else owns it, or others can
/// write it. The group of the user's own name may.
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

/// Whether it is this user; under sudo also the one who called it, as git has it.
fn is_current_user(owner: u32) -> bool {
    let me = geteuid();
    let caller = || std::env::var("SUDO_UID").ok()?.parse().ok();
    owner == me.as_raw() || (me.is_root() && caller() == Some(owner))
}

/// Why a file or directory of the journal can't be relied on: it is a link, belongs to another
/// user, or everybody can write it.
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

/// Calls `heard` for each Ctrl-C, SIGTERM and SIGHUP from here on.
pub fn listen(on_signal: impl Fn(Signal) + Clone + Send + 'static) {
    let hangup = SignalKind::hangup();
    let wanted = [
        Some((SignalKind::interrupt(), Signal::Interrupt)),
        Some((SignalKind::terminate(), Signal::Terminate)),
        is_not_ignored(hangup).then_some((hangup, Signal::Terminate)),
    ];
    for (kind, meaning) in wanted.into_iter().flatten() {
        let on_signal = on_signal.clone();
        // Where signals can't be caught they keep their usual meaning.
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

/// Under `nohup` the signal is ignored, and has to stay so. Where that can't be seen, a
/// terminal that is closed ends the program as it ends any other: the journal knows the rest.
fn is_not_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 0)
}

/// Whether a terminal obeys the sequences that move its cursor.
pub fn can_move_cursor() -> bool {
    true
}

/// Calls `asked` for each Ctrl-Z from here on; it stops the program with [`stop`].
pub fn on_ctrl_z(on_stop: impl Fn() + Send + 'static) {
    if !can_be_continued() {
        return;
    }
    // Where the signal can't be caught it keeps its usual meaning.
    let Ok(mut signals) = signal(SignalKind::from_raw(Name::SIGTSTP as i32)) else {
        return;
    };
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            on_stop();
        }
    });
}

/// Until all threads of a program that is told to stop stand still.
const STOP_WAIT: Duration = Duration::from_millis(100);

/// Stops until `fg` or `bg`, as Ctrl-Z would have done it, had nobody caught it.
pub fn stop() {
    if raise(Name::SIGSTOP).is_ok() {
        thread::sleep(STOP_WAIT);
    }
}

/// A shell that can say `fg` gives each job a group of its own. Without one the signal
/// means nothing: whoever stopped would stand still for ever.
fn can_be_continued() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}

/// Whether another job has the terminal.
pub fn is_in_background() -> bool {
    tcgetpgrp(stderr()).is_ok_and(|front| front != getpgrp())
}
