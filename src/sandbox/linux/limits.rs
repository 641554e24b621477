//! The limits that the kernel keeps by itself for each process.

use super::step::{Built, Named};
use super::sys;
use crate::sandbox::Limits;
use crate::sandbox::policy::STACK_BYTES_MAX;

const LOCKED_BYTES_MAX: u64 = 64 << 10;
/// Queued signals and timers, which the kernel counts for all that the user has.
const SIGNALS_PENDING_MAX: u64 = 1024;

/// Sets every limit, soft and hard alike. `tasks` counts the user's processes and threads, these included.
pub(super) fn enforce(limits: &Limits, tasks: u64) -> Built {
    let cpu_seconds = limits.cpu.as_secs() + 1;
    let values = [
        (libc::RLIMIT_CPU, cpu_seconds, "limit processor time"),
        // Not the address space: virtual machines reserve gigabytes that they never touch.
        (libc::RLIMIT_DATA, limits.data_bytes_max, "limit private data"),
        (libc::RLIMIT_FSIZE, limits.file_bytes_max, "limit file size"),
        (libc::RLIMIT_NOFILE, limits.open_files_max.into(), "limit open files"),
        (libc::RLIMIT_NPROC, tasks, "limit processes"),
        (libc::RLIMIT_MEMLOCK, LOCKED_BYTES_MAX, "limit locked memory"),
        (libc::RLIMIT_CORE, 0, "limit core dumps"),
        (libc::RLIMIT_SIGPENDING, SIGNALS_PENDING_MAX, "limit queued signals"),
        (libc::RLIMIT_MSGQUEUE, 0, "limit message queues"),
        (libc::RLIMIT_RTPRIO, 0, "limit real-time priority"),
        (libc::RLIMIT_NICE, 0, "limit priority"),
    ];
    values.into_iter().try_for_each(|(resource, value, step)| sys::limit(resource, value, value).step(step))?;
    // The soft limit is also every thread's stack; a program that wants more for itself may raise it.
    sys::limit(libc::RLIMIT_STACK, limits.stack_bytes, STACK_BYTES_MAX).step("limit stack")
}
