//! User namespaces: which ids exist inside, and which owner a project's files seem to have.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::ids::{Ids, extents};
use super::mounts;
use super::step::{Built, Named};
use super::sys::{self, Fork};

/// Writes the id maps of a child that waits in a fresh user namespace.
///
/// An ordinary user gets itself and nobody else. Root gives every id it has, unchanged, so that files of
/// any owner can be copied up; the program itself runs as an unused one of them.
pub(super) fn map_ids(child: libc::pid_t, ids: Ids) -> Built {
    let proc = format!("/proc/{child}");
    if ids.dropped {
        let (uids, gids) = own_maps().step("read id maps")?;
        fs::write(format!("{proc}/uid_map"), same(&uids)).step("map users")?;
        return fs::write(format!("{proc}/gid_map"), same(&gids)).step("map groups");
    }
    fs::write(format!("{proc}/setgroups"), "deny").step("deny setgroups")?;
    fs::write(format!("{proc}/uid_map"), format!("{0} {0} 1", ids.uid)).step("map users")?;
    fs::write(format!("{proc}/gid_map"), format!("{0} {0} 1", ids.gid)).step("map groups")
}

/// The project as a mount on which its owner's files seem to be the program's own, so that the program can
/// write (to its throw-away layer) without being root. For root only.
pub(super) fn lend(project: &Path, ids: Ids) -> io::Result<OwnedFd> {
    use std::os::unix::fs::MetadataExt;
    let owner = fs::metadata(project)?;
    let (uids, gids) = own_maps()?;
    let uid_map = swapped(&uids, owner.uid(), ids.uid);
    let gid_map = swapped(&gids, owner.gid(), ids.gid);
    let namespace = namespace_with(&uid_map, &gid_map)?;
    let tree = mounts::detached(project, false)?;
    mounts::map_owners(&tree, &namespace)?;
    Ok(tree)
}

/// A user namespace with these maps, held by its descriptor alone.
fn namespace_with(uid_map: &str, gid_map: &str) -> io::Result<File> {
    let (wait, release) = io::pipe()?;
    match sys::fork(libc::CLONE_NEWUSER)? {
        Fork::Child => {
            drop(release);
            // Lives until the parent has what it wants, or is gone.
            let _ = io::Read::read(&mut &wait, &mut [0]);
            sys::exit(0)
        }
        Fork::Parent(child) => {
            let made = fs::write(format!("/proc/{child}/uid_map"), uid_map)
                .and_then(|()| fs::write(format!("/proc/{child}/gid_map"), gid_map))
                .and_then(|()| File::open(format!("/proc/{child}/ns/user")));
            drop(release);
            sys::wait(child, true);
            made
        }
    }
}

type Extents = Vec<(u64, u64)>;

fn own_maps() -> io::Result<(Extents, Extents)> {
    let read = |name| io::Result::Ok(extents(&fs::read_to_string(name)?).collect());
    Ok((read("/proc/self/uid_map")?, read("/proc/self/gid_map")?))
}

fn same(extents: &Extents) -> String {
    extents.iter().map(|(first, count)| format!("{first} {first} {count}\n")).collect()
}

/// Every id unchanged, but `a` and `b` for one another.
fn swapped(extents: &Extents, a: u32, b: u32) -> String {
    let (low, high) = (u64::from(a.min(b)), u64::from(a.max(b)));
    let mut lines = String::new();
    let mut keep = |from: u64, to: u64| {
        if to > from {
            lines.push_str(&format!("{from} {from} {}\n", to - from));
        }
    };
    for (first, count) in extents {
        let mut from = *first;
        let end = first + count;
        for single in [low, high] {
            if (from..end).contains(&single) {
                keep(from, single);
                from = single + 1;
            }
        }
        keep(from, end);
    }
    if low == high { lines + &format!("{low} {low} 1\n") } else { lines + &format!("{low} {high} 1\n{high} {low} 1\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapping_keeps_every_other_id() {
        let map = swapped(&vec![(0, 4_294_967_295)], 0, 1000);
        assert_eq!(map, "1 1 999\n1001 1001 4294966294\n0 1000 1\n1000 0 1\n");
        let map = swapped(&vec![(0, 10), (100, 10)], 105, 3);
        assert_eq!(map, "0 0 3\n4 4 6\n100 100 5\n106 106 4\n3 105 1\n105 3 1\n");
    }
}
