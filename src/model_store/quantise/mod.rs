//! Quantising a GGUF with llama.cpp's own quantiser, in a process of its own.
//!
//! The quantiser cannot be stopped once it runs and aborts on what it dislikes, so it is run by `z1 __quantise`
//! (the same program): a cancel kills that process, an abort of it is an error here, and the output gets its
//! name only when it is whole. This is one of the stated exceptions to "only the sandbox starts processes".

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::disk::{check_space, disk_error, sync_parent};
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::gguf::{Gguf, TensorType};

#[cfg(feature = "llama")]
mod child;
mod imatrix;

/// The hidden first argument that turns the program into the quantiser.
pub const CHILD_ARGUMENT: &str = "__quantise";
/// How often a cancel is looked for while the quantiser is at work on one tensor.
const POLL: Duration = Duration::from_millis(50);
/// What the quantiser may say before it is no longer listened to.
const COMPLAINT_BYTES_MAX: u64 = 64 << 10;

/// Becomes the quantiser; never returns. `main` calls this where its first argument is [`CHILD_ARGUMENT`].
pub fn child_main() -> ! {
    #[cfg(feature = "llama")]
    let code = child::main();
    #[cfg(not(feature = "llama"))]
    let code = {
        eprintln!("this build of z1 has no quantiser: it was built without the feature `llama`");
        1
    };
    std::process::exit(code)
}

/// Names of quantisations with llama.cpp's file type numbers and bits per weight (for the size estimate).
pub const TYPES: &[(&str, u32, f64)] = &[
    ("F32", 0, 32.0),
    ("F16", 1, 16.0),
    ("BF16", 32, 16.0),
    ("Q8_0", 7, 8.5),
    ("Q6_K", 18, 6.6),
    ("Q5_K_M", 17, 5.7),
    ("Q5_K_S", 16, 5.5),
    ("Q5_1", 9, 6.0),
    ("Q5_0", 8, 5.5),
    ("Q4_K_M", 15, 4.9),
    ("Q4_K_S", 14, 4.6),
    ("Q4_1", 3, 5.0),
    ("Q4_0", 2, 4.6),
    ("IQ4_XS", 30, 4.3),
    ("IQ4_NL", 25, 4.5),
    ("Q3_K_L", 13, 4.3),
    ("Q3_K_M", 12, 3.9),
    ("Q3_K_S", 11, 3.5),
    ("IQ3_M", 27, 3.7),
    ("Q2_K", 10, 3.0),
];

/// What to quantise, and how.
#[derive(Clone, Debug)]
pub struct Job {
    pub input: PathBuf,
    pub output: PathBuf,
    /// A name of [`TYPES`].
    pub quant: String,
    pub threads: u32,
    pub imatrix: Option<PathBuf>,
    /// The program to start; ourselves.
    pub program: PathBuf,
}

/// The file type number of a quantisation's name.
///
/// # Errors
/// An unknown name, with the known ones.
pub fn file_type(quant: &str) -> anyhow::Result<u32> {
    let upper = quant.to_ascii_uppercase();
    TYPES.iter().find(|(name, _, _)| *name == upper).map(|(_, number, _)| *number).ok_or_else(|| {
        let names: Vec<&str> = TYPES.iter().map(|(name, _, _)| *name).collect();
        UserError::usage(format!("{quant:?} is not a quantisation that z1 makes"))
            .hint(format!("known: {}", names.join(", ")))
            .into()
    })
}

/// What people call a file's quantisation: by its `general.file_type`, or the type that most of its bytes have.
pub fn name_of(gguf: &Gguf) -> String {
    let number = gguf.metadata.unsigned("general.file_type");
    let named =
        TYPES.iter().find(|(_, known, _)| Some(u64::from(*known)) == number).map(|(name, ..)| (*name).to_owned());
    named.or_else(|| gguf.main_type().map(TensorType::name)).unwrap_or_else(|| "?".to_owned())
}

/// Runs the job; `progress` hears (tensors done, tensors in all).
///
/// # Errors
/// An unknown type, a file that is no model, too little room, what the quantiser said, or a cancel. The output is
/// whole or absent.
pub fn run(job: &Job, cancel: &Cancel, mut progress: impl FnMut(u32, u32)) -> anyhow::Result<()> {
    file_type(&job.quant)?;
    let input = Gguf::open(&job.input).map_err(UserError::from)?;
    let bits = TYPES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(&job.quant)).map_or(16.0, |t| t.2);
    check_space(&job.output, (input.parameters() as f64 * bits / 8.0) as u64)?;
    let part = super::disk::part_path(&job.output);
    let mut child = start(job, &part)?;
    let complaint = complaint(&mut child);
    let lines = lines(&mut child);
    loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => {
                let numbers = line.split_once('/').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                if let Some((done, total)) = numbers {
                    progress(done, total);
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                // It may have ended by itself meanwhile, or by the same Ctrl-C.
                let _ = child.kill();
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
    let status = child.wait()?;
    let complaint = complaint.join().unwrap_or_default();
    if cancel.is_cancelled() || !status.success() {
        let _ = std::fs::remove_file(&part);
    }
    if cancel.is_cancelled() {
        return Err(UserError::new(Exit::Interrupted, "interrupted; nothing was written").into());
    }
    if !status.success() {
        let reason = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it gave no reason");
        return Err(UserError::new(Exit::Error, format!("cannot quantise {}: {reason}", job.input.display())).into());
    }
    std::fs::rename(&part, &job.output).map_err(|p| disk_error(&job.output, &p))?;
    sync_parent(&job.output);
    Ok(())
}

fn start(job: &Job, part: &std::path::Path) -> anyhow::Result<Child> {
    let mut command = Command::new(&job.program);
    command.arg(CHILD_ARGUMENT).arg(&job.input).arg(part).arg(&job.quant).arg(job.threads.to_string());
    command.args(&job.imatrix);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.map_err(|problem| {
        UserError::new(Exit::Error, format!("cannot start {}: {problem}", job.program.display())).into()
    })
}

/// The child's lines of progress, taken by a thread, so that waiting for one can be given up.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    let output = BufReader::new(child.stdout.take().expect("invariant: stdout is piped"));
    let (sender, lines) = mpsc::sync_channel(16);
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

/// What the child says on stderr. A full pipe would stop it, so it is drained beside.
fn complaint(child: &mut Child) -> std::thread::JoinHandle<String> {
    let mut errors = child.stderr.take().expect("invariant: stderr is piped");
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = errors.by_ref().take(COMPLAINT_BYTES_MAX).read_to_end(&mut text);
        let _ = std::io::copy(&mut errors, &mut std::io::sink());
        String::from_utf8_lossy(&text).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantisations_have_llama_cpp_s_numbers() {
        assert_eq!(file_type("q5_k_m").unwrap(), 17);
        assert_eq!(file_type("Q8_0").unwrap(), 7);
        assert!(crate::error::render(&file_type("Q9").unwrap_err()).contains("Q4_K_M"));
    }
}
