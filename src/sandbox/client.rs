//! The handle that the rest of z1 holds: starts the helper, sends orders, awaits outcomes, bounds how many
//! trials run at once.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Capture;
use super::link::Link;
use super::policy::{Channel, End, Isolation, Outcome, Policy, Request};
use super::private;
use super::probe::{self, ProbeReport};
use super::wire::{self, Order};
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::task::Tier;

/// How long a cancelled trial may take to report; then its outcome is made up here.
const CANCEL_MAX: Duration = Duration::from_secs(4);
/// How long the number of the user's processes is believed.
const TASKS_AGE_MAX: Duration = Duration::from_secs(1);
/// One permit of the memory budget, in bytes.
const MEMORY_PERMIT_BYTES: u64 = 64 << 20;

/// How to start the sandbox.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Use this tier or none.
    pub tier: Option<Tier>,
    /// Where no tier can be built, run programs without walls (tier N). Only ever set because the user
    /// said so, in these words.
    pub allow_unsandboxed: bool,
    /// The binary that answers to `__sbxd` (z1 itself).
    pub helper_exe: PathBuf,
}

/// No walls can be built here (or not the ones asked for).
#[derive(Clone, Debug)]
pub struct SandboxUnavailable {
    pub report: ProbeReport,
}

impl fmt::Display for SandboxUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no sandbox: {}", self.report.why)
    }
}

impl std::error::Error for SandboxUnavailable {}

impl From<SandboxUnavailable> for UserError {
    fn from(unavailable: SandboxUnavailable) -> Self {
        let error = Self::new(Exit::Refused, unavailable.to_string());
        match unavailable.report.raise {
            Some(command) => error.hint(command),
            None => error.hint("generated code is not run without walls; `z1 doctor` says what is missing"),
        }
    }
}

/// The sandbox. Clones share one helper process and one budget.
#[derive(Clone, Debug)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    link: Link,
    report: ProbeReport,
    /// One permit a core.
    cores: Arc<Semaphore>,
    cores_count: u32,
    /// One permit for each [`MEMORY_PERMIT_BYTES`].
    memory: Arc<Semaphore>,
    memory_count: u32,
    user_tasks: Mutex<Option<(Instant, u64)>>,
}

/// A trial with a private channel, under way.
#[derive(Debug)]
pub struct Trial {
    /// The outside ends of the program's descriptors 3 and 4.
    pub channel: Channel,
    running: Running,
}

impl Trial {
    /// Waits for the trial's end. Dropping a trial instead kills it.
    pub async fn wait(self) -> Outcome {
        drop(self.channel);
        self.running.outcome().await
    }

    /// Separates the channel from the wait, for callers that use both at once.
    pub fn split(self) -> (Channel, impl Future<Output = Outcome> + Send) {
        (self.channel, self.running.outcome())
    }
}

#[derive(Debug)]
struct Running {
    stream: UnixStream,
    cancel: Cancel,
    tier: Tier,
    _permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Sandbox {
    /// Starts the helper and finds the strongest tier by running a program in it.
    ///
    /// Call this before a model is loaded: the helper is what all programs are forked from, and it must not
    /// inherit a large process.
    ///
    /// # Errors
    /// Where no tier works (or not the one asked for) and running without walls was not allowed.
    #[expect(clippy::needless_pass_by_value, clippy::result_large_err, reason = "said once, when the program starts")]
    pub fn start(options: SandboxOptions) -> Result<Self, SandboxUnavailable> {
        let link = Link::new(options.helper_exe.clone());
        let report = probe::probe_with(&link, options.tier);
        let report = match report.tier {
            Tier::N if options.allow_unsandboxed && link.supports_unsandboxed() => report,
            Tier::N => return Err(SandboxUnavailable { report }),
            _ => report,
        };
        #[cfg(target_os = "linux")]
        super::linux::sweep(&std::env::temp_dir());
        let cores_count = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
        let memory_count = (probe::memory_bytes() / 5 * 4 / MEMORY_PERMIT_BYTES).clamp(1, 1 << 20) as u32;
        Ok(Self {
            inner: Arc::new(Inner {
                link,
                report,
                cores: Arc::new(Semaphore::new(cores_count as usize)),
                cores_count,
                memory: Arc::new(Semaphore::new(memory_count as usize)),
                memory_count,
                user_tasks: Mutex::new(None),
            }),
        })
    }

    /// The tier that trials run in.
    pub fn tier(&self) -> Tier {
        self.inner.report.tier
    }

    /// What was found out about this machine.
    pub fn report(&self) -> &ProbeReport {
        &self.inner.report
    }

    /// How many trials run at once; more wait for their turn.
    pub fn parallel(&self) -> u32 {
        self.inner.cores_count
    }

    /// Runs one program. Waits for a free core and for enough of the memory budget first; that time is not
    /// the program's. Never fails: what could not be built is [`End::SandboxError`].
    pub async fn run(&self, policy: &Policy, mut request: Request, cancel: &Cancel) -> Outcome {
        request.channel = false;
        match self.begin(policy, request, cancel, &[]).await {
            Ok(running) => running.outcome().await,
            Err(outcome) => *outcome,
        }
    }

    /// Starts one program with a private channel on its descriptors 3 and 4.
    ///
    /// # Errors
    /// The outcome, where the trial could not be started. (Walls that fail later are reported by
    /// [`Trial::wait`].)
    pub async fn open(&self, policy: &Policy, mut request: Request, cancel: &Cancel) -> Result<Trial, Outcome> {
        request.channel = true;
        let pipes = channel_pipes().map_err(|error| self.failed("make channel", &error))?;
        let (channel, plugs) = pipes;
        let running = self
            .begin(policy, request, cancel, &[plugs.0.as_fd(), plugs.1.as_fd()])
            .await
            .map_err(|outcome| *outcome)?;
        Ok(Trial { channel, running })
    }

    /// Starts one program with a private channel beside another that waits whenever this one works, so that
    /// the two need one core. It takes no place of its own in the budget: waiting for a second one while
    /// holding the first is how two pairs would wait for each other for ever.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn open_beside(&self, policy: &Policy, mut request: Request, cancel: &Cancel) -> Result<Trial, Outcome> {
        request.channel = true;
        let (channel, plugs) = channel_pipes().map_err(|error| self.failed("make channel", &error))?;
        let running = self
            .start_trial(policy, request, cancel, &[plugs.0.as_fd(), plugs.1.as_fd()], None)
            .await
            .map_err(|outcome| *outcome)?;
        Ok(Trial { channel, running })
    }

    async fn begin(
        &self,
        policy: &Policy,
        request: Request,
        cancel: &Cancel,
        channel: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<Running, Box<Outcome>> {
        let permits = tokio::select! {
            permits = self.permits(policy) => permits,
            () = cancel.cancelled() => return Err(Box::new(self.ended(End::Cancelled))),
        };
        self.start_trial(policy, request, cancel, channel, Some(permits)).await
    }

    async fn start_trial(
        &self,
        policy: &Policy,
        request: Request,
        cancel: &Cancel,
        channel: &[std::os::fd::BorrowedFd<'_>],
        permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    ) -> Result<Running, Box<Outcome>> {
        let bytes = self.order(policy, request)?;
        let stream = match self.hand_over(&bytes, channel).await {
            // A helper that died this moment takes what it is sent and answers nothing; the next one is asked.
            Err(_) => self.hand_over(&bytes, channel).await,
            stream => stream,
        };
        let stream = stream.map_err(|error| Box::new(self.failed("reach the helper", &error)))?;
        Ok(Running { stream, cancel: cancel.clone(), tier: self.tier(), _permits: permits })
    }

    async fn hand_over(&self, order: &[u8], channel: &[std::os::fd::BorrowedFd<'_>]) -> io::Result<UnixStream> {
        let (ours, theirs) = StdUnixStream::pair()?;
        let mut fds = vec![theirs.as_fd()];
        fds.extend(channel);
        self.inner.link.send(&fds)?;
        drop(fds);
        drop(theirs);
        write_order(ours, order).await
    }

    /// A core and the trial's share of the memory; a trial that wants more than there is gets all of it.
    async fn permits(&self, policy: &Policy) -> (OwnedSemaphorePermit, OwnedSemaphorePermit) {
        // In tier F the disk is memory as well.
        let disk = if self.tier() == Tier::F { policy.limits.disk_bytes_max } else { 0 };
        let wanted = policy.limits.memory_bytes_max.saturating_add(disk).div_ceil(MEMORY_PERMIT_BYTES);
        let wanted = wanted.clamp(1, self.inner.memory_count.into()) as u32;
        let open = "invariant: the budget's semaphores are never closed";
        let core = Arc::clone(&self.inner.cores).acquire_owned().await.expect(open);
        let memory = Arc::clone(&self.inner.memory).acquire_many_owned(wanted).await.expect(open);
        (core, memory)
    }

    fn order(&self, policy: &Policy, request: Request) -> Result<Vec<u8>, Box<Outcome>> {
        let order = Order {
            policy: policy.clone(),
            request,
            tier: self.tier(),
            temp_dir: std::env::temp_dir(),
            bwrap: self.inner.report.bwrap.clone(),
            helper_exe: self.inner.link.exe().as_os_str().to_owned(),
            user_tasks: self.user_tasks(),
            private: private::folders(),
        };
        wire::encode_order(order)
            .map_err(|message| Box::new(self.ended(End::SandboxError { step: "write the order".into(), message })))
    }

    #[cfg(target_os = "linux")]
    fn user_tasks(&self) -> u64 {
        if self.tier() != Tier::L || rustix::process::geteuid().is_root() {
            return 0;
        }
        let mut known = self.inner.user_tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((when, count)) if when.elapsed() < TASKS_AGE_MAX => count,
            _ => {
                let count = super::linux::count_user_tasks();
                *known = Some((Instant::now(), count));
                count
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    const fn user_tasks(&self) -> u64 {
        0
    }

    fn failed(&self, step: &str, error: &dyn fmt::Display) -> Outcome {
        self.ended(End::SandboxError { step: step.into(), message: error.to_string() })
    }

    fn ended(&self, end: End) -> Outcome {
        without_run(self.tier(), end)
    }
}

impl Running {
    async fn outcome(mut self) -> Outcome {
        let tier = self.tier;
        let (mut reading, mut writing) = self.stream.split();
        let reply = read_outcome(&mut reading);
        tokio::pin!(reply);
        let result = tokio::select! {
            result = &mut reply => result,
            () = self.cancel.cancelled() => {
                // The supervisor takes the end of the stream as the order to kill, and still reports.
                let _ = writing.shutdown().await;
                match tokio::time::timeout(CANCEL_MAX, &mut reply).await {
                    Ok(result) => result,
                    Err(_) => return without_run(tier, End::Cancelled),
                }
            }
        };
        result.unwrap_or_else(|error| {
            let message = format!("the trial's supervisor went away: {error}");
            without_run(tier, End::SandboxError { step: "supervisor".into(), message })
        })
    }
}

async fn write_order(stream: StdUnixStream, bytes: &[u8]) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    let mut stream = UnixStream::from_std(stream)?;
    stream.write_all(&(bytes.len() as u64).to_le_bytes()).await?;
    stream.write_all(bytes).await?;
    Ok(stream)
}

async fn read_outcome(stream: &mut tokio::net::unix::ReadHalf<'_>) -> io::Result<Outcome> {
    let mut length = [0; 8];
    stream.read_exact(&mut length).await?;
    let length = wire::checked_length(length)?;
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes).await?;
    wire::decode_outcome(&bytes)
}

/// The outside ends of the channel, and the program's.
fn channel_pipes() -> io::Result<(Channel, (OwnedFd, OwnedFd))> {
    let (program_reads, to_program) = io::pipe()?;
    let (from_program, program_writes) = io::pipe()?;
    let channel = Channel { from_program: from_program.into(), to_program: to_program.into() };
    Ok((channel, (program_reads.into(), program_writes.into())))
}

/// The outcome of a trial that never ran.
pub(crate) fn without_run(tier: Tier, end: End) -> Outcome {
    Outcome {
        end,
        stdout: Capture::default(),
        stderr: Capture::default(),
        wall: Duration::ZERO,
        cpu: Duration::ZERO,
        peak_memory_bytes: 0,
        changed: Vec::new(),
        touched: Vec::new(),
        files: Vec::new(),
        leftovers_killed: 0,
        isolation: Isolation { tier, features: Vec::new() },
        work_dir: PathBuf::new(),
    }
}
