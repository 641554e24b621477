//! `z1 run`: runs any command in the sandbox.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::sandbox::{
    ChangeKind, End, LimitKind, Limits, Net, Outcome, Policy, Request, Sandbox, SandboxOptions, Stdin, Workspace,
};
use crate::task::Tier;

/// Changes that are told one by one.
const CHANGES_SHOWN_MAX: usize = 20;

/// Input that a command may be given, in bytes.
const STDIN_BYTES_MAX: u64 = 256 << 20;

/// The subcommand's arguments.
///
/// The command works on the current folder under a throw-away layer: it sees the project and your tools, and nothing
/// that it writes reaches the disk. The exit code is the command's own; 124: a limit ended it, 125: the sandbox
/// could not be built, 127: there is no such command, 128 + N: signal N ended it, 130: interrupted.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  z1 run -- python3 -m pytest -q\n  z1 run --empty --wall 2 -- python3 -c 'print(1)'\n  \
                        z1 run --tier L --json -- sh -c 'echo hello > note' | jq .changed"
)]
pub struct Args {
    /// Use this tier or none (F: namespaces, B: bubblewrap, L: Landlock)
    #[arg(long, value_parser = parse_tier)]
    tier: Option<Tier>,
    /// Let the command read this path, besides the system's programs (repeatable)
    #[arg(long, value_name = "PATH")]
    ro: Vec<PathBuf>,
    /// Work on this folder under a throw-away layer [default: the current folder]
    #[arg(long, value_name = "DIR")]
    overlay: Option<PathBuf>,
    /// Work in an empty folder instead
    #[arg(long, conflicts_with = "overlay")]
    empty: bool,
    /// What the command may reach: nothing (off), or a loopback of its own [default: a loopback where the tier has one]
    #[arg(long, value_parser = parse_net)]
    net: Option<Net>,
    /// Set a variable in the command's environment, which is otherwise z1's own (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    env: Vec<(String, String)>,
    /// Feed this process's standard input to the command
    #[arg(long)]
    stdin: bool,
    /// End it after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    wall: Option<Duration>,
    /// End it after this many seconds of processor time, all its processes together
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    cpu: Option<Duration>,
    /// Memory of all its processes together, such as 512M
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// What it may write to its disk, such as 64M
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    disk: Option<u64>,
    /// Processes and threads
    #[arg(long, value_name = "N")]
    processes: Option<u32>,
    /// What it may print before it is ended, such as 8M
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    output: Option<u64>,
    /// Print the whole outcome as JSON instead of the command's output
    #[arg(long)]
    json: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the subcommand. Ends the process with the command's exit code.
///
/// # Errors
/// Where no sandbox can be built, or the outcome cannot be printed.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let helper_exe = std::env::current_exe().context("cannot find z1's own binary")?;
    let options = SandboxOptions { tier: args.tier, allow_unsandboxed: false, helper_exe };
    let sandbox = Sandbox::start(options).map_err(UserError::from)?;
    let policy = policy(args, sandbox.tier())?;
    let request = request(args)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let outcome = runtime.block_on(async {
        let cancel = Cancel::new();
        crate::host::cancel_when_asked(&cancel);
        sandbox.run(&policy, request, &cancel).await
    });
    let printed = if args.json { print_json(&outcome) } else { print_streams(&outcome) };
    // A reader that has left (a closed pipe) does not change what the command's exit code was.
    match printed {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        other => other.context("cannot print the outcome")?,
    }
    drop(sandbox);
    std::process::exit(exit_code(&outcome.end))
}

fn policy(args: &Args, tier: Tier) -> anyhow::Result<Policy> {
    let absolute =
        |path: &PathBuf| std::path::absolute(path).with_context(|| format!("{} is not a usable path", path.display()));
    let base = Limits::project();
    let limits = Limits {
        wall: args.wall.unwrap_or(base.wall),
        cpu: args.cpu.unwrap_or(base.cpu),
        memory_bytes_max: args.memory.unwrap_or(base.memory_bytes_max),
        disk_bytes_max: args.disk.unwrap_or(base.disk_bytes_max),
        processes_max: args.processes.unwrap_or(base.processes_max),
        output_bytes_max: args.output.unwrap_or(base.output_bytes_max),
        // Everything is printed, up to the bound: a person asked for it.
        head_bytes: args.output.unwrap_or(base.output_bytes_max) as usize,
        ..base
    };
    let mut policy = if args.empty {
        Policy::strict(Workspace::Files(Vec::new()), limits)
    } else {
        let lower = match &args.overlay {
            Some(path) => absolute(path)?,
            None => std::env::current_dir().context("there is no current folder")?,
        };
        crate::verify::project_policy(&lower, limits, tier)
    };
    policy.ro = args.ro.iter().map(absolute).collect::<anyhow::Result<_>>()?;
    policy.net = args.net.unwrap_or(Net::own(tier));
    policy.env.extend(args.env.iter().map(|(name, value)| (name.into(), value.into())));
    Ok(policy)
}

fn request(args: &Args) -> anyhow::Result<Request> {
    let mut request = Request::new(args.command.iter().cloned());
    if args.stdin {
        let mut input = Vec::new();
        std::io::stdin().take(STDIN_BYTES_MAX + 1).read_to_end(&mut input).context("cannot read standard input")?;
        if input.len() as u64 > STDIN_BYTES_MAX {
            return Err(UserError::usage(format!("standard input is longer than {STDIN_BYTES_MAX} bytes")).into());
        }
        request.stdin = Stdin::Bytes(input);
    }
    Ok(request)
}

fn print_json(outcome: &Outcome) -> std::io::Result<()> {
    let changed: Vec<_> = outcome
        .changed
        .iter()
        .map(|c| serde_json::json!({ "path": c.path.to_string_lossy(), "kind": c.kind, "bytes": c.bytes }))
        .collect();
    let json = serde_json::json!({
        "end": outcome.end,
        "exit_code": exit_code(&outcome.end),
        "stdout": outcome.stdout.text(),
        "stderr": outcome.stderr.text(),
        "stdout_bytes": outcome.stdout.total_bytes,
        "stderr_bytes": outcome.stderr.total_bytes,
        "wall_ms": outcome.wall.as_millis() as u64,
        "cpu_ms": outcome.cpu.as_millis() as u64,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "changed": changed,
        "leftovers_killed": outcome.leftovers_killed,
        "isolation": outcome.isolation,
        "work_dir": outcome.work_dir,
    });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{json}")?;
    out.flush()
}

/// The command's own output, cleaned; what z1 has to add goes to stderr.
fn print_streams(outcome: &Outcome) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(outcome.stdout.text().as_bytes())?;
    out.flush()?;
    let mut err = std::io::stderr().lock();
    err.write_all(outcome.stderr.text().as_bytes())?;
    if let Some(sentence) = sentence(&outcome.end) {
        writeln!(err, "z1: {sentence}")?;
    }
    let hidden = outcome.changed.len().saturating_sub(CHANGES_SHOWN_MAX);
    for change in outcome.changed.iter().take(CHANGES_SHOWN_MAX) {
        let verb = match change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Modified => "modified",
            ChangeKind::Deleted => "deleted",
            ChangeKind::Symlink => "linked",
            ChangeKind::Special => "special (dropped)",
        };
        // A name may hold line feeds and escapes; this is one line of a person's terminal.
        writeln!(err, "z1: {verb} {:?} ({} bytes, not kept)", change.path.to_string_lossy(), change.bytes)?;
    }
    if hidden > 0 {
        writeln!(err, "z1: and {hidden} more changes (`--json` lists them all)")?;
    }
    err.flush()
}

fn sentence(end: &End) -> Option<String> {
    Some(match end {
        End::Exit(_) => return None,
        End::Signal(signal) => format!("signal {signal} ended the command"),
        End::Limit(kind) => format!("{} ended the command", limit_name(*kind)),
        End::Cancelled => "interrupted".into(),
        End::SandboxError { step, message } => format!("the sandbox failed at \"{step}\": {message}"),
    })
}

const fn limit_name(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Wall => "the time limit",
        LimitKind::Cpu => "the processor-time limit",
        LimitKind::Memory => "the memory limit",
        LimitKind::Output => "the output limit",
        LimitKind::Disk => "the disk limit",
    }
}

fn exit_code(end: &End) -> i32 {
    match end {
        End::Exit(code) => *code,
        End::Signal(signal) => 128 + signal,
        End::Limit(_) => 124,
        End::Cancelled => i32::from(Exit::Interrupted.code()),
        End::SandboxError { step, .. } if step == "exec" => 127,
        End::SandboxError { .. } => 125,
    }
}

fn parse_tier(text: &str) -> Result<Tier, String> {
    match text {
        "F" | "f" => Ok(Tier::F),
        "B" | "b" => Ok(Tier::B),
        "L" | "l" => Ok(Tier::L),
        _ => Err("the tiers are F, B and L".into()),
    }
}

fn parse_net(text: &str) -> Result<Net, String> {
    match text {
        "off" => Ok(Net::Off),
        "loopback" => Ok(Net::Loopback),
        _ => Err("the choices are off and loopback".into()),
    }
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or("give a time above zero".into())
}

/// A number of bytes with an optional K, M or G (powers of 1024).
fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = digits.parse::<u64>().map_err(|_| "write a size such as 512M".to_owned())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(|| "the size is out of range".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("512M"), Ok(512 << 20));
        assert_eq!(parse_size("7"), Ok(7));
        for wrong in ["", "M", "1T", "-1", "0", "99999999999G"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn exit_codes_are_as_documented() {
        let error = |step: &str| End::SandboxError { step: step.into(), message: String::new() };
        let codes = [End::Exit(3), End::Signal(9), End::Limit(LimitKind::Wall), error("exec"), error("landlock")];
        assert_eq!(codes.map(|end| exit_code(&end)), [3, 137, 124, 127, 125]);
    }
}
