//! Reading what a tree of processes uses, from `/proc`.
//!
//! Counters that the kernel keeps for one process alone (`RLIMIT_CPU`, `RLIMIT_DATA`) say nothing about the
//! tree; this does, at the price of a look every few dozen milliseconds.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use super::sys;

/// What a tree uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Of all processes alive and all that were waited for.
    pub(super) cpu: Duration,
    /// Sum of the resident sets; pages that processes share are counted for each.
    pub(super) resident_bytes: u64,
    pub(super) processes: u32,
}

/// One process, as `/proc/PID/stat` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: libc::pid_t,
    /// Its own time and that of the children it waited for, in ticks.
    own_ticks: u64,
    children_ticks: u64,
    threads: u64,
    resident_pages: u64,
}

/// Every descendant of `root`, `root` itself excluded.
pub(super) fn descendants(root: libc::pid_t) -> Vec<libc::pid_t> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let Some(children) = children(pid) else {
            return descendants_by_scan(root);
        };
        found.extend(&children);
        next.extend(children);
    }
    found
}

/// The children of every thread of `pid`; empty where it is gone, `None` where the kernel does not tell.
fn children(pid: libc::pid_t) -> Option<Vec<libc::pid_t>> {
    let mut found = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Some(found);
    };
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<libc::pid_t>().ok())),
            // The thread may have ended since; if it is there, the kernel has no such file.
            Err(_) if thread.path().join("stat").exists() && !thread.path().join("children").exists() => return None,
            Err(_) => {}
        }
    }
    Some(found)
}

/// This process's children.
pub(super) fn children_of_self() -> Vec<libc::pid_t> {
    children(std::process::id() as libc::pid_t).unwrap_or_default()
}

fn descendants_by_scan(root: libc::pid_t) -> Vec<libc::pid_t> {
    let mut by_parent: HashMap<libc::pid_t, Vec<libc::pid_t>> = HashMap::new();
    for (pid, stat) in all_processes() {
        by_parent.entry(stat.parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let children = by_parent.remove(&pid).unwrap_or_default();
        found.extend(&children);
        next.extend(children);
    }
    found
}

fn all_processes() -> impl Iterator<Item = (libc::pid_t, Stat)> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, stat(pid)?))
    })
}

fn stat(pid: libc::pid_t) -> Option<Stat> {
    parse_stat(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
}

/// Parses `/proc/PID/stat`; the second field is the program's own choice of name and may contain anything.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let field: Vec<&str> = rest.split_ascii_whitespace().collect();
    // `field[0]` is the third of proc(5).
    let number = |n: usize| field.get(n - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: number(4)? as libc::pid_t,
        own_ticks: number(14)? + number(15)?,
        children_ticks: number(16)? + number(17)?,
        threads: number(20)?,
        resident_pages: number(24)?,
    })
}

/// Reads the tree below the keeper. The keeper's own use does not count, that of what it reaped does.
pub(super) fn read(keeper: libc::pid_t) -> (Reading, Vec<libc::pid_t>) {
    let pids = descendants(keeper);
    let mut ticks = stat(keeper).map_or(0, |stat| stat.children_ticks);
    let mut pages = 0;
    for stat in pids.iter().filter_map(|pid| stat(*pid)) {
        ticks += stat.own_ticks + stat.children_ticks;
        pages += stat.resident_pages;
    }
    let reading = Reading {
        cpu: Duration::from_millis(ticks * 1000 / sys::ticks_per_second()),
        resident_bytes: pages * rustix::param::page_size() as u64,
        processes: pids.len() as u32,
    };
    (reading, pids)
}

/// What these processes really occupy: pages shared among processes counted once in all, swap included,
/// pages of program files left out. Slower than [`read`]; for when that says "too much".
///
/// A process that does not let itself be looked at counts with all that is resident.
pub(super) fn exact_bytes(pids: &[libc::pid_t]) -> u64 {
    let resident =
        |pid: libc::pid_t| stat(pid).map_or(0, |stat| stat.resident_pages) * rustix::param::page_size() as u64;
    let exact = |pid: libc::pid_t| match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => rollup(&text),
        Err(_) => resident(pid),
    };
    pids.iter().map(|pid| exact(*pid)).sum()
}

/// What files without a name occupy that these processes hold open or mapped; a listing of folders does not show
/// them. A mapping does not tell its file's size and counts as `file_bytes_max`. `None` where a process does not let
/// itself be looked at.
pub(super) fn unnamed_bytes(pids: &[libc::pid_t], file_bytes_max: u64) -> Option<u64> {
    let mut files: HashMap<(u64, u64), u64> = HashMap::new();
    for pid in pids {
        let listed = open_unnamed(*pid, &mut files).and_then(|()| mapped_unnamed(*pid, file_bytes_max, &mut files));
        match listed {
            // What is ending has no memory left and belongs to root; it hides nothing.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && holds_memory(*pid) => return None,
            _ => {}
        }
    }
    Some(files.values().sum())
}

fn holds_memory(pid: libc::pid_t) -> bool {
    stat(pid).is_some_and(|stat| stat.resident_pages > 0)
}

fn open_unnamed(pid: libc::pid_t, files: &mut HashMap<(u64, u64), u64>) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        let Ok(file) = fs::metadata(entry.path()) else { continue };
        if file.is_file() && file.nlink() == 0 {
            files.insert((file.dev(), file.ino()), file.len());
        }
    }
    Ok(())
}

fn mapped_unnamed(pid: libc::pid_t, bytes: u64, files: &mut HashMap<(u64, u64), u64>) -> std::io::Result<()> {
    let text = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/maps"))?).into_owned();
    // Shared memory without a file is called so as well, and counts as memory.
    let gone = text.lines().filter(|line| line.ends_with(" (deleted)") && !line.contains("/dev/zero (deleted)"));
    for line in gone {
        let mut fields = line.split_ascii_whitespace().skip(3);
        let (Some(device), Some(inode)) = (fields.next(), fields.next().and_then(|text| text.parse().ok())) else {
            continue;
        };
        let device = device.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(257).wrapping_add(byte.into()));
        files.entry((device, inode)).or_insert(bytes);
    }
    Ok(())
}

fn rollup(text: &str) -> u64 {
    let kilobytes = |line: &str| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok();
    text.lines()
        .filter(|line| ["Pss_Anon:", "Pss_Shmem:", "SwapPss:"].iter().any(|name| line.starts_with(name)))
        .filter_map(kilobytes)
        .sum::<u64>()
        * 1024
}

/// Processes and threads of this process's user: where the limit counts by user, a trial's share is added
/// to it.
pub(crate) fn count_user_tasks() -> u64 {
    use std::os::unix::fs::MetadataExt;
    let uid = rustix::process::geteuid().as_raw();
    let mine = |pid: libc::pid_t| fs::metadata(format!("/proc/{pid}")).is_ok_and(|m| m.uid() == uid);
    all_processes().filter(|(pid, _)| mine(*pid)).map(|(_, stat)| stat.threads).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_process_name_does_not_shift_the_fields() {
        let line = "7 (a) R 1 (b) S 42 1 1 0 -1 0 0 0 0 0 10 20 3 4 20 0 6 0 99 1000 555 18446744073709551615\n";
        let expected = Stat { parent: 42, own_ticks: 30, children_ticks: 7, threads: 6, resident_pages: 555 };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat("garbage"), None);
    }

    #[test]
    fn shared_pages_are_counted_once_and_file_pages_not() {
        let text = "Rss: 900 kB\nPss: 500 kB\nPss_Anon: 100 kB\nPss_File: 300 kB\nPss_Shmem: 50 kB\nSwapPss: 2 kB\n";
        assert_eq!(rollup(text), 152 * 1024);
    }
}
