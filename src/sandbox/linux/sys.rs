//! The system calls that no safe wrapper offers, each behind a safe function.
//!
//! `fork` is safe here and only here: these processes have one thread, so the child may allocate and call
//! anything.
#![expect(unsafe_code, reason = "system calls without a safe wrapper")]

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Which side of a fork this is.
pub(super) enum Fork {
    Parent(libc::pid_t),
    Child,
}

/// Turns a C result into a Rust one.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Forks this single-threaded process, the child in new namespaces (`CLONE_NEW*`).
pub(super) fn fork(namespaces: libc::c_int) -> io::Result<Fork> {
    assert_eq!(threads(), 1, "invariant: only a process of one thread is forked");
    if namespaces == 0 {
        // SAFETY: one thread, asserted above; the child may do anything.
        return Ok(match check(unsafe { libc::fork() }.into())? {
            0 => Fork::Child,
            pid => Fork::Parent(pid as libc::pid_t),
        });
    }
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: as fork(2): no new stack, no shared memory, one thread.
    Ok(match check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })? {
        0 => Fork::Child,
        pid => Fork::Parent(pid as libc::pid_t),
    })
}

/// How many threads this process has; 1 where that cannot be read.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Ends this process at once, without destructors or exit handlers.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: always.
    unsafe { libc::_exit(code) }
}

/// A plain `prctl` with one argument.
fn prctl(option: libc::c_int, argument: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the options used in this file take integers.
    check(unsafe { libc::prctl(option, argument, 0, 0, 0) }.into()).map(drop)
}

/// Whether other processes of the user may trace this one and read its memory and descriptors.
pub(super) fn set_dumpable(yes: bool) -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, yes.into())
}

/// Orphaned descendants become children of this process.
pub(super) fn become_subreaper() -> io::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
}

pub(super) fn no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

pub(super) fn set_name(name: &std::ffi::CStr) {
    // SAFETY: a C string that outlives the call. A name is decoration: a failure is of no consequence.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Empties the bounding set: nothing that this process executes can gain a capability. Needs to come
/// before the capabilities themselves go.
pub(super) fn drop_bounding_set() {
    // Ends at the first capability that this kernel does not know. Without CAP_SETPCAP the set cannot
    // shrink, and need not: there is nothing to gain from it under no_new_privs.
    for capability in 0..64 {
        if prctl(libc::PR_CAPBSET_DROP, capability).is_err() {
            break;
        }
    }
}

/// Empties the ambient, effective, permitted and inheritable sets.
pub(super) fn clear_capabilities() -> io::Result<()> {
    // A kernel without ambient capabilities has none to clear.
    let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong);
    capabilities(libc::SYS_capset, &mut [0; 6])
}

/// Whether this process holds any effective or permitted capability.
pub(super) fn has_capabilities() -> io::Result<bool> {
    let mut data = [0; 6];
    capabilities(libc::SYS_capget, &mut data)?;
    // Two triples of (effective, permitted, inheritable).
    Ok(data[0] != 0 || data[1] != 0 || data[3] != 0 || data[4] != 0)
}

fn capabilities(call: libc::c_long, data: &mut [u32; 6]) -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    // SAFETY: the header and the data are the two arrays that version 3 of the interface asks for.
    check(unsafe { libc::syscall(call, header.as_ptr(), data.as_mut_ptr()) }).map(drop)
}

/// Becomes this user and group for good, with no other groups.
pub(super) fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: plain system calls on a process of one thread; an empty list needs no pointer.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()).into())?;
        check(libc::setresgid(gid, gid, gid).into())?;
        check(libc::setresuid(uid, uid, uid).into())?;
    }
    Ok(())
}

/// Sets the soft and the hard limit, or the present hard limit where that is lower; `u64::MAX` is no limit.
pub(super) fn limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let mut present = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid pointer to a limit, read and then written.
    unsafe {
        check(libc::getrlimit(resource, &raw mut present).into())?;
        let hard = hard.min(present.rlim_max);
        check(libc::setrlimit(resource, &libc::rlimit { rlim_cur: soft.min(hard), rlim_max: hard }).into())?;
    }
    Ok(())
}

/// Lowers this process's claim on the processor: nice 10 (or what it is, where that is nicer), batch scheduling.
pub(super) fn be_modest() {
    // SAFETY: plain system calls. Both are courtesies; where they fail the trial is merely less polite.
    unsafe {
        let present = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, present.max(10));
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &libc::sched_param { sched_priority: 0 });
    }
}

/// Marks every descriptor from `first` on as closed at exec, or closes it now.
pub(super) fn close_from(first: RawFd, now: bool) -> io::Result<()> {
    let flags = if now { 0 } else { libc::CLOSE_RANGE_CLOEXEC };
    // SAFETY: the callers own no descriptor in the range that they use afterwards.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) }).map(drop)
}

/// Closes every descriptor from 3 on except these.
pub(super) fn close_all_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).filter(|fd| *fd >= 3).collect();
    kept.sort_unstable();
    let mut from = 3;
    for fd in kept {
        if fd > from {
            // SAFETY: as above; the range holds nothing that is used afterwards.
            check(unsafe { libc::syscall(libc::SYS_close_range, from, fd - 1, 0) })?;
        }
        from = fd + 1;
    }
    close_from(from, true)
}

/// Makes `fd` available as descriptor number `at`, kept over exec. The same number is allowed.
pub(super) fn install(fd: BorrowedFd<'_>, at: RawFd) -> io::Result<()> {
    // SAFETY: the number `at` belongs to the caller, who owns nothing there that it still uses.
    unsafe {
        if fd.as_raw_fd() == at {
            check(libc::fcntl(at, libc::F_SETFD, 0).into())?;
        } else {
            check(libc::dup2(fd.as_raw_fd(), at).into())?;
        }
    }
    Ok(())
}

/// Duplicates a descriptor to a number of at least `min`, closed at exec.
pub(super) fn duplicate_above(fd: BorrowedFd<'_>, min: RawFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: a fresh descriptor that nobody else owns.
    unsafe {
        let new = check(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, min).into())?;
        Ok(OwnedFd::from_raw_fd(new as RawFd))
    }
}

/// Takes over a descriptor that this process was started with; closed at exec from here on.
pub(super) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: the descriptor is open, or this fails; each number is taken over once.
    unsafe {
        check(libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC).into())?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

/// Gives every signal its default action and blocks none.
pub(super) fn reset_signals() {
    // SAFETY: plain system calls; SIGKILL, SIGSTOP and numbers out of use refuse, which is fine.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Writing to a pipe or socket without a reader is an error to be handled, not a signal that kills.
pub(super) fn ignore_broken_pipes() {
    // SAFETY: a plain system call.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Blocks SIGCHLD and returns a descriptor that is readable when one is pending.
pub(super) fn child_signals() -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: a zeroed set is a valid set; the descriptor is fresh.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()).into())?;
        let fd = check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Kills every process that this one may signal, itself excepted. In a pid namespace that is the
/// namespace; in a Landlock domain with signal scope that is the domain. Elsewhere it would be a disaster,
/// so only [`super::keeper`] calls it.
pub(super) fn kill_everyone_in_reach() {
    // SAFETY: a plain system call; "nobody there" is an error that says the work is done.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

pub(super) fn kill(pid: libc::pid_t, signal: libc::c_int) {
    assert!(pid > 1, "invariant: only single processes are signalled by number");
    // SAFETY: a plain system call; a process that is gone is an error that says so.
    unsafe { libc::kill(pid, signal) };
}

/// Waits for a child (-1: any). `Ok(None)`: none has ended, or there is none.
pub(super) fn wait(pid: libc::pid_t, block: bool) -> Option<(libc::pid_t, i32)> {
    let mut status = 0;
    let flags = if block { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: a valid pointer for the status.
        let done = unsafe { libc::waitpid(pid, &raw mut status, flags) };
        match done {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 | 0 => return None,
            done => return Some((done, status)),
        }
    }
}

/// Processor time and largest resident set (bytes) of all children that were waited for.
pub(super) fn children_usage() -> (Duration, u64) {
    // SAFETY: a zeroed rusage is valid and is filled by the call.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    (time(usage.ru_utime) + time(usage.ru_stime), usage.ru_maxrss as u64 * 1024)
}

/// Replaces this process by the program; returns only the error.
pub(super) fn execve(program: &OsStr, argv: &[CString], env: &[CString]) -> io::Error {
    let Ok(program) = CString::new(program.as_bytes()) else {
        return io::ErrorKind::InvalidInput.into();
    };
    let pointers = |list: &[CString]| {
        list.iter().map(|text| text.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both lists are null-terminated and outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// The Landlock ABI of the running kernel; 0 where there is none.
pub(super) fn landlock_abi() -> u32 {
    const VERSION: libc::c_int = 1;
    // SAFETY: the documented way to ask for the version: no attributes, size 0.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    u32::try_from(abi).unwrap_or(0)
}

/// Clock ticks per second in `/proc/PID/stat`.
pub(super) fn ticks_per_second() -> u64 {
    // SAFETY: always.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1)
}

/// Brings up `lo` in this network namespace.
pub(super) fn loopback_up() -> io::Result<()> {
    use std::os::fd::FromRawFd;
    // SAFETY: a zeroed request is valid; the name fits; the descriptor is fresh and owned.
    unsafe {
        let socket = check(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).into())? as RawFd;
        let socket = OwnedFd::from_raw_fd(socket);
        let mut request = std::mem::zeroed::<libc::ifreq>();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request).into()).map(drop)
    }
}
