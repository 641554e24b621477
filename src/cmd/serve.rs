//! `z1 serve`: the OpenAI and Anthropic interfaces on this machine.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::hosted::{Ground, ModelArgs};
use crate::agent::{Agent, Settings};
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::serve::{Guard, Listener, Server, listen};

/// A key file larger than this is no key.
const KEY_BYTES_MAX: u64 = 4096;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  z1 serve                                   http://127.0.0.1:8080/v1
  z1 serve --port 0 --model MODEL            a free port; the address is printed
  z1 serve --socket ~/.z1.sock               a Unix socket that only you can open
  OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none aider --model openai/z1
  ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_API_KEY=none CLIENT

A request says how long to think by any of the usual names (reasoning_effort, thinking.budget_tokens, …), may set the
`hint` that ends it, and with `verify: true` and `tests` gets an answer that was run. docs/clients.md has the clients.")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The address; anything but a loopback one needs a key
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Listen on a Unix socket instead of a port
    #[arg(long, value_name = "PATH", conflicts_with_all = ["port", "host"])]
    socket: Option<PathBuf>,
    /// A file with the key that every request must show [env: Z1_API_KEY holds the key itself]
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Another name under which this machine may be asked (repeatable)
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// A web page's origin that may ask, as http://localhost:3000 (repeatable)
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Requests that are decoded beside one another, each with a context of its own; fewer where memory is short
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    slots: u32,
    /// Thinking of models that think by themselves, in tokens, where a request says nothing of it
    #[arg(long, value_name = "N")]
    window: Option<u32>,
}

/// Runs the subcommand until it is interrupted.
///
/// # Errors
/// No usable model, or an address that cannot be had.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let guard = guard(args)?;
    let setup = Ground::lay(&args.model)?.setup(None, Some(args.slots))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        // An address that cannot be had is known before a model is loaded.
        let (listener, address) = bind(args).await?;
        let engine = (setup.open)(Box::new(|_| ()), &Cancel::new())?;
        let settings = Settings { traits: (setup.traits)(engine.info()), ..setup.settings };
        let agent = Agent::new(engine, setup.judge, setup.prompts.as_deref(), settings)?;
        let server = Server::new(agent, guard, args.window);
        let slots = server.agent.engine.info().slots;
        eprintln!("z1: serving {}, {slots} request(s) at a time; Ctrl-C ends it", server.model());
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{address}").and_then(|()| stdout.flush()).context("writing the address")?;
        let stop = Cancel::new();
        tokio::select! {
            () = listen(server, vec![listener], &stop) => {}
            problem = crate::host::asked_to_end() => problem?,
        }
        if let Some(path) = &args.socket {
            // It is ours: nobody else could have bound it.
            let _ = std::fs::remove_file(path);
        }
        Ok(Exit::Interrupted)
    })
}

fn guard(args: &Args) -> Result<Guard, UserError> {
    let key = match &args.api_key_file {
        Some(path) => Some(key_of(path)?),
        None => std::env::var("Z1_API_KEY").ok().filter(|key| !key.is_empty()),
    };
    if key.is_none() && args.socket.is_none() && !args.host.is_loopback() {
        return Err(UserError::usage(format!("{} can be reached by other machines, and there is no key", args.host))
            .hint("set one with --api-key-file, or leave --host out"));
    }
    let mut hosts = args.allow_host.clone();
    if !args.host.is_unspecified() {
        hosts.push(match args.host {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
    }
    Ok(Guard { key, hosts, origins: args.allow_origin.clone() })
}

fn key_of(path: &Path) -> Result<String, UserError> {
    let fail = |why: &dyn std::fmt::Display| UserError::usage(format!("the key file {}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|problem| fail(&problem))?.len();
    if size > KEY_BYTES_MAX {
        return Err(fail(&"larger than a key"));
    }
    let key = std::fs::read_to_string(path).map_err(|problem| fail(&problem))?.trim().to_owned();
    if key.is_empty() || key.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(fail(&"holds no key (one word on one line)"));
    }
    Ok(key)
}

/// The listener, and how it is reached.
async fn bind(args: &Args) -> anyhow::Result<(Listener, String)> {
    #[cfg(unix)]
    if let Some(path) = &args.socket {
        return Ok((Listener::Unix(bind_unix(path).await?), format!("unix:{}", path.display())));
    }
    #[cfg(not(unix))]
    if args.socket.is_some() {
        return Err(UserError::usage("there are no Unix sockets here").hint("leave --socket out").into());
    }
    let wanted = SocketAddr::new(args.host, args.port);
    let listener = tokio::net::TcpListener::bind(wanted).await.map_err(|problem| {
        UserError::new(Exit::Error, format!("cannot listen on {wanted}: {problem}"))
            .hint("another program has it, or it is not this machine's; --port 0 takes a free port")
    })?;
    let address = listener.local_addr().context("the address")?;
    Ok((Listener::Tcp(listener), format!("http://{address}/v1")))
}

/// Binds a socket that only this user can open. A file that nobody listens on any more is replaced.
#[cfg(unix)]
async fn bind_unix(path: &Path) -> anyhow::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    let fail = |why: String| UserError::new(Exit::Error, format!("cannot listen on {}: {why}", path.display()));
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(fail("there is a file of that name".to_owned()).hint("name another path").into());
        }
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(fail("somebody listens there".to_owned()).hint("end it, or name another path").into());
        }
        std::fs::remove_file(path).map_err(|problem| fail(problem.to_string()))?;
    }
    let listener = tokio::net::UnixListener::bind(path).map_err(|problem| fail(problem.to_string()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|problem| fail(problem.to_string()))?;
    Ok(listener)
}
