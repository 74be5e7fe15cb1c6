//! A terminal for the program to draw on, as far as it draws: lines, and a cursor that
//! goes up.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use regex::Regex;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// What the program writes there.
pub struct Terminal {
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// The terminal, and its end for the program.
    pub fn open(columns: u16) -> (Self, Stdio) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("its other end");
        unlockpt(&ours).expect("its other end");
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).expect("its size");
        let name = ptsname(&ours, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = rustix::fs::open(&name, flags, Mode::empty()).expect("its other end");
        (Self::read(ours), theirs.into())
    }

    fn read(master: OwnedFd) -> Self {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&written);
        let reader = thread::spawn(move || {
            let (mut file, mut buffer) = (File::from(master), [0; 4096]);
            // It fails once nobody holds the other end.
            while let Ok(read @ 1..) = file.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        });
        Self {
            written,
            reader: Some(reader),
        }
    }

    /// Waits until this has been on the screen.
    pub async fn wait_for_text(&self, text: &str) {
        self.wait_until(&format!("it shows {text:?}"), |written| {
            written.contains(text)
        })
        .await;
    }

    /// Waits until the screen looks like that.
    pub async fn wait_for_screen(&self, condition: impl Fn(&str) -> bool) {
        self.wait_until("the screen looks so", |written| condition(&screen(written)))
            .await;
    }

    async fn wait_until(&self, description: &str, condition: impl Fn(&str) -> bool) {
        super::wait_until(description, || {
            let ended = self.reader.as_ref().is_none_or(JoinHandle::is_finished);
            let written = self.received();
            let is_so = condition(&written);
            assert!(
                is_so || !ended,
                "it ended, and waited was until {description}:\n{written}"
            );
            is_so
        })
        .await;
    }

    fn received(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// Everything that was written, once the program has ended.
    pub fn raw(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.received()
    }

    /// What is on the screen in the end, and above it.
    pub fn screen(&mut self) -> String {
        screen(&self.raw())
    }
}

fn screen(raw: &str) -> String {
    let sequence = Regex::new(r"\x1b\[\??([0-9;]*)([A-Za-z])|\r\n|\r|\n|[^\x1b\r\n]+").unwrap();
    let (mut rows, mut at) = (vec![String::new()], 0);
    for piece in sequence.captures_iter(raw) {
        match (&piece[0], piece.get(2).map(|letter| letter.as_str())) {
            (_, Some("A")) => at -= piece[1].parse::<usize>().unwrap(),
            (_, Some("K")) => rows[at].clear(),
            (_, Some("m" | "h" | "l")) | ("\r", _) => {}
            ("\n" | "\r\n", _) => {
                at += 1;
                rows.resize(rows.len().max(at + 1), String::new());
            }
            (text, None) => rows[at].push_str(text),
            (unknown, _) => panic!("this terminal does not know {unknown:?}"),
        }
    }
    rows.truncate(at + 1);
    rows.join("\n")
}
