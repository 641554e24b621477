//! The last steps of every tier, in the process that becomes the program: descriptors, limits, identity,
//! Landlock, seccomp, exec. Any step that fails ends the trial before the program has run.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ids::Ids;
use super::landlock::{self, Fences};
use super::limits;
use super::seccomp::{Filters, Sockets};
use super::step::{Broken, Built, Named};
use super::sys;
use crate::sandbox::Limits;

/// The program's ends of its descriptors.
#[derive(Debug)]
pub(super) struct Plugs {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// What becomes descriptors 3 and 4.
    pub(super) channel: Option<(OwnedFd, OwnedFd)>,
}

/// Everything about the program's start that does not depend on the enclosure's construction.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) argv: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    /// Absolute, as seen inside.
    pub(super) cwd: PathBuf,
    pub(super) fences: Fences,
    pub(super) sockets: Sockets,
    pub(super) limits: Limits,
    /// The value of the process limit, which counts by user.
    pub(super) tasks: u64,
    pub(super) ids: Ids,
}

/// Numbers below this belong to the program.
const PRIVATE_FD_MIN: i32 = 10;

/// Becomes the program. `socket` stays open until exec succeeds, so that a failure can be reported.
pub(super) fn launch(launch: &Launch, plugs: &Plugs, filters: &Filters) -> Built<Infallible> {
    rustix::process::setsid().step("new session")?;
    plug(plugs).step("arrange descriptors")?;
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o022));
    sys::be_modest();
    limits::enforce(&launch.limits, launch.tasks)?;
    sys::drop_bounding_set();
    if launch.ids.dropped {
        sys::become_user(launch.ids.uid, launch.ids.gid).step("drop root")?;
    }
    // After the change of user, so that the folder is entered with the program's own rights.
    std::env::set_current_dir(&launch.cwd).step(format!("enter {}", launch.cwd.display()))?;
    sys::clear_capabilities().step("drop capabilities")?;
    sys::no_new_privileges().step("no new privileges")?;
    landlock::enforce(&launch.fences)?;
    if sys::has_capabilities().step("check capabilities")? {
        return Err(Broken::new("check capabilities", "some were kept"));
    }
    sys::reset_signals();
    filters.enforce(launch.sockets)?;
    Err(exec(&launch.argv, &launch.env))
}

/// Puts the program's descriptors where it expects them and marks all others as closed at exec.
fn plug(plugs: &Plugs) -> io::Result<()> {
    let mut ends = vec![&plugs.stdin, &plugs.stdout, &plugs.stderr];
    if let Some((read, write)) = &plugs.channel {
        ends.extend([read, write]);
    }
    // Out of the way first: an end may sit on a number that another end is to have.
    let lifted =
        ends.iter().map(|fd| sys::duplicate_above(fd.as_fd(), PRIVATE_FD_MIN)).collect::<io::Result<Vec<_>>>()?;
    for (fd, at) in lifted.iter().zip(0..) {
        debug_assert!(fd.as_raw_fd() >= PRIVATE_FD_MIN);
        sys::install(fd.as_fd(), at)?;
    }
    sys::close_from(ends.len() as i32, false)
}

/// Looks the program up as a shell does and executes it; returns what went wrong.
fn exec(argv: &[OsString], env: &[(OsString, OsString)]) -> Broken {
    let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Broken::new("exec", "an argument contains a NUL"));
    let Some(name) = argv.first() else {
        return Broken::new("exec", "no command was given");
    };
    let arguments = argv.iter().map(|argument| c_string(argument.clone().into_vec())).collect::<Built<Vec<_>>>();
    let variables = env
        .iter()
        .map(|(name, value)| c_string([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<Built<Vec<_>>>();
    let (arguments, variables) = match (arguments, variables) {
        (Ok(arguments), Ok(variables)) => (arguments, variables),
        (Err(broken), _) | (_, Err(broken)) => return broken,
    };
    let mut problem = None;
    for program in places(name, env) {
        let error = sys::execve(&program, &arguments, &variables);
        // A folder of PATH without the program is no news; anything else is worth reporting.
        if error.kind() != io::ErrorKind::NotFound && error.kind() != io::ErrorKind::NotADirectory {
            problem.get_or_insert(format!("{}: {error}", program.to_string_lossy()));
        } else if let Some(interpreter) = interpreter_of(&program) {
            problem.get_or_insert(format!("{}: its interpreter {interpreter} is not found", program.to_string_lossy()));
        }
    }
    Broken::new("exec", problem.unwrap_or_else(|| format!("{}: not found", name.to_string_lossy())))
}

/// The interpreter that a script's first line names.
fn interpreter_of(program: &OsStr) -> Option<String> {
    /// What the kernel looks at, in bytes.
    const LINE_BYTES_MAX: u64 = 256;
    let mut line = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(std::fs::File::open(program).ok()?, LINE_BYTES_MAX), &mut line).ok()?;
    let text = String::from_utf8_lossy(&line).into_owned();
    let words = text.lines().next()?.strip_prefix("#!")?.trim().to_owned();
    Some(words.split_ascii_whitespace().next()?.to_owned())
}

fn places(name: &OsStr, env: &[(OsString, OsString)]) -> Vec<OsString> {
    if name.as_bytes().contains(&b'/') {
        return vec![name.to_owned()];
    }
    let path = env.iter().find(|(key, _)| key == "PATH").map_or(OsStr::new(""), |(_, value)| value);
    std::env::split_paths(path)
        .filter(|folder| !folder.as_os_str().is_empty())
        .map(|folder| folder.join(name).into_os_string())
        .collect()
}
