//! The helper process (`z1 __sbxd`): waits for orders and forks a supervisor for each.
//!
//! It has one thread, holds no model and no secrets, and was started before z1 had any; so forking it is
//! cheap and what its children inherit is harmless. It ends when z1 does.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};

use super::enclosure::Lines;
use super::seccomp::Filters;
use super::step::{Broken, Built, Named};
use super::sys::{self, Fork};
use super::{bwrap, keeper, note, supervisor};

/// Serves until z1 is gone; returns the exit code. The control socket is descriptor 0.
///
/// Tier B starts the same program once more, inside, as a trial's keeper.
pub(crate) fn main() -> i32 {
    if std::env::args_os().nth(2).is_some_and(|word| word == bwrap::KEEPER_WORD) {
        return bwrap::inside();
    }
    i32::from(serve().is_err())
}

fn serve() -> Built {
    let filters = Filters::compile()?;
    let control = take_control().step("take the control socket")?;
    // z1's terminal signals are not for the helper.
    rustix::process::setsid().step("new session")?;
    std::env::set_current_dir("/").step("enter /")?;
    sys::set_name(c"z1-sandbox");
    sys::set_dumpable(false).step("hide memory")?;
    sys::become_subreaper().step("become subreaper")?;
    let signals = sys::child_signals().step("watch children")?;
    let mut supervisors = HashSet::new();
    loop {
        let (order, child) = wait(&control, &signals)?;
        if child {
            reap(&mut supervisors);
        }
        if order {
            let (bytes, fds) = note::receive_packet(&control, 16).step("receive")?;
            if bytes.is_empty() {
                return Ok(());
            }
            if let Some(lines) = lines(fds) {
                supervisors.insert(spawn(lines, &filters)?);
            }
        }
    }
}

/// Moves the control socket away from descriptor 0 and puts `/dev/null` on the standard descriptors.
fn take_control() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    let control = sys::duplicate_above(stdin.as_fd(), 10)?;
    let null: OwnedFd = File::options().read(true).write(true).open("/dev/null")?.into();
    for at in 0..3 {
        sys::install(null.as_fd(), at)?;
    }
    drop(null);
    sys::close_all_but(&[control.as_fd()])?;
    Ok(control)
}

fn wait(control: &OwnedFd, signals: &OwnedFd) -> Built<(bool, bool)> {
    let mut fds = [PollFd::new(control, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
    match poll(&mut fds, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(Broken::new("wait for orders", error)),
    }
    let child = !fds[1].revents().is_empty();
    if child {
        let _ = rustix::io::read(signals, &mut [0_u8; 128]);
    }
    Ok((!fds[0].revents().is_empty(), child))
}

/// The trial's socket and, where there are three descriptors, the program's ends of its channel.
fn lines(fds: Vec<OwnedFd>) -> Option<Lines> {
    let mut fds = fds.into_iter();
    let client = UnixStream::from(fds.next()?);
    let channel = fds.next().zip(fds.next());
    Some(Lines { client, channel })
}

fn spawn(lines: Lines, filters: &Filters) -> Built<libc::pid_t> {
    match sys::fork(0).step("fork supervisor")? {
        Fork::Child => {
            // The control socket, the signal descriptor and other trials' lines are not this trial's.
            let mut keep = vec![lines.client.as_fd()];
            if let Some((read, write)) = &lines.channel {
                keep.extend([read.as_fd(), write.as_fd()]);
            }
            if sys::close_all_but(&keep).is_ok() {
                sys::reset_signals();
                sys::ignore_broken_pipes();
                supervisor::supervise(lines, filters);
            }
            sys::exit(0)
        }
        Fork::Parent(pid) => Ok(pid),
    }
}

/// Buries supervisors. What one left behind, because it was killed itself, has fallen to this process and is killed
/// here; it may come late, after its own parent's end.
fn reap(supervisors: &mut HashSet<libc::pid_t>) {
    while let Some((pid, _)) = sys::wait(-1, false) {
        supervisors.remove(&pid);
    }
    for orphan in super::meter::children_of_self() {
        if !supervisors.contains(&orphan) {
            keeper::kill_descendants(orphan);
            sys::kill(orphan, libc::SIGKILL);
        }
    }
}
