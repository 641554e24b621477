//! The system calls that a program may not make.
//!
//! Three filters are stacked, the strictest answer wins: calls of a foreign architecture (32-bit, x32)
//! kill; most forbidden calls fail with EPERM; calls that programs fall back from fail with ENOSYS.
//! Filters are compiled once, in the helper, and inherited by fork.

use std::collections::BTreeMap;

use libc::{c_int, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};
use serde::{Deserialize, Serialize};

use super::step::{Broken, Built};

/// Which sockets a program may create.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Sockets {
    /// Pairs only: where the file system and the network are the host's (tier L), a socket could reach
    /// the host's daemons.
    PairsOnly,
    /// Unix sockets; the file system and the namespaces decide whom they reach.
    Unix,
    /// And internet sockets, in a network namespace with nothing but a loopback.
    Loopback,
}

/// The compiled filters.
#[derive(Debug)]
pub(super) struct Filters {
    pairs_only: BpfProgram,
    unix: BpfProgram,
    loopback: BpfProgram,
    absent: BpfProgram,
    foreign: BpfProgram,
}

impl Filters {
    pub(super) fn compile() -> Built<Self> {
        let errno = |code: c_int| SeccompAction::Errno(code as u32);
        Ok(Self {
            pairs_only: program(forbidden(Sockets::PairsOnly)?, errno(libc::EPERM))?,
            unix: program(forbidden(Sockets::Unix)?, errno(libc::EPERM))?,
            loopback: program(forbidden(Sockets::Loopback)?, errno(libc::EPERM))?,
            absent: program(absent(), errno(libc::ENOSYS))?,
            foreign: foreign_numbers(),
        })
    }

    /// Puts this process and its descendants behind the filters, for good.
    pub(super) fn enforce(&self, sockets: Sockets) -> Built {
        let main = match sockets {
            Sockets::PairsOnly => &self.pairs_only,
            Sockets::Unix => &self.unix,
            Sockets::Loopback => &self.loopback,
        };
        for filter in [&self.foreign, &self.absent, main] {
            seccompiler::apply_filter(filter).map_err(|error| Broken::new("seccomp", error))?;
        }
        Ok(())
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn program(rules: Rules, action: SeccompAction) -> Built<BpfProgram> {
    let broken = |error: seccompiler::BackendError| Broken::new("compile seccomp", error);
    let arch = std::env::consts::ARCH.try_into().map_err(broken)?;
    SeccompFilter::new(rules, SeccompAction::Allow, action, arch).map_err(broken)?.try_into().map_err(broken)
}

/// Calls that fail with EPERM whatever their arguments.
const FORBIDDEN: &[c_long] = &[
    // other processes' memory and descriptors
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_process_madvise,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // large kernel surfaces
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    // keys, namespaces and mounts
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // the machine
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_lookup_dcookie,
    // memory that outlives or escapes the limits on private data and on the temporary file systems
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
];

#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[c_long] =
    &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_kexec_file_load, libc::SYS_modify_ldt, libc::SYS_uselib];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[c_long] = &[];

/// Calls whose first argument is a process that must be the caller (0).
const OWN_PROCESS_ONLY: &[c_long] = &[
    libc::SYS_prlimit64,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
];

/// Calls whose first argument is what kind of thing is meant (only this one: a process) and whose second says which
/// (only 0: the caller).
const OWN_PRIORITY_ONLY: &[(c_long, u64)] = &[(libc::SYS_setpriority, 0), (libc::SYS_ioprio_set, 1)];

/// `clone` flags that make namespaces (`CLONE_NEWTIME` cannot be given to `clone`).
const NAMESPACES: &[c_int] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// `ioctl` requests that push input into a terminal or change its line discipline.
const TERMINAL_TRICKS: &[u64] = &[0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */, 0x5423 /* TIOCSETD */];

fn forbidden(sockets: Sockets) -> Built<Rules> {
    let mut rules: Rules = FORBIDDEN.iter().chain(FORBIDDEN_HERE).map(|call| (*call, Vec::new())).collect();
    for call in OWN_PROCESS_ONLY {
        rules.insert(*call, vec![when(&[(0, SeccompCmpOp::Ne, 0)])?]);
    }
    for (call, process) in OWN_PRIORITY_ONLY {
        let others = vec![when(&[(0, SeccompCmpOp::Ne, *process)])?, when(&[(1, SeccompCmpOp::Ne, 0)])?];
        rules.insert(*call, others);
    }
    let namespace = |flag: &c_int| {
        let flag = u64::from(*flag as u32);
        when(&[(0, SeccompCmpOp::MaskedEq(flag), flag)])
    };
    rules.insert(libc::SYS_clone, NAMESPACES.iter().map(namespace).collect::<Built<_>>()?);
    let trick = |request: &u64| when(&[(1, SeccompCmpOp::Eq, *request)]);
    rules.insert(libc::SYS_ioctl, TERMINAL_TRICKS.iter().map(trick).collect::<Built<_>>()?);
    rules.insert(libc::SYS_socketpair, vec![when(&[(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)])?]);
    rules.insert(libc::SYS_socket, socket_rules(sockets)?);
    Ok(rules)
}

/// No rules for a call means "always"; otherwise the families that are not named are forbidden.
fn socket_rules(sockets: Sockets) -> Built<Vec<SeccompRule>> {
    let families: &[c_int] = match sockets {
        Sockets::PairsOnly => return Ok(Vec::new()),
        Sockets::Unix => &[libc::AF_UNIX],
        Sockets::Loopback => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK],
    };
    let other: Vec<_> = families.iter().map(|family| (0, SeccompCmpOp::Ne, *family as u64)).collect();
    let mut rules = vec![when(&other)?];
    if sockets == Sockets::Loopback {
        // Netlink other than routing, and raw and packet sockets, serve no test.
        rules.push(when(&[(0, SeccompCmpOp::Eq, libc::AF_NETLINK as u64), (2, SeccompCmpOp::Ne, 0)])?);
        for family in [libc::AF_INET, libc::AF_INET6] {
            let raw = libc::SOCK_RAW as u64;
            rules.push(when(&[(0, SeccompCmpOp::Eq, family as u64), (1, SeccompCmpOp::MaskedEq(0xf), raw)])?);
        }
    }
    Ok(rules)
}

/// A rule that holds where every (argument, comparison, value) holds; arguments compare as 32 bits, as the
/// kernel reads them.
fn when(conditions: &[(u8, SeccompCmpOp, u64)]) -> Built<SeccompRule> {
    let broken = |error: seccompiler::BackendError| Broken::new("compile seccomp", error);
    let conditions = conditions
        .iter()
        .map(|(argument, op, value)| SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, op.clone(), *value))
        .collect::<Result<_, _>>()
        .map_err(broken)?;
    SeccompRule::new(conditions).map_err(broken)
}

/// Calls that seem absent. `clone3` hides its flags behind a pointer that a filter cannot follow, and libc
/// falls back to `clone`. Memory files are not part of any process's private data nor of a size-limited
/// file system, so nothing but a cgroup would count them.
fn absent() -> Rules {
    let calls = [libc::SYS_clone3, libc::SYS_memfd_create, libc::SYS_memfd_secret];
    calls.into_iter().map(|call| (call, Vec::new())).collect()
}

/// Kills where the number of the call carries the x32 bit, which compilers of filters overlook: x32 calls
/// share the architecture's name.
fn foreign_numbers() -> BpfProgram {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const X32_BIT: u32 = 0x4000_0000;
    const KILL_PROCESS: u32 = 0x8000_0000;
    const ALLOW: u32 = 0x7fff_0000;
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        instruction(LOAD_WORD, 0, 0, 0),
        instruction(JUMP_IF_AT_LEAST, 0, 1, X32_BIT),
        instruction(RETURN, 0, 0, KILL_PROCESS),
        instruction(RETURN, 0, 0, ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_compiles() {
        Filters::compile().unwrap();
    }
}
