//! Watching a running trial from outside: reads its output, keeps the limits that the kernel does not, and
//! ends it when one is reached or the client has gone.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::enclosure::{Footprint, Lines, Live};
use super::keeper;
use super::note::{self, Note};
use super::{meter, sys, tree};
use crate::sandbox::capture::Recorder;
use crate::sandbox::{Capture, End, LimitKind, Limits};

/// How often the tree's memory and processor time are read.
const METER_PERIOD: Duration = Duration::from_millis(50);
/// How often a work directory without a size limit of its own is measured.
const DISK_PERIOD: Duration = Duration::from_millis(250);
/// The host's disk is never filled further than to this, whatever was counted.
const DISK_RESERVE_BYTES: u64 = 256 << 20;
/// How long the walls may take to build. Not part of the program's time.
const BUILD_MAX: Duration = Duration::from_secs(20);
/// How long the keeper has for killing and reaping before it is killed itself.
const SWEEP_MAX: Duration = Duration::from_millis(1500);
/// What one read takes from a pipe, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// What was seen of a trial.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) end: End,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    pub(super) peak_memory_bytes: u64,
    pub(super) leftovers_killed: u32,
}

/// One output pipe; `None` once it is at its end.
struct Stream {
    fd: Option<OwnedFd>,
    recorder: Recorder,
}

pub(super) struct Watch<'a> {
    lines: &'a Lines,
    limits: &'a Limits,
    socket: Option<OwnedFd>,
    keeper: libc::pid_t,
    keeper_is_init: bool,
    /// Whose descendants are measured.
    root: libc::pid_t,
    streams: [Stream; 2],
    /// When the program could start; before that, the walls are being built.
    started: Option<Instant>,
    built_until: Instant,
    next_meter: Instant,
    next_disk: Instant,
    disk: Option<Footprint>,
    /// At the last look at the disk, a process did not let itself be looked at.
    hidden: bool,
    features: Vec<String>,
    cpu: Duration,
    peak: u64,
    /// The keeper's last word: wait status and leftovers.
    ended: Option<(i32, u32)>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(live: Live, lines: &'a Lines, limits: &'a Limits) -> Self {
        let now = Instant::now();
        let stream = |fd| Stream { fd: Some(fd), recorder: Recorder::new(limits.head_bytes, limits.tail_bytes) };
        Self {
            lines,
            limits,
            socket: Some(live.socket),
            keeper: live.keeper,
            keeper_is_init: live.keeper_is_init,
            root: live.root,
            streams: live.outputs.map(stream),
            started: None,
            built_until: now + BUILD_MAX,
            next_meter: now + METER_PERIOD,
            next_disk: now + DISK_PERIOD,
            disk: live.watch_disk,
            hidden: false,
            features: Vec::new(),
            cpu: Duration::ZERO,
            peak: 0,
            ended: None,
        }
    }

    /// Watches until the trial is over and everything in it is dead. Also returns the walls' features, as the
    /// keeper reported them.
    pub(super) fn run(mut self) -> (Seen, Vec<String>) {
        let end = loop {
            if let Some(end) = self.turn() {
                break end;
            }
        };
        let wall = self.started.map_or(Duration::ZERO, |started| started.elapsed());
        self.kill();
        // Whatever was written before the end is in the pipes; nobody is left to add to it.
        for index in 0..self.streams.len() {
            while self.read_stream(index) {}
        }
        let end = self.settle(end);
        let [stdout, stderr] = self.streams.map(|stream| stream.recorder.finish());
        let seen = Seen {
            end,
            stdout,
            stderr,
            wall,
            cpu: self.cpu,
            peak_memory_bytes: self.peak,
            leftovers_killed: self.ended.map_or(0, |(_, leftovers)| leftovers),
        };
        (seen, self.features)
    }

    /// Sleeps until something happens and deals with it; returns how the trial ends, once it does.
    fn turn(&mut self) -> Option<End> {
        let (client, socket, outputs) = self.wait();
        if socket && let Some(end) = self.hear() {
            return Some(end);
        }
        for (index, ready) in outputs.into_iter().enumerate() {
            if ready {
                self.read_stream(index);
            }
        }
        if self.streams.iter().map(|stream| stream.recorder.total()).sum::<u64>() > self.limits.output_bytes_max {
            return Some(End::Limit(LimitKind::Output));
        }
        if client {
            return Some(End::Cancelled);
        }
        self.check_clocks()
    }

    fn wait(&self) -> (bool, bool, [bool; 2]) {
        let mut fds = vec![PollFd::new(&self.lines.client, PollFlags::IN | PollFlags::RDHUP)];
        fds.extend(self.socket.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let open: Vec<usize> = (0..2).filter(|index| self.streams[*index].fd.is_some()).collect();
        fds.extend(self.streams.iter().filter_map(|s| s.fd.as_ref()).map(|fd| PollFd::new(fd, PollFlags::IN)));
        let now = Instant::now();
        let mut until = self.next_meter.min(self.next_disk);
        until = until.min(self.started.map_or(self.built_until, |started| started + self.limits.wall));
        let timeout = Timespec::try_from(until.saturating_duration_since(now)).ok();
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return (false, false, [false; 2]);
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut outputs = [false; 2];
        let first = 1 + usize::from(self.socket.is_some());
        for (position, index) in open.into_iter().enumerate() {
            outputs[index] = ready[first + position];
        }
        (ready[0], self.socket.is_some() && ready[1], outputs)
    }

    /// Takes one note from inside.
    fn hear(&mut self) -> Option<End> {
        let socket = self.socket.as_ref()?;
        match note::receive(socket) {
            Ok(Some((note, _))) => self.note(note),
            Ok(None) => {
                self.socket = None;
                Some(broken("keeper", "it died"))
            }
            Err(error) => Some(broken("keeper", &error.to_string())),
        }
    }

    fn note(&mut self, note: Note) -> Option<End> {
        match note {
            Note::Ready { features } => {
                self.started = Some(Instant::now());
                self.features = features;
                None
            }
            Note::Built { .. } => None,
            Note::Broken { step, message } => Some(End::SandboxError { step, message }),
            Note::Ended { status, leftovers, cpu_micros, largest_resident_bytes } => {
                self.ended = Some((status, leftovers));
                self.cpu = self.cpu.max(Duration::from_micros(cpu_micros));
                self.peak = self.peak.max(largest_resident_bytes);
                Some(exit(status))
            }
        }
    }

    /// Reads one chunk; returns whether there may be more.
    #[expect(clippy::large_stack_arrays, reason = "the supervisor is a process of its own with a whole stack")]
    fn read_stream(&mut self, index: usize) -> bool {
        let stream = &mut self.streams[index];
        let Some(fd) = &stream.fd else { return false };
        let mut chunk = [0; CHUNK_BYTES];
        match rustix::io::read(fd, &mut chunk) {
            Ok(0) => stream.fd = None,
            Ok(count) => {
                stream.recorder.push(&chunk[..count]);
                // A survivor that floods the pipe must not hold the supervisor here.
                return stream.recorder.total() <= 2 * self.limits.output_bytes_max;
            }
            Err(Errno::INTR) => return true,
            Err(Errno::AGAIN) => {}
            Err(_) => stream.fd = None,
        }
        false
    }

    fn check_clocks(&mut self) -> Option<End> {
        let now = Instant::now();
        match self.started {
            None if now >= self.built_until => return Some(broken("build", "the walls took too long to build")),
            None => return None,
            Some(started) if now - started >= self.limits.wall => return Some(End::Limit(LimitKind::Wall)),
            Some(_) => {}
        }
        if now >= self.next_meter {
            self.next_meter = now + METER_PERIOD;
            if let Some(kind) = self.read_meter() {
                return Some(End::Limit(kind));
            }
        }
        if now >= self.next_disk {
            self.next_disk = now + DISK_PERIOD;
            return self.disk_is_over().then_some(End::Limit(LimitKind::Disk));
        }
        None
    }

    fn read_meter(&mut self) -> Option<LimitKind> {
        let (reading, pids) = meter::read(self.root);
        self.cpu = self.cpu.max(reading.cpu);
        if reading.cpu > self.limits.cpu {
            return Some(LimitKind::Cpu);
        }
        // The quick sum counts shared pages often; only where it is over, the exact one is worth its price.
        let mut memory = reading.resident_bytes;
        if memory > self.limits.memory_bytes_max {
            memory = meter::exact_bytes(&pids);
        }
        self.peak = self.peak.max(memory);
        (memory > self.limits.memory_bytes_max).then_some(LimitKind::Memory)
    }

    fn disk_is_over(&mut self) -> bool {
        let Some(disk) = &self.disk else { return false };
        let Ok(root) = tree::open_root(&disk.folder) else { return false };
        let (bytes, inodes) = tree::usage(&tree::scan(&root));
        let unnamed = meter::unnamed_bytes(&meter::descendants(self.root), self.limits.file_bytes_max);
        // A program that is just being started cannot be looked at either; one that hides stays hidden.
        if std::mem::replace(&mut self.hidden, unnamed.is_none()) && unnamed.is_none() {
            return true;
        }
        let unnamed = unnamed.unwrap_or(0);
        if rustix::fs::fstatvfs(&root)
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < DISK_RESERVE_BYTES)
        {
            return true;
        }
        bytes.saturating_add(unnamed) > self.limits.disk_bytes_max.saturating_add(disk.bytes_before)
            || inodes > self.limits.inodes_max.saturating_add(disk.inodes_before)
    }

    /// Has the keeper kill everything and waits until it has; where it does not, kills the keeper.
    fn kill(&mut self) {
        if let Some(socket) = &self.socket {
            // The keeper sees the end of the stream, and still can answer.
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
        }
        let until = Instant::now() + SWEEP_MAX;
        while self.ended.is_none() && self.socket.is_some() && Instant::now() < until {
            let socket = self.socket.as_ref().expect("invariant: checked above");
            let timeout = Timespec::try_from(until.saturating_duration_since(Instant::now())).ok();
            let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
            if poll(&mut fds, timeout.as_ref()).is_ok() && !fds[0].revents().is_empty() {
                let _ = self.hear();
            }
        }
        if self.ended.is_none() {
            if !self.keeper_is_init {
                keeper::kill_descendants(self.keeper);
            }
            sys::kill(self.keeper, libc::SIGKILL);
        }
        sys::wait(self.keeper, true);
        keeper::bury_orphans(until + SWEEP_MAX);
    }

    /// Reads a kernel-kept limit out of the way the program ended.
    fn settle(&self, end: End) -> End {
        match end {
            End::Signal(libc::SIGXCPU) => End::Limit(LimitKind::Cpu),
            End::Signal(libc::SIGKILL) if self.cpu >= self.limits.cpu => End::Limit(LimitKind::Cpu),
            End::Signal(libc::SIGXFSZ) => End::Limit(LimitKind::Disk),
            other => other,
        }
    }
}

fn broken(step: &str, message: &str) -> End {
    End::SandboxError { step: step.to_owned(), message: message.to_owned() }
}

fn exit(status: i32) -> End {
    if libc::WIFSIGNALED(status) { End::Signal(libc::WTERMSIG(status)) } else { End::Exit(libc::WEXITSTATUS(status)) }
}
