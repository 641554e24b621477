//! The innermost trusted process: starts the program, reaps its orphans, and sees to it that nothing of the
//! trial outlives it.
//!
//! In tiers F and B it is process 1 of the trial's pid namespace; in tier L it is a subreaper in a Landlock
//! domain that its descendants' domain is nested in, so that it can signal them and they cannot signal it.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::meter;
use super::note::{self, Note};
use super::step::{Broken, Built, Named};
use super::sys::{self, Fork};

/// Which processes `kill(-1)` reaches from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Exactly the trial's: a pid namespace or a signal scope sees to that.
    Trial,
    /// Everybody's: descendants have to be found and killed one by one.
    Everybody,
}

/// Starts the program (`launch` returns only where it could not) and stays until all of it is dead. Ends
/// with this process; the supervisor hears of it through `socket`, and closing the other end of it is the
/// order to kill.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the socket must live as long as this process, and nobody else may close it"
)]
pub(super) fn keep(socket: OwnedFd, reach: Reach, launch: impl FnOnce(&OwnedFd) -> Built<Infallible>) -> ! {
    let note = match run(&socket, reach, launch) {
        Ok(note) => note,
        Err(broken) => broken.into(),
    };
    // The supervisor may be gone; then nobody is there to be told.
    let _ = note::send(&socket, &note, &[]);
    sys::exit(0)
}

fn run(socket: &OwnedFd, reach: Reach, launch: impl FnOnce(&OwnedFd) -> Built<Infallible>) -> Built<Note> {
    let signals = sys::child_signals().step("watch children")?;
    let program = match sys::fork(0).step("fork program")? {
        Fork::Child => {
            let Err(broken) = launch(socket);
            let _ = note::send(socket, &broken.into(), &[]);
            sys::exit(127)
        }
        Fork::Parent(pid) => pid,
    };
    // The program's ends of its pipes must not stay open here: first those that `launch` owns, then those
    // that it borrows.
    drop(launch);
    sys::close_all_but(&[socket.as_fd(), signals.as_fd()]).step("close descriptors")?;
    let mut status = None;
    while status.is_none() && !told_to_kill(socket, &signals)? {
        while let Some((pid, ended)) = sys::wait(-1, false) {
            if pid == program {
                status = Some(ended);
            }
        }
    }
    let (leftovers, late) = sweep(reach, program);
    let (cpu, largest) = sys::children_usage();
    Ok(Note::Ended {
        // A program that had to be killed is reported as killed.
        status: status.or(late).unwrap_or(libc::SIGKILL),
        leftovers,
        cpu_micros: cpu.as_micros() as u64,
        largest_resident_bytes: largest,
    })
}

/// Sleeps until a child ended or the supervisor spoke or left; returns whether it was the supervisor.
fn told_to_kill(socket: &OwnedFd, signals: &OwnedFd) -> Built<bool> {
    let mut fds = [PollFd::new(socket, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
    match poll(&mut fds, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(Broken::new("wait for the program", error)),
    }
    if !fds[1].revents().is_empty() {
        // Only the fact matters; which child it was, wait(2) says.
        let _ = rustix::io::read(signals, &mut [0_u8; 128]);
    }
    Ok(!fds[0].revents().is_empty())
}

/// Kills and reaps until there is no child left. Returns how many had to be killed, the program itself not
/// counted, and the program's wait status where it was among them.
fn sweep(reach: Reach, program: libc::pid_t) -> (u32, Option<i32>) {
    let mut killed = 0;
    let mut program_status = None;
    let mut note = |pid, status| {
        if pid == program {
            program_status = Some(status);
        } else if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL {
            killed += 1;
        }
    };
    loop {
        // Those that had ended before are not counted as killed.
        kill_all(reach);
        match sys::wait(-1, true) {
            Some((pid, status)) => note(pid, status),
            None => break,
        }
        while let Some((pid, status)) = sys::wait(-1, false) {
            note(pid, status);
        }
    }
    (killed, program_status)
}

fn kill_all(reach: Reach) {
    match reach {
        Reach::Trial => sys::kill_everyone_in_reach(),
        Reach::Everybody => kill_descendants(rustix::process::getpid().as_raw_nonzero().get()),
    }
}

/// Kills and reaps whatever fell to this process because its parent is dead: a tree without a pid namespace that
/// lost its keeper, or a bubblewrap whose first half ended while the second waited for it.
pub(super) fn bury_orphans(until: Instant) {
    while !meter::children_of_self().is_empty() && Instant::now() < until {
        kill_descendants(std::process::id() as libc::pid_t);
        while sys::wait(-1, false).is_some() {}
    }
}

/// Kills every descendant of `root` that can be found, stopping them first so that none forks meanwhile.
pub(super) fn kill_descendants(root: libc::pid_t) {
    /// Passes over the tree; each stops what the last one missed.
    const PASSES_MAX: usize = 50;
    let mut stopped = 0;
    for _ in 0..PASSES_MAX {
        let found = meter::descendants(root);
        for &pid in &found {
            sys::kill(pid, libc::SIGSTOP);
        }
        if found.len() == stopped {
            break;
        }
        stopped = found.len();
        std::thread::sleep(Duration::from_micros(200));
    }
    for pid in meter::descendants(root) {
        sys::kill(pid, libc::SIGKILL);
    }
}
