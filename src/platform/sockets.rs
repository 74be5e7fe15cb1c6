//! The bytes that wait in the kernel's send buffers.

/// Returns how many bytes the TCP connections of this process hold that were written and that
/// the peers have not received; `None` where the system does not provide it.
///
/// Source: `tx_queue` of proc_net_tcp(5), for the sockets of proc_pid_fd(5).
#[cfg(target_os = "linux")]
pub fn unsent_bytes() -> Option<u64> {
    use procfs::process::{FDTarget, Process};

    let open = Process::myself().ok()?.fd().ok()?.flatten();
    let socket = |target| match target {
        FDTarget::Socket(inode) => Some(inode),
        _ => None,
    };
    let own: std::collections::HashSet<u64> = open.filter_map(|fd| socket(fd.target)).collect();
    let connections = procfs::net::tcp().ok()?;
    // Where IPv6 is disabled there is no such table.
    let connections = connections
        .into_iter()
        .chain(procfs::net::tcp6().unwrap_or_default());
    let waiting = connections.filter(|connection| own.contains(&connection.inode));
    Some(
        waiting
            .map(|connection| u64::from(connection.tx_queue))
            .sum(),
    )
}

/// Returns `None`: only Linux provides it without a privilege.
#[cfg(not(target_os = "linux"))]
pub fn unsent_bytes() -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn unreceived_bytes_are_counted_as_unsent() {
        let door = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = door.local_addr().expect("an address");
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_nonblocking(true).expect("a socket");
        let (mut written, data) = (0, vec![0; 1 << 16]);
        while let Ok(more) = stream.write(&data) {
            written += more as u64;
        }
        let waiting = unsent_bytes().expect("Linux tells");
        assert!(waiting > 0 && waiting <= written, "{waiting} of {written}");
        drop(door);
    }
}
