//! The system's limit on the memory of the program.

/// Returns the limit of this process's address space in bytes (`RLIMIT_AS`) and how many bytes
/// of it are in use; `None` where there is no limit, or the system does not provide it.
///
/// Source: proc_pid_limits(5), `vsize` of proc_pid_stat(5).
#[cfg(target_os = "linux")]
pub fn address_space() -> Option<(u64, u64)> {
    use procfs::process::{LimitValue, Process};

    let own = Process::myself().ok()?;
    match own.limits().ok()?.max_address_space.soft_limit {
        LimitValue::Value(limit) => Some((limit, own.stat().ok()?.vsize)),
        LimitValue::Unlimited => None,
    }
}

/// Returns `None`: only Linux provides it without an unsafe call.
#[cfg(not(target_os = "linux"))]
pub fn address_space() -> Option<(u64, u64)> {
    None
}
