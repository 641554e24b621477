//! Which user and group a program runs as.
//!
//! An ordinary user's programs run as that user. Root's programs never run as root: root is exempt from
//! process limits and owns everything. They run as a user id that nobody has, a different one for each
//! trial, so that trials cannot reach one another either.

use serde::{Deserialize, Serialize};

use super::step::{Broken, Built};

/// The program's user and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether these differ from the supervisor's, which then is root.
    pub(super) dropped: bool,
}

/// First of the ids used where every id exists: far above people, services and subordinate ranges.
const WIDE_BASE: u32 = 1_920_000_000;
/// First of the ids used where only the lowest 2^16 exist, as in most containers; between Debian's dynamic
/// system users and systemd's.
const NARROW_BASE: u32 = 60_100;
const NARROW_COUNT: u32 = 900;

/// Chooses the ids for the trial that the process `pid` supervises.
pub(super) fn choose(pid: u32) -> Built<Ids> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if uid != 0 {
        return Ok(Ids { uid, gid, dropped: false });
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    unused(&map, pid)
        .map(|id| Ids { uid: id, gid: id, dropped: true })
        .ok_or_else(|| Broken::new("drop root", "this user namespace has no unused user id to run programs as"))
}

/// An id that this user namespace has and nobody uses. `map` is `/proc/self/uid_map`.
fn unused(map: &str, pid: u32) -> Option<u32> {
    let candidates = [WIDE_BASE + pid % (1 << 22), NARROW_BASE + pid % NARROW_COUNT];
    candidates
        .into_iter()
        .find(|id| extents(map).any(|(first, count)| u64::from(*id) >= first && u64::from(*id) < first + count))
}

/// The (first id, count) pairs of a user namespace's map.
pub(super) fn extents(map: &str) -> impl Iterator<Item = (u64, u64)> {
    map.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (first, _, count) = (words.next()?.ok()?, words.next()?.ok()?, words.next()?.ok()?);
        Some((first, count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_exists_in_the_namespace_and_differs_between_trials() {
        let whole = "         0          0 4294967295\n";
        assert_eq!(unused(whole, 7), Some(WIDE_BASE + 7));
        assert_ne!(unused(whole, 7), unused(whole, 8));
        assert_eq!(unused("0 100000 65536\n", 7), Some(NARROW_BASE + 7));
        assert_eq!(unused("0 1000 1\n", 7), None);
        assert_eq!(unused("", 7), None);
    }
}
